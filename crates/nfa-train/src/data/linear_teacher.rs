//! A linear teacher on Gaussian inputs.

use nfa_models::init::{geometric, orthonormal_columns};
use nfa_models::{Spec, SpecError};
use serde::{Deserialize, Serialize};

use crate::data::source::{LoadContext, Raw, Source, Targets};

/// y = Px + intercept + noise·N(0, I), P with geometric singular values and Haar singular vectors; input j is
/// N(0, s_j²), s_j = exp(-input_decay · j / (d - 1)).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearTeacher {
    /// d.
    pub inputs: usize,
    /// c.
    pub outputs: usize,
    /// Training rows; test rows are drawn in addition.
    pub samples: usize,
    /// Largest and smallest singular value of P.
    pub spectrum: [f64; 2],
    /// Standard deviation of what is added to the targets.
    #[serde(default)]
    pub noise: f64,
    /// Added to every target.
    #[serde(default)]
    pub intercept: f64,
    /// How fast the inputs' deviations fall.
    #[serde(default = "half")]
    pub input_decay: f64,
}

fn half() -> f64 {
    0.5
}

impl Source for LinearTeacher {
    fn load(&self, context: &LoadContext<'_>) -> Result<Raw, SpecError> {
        let (d, c) = (self.inputs, self.outputs);
        let rank = d.min(c);
        let stream = &context.stream;
        let left = orthonormal_columns(c, rank, &stream.fork("teacher.left"));
        let right = orthonormal_columns(d, rank, &stream.fork("teacher.right"));
        let singular = geometric(self.spectrum[0], self.spectrum[1], rank);
        let test = context.test.of(self.samples);
        let rows = self.samples + test;
        let deviation = |j: usize| libm::exp(-self.input_decay * j as f64 / (d.max(2) - 1) as f64);
        let mut draws = stream.fork("inputs").draws();
        let mut noise = stream.fork("noise").draws();
        let inputs: Vec<f64> = (0..rows * d).map(|k| deviation(k % d) * draws.normal()).collect();
        let mut values = Vec::with_capacity(rows * c);
        for x in inputs.chunks_exact(d) {
            let seen: Vec<f64> =
                (0..rank).map(|k| singular[k] * (0..d).map(|j| right.data[j * rank + k] * x[j]).sum::<f64>()).collect();
            for i in 0..c {
                let clean: f64 = (0..rank).map(|k| left.data[i * rank + k] * seen[k]).sum();
                values.push(clean + self.intercept + self.noise * noise.normal());
            }
        }
        Ok(Raw { inputs, dim: d, targets: Targets::Values { values, dim: c }, drawn_test: Some(test) })
    }
}

impl Spec<dyn Source> for LinearTeacher {
    const KIND: &'static str = "linear_teacher";
    const DOC: &'static str =
        "A random linear map with a geometric spectrum, on Gaussian inputs of decaying variance, with noise.";
    const REFERENCE: &'static str = "arXiv:2510.15563 (deep linear setting)";
    const EXAMPLE: &'static str = "inputs = 16\noutputs = 6\nsamples = 200\nspectrum = [1.0, 0.2]\nnoise = 0.05\n";

    fn check(&self) -> Result<(), SpecError> {
        for (key, value) in [("inputs", self.inputs), ("outputs", self.outputs), ("samples", self.samples)] {
            if value == 0 {
                return Err(SpecError::value(key, "must be at least 1".into()));
            }
        }
        let [high, low] = self.spectrum;
        if !(high.is_finite() && low > 0.0 && low <= high) {
            return Err(SpecError::value(
                "spectrum",
                format!("goes from the largest to the smallest singular value, both positive, not [{high}, {low}]"),
            ));
        }
        if !self.intercept.is_finite() {
            return Err(SpecError::value("intercept", format!("must be finite, not {}", self.intercept)));
        }
        for (key, value) in [("noise", self.noise), ("input_decay", self.input_decay)] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(SpecError::value(key, format!("must be finite and not negative, not {value}")));
            }
        }
        Ok(())
    }

    fn build(&self, (): &()) -> Result<Box<dyn Source>, SpecError> {
        Ok(Box::new(self.clone()))
    }
}
