//! A file's network on the host, in a build without Burn.

use nfa_metrics::{AgopOptions, HostChain, HostLoss, Mat, Needs, Observation, OnHost, Sampled};
use nfa_models::Activation;
use nfa_models::host::Cores;
use nfa_models::host::vector::activate;

use crate::error::{Error, Result};
use crate::machine::devices::Dtype;
use crate::measure::measurement::Task;
use crate::measure::samples::{Job, Samples};
use crate::measure::settings::Settings;
use crate::train::loss::criterion::Criterion;
use crate::weights::Weights;

/// A network and the rows it is measured on.
pub(super) struct Loaded {
    chain: HostChain,
    layers: Vec<(Mat, Option<Vec<f64>>)>,
    activations: Vec<Activation>,
    x: Rows,
}

/// Rows in the numbers that AGOPs are computed in.
enum Rows {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl Loaded {
    /// Takes both over.
    pub(super) fn new(
        weights: &Weights,
        activations: &[Activation],
        samples: &Samples,
        settings: &Settings,
    ) -> Result<Self> {
        let activations = weights.between(activations)?;
        let layers: Vec<_> = weights.layers.iter().map(|layer| (layer.weight.clone(), layer.bias.clone())).collect();
        let (matrices, biases) = layers.iter().cloned().unzip();
        let chain = HostChain::new(matrices, biases, activations.clone());
        let chain = chain.map_err(|error| weights.unchained(&error))?;
        let x = match settings.dtype {
            Dtype::F32 => Rows::F32(samples.inputs.iter().map(|&v| v as f32).collect()),
            Dtype::F64 => Rows::F64(samples.inputs.clone()),
        };
        Ok(Loaded { chain, layers, activations, x })
    }

    /// The device, as named.
    pub(super) fn device(&self) -> &str {
        "host"
    }

    /// Weights and AGOPs.
    pub(super) fn observe(&self, options: &AgopOptions) -> Result<Observation> {
        Ok(match &self.x {
            Rows::F32(x) => self.chain.observe(x, None, options),
            Rows::F64(x) => self.chain.observe(x, None, options),
        })
    }

    /// Adds what laws need beside AGOPs.
    pub(super) fn complete(
        &self,
        observation: &mut Observation,
        samples: &Samples,
        job: Option<&Job<'_>>,
        needs: Needs,
    ) -> Result<()> {
        let x = &samples.inputs;
        if let Some((answers, loss)) =
            job.and_then(|job| Some((job.answers, job.loss?))).filter(|_| needs.meets(Needs::LOSS))
        {
            let c = self.layers.last().map_or(0, |(weight, _)| weight.nrows());
            answers.check_width(c)?;
            let criterion = loss.criterion().ok_or_else(unknown)?;
            let gradients = |outputs: &mut [f64], rows: std::ops::Range<usize>| {
                criterion.differentiate(outputs, &answers.values[rows.start * c..rows.end * c], None, c, 1);
            };
            let targets = Mat::from_fn(samples.count, c, |i, k| answers.values[i * c + k]);
            let asked = HostLoss { gradients: &gradients, weights: None, targets: Some(&targets), needs };
            let moments = self.chain.moments(x, &asked);
            observation.layers.iter_mut().zip(moments).for_each(|(layer, moments)| layer.loss = Some(moments));
        }
        if needs.contains(Needs::OUTPUT_GRADIENTS) {
            let ks = self.chain.output_gradients(x, None);
            observation.layers.iter_mut().zip(ks).for_each(|(layer, k)| layer.k = Some(k));
        }
        Ok(())
    }

    /// The outputs of the samples, in `f64`: `[n, c]`, row-major.
    fn outputs(&self, samples: &Samples) -> Vec<f64> {
        let mut h = Mat::from_fn(samples.dim, samples.count, |j, i| samples.inputs[i * samples.dim + j]);
        for (l, (weight, bias)) in self.layers.iter().enumerate() {
            h = weight * h;
            for sample in h.col_iter_mut() {
                sample.iter_mut().zip(bias.iter().flatten()).for_each(|(z, b)| *z += b);
            }
            if let Some(&activation) = self.activations.get(l) {
                (0..h.ncols()).for_each(|i| activate(activation, h.col_as_slice_mut(i), None, Cores::One));
            }
        }
        h.col_iter().flat_map(|sample| sample.iter().copied().collect::<Vec<_>>()).collect()
    }

    /// The rows, any of which the network can be observed on.
    pub(super) fn rows(&self) -> Box<dyn Sampled + '_> {
        match &self.x {
            Rows::F32(x) => Box::new(OnHost { chain: &self.chain, x }),
            Rows::F64(x) => Box::new(OnHost { chain: &self.chain, x }),
        }
    }

    /// How well it does its job.
    pub(super) fn task(&self, samples: &Samples, &Job { answers, loss }: &Job<'_>) -> Result<Task> {
        let outputs = self.outputs(samples);
        let c = outputs.len() / samples.count;
        answers.check_width(c)?;
        let of = |criterion: Criterion| {
            criterion.differentiate(&mut outputs.clone(), &answers.values, None, c, samples.count)
        };
        let value = match loss {
            None => None,
            Some(loss) => Some(of(loss.criterion().ok_or_else(unknown)?)),
        };
        let largest = |row: &[f64]| (0..c).fold(0, |best, j| if row[j] > row[best] { j } else { best });
        let accuracy = (answers.classes && c > 1).then(|| {
            let rows = outputs.chunks_exact(c).zip(answers.values.chunks_exact(c));
            rows.filter(|(f, y)| largest(f) == largest(y)).count() as f64 / samples.count as f64
        });
        Ok(Task::new(answers, value, of(Criterion::HalfMse), accuracy))
    }
}

fn unknown() -> Error {
    Error::input("--loss: without the feature `burn` only half_mse, mse and cross_entropy")
}
