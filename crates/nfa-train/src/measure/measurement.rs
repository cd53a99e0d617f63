//! What `measure` says of one network.

use nfa_metrics::laws::stationary;
use nfa_metrics::metrics::imbalance::norms;
use nfa_metrics::{Change, Jackknife, Judged, Mat, Observation, Psd, Thresholds};
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::measure::columns::Columns;
use crate::measure::recorded::Recorded;
use crate::measure::samples::Answers;
use crate::weights::names::bare;

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
    /// What each column of the inputs contributes, where that was asked.
    pub columns: Option<Columns>,
    /// How much of the network that is, where it is known.
    pub sizes: Option<Sizes>,
    /// Of neighbouring layers.
    pub imbalance: Vec<Imbalance>,
    /// How it was read where names don't say it, and what is no row and why.
    pub notes: Vec<String>,
    /// Of the verdict.
    pub thresholds: Thresholds,
}

impl Measurement {
    /// Whether any interval has a width.
    pub fn has_intervals(&self) -> bool {
        let found = self.layers.iter().flat_map(|layer| &layer.laws);
        found.filter_map(|found| found.finding.misfit_interval).any(|interval| interval.width() > 0.0)
    }

    /// Whether a row is of a part of a map that has a row of its own: a head.
    pub fn is_part(&self, name: &str) -> bool {
        let of = |whole: &str| self.layers.iter().any(|layer| layer.name == whole);
        name.rsplit_once('.').is_some_and(|(whole, part)| part.starts_with("head") && of(whole))
    }

    /// Without rows of parts of maps.
    #[must_use]
    pub fn without_parts(mut self) -> Self {
        let parts: Vec<bool> = self.layers.iter().map(|layer| self.is_part(&layer.name)).collect();
        let mut parts = parts.into_iter();
        self.layers.retain(|_| !parts.next().unwrap_or(false));
        self
    }

    /// Sets what the misfits were at initialisation, from a measurement of the same sites.
    ///
    /// # Errors
    /// A site that is not there, or of another size.
    pub fn compare_with_start(&mut self, start: &Measurement) -> Result<()> {
        for layer in &mut self.layers {
            let size = (layer.d_out, layer.d_in);
            // The same name before one that is the same without what wrappers add.
            let named = |alike: &dyn Fn(&str) -> bool| start.layers.iter().find(|before| alike(&before.name));
            let own = bare(&layer.name);
            let before = named(&|name| name == layer.name).or_else(|| named(&|name| bare(name) == own));
            let Some(before) = before.filter(|before| (before.d_out, before.d_in) == size) else {
                return Err(Error::input(format!("has no site `{}` of this size", layer.name)));
            };
            for found in &mut layer.laws {
                let same = before.laws.iter().find(|start| start.law.name == found.law.name);
                found.finding.null.init = same.and_then(|start| start.finding.misfit);
            }
            layer.change = layer.since(before);
        }
        Ok(())
    }
}

/// How well a network does its job.
#[derive(Clone, Debug, Default)]
pub struct Task {
    /// Whether answers were given.
    pub checked: bool,
    /// What of the answers speaks for another network, with likely causes.
    pub doubts: Vec<String>,
    /// The mean loss, where a loss was named.
    pub loss: Option<f64>,
    /// Share of rows classified wrong; for other targets the share of their variance left over.
    pub error: Option<f64>,
    /// Whether the targets are classes.
    pub classes: bool,
}

impl Task {
    /// From the loss that was asked for, half the mean squared error, and for classes the share of rows that are right.
    pub(super) fn new(answers: &Answers, loss: Option<f64>, half_mse: f64, accuracy: Option<f64>) -> Self {
        let error = accuracy.map(|accuracy| 1.0 - accuracy).or_else(|| {
            let variance = answers.variance();
            (variance > 0.0).then(|| 2.0 * half_mse / variance)
        });
        Task { loss, error, classes: answers.classes, ..Task::default() }
    }
}

/// Entries of weight matrices, shared ones counted once.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub struct Sizes {
    /// Of the maps that were measured.
    pub measured: u64,
    /// Of those, where the law holds by definition.
    pub last: u64,
    /// All floating parameters of the network, norms, biases and tables among them.
    pub all: u64,
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
    /// Whether its outputs are the network's.
    pub last: bool,
    /// Each law that applies.
    pub laws: Vec<Judged>,
    /// What leaving out blocks of rows does to the first of them, where networks are set beside each other.
    pub jackknife: Option<Jackknife>,
    /// How far the first of them moved since initialisation.
    pub change: Option<Change>,
    /// The weights, for what is saved and compared.
    pub weight: Option<Mat>,
    /// WᵀW and the AGOP, for `--save`.
    pub matrices: Option<(Psd, Psd)>,
    /// FACT, for `--save`.
    pub fact: Option<Mat>,
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

impl LayerMeasurement {
    /// A law of two matrices, and nothing known of where they stand.
    pub fn alone(name: &str, d_in: usize, judged: Judged) -> Self {
        LayerMeasurement {
            layer: 0,
            name: name.into(),
            d_in,
            d_out: None,
            depth_from_here: None,
            last: false,
            laws: vec![judged],
            jackknife: None,
            change: None,
            weight: None,
            matrices: None,
            fact: None,
        }
    }

    /// A layer of an observation, and what was found of the laws there.
    pub fn new(observation: &Observation, layer: usize, laws: Vec<Judged>) -> Self {
        let seen = &observation.layers[layer];
        LayerMeasurement {
            layer,
            name: seen.name.clone(),
            d_in: seen.weight.ncols(),
            d_out: Some(seen.weight.nrows()),
            depth_from_here: seen.depth_from_here,
            last: seen.last,
            laws,
            jackknife: None,
            change: None,
            weight: Some(seen.weight.clone()),
            fact: seen
                .loss
                .as_ref()
                .zip(seen.penalty.lambda().ok())
                .filter(|_| seen.unsound.is_none())
                .map(|(loss, lambda)| stationary::fact(&seen.weight, &loss.gradient, lambda)),
            matrices: seen.agop.as_ref().map(|agop| (Psd::nfm_within(&seen.weight, agop.frame()), agop.clone())),
        }
    }
}

impl LayerMeasurement {
    /// How far the first law moved from another measurement of this layer on the same rows.
    pub fn since(&self, before: &LayerMeasurement) -> Option<Change> {
        let same = self.laws.first()?.law.name == before.laws.first()?.law.name;
        let (now, before) = (self.jackknife.as_ref()?, before.jackknife.as_ref()?);
        same.then(|| now.since(before)).flatten()
    }
}

impl Imbalance {
    /// Of every two neighbouring layers that fit together.
    pub fn of(observation: &Observation) -> Vec<Imbalance> {
        let scale = observation.layers.iter().map(|layer| Psd::nfm(&layer.weight).trace()).fold(0.0, f64::max);
        let relative = |(layer, frobenius)| Imbalance { layer, frobenius, relative: frobenius / scale };
        norms(observation).into_iter().map(relative).collect()
    }
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
        let fact = layer.fact.as_ref();
        entries.extend(fact.map(|fact| crate::array::save::matrix_entry(format!("layers.{}.fact", layer.layer), fact)));
    }
    crate::array::save::serialize(&entries).map_err(Error::environment)
}
