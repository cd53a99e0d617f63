//! `measure`: laws of networks trained elsewhere, from weights, captures or plain matrices.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use nfa_metrics::judge::interval::FEWEST_BLOCKS;
use nfa_metrics::judge::misfit::Seen;
use nfa_metrics::metrics::imbalance::norms;
use nfa_metrics::parallel;
use nfa_metrics::{
    AgopOptions, Capture, CapturedSite, Details, Family, Finding, Fit, Jackknife, Law, Laws, Mat, Observation, Pair,
    Psd, Spread, Thresholds, assess, assess_with, observe_network, over_inputs,
};
use nfa_models::{Activation, AnyNetwork, Mlp};

use crate::array::weights::{self, Weights};
use crate::data::split::Split;
use crate::error::{Error, Result};
use crate::machine::devices::Dtype;
use crate::observe::scores::scores;
use crate::train::loss::Loss;

pub mod args;
pub mod command;
pub mod compare;
pub mod fan;
pub mod json;
pub mod pairs;
pub mod recorded;
pub mod table;

pub use recorded::Recorded;

/// Everything that `measure` says of one network.
#[derive(Debug)]
pub struct Measurement {
    /// What was measured: the name of the file.
    pub title: String,
    /// Samples; `None` for plain matrices.
    pub samples: Option<f64>,
    /// What the network was evaluated in.
    pub dtype: String,
    /// Where.
    pub device: String,
    /// `weights`, `capture` or `matrices`.
    pub source: &'static str,
    /// How it was recorded, where it is a capture.
    pub capture: Option<Recorded>,
    /// How well it does its job, where targets were given.
    pub task: Task,
    /// One per layer or site.
    pub layers: Vec<LayerMeasurement>,
    /// Of neighbouring layers.
    pub imbalance: Vec<Imbalance>,
    /// Of the verdict.
    pub thresholds: Thresholds,
}

impl Measurement {
    /// Sets what the misfits were at initialisation, from a measurement of the same sites.
    ///
    /// # Errors
    /// A site that is not there, or of another size.
    pub fn compare_with_start(&mut self, start: &Measurement) -> std::result::Result<(), String> {
        for layer in &mut self.layers {
            let size = (layer.d_out, layer.d_in);
            let before = start.layers.iter().find(|before| before.name == layer.name);
            let Some(before) = before.filter(|before| (before.d_out, before.d_in) == size) else {
                return Err(format!("has no site `{}` of this size", layer.name));
            };
            for (law, found) in &mut layer.laws {
                found.null.init = before.laws.iter().find(|(name, _)| name == law).and_then(|(_, start)| start.misfit);
            }
        }
        Ok(())
    }
}

/// How well a network does its job.
#[derive(Clone, Copy, Debug, Default)]
pub struct Task {
    /// The mean loss, where a loss was named.
    pub loss: Option<f64>,
    /// Share of rows classified wrong; for other targets the share of their variance left over.
    pub error: Option<f64>,
    /// Whether the targets are classes.
    pub classes: bool,
}

/// One layer's laws and details.
#[derive(Debug)]
pub struct LayerMeasurement {
    /// From 0.
    pub layer: usize,
    /// Its name in the file.
    pub name: String,
    /// Inputs.
    pub d_in: usize,
    /// Outputs; `None` for plain matrices.
    pub d_out: Option<usize>,
    /// Weight matrices from here to the outputs, where known.
    pub depth_from_here: Option<usize>,
    /// Each law that applies.
    pub laws: Vec<(&'static str, Finding)>,
    /// Of the `nfa` row.
    pub details: Option<Details>,
    /// The weights, for what is saved and compared.
    pub weight: Option<Mat>,
    /// WᵀW and the AGOP, for `--save`.
    pub matrices: Option<(Psd, Psd)>,
}

/// |D_l| of layers l and l + 1.
#[derive(Clone, Copy, Debug)]
pub struct Imbalance {
    /// From 0.
    pub layer: usize,
    /// Frobenius norm.
    pub frobenius: f64,
    /// Over max |W|².
    pub relative: f64,
}

/// What a person may change about a measurement.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Of the verdict.
    pub thresholds: Thresholds,
    /// More exponents for the details.
    pub alphas: Vec<f64>,
    /// Which layers, from 0; `None` for all.
    pub layers: Option<Vec<usize>>,
    /// Of the AGOP engine.
    pub agop: AgopOptions,
    /// What the network is evaluated in.
    pub dtype: Dtype,
    /// Where, as named.
    pub device: String,
}

