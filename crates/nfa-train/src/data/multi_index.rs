//! A target that depends on a few of many inputs.

use nfa_models::{Spec, SpecError};
use serde::{Deserialize, Serialize};

use crate::data::source::{LoadContext, Raw, Source, Targets};

/// y = x_1 x_2 ... x_k + noise·N(0, 1): no gradient descent finds it without finding its k directions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MultiIndex {
    /// d.
    pub inputs: usize,
    /// Training rows; test rows are drawn in addition.
    pub samples: usize,
    /// k.
    #[serde(default = "two")]
    pub index: usize,
    /// How inputs are drawn.
    #[serde(default = "gaussian")]
    pub distribution: Entries,
    /// Standard deviation of what is added to the targets.
    #[serde(default)]
    pub noise: f64,
    /// Whether targets are dealt out anew over the rows: the control without anything to learn.
    #[serde(default)]
    pub shuffled: bool,
}

/// How each input is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entries {
    /// N(0, 1).
    Gaussian,
    /// ±1: y is a parity.
    Signs,
}

fn two() -> usize {
    2
}

fn gaussian() -> Entries {
    Entries::Gaussian
}

impl Source for MultiIndex {
    fn load(&self, context: &LoadContext<'_>) -> Result<Raw, SpecError> {
        let test = context.test.of(self.samples);
        let rows = self.samples + test;
        let mut draws = context.stream.fork("inputs").draws();
        let mut noise = context.stream.fork("noise").draws();
        let mut draw = || match self.distribution {
            Entries::Gaussian => draws.normal(),
            Entries::Signs => draws.sign(),
        };
        let inputs: Vec<f64> = (0..rows * self.inputs).map(|_| draw()).collect();
        let value = |x: &[f64]| x[..self.index].iter().product::<f64>() + self.noise * noise.normal();
        let mut values: Vec<f64> = inputs.chunks_exact(self.inputs).map(value).collect();
        if self.shuffled {
            let order = context.stream.fork("shuffled").permutation(rows);
            values = order.into_iter().map(|row| values[row]).collect();
        }
        Ok(Raw { inputs, dim: self.inputs, targets: Targets::Values { values, dim: 1 }, drawn_test: Some(test) })
    }

    fn teacher(&self) -> Option<Vec<Vec<f64>>> {
        let unit = |k: usize| (0..self.inputs).map(|j| if j == k { 1.0 } else { 0.0 }).collect();
        Some((0..self.index).map(unit).collect())
    }
}

impl Spec<dyn Source> for MultiIndex {
    const KIND: &'static str = "multi_index";
    const DOC: &'static str = "The product of the first k of d inputs, Gaussian or signs (a parity).";
    const REFERENCE: &'static str = "Damian, Lee, Soltanolkotabi 2022, arXiv:2206.15144 (multi-index targets)";
    const EXAMPLE: &'static str = "inputs = 20\nsamples = 2000\nindex = 2\n";

    fn check(&self) -> Result<(), SpecError> {
        for (key, value) in [("inputs", self.inputs), ("samples", self.samples), ("index", self.index)] {
            if value == 0 {
                return Err(SpecError::value(key, "must be at least 1".into()));
            }
        }
        if self.index > self.inputs {
            return Err(SpecError::value("index", format!("is {} of {} inputs", self.index, self.inputs)));
        }
        if !(self.noise.is_finite() && self.noise >= 0.0) {
            return Err(SpecError::value("noise", format!("must be finite and not negative, not {}", self.noise)));
        }
        Ok(())
    }

    fn build(&self, (): &()) -> Result<Box<dyn Source>, SpecError> {
        Ok(Box::new(self.clone()))
    }
}
