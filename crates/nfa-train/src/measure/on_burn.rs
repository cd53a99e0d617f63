//! A file's network on a Burn device.

use burn::tensor::{Device, Tensor, TensorData};
use nfa_metrics::{
    AgopOptions, Mat, Needs, Observation, OnBurn, Sampled, SitesError, observe_network, output_gradients,
};
use nfa_models::{Activation, AnyNetwork, Mlp};

use crate::data::split::Split;
use crate::error::{Error, Result};
use crate::machine::devices::{Dtype, open};
use crate::measure::measurement::Task;
use crate::measure::samples::{Answers, Job, Samples};
use crate::measure::settings::Settings;
use crate::observe::loss::LossSeen;
use crate::observe::scores::scores;
use crate::train::loss::half_mse::HalfMse;
use crate::weights::Weights;

/// A network and the rows it is measured on.
pub(super) struct Loaded {
    network: Mlp,
    x: Tensor<2>,
    dtype: Dtype,
    device: Device,
    name: String,
}

impl Loaded {
    /// Puts both on the device that the settings name.
    pub(super) fn new(
        weights: &Weights,
        activations: &[Activation],
        samples: &Samples,
        settings: &Settings,
    ) -> Result<Self> {
        let (dtype, name) = (settings.dtype, settings.device.clone());
        let device = open(&name, dtype)?;
        let upload = |w: &Mat| {
            let values: Vec<f64> =
                (0..w.nrows()).flat_map(|i| (0..w.ncols()).map(move |j| (i, j))).map(|at| w[at]).collect();
            tensor(&values, w.nrows(), w.ncols(), dtype, &device)
        };
        let biases = weights.layers.iter().map(|layer| {
            let bias = layer.bias.as_ref()?;
            Some(tensor(bias, 1, bias.len(), dtype, &device).reshape([bias.len()]))
        });
        let matrices = weights.layers.iter().map(|layer| upload(&layer.weight)).collect();
        let network = Mlp::new(matrices, biases.collect(), weights.between(activations)?);
        let network = network.map_err(|error| weights.unchained(&error))?;
        let x = tensor(&samples.inputs, samples.count, samples.dim, dtype, &device);
        Ok(Loaded { network, x, dtype, device, name })
    }

    /// The device, as named.
    pub(super) fn device(&self) -> &str {
        &self.name
    }

    /// Weights and AGOPs.
    pub(super) fn observe(&self, options: &AgopOptions) -> Result<Observation> {
        let observed = observe_network(&self.network, &self.x, None, options);
        observed.map_err(|error| Error::input(error.to_string()))
    }

    /// The rows, any of which the network can be observed on.
    pub(super) fn rows(&self) -> Box<dyn Sampled + '_> {
        Box::new(OnBurn { network: &self.network, x: &self.x })
    }

    /// Adds what laws need beside AGOPs.
    pub(super) fn complete(
        &self,
        observation: &mut Observation,
        _: &Samples,
        job: Option<&Job<'_>>,
        needs: Needs,
    ) -> Result<()> {
        let refused = |error: SitesError| Error::input(error.to_string());
        if let Some((answers, loss)) =
            job.and_then(|job| Some((job.answers, job.loss?))).filter(|_| needs.meets(Needs::LOSS))
        {
            answers.check_width(self.network.outputs(self.x.clone().slice([0..1])).dims()[1])?;
            let split = self.split(answers);
            let moments = LossSeen::new(loss, &split).moments(&self.network, needs).map_err(refused)?;
            observation.layers.iter_mut().zip(moments).for_each(|(layer, moments)| layer.loss = Some(moments));
        }
        if needs.contains(Needs::OUTPUT_GRADIENTS) {
            let ks = output_gradients(&self.network, &self.x, None).map_err(refused)?;
            observation.layers.iter_mut().zip(ks).for_each(|(layer, k)| layer.k = Some(k));
        }
        Ok(())
    }

    fn split(&self, answers: &Answers) -> Split {
        let n = self.x.dims()[0];
        let targets = tensor(&answers.values, n, answers.dim, self.dtype, &self.device);
        Split { inputs: self.x.clone(), targets, weights: None }
    }

    /// How well it does its job.
    pub(super) fn task(&self, _: &Samples, &Job { answers, loss }: &Job<'_>) -> Result<Task> {
        answers.check_width(self.network.outputs(self.x.clone()).dims()[1])?;
        let split = self.split(answers);
        let value = loss.map(|loss| scores(&self.network, &split, loss, false).loss);
        let squared = scores(&self.network, &split, &HalfMse {}, answers.classes);
        Ok(Task::new(answers, value, squared.loss, squared.accuracy))
    }
}

fn tensor(values: &[f64], rows: usize, cols: usize, dtype: Dtype, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [rows, cols]), (device, dtype.burn()))
}
