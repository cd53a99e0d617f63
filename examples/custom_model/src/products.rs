//! The dataset: targets that are products of two directions of the inputs.

use nfa_models::init::{geometric, orthonormal_columns};
use nfa_models::{Spec, SpecError};
use nfa_train::data::source::{LoadContext, Raw, Source, Targets};
use serde::{Deserialize, Serialize};

/// y_k = s_k (a_k·x)(b_k·x) + noise·N(0, 1), x ~ N(0, I), the a_k and b_k orthonormal and random.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Products {
    /// d.
    pub inputs: usize,
    /// c, each a product of two directions.
    pub outputs: usize,
    /// Rows.
    pub samples: usize,
    /// Largest and smallest s_k, geometric in between.
    #[serde(default = "falling")]
    pub spectrum: [f64; 2],
    /// Standard deviation of what is added to the targets.
    #[serde(default)]
    pub noise: f64,
}

fn falling() -> [f64; 2] {
    [1.0, 0.5]
}

impl Source for Products {
    fn load(&self, context: &LoadContext<'_>) -> Result<Raw, SpecError> {
        let (d, c) = (self.inputs, self.outputs);
        // Streams are keyed by seed and name: the same rows on every machine.
        let directions = orthonormal_columns(d, 2 * c, &context.stream.fork("directions"));
        let along = |x: &[f64], k: usize| (0..d).map(|j| directions.data[j * 2 * c + k] * x[j]).sum::<f64>();
        let strengths = geometric(self.spectrum[0], self.spectrum[1], c);
        let inputs = context.stream.fork("inputs").normals(self.samples * d);
        let mut noise = context.stream.fork("noise").draws();
        let mut values = Vec::with_capacity(self.samples * c);
        for x in inputs.chunks_exact(d) {
            let product = |k: usize| strengths[k] * along(x, 2 * k) * along(x, 2 * k + 1);
            values.extend((0..c).map(|k| product(k) + self.noise * noise.normal()));
        }
        Ok(Raw { inputs, dim: d, targets: Targets::Values { values, dim: c }, drawn_test: None })
    }
}

impl Spec<dyn Source> for Products {
    const KIND: &'static str = "products";
    const DOC: &'static str =
        "Gaussian inputs; each target is the product of the inputs' projections on two directions.";
    const REFERENCE: &'static str = "this package";
    const EXAMPLE: &'static str = "inputs = 10\noutputs = 2\nsamples = 300\nspectrum = [1.0, 0.5]\nnoise = 0.05\n";

    fn check(&self) -> Result<(), SpecError> {
        if self.outputs == 0 || self.samples == 0 {
            return Err(SpecError::value("", "outputs and samples are at least 1".into()));
        }
        if 2 * self.outputs > self.inputs {
            let message = format!("{} outputs take {} orthogonal directions", self.outputs, 2 * self.outputs);
            return Err(SpecError::value("inputs", format!("is {}; {message}", self.inputs)));
        }
        let [high, low] = self.spectrum;
        if !(high.is_finite() && low > 0.0 && low <= high) {
            return Err(SpecError::value("spectrum", format!("falls and is positive, not [{high}, {low}]")));
        }
        if !(self.noise.is_finite() && self.noise >= 0.0) {
            return Err(SpecError::value("noise", format!("is finite and not negative, not {}", self.noise)));
        }
        Ok(())
    }

    fn build(&self, (): &()) -> Result<Box<dyn Source>, SpecError> {
        Ok(Box::new(self.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nfa_models::{Registry, Stream};
    use nfa_train::data::preparation::Holdout;
    use nfa_train::machine::disk::Disk;
    use std::path::Path;

    #[test]
    fn conforms() {
        nfa_train::testing::dataset::conformance(&Registry::new("dataset").with::<Products>(), &[]);
    }

    #[test]
    fn targets_have_the_variance_of_products_and_follow_the_seed() {
        let source = Products { inputs: 6, outputs: 2, samples: 20_000, spectrum: [2.0, 0.5], noise: 0.0 };
        let load = |seed| {
            let (stream, base, test) = (Stream::root(seed), Path::new("."), Holdout(0.0));
            let context = LoadContext { stream, base, test, store: &Disk };
            match source.load(&context).expect("draws").targets {
                Targets::Values { values, .. } => values,
                Targets::Classes { .. } => panic!("products are numbers"),
            }
        };
        let values = load(0);
        assert_eq!(values, load(0));
        assert_ne!(values, load(1));
        // (a·x)² (b·x)² of independent normals has mean 1 and variance 9 - 1.
        let tolerance = 5.0 * (8.0f64 / 20_000.0).sqrt();
        for (k, strength) in [2.0f64, 0.5].into_iter().enumerate() {
            let mean = values.iter().skip(k).step_by(2).map(|y| (y / strength).powi(2)).sum::<f64>() / 20_000.0;
            assert!((mean - 1.0).abs() < tolerance, "{mean}");
        }
    }
}
