//! A multilayer perceptron from a file's weights, on rows.

use burn::tensor::{Device, Tensor, TensorData};
use nfa_metrics::{
    AgopOptions, Asked, Inputs, Laws, Mat, Observation, OnBurn, assess, observe_network, parallel, places,
};
use nfa_models::{Activation, AnyNetwork, Mlp};

use crate::array::weights::{self, Weights};
use crate::data::split::Split;
use crate::error::{Error, Result};
use crate::machine::devices::Dtype;
use crate::measure::measurement::{Imbalance, LayerMeasurement, Measurement, Task};
use crate::measure::settings::{Settings, check_size};
use crate::observe::scores::scores;
use crate::train::loss::Loss;

/// The rows that a network is measured on.
#[derive(Clone, Debug)]
pub struct Samples {
    /// `[n, d]`, row-major.
    pub inputs: Vec<f64>,
    /// n.
    pub count: usize,
    /// d.
    pub dim: usize,
}

/// Targets of the samples.
#[derive(Clone, Debug)]
pub struct Answers {
    /// `[n, c]`, row-major; one-hot for classes.
    pub values: Vec<f64>,
    /// c.
    pub dim: usize,
    /// Whether they are classes.
    pub classes: bool,
}

/// What a network is for.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// Targets of the samples.
    pub answers: &'a Answers,
    /// The loss to state.
    pub loss: Option<&'a dyn Loss>,
}

/// An MLP from a file's weights, on samples.
///
/// # Errors
/// Shapes that don't chain, activations or inputs that don't fit, layers that aren't there.
pub fn from_weights(
    laws: &Laws,
    weights: &Weights,
    init: Option<&Weights>,
    activations: &[Activation],
    samples: &Samples,
    job: Option<&Job<'_>>,
    settings: &Settings,
) -> Result<Measurement> {
    let device = crate::machine::devices::open(&settings.device, settings.dtype)?;
    let network = network(weights, activations, settings.dtype, &device)?;
    check(weights, samples, job.is_some(), settings)?;
    let x = tensor(&samples.inputs, samples.count, samples.dim, settings.dtype, &device);
    let options = AgopOptions { layers: settings.layers.clone(), ..settings.agop.clone() };
    let observation = named(observe_network(&network, &x, None, &options), weights);
    let start = match init {
        None => None,
        Some(init) => {
            let same = |(a, b): (&weights::LayerWeights, &weights::LayerWeights)| a.weight.shape() == b.weight.shape();
            if init.layers.len() != weights.layers.len() || !init.layers.iter().zip(&weights.layers).all(same) {
                return Err(Error::input("--init: its layers have other shapes than those of --weights"));
            }
            let network = self::network(init, activations, settings.dtype, &device)?;
            Some(observe_network(&network, &x, None, &options))
        }
    };
    // Centred and sketched rows are not the samples' own.
    let exact = !options.centered && options.sketch.is_none();
    let rows = OnBurn { network: &network, x: &x };
    let inputs = Inputs { rows: &rows, weights: None, options: &options, observation: &observation };
    let wanted: Vec<usize> = (0..observation.layers.len()).filter(|&layer| settings.wants(layer)).collect();
    let asked = Asked {
        layers: &wanted,
        thresholds: &settings.thresholds,
        alphas: &settings.alphas,
        init: &|law, layer| {
            let pair = law.at(start.as_ref()?, layer)?;
            assess(&pair, law.family, None, &settings.thresholds).misfit
        },
        spread: &|law, layer, pair| exact.then(|| inputs.spread(law, layer, pair)).flatten(),
    };
    let places = places(laws.rows(), &observation, &asked);
    let mut found = parallel::map(places.len(), |i| places[i].judge());
    let layers = wanted
        .iter()
        .map(|&layer| {
            let here = found.extract_if(.., |judged| judged.layer == layer).collect();
            LayerMeasurement::new(&observation, layer, here)
        })
        .collect();
    let task = match job {
        None => Task::default(),
        Some(job) => task(&network, x, samples, job, settings.dtype, &device)?,
    };
    Ok(Measurement {
        title: weights.title.clone(),
        samples: Some(samples.count as f64),
        dtype: settings.dtype.name().into(),
        device: settings.device.clone(),
        source: "weights",
        capture: None,
        task,
        layers,
        imbalance: Imbalance::of(&observation),
        thresholds: settings.thresholds,
    })
}