impl Settings {
    fn wants(&self, layer: usize) -> bool {
        self.layers.as_ref().is_none_or(|layers| layers.contains(&layer))
    }

    fn check_layers(&self, count: usize) -> Result<()> {
        match self.layers.iter().flatten().find(|&&layer| layer >= count) {
            None => Ok(()),
            Some(layer) => {
                Err(Error::input(format!("--layer {layer}: there are layers 0 to {}", count.saturating_sub(1))))
            }
        }
    }
}

/// What a network is measured on.
#[derive(Clone, Debug)]
pub struct Rows {
    /// `[n, d]`, row-major.
    pub inputs: Vec<f64>,
    /// n.
    pub count: usize,
    /// d.
    pub dim: usize,
}

/// Targets of the rows.
#[derive(Clone, Debug)]
pub struct Targets {
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
    /// Targets of the rows.
    pub targets: &'a Targets,
    /// The loss to state.
    pub loss: Option<&'a dyn Loss>,
}

/// Entries of the largest dense matrix that is made: 2 GiB, and hours of decomposing. Sizes come from
/// files, where a few bytes can ask for any, and an allocation that fails ends the process.
pub const MOST_ENTRIES: usize = 1 << 28;

/// Refuses a matrix with more than [`MOST_ENTRIES`].
///
/// # Errors
/// `what` it is, its size, and the next step.
pub fn check_size(what: &str, rows: usize, cols: usize, next: &str) -> Result<()> {
    if rows.checked_mul(cols).is_some_and(|entries| entries <= MOST_ENTRIES) {
        return Ok(());
    }
    let gibibytes = rows as f64 * cols as f64 * 8.0 / f64::from(1 << 30);
    Err(Error::input(format!("{what}: {rows} x {cols} numbers are {gibibytes:.0} GiB, more than is tried; {next}")))
}

/// The parts of a measurement that every source shares.
fn measure_layer(
    laws: &Laws,
    observation: &Observation,
    layer: usize,
    settings: &Settings,
    init: &dyn Fn(&Law, usize) -> Option<f64>,
    spread: &dyn Fn(&Law, &Pair) -> Option<Spread>,
) -> LayerMeasurement {
    let seen = &observation.layers[layer];
    let mut details = None;
    let mut findings = Vec::new();
    for law in laws.rows() {
        let Some(pair) = (law.pair)(observation, layer) else { continue };
        let spread = spread(law, &pair);
        findings.push((law.name, assess_with(&pair, law.family, init(law, layer), &settings.thresholds, spread)));
        if law.name == "nfa" {
            details = Details::new(&pair, &alphas(seen.depth_from_here, &settings.alphas));
        }
    }
    LayerMeasurement {
        layer,
        name: seen.name.clone(),
        d_in: seen.weight.ncols(),
        d_out: Some(seen.weight.nrows()),
        depth_from_here: seen.depth_from_here,
        laws: findings,
        details,
        weight: Some(seen.weight.clone()),
        matrices: seen.agop.as_ref().map(|agop| (Psd::nfm_within(&seen.weight, agop.frame()), agop.clone())),
    }
}

fn alphas(depth: Option<usize>, more: &[f64]) -> Vec<f64> {
    let mut alphas: Vec<f64> = depth.map(|depth| 1.0 / depth as f64).into_iter().collect();
    for &alpha in [0.5, 1.0].iter().chain(more) {
        if !alphas.contains(&alpha) {
            alphas.push(alpha);
        }
    }
    alphas
}