/// Refuses layers that are not there, inputs that don't fit and matrices too large to try.
fn check(weights: &Weights, samples: &Samples, with_targets: bool, settings: &Settings) -> Result<()> {
    settings.check_layers(weights.layers.len())?;
    let expected = weights.layers[0].weight.ncols();
    if samples.dim != expected {
        return Err(Error::input(format!(
            "--inputs has {} columns and `{}` reads {expected}; rows are samples, images are flattened",
            samples.dim, weights.layers[0].name
        )));
    }
    for (index, layer) in weights.layers.iter().enumerate() {
        let (d_out, d_in) = layer.weight.shape();
        let what = |side: &str| format!("{}: the Gram matrix of `{}`'s {side}", weights.title, layer.name);
        check_size(&what("outputs"), d_out, d_out, "--layers NAME,NAME chooses among the weights")?;
        if settings.wants(index) {
            check_size(&what("inputs"), d_in, d_in, "--layer 1,2 leaves it out")?;
        }
    }
    if with_targets {
        let widest = weights.layers.iter().map(|layer| layer.weight.nrows()).max().unwrap_or(0);
        check_size("--targets: all rows at the widest layer", samples.count, widest, "give fewer rows")?;
    }
    Ok(())
}

fn tensor(values: &[f64], rows: usize, cols: usize, dtype: Dtype, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [rows, cols]), (device, dtype.burn()))
}

fn network(weights: &Weights, activations: &[Activation], dtype: Dtype, device: &Device) -> Result<Mlp> {
    let hidden = weights.layers.len() - 1;
    let activations = match activations {
        [one] => vec![*one; hidden],
        list if list.len() == hidden => list.to_vec(),
        list => {
            return Err(Error::input(format!(
                "--activation lists {} for {hidden} hidden layers (none after the last)",
                list.len()
            )));
        }
    };
    let upload = |w: &Mat| {
        let values: Vec<f64> =
            (0..w.nrows()).flat_map(|i| (0..w.ncols()).map(move |j| (i, j))).map(|at| w[at]).collect();
        tensor(&values, w.nrows(), w.ncols(), dtype, device)
    };
    let biases = weights.layers.iter().map(|layer| {
        let bias = layer.bias.as_ref()?;
        Some(tensor(bias, 1, bias.len(), dtype, device).reshape([bias.len()]))
    });
    let biases = biases.collect();
    Mlp::new(weights.layers.iter().map(|layer| upload(&layer.weight)).collect(), biases, activations).map_err(|error| {
        Error::input(format!("{}: {error}; --layers NAME,NAME chooses and orders them", weights.title))
    })
}

fn named(mut observation: Observation, weights: &Weights) -> Observation {
    for (layer, read) in observation.layers.iter_mut().zip(&weights.layers) {
        layer.name.clone_from(&read.name);
    }
    observation
}

fn task(
    network: &Mlp,
    x: Tensor<2>,
    samples: &Samples,
    &Job { answers, loss }: &Job<'_>,
    dtype: Dtype,
    device: &Device,
) -> Result<Task> {
    let outputs = AnyNetwork::forward(network, x.clone()).dims()[1];
    if answers.dim != outputs {
        return Err(Error::input(format!("--targets has {} columns and the network {outputs} outputs", answers.dim)));
    }
    let split =
        Split { inputs: x, targets: tensor(&answers.values, samples.count, answers.dim, dtype, device), weights: None };
    let half = crate::train::loss::half_mse::HalfMse {};
    let value = loss.map(|loss| scores(network, &split, loss, false).loss);
    let squared = scores(network, &split, &half, answers.classes);
    let error = match squared.accuracy {
        Some(accuracy) => Some(1.0 - accuracy),
        None => {
            let c = answers.dim;
            let n = samples.count as f64;
            let mean: Vec<f64> = (0..c).map(|k| answers.values.iter().skip(k).step_by(c).sum::<f64>() / n).collect();
            let variance = answers.values.iter().enumerate().map(|(i, y)| (y - mean[i % c]).powi(2)).sum::<f64>() / n;
            (variance > 0.0).then(|| 2.0 * squared.loss / variance)
        }
    };
    Ok(Task { loss: value, error, classes: answers.classes })
}