/// An MLP from a file's weights, on rows.
///
/// # Errors
/// Shapes that don't chain, activations or inputs that don't fit, layers that aren't there.
pub fn from_weights(
    laws: &Laws,
    weights: &Weights,
    init: Option<&Weights>,
    activations: &[Activation],
    rows: &Rows,
    job: Option<&Job<'_>>,
    settings: &Settings,
) -> Result<Measurement> {
    let device = crate::machine::devices::open(&settings.device, settings.dtype)?;
    let network = network(weights, activations, settings.dtype, &device)?;
    settings.check_layers(weights.layers.len())?;
    let expected = weights.layers[0].weight.ncols();
    if rows.dim != expected {
        return Err(Error::input(format!(
            "--inputs has {} columns and `{}` reads {expected}; rows are samples, images are flattened",
            rows.dim, weights.layers[0].name
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
    if job.is_some() {
        let widest = weights.layers.iter().map(|layer| layer.weight.nrows()).max().unwrap_or(0);
        check_size("--targets: all rows at the widest layer", rows.count, widest, "give fewer rows")?;
    }
    let x = tensor(&rows.inputs, rows.count, rows.dim, settings.dtype, &device);
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
    let at_start = |law: &Law, layer: usize| {
        let pair = (law.pair)(start.as_ref()?, layer)?;
        assess(&pair, law.family, None, &settings.thresholds).misfit
    };
    let layers = (0..observation.layers.len())
        .filter(|&layer| settings.wants(layer))
        .map(|layer| {
            let spread = |law: &Law, pair: &Pair| {
                // Centred and sketched rows are not the samples' own.
                let exact = !options.centered && options.sketch.is_none();
                (law.name == "nfa" && exact).then(|| over_inputs(&network, &x, None, layer, pair, &options)).flatten()
            };
            measure_layer(laws, &observation, layer, settings, &at_start, &spread)
        })
        .collect();
    let task = match job {
        None => Task::default(),
        Some(job) => task(&network, x, rows, job, settings.dtype, &device)?,
    };
    Ok(Measurement {
        title: weights.title.clone(),
        samples: Some(rows.count as f64),
        dtype: settings.dtype.name().into(),
        device: settings.device.clone(),
        source: "weights",
        capture: None,
        task,
        layers,
        imbalance: imbalance(&observation),
        thresholds: settings.thresholds,
    })
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

fn power_fit(a: &Psd, b: &Psd) -> Option<Fit> {
    Fit::new(&Seen::new(a, b)?, Family::Power)
}

fn task(
    network: &Mlp,
    x: Tensor<2>,
    rows: &Rows,
    &Job { targets, loss }: &Job<'_>,
    dtype: Dtype,
    device: &Device,
) -> Result<Task> {
    let outputs = AnyNetwork::forward(network, x.clone()).dims()[1];
    if targets.dim != outputs {
        return Err(Error::input(format!("--targets has {} columns and the network {outputs} outputs", targets.dim)));
    }
    let split =
        Split { inputs: x, targets: tensor(&targets.values, rows.count, targets.dim, dtype, device), weights: None };
    let half = crate::train::loss::half_mse::HalfMse {};
    let value = loss.map(|loss| scores(network, &split, loss, false).loss);
    let squared = scores(network, &split, &half, targets.classes);
    let error = match squared.accuracy {
        Some(accuracy) => Some(1.0 - accuracy),
        None => {
            let c = targets.dim;
            let n = rows.count as f64;
            let mean: Vec<f64> = (0..c).map(|k| targets.values.iter().skip(k).step_by(c).sum::<f64>() / n).collect();
            let variance = targets.values.iter().enumerate().map(|(i, y)| (y - mean[i % c]).powi(2)).sum::<f64>() / n;
            (variance > 0.0).then(|| 2.0 * squared.loss / variance)
        }
    };
    Ok(Task { loss: value, error, classes: targets.classes })
}

fn imbalance(observation: &Observation) -> Vec<Imbalance> {
    let scale = observation.layers.iter().map(|layer| Psd::nfm(&layer.weight).trace()).fold(0.0, f64::max);
    norms(observation)
        .into_iter()
        .map(|(layer, frobenius)| Imbalance { layer, frobenius, relative: frobenius / scale })
        .collect()
}

/// A network from a capture file.
///
/// # Errors
/// Layers that aren't there.
pub fn from_capture(laws: &Laws, capture: &Capture, title: &str, settings: &Settings) -> Result<Measurement> {
    settings.check_layers(capture.sites.len())?;
    let observation = capture.observation();
    let wanted: Vec<usize> = (0..capture.sites.len()).filter(|&layer| settings.wants(layer)).collect();
    let measure = |layer: usize| {
        let site = &capture.sites[layer];
        // K at initialisation is not in the file, so no law has a start to compare with.
        let at_start = |_: &Law, _: usize| None;
        let spread = |law: &Law, _: &Pair| (law.name == "nfa").then(|| over_blocks(site)).flatten();
        // Neighbours in a capture are no neighbours in the network: only laws of one layer apply.
        let alone = Observation { layers: vec![observation.layers[layer].clone()], ..observation.clone() };
        LayerMeasurement { layer, ..measure_layer(laws, &alone, 0, settings, &at_start, &spread) }
    };
    let layers = parallel::map(wanted.len(), |i| measure(wanted[i]));
    let recorded = Recorded::new(&capture.metadata);
    let dtype = if capture.sites.iter().all(|site| site.eps == f64::EPSILON) { "f64" } else { "f32" };
    Ok(Measurement {
        title: title.into(),
        samples: Some(capture.samples()),
        dtype: dtype.into(),
        device: if recorded.framework.is_empty() { "unknown".into() } else { recorded.framework.clone() },
        source: "capture",
        capture: Some(recorded),
        task: Task::default(),
        layers,
        imbalance: Vec::new(),
        thresholds: settings.thresholds,
    })
}

/// The block jackknife: everything again without each block.
fn over_blocks(site: &CapturedSite) -> Option<Spread> {
    let whole = site.agop(None);
    let nfm = Psd::nfm_within(&site.weight, whole.frame());
    let fit = |without: Option<usize>| power_fit(&nfm, &site.agop(without));
    let count = site.counts.len();
    if count < FEWEST_BLOCKS {
        return None;
    }
    let others = (0..count).map(|b| fit(Some(b))).collect::<Option<Vec<Fit>>>()?;
    Jackknife::new(&fit(None)?, &others, &site.counts)?.over_blocks()
}

/// Two matrices computed elsewhere.
///
/// # Errors
/// Matrices that are not square, not of one size, not symmetric, not finite, or have negative
/// eigenvalues.
pub fn from_matrices(
    nfm: Mat,
    agop: Mat,
    depth: Option<usize>,
    title: &str,
    settings: &Settings,
) -> Result<Measurement> {
    for (name, matrix) in [("--nfm", &nfm), ("--agop", &agop)] {
        check_symmetric(name, matrix)?;
    }
    if nfm.nrows() != agop.nrows() {
        let (a, b) = (nfm.nrows(), agop.nrows());
        return Err(Error::input(format!(
            "--nfm is {a} x {a} and --agop {b} x {b}; both are [d_in, d_in] of one layer"
        )));
    }
    let (m, g) = (Psd::gram(nfm), Psd::gram(agop));
    for (name, psd) in [("--nfm", &m), ("--agop", &g)] {
        let scale = psd.matrix().norm_l2();
        // As for symmetry: what f32 arithmetic leaves.
        if let Some(lowest) = psd.lowest().filter(|lowest| *lowest < -1e-4 * scale) {
            let message = format!("{name} has the eigenvalue {lowest:.3e}; a Gram matrix has none below 0");
            return Err(Error::input(message));
        }
    }
    let pair = Pair::new(m.clone(), g.clone()).predicting(depth.map(|depth| 1.0 / depth as f64));
    let finding = assess(&pair, Family::Power, None, &settings.thresholds);
    let layer = LayerMeasurement {
        layer: 0,
        name: title.into(),
        d_in: m.dim(),
        d_out: None,
        depth_from_here: depth,
        laws: vec![("nfa", finding)],
        details: Details::new(&pair, &alphas(depth, &settings.alphas)),
        weight: None,
        matrices: Some((m, g)),
    };
    Ok(Measurement {
        title: title.into(),
        samples: None,
        dtype: "f64".into(),
        device: "host".into(),
        source: "matrices",
        capture: None,
        task: Task::default(),
        layers: vec![layer],
        imbalance: Vec::new(),
        thresholds: settings.thresholds,
    })
}

fn check_symmetric(name: &str, matrix: &Mat) -> Result<()> {
    let (rows, cols) = (matrix.nrows(), matrix.ncols());
    if rows != cols {
        return Err(Error::input(format!("{name} is {rows} x {cols}; a Gram matrix is square")));
    }
    let scale = matrix.norm_l2();
    if !scale.is_finite() {
        return Err(Error::input(format!("{name} is too large, or not finite: its norm overflows")));
    }
    let skew = (matrix - matrix.transpose()).norm_l2();
    // What f32 arithmetic leaves; anything more is another matrix than was meant.
    if skew > 1e-4 * scale {
        return Err(Error::input(format!("{name} is not symmetric (|X - Xᵀ| / |X| = {:.1e})", skew / scale)));
    }
    Ok(())
}

/// Writes NFM and AGOP of every layer as safetensors.
///
/// # Errors
/// Where a matrix does not serialise.
pub fn matrices(measurement: &Measurement) -> Result<Vec<u8>> {
    let mut entries = Vec::new();
    for layer in &measurement.layers {
        let Some((nfm, agop)) = &layer.matrices else { continue };
        for (kind, matrix) in [("nfm", nfm), ("agop", agop)] {
            entries.push(crate::array::save::matrix_entry(format!("layers.{}.{kind}", layer.layer), matrix.matrix()));
        }
    }
    crate::array::save::serialize(&entries).map_err(Error::environment)
}

/// The path of a file for messages.
pub fn title_of(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}
