//! A multilayer perceptron from a file's weights, on rows.

use std::sync::atomic::{AtomicUsize, Ordering};

use nfa_metrics::{
    AgopOptions, Asked, Diagonal, Inputs, Judged, Laws, Needs, Observation, Place, Rows, assess, parallel, places,
};
use nfa_models::Activation;

use crate::error::{Error, Result};
use crate::measure::chosen;
use crate::measure::columns::Columns;
use crate::measure::doubts::Seen;
use crate::measure::measurement::{Imbalance, LayerMeasurement, Measurement, Sizes, Task};
#[cfg(feature = "burn")]
use crate::measure::on_burn::Loaded;
#[cfg(not(feature = "burn"))]
use crate::measure::on_host::Loaded;
use crate::measure::samples::{Job, Samples};
use crate::measure::settings::{Settings, Tell, check_size};
use crate::weights::{LayerWeights, Weights};

/// A network, and what it and others are measured on.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// The network.
    pub weights: &'a Weights,
    /// Between its layers.
    pub activations: &'a [Activation],
    /// The rows.
    pub samples: &'a Samples,
    /// What a person may change.
    pub settings: &'a Settings,
}

/// Other networks of the same shape, on the same rows.
#[derive(Clone, Copy, Default)]
pub struct Beside<'a> {
    /// At initialisation.
    pub init: Option<&'a Weights>,
    /// Trained on shuffled targets.
    pub shuffled: &'a [Weights],
}

/// An MLP from a file's weights, on samples.
///
/// # Errors
/// Shapes that don't chain, activations or inputs that don't fit, layers that aren't there.
pub fn from_weights(
    laws: &Laws,
    ground: Ground<'_>,
    beside: Beside<'_>,
    job: Option<&Job<'_>>,
    tell: Tell<'_>,
) -> Result<Measurement> {
    let Ground { weights, activations, samples, settings } = ground;
    let wanted = settings.places(&weights.layers.iter().map(|layer| layer.name.clone()).collect::<Vec<_>>())?;
    check(weights, samples, job.is_some(), &wanted)?;
    let loaded = Loaded::new(weights, activations, samples, settings)?;
    let there = ground.there(beside.init.is_some(), job);
    let laws = chosen::laws(laws, &settings.laws, there)?;
    let options = AgopOptions { layers: Some(wanted.clone()), ..settings.agop.clone() };
    let needs = chosen::needs(&laws);
    let observe = |loaded: &Loaded| ground.observe(loaded, &options, beside.init, job, needs);
    let before = beside.init.map(|init| ground.load("--init", init)).transpose()?;
    let observation = named(observe(&loaded)?, weights);
    let start = before.as_ref().map(observe).transpose()?;
    let exact = ground.is_exact();
    let rows = loaded.rows();
    let inputs = Inputs { rows: rows.as_ref(), weights: None, options: &options, observation: &observation };
    let asked = Asked {
        layers: &wanted,
        thresholds: &settings.thresholds,
        alphas: &settings.alphas,
        rows: Some(Rows::of(samples.inputs.chunks_exact(samples.dim), true)),
        predicts: true,
        init: &|law, layer| {
            let pair = law.at(start.as_ref()?, layer)?;
            assess(&pair, law.family, None, &settings.thresholds).misfit
        },
        spread: &|law, layer, pair| exact.then(|| inputs.spread(law, layer, pair)).flatten(),
    };
    if settings.columns && !wanted.contains(&0) {
        return Err(Error::input("--columns are what the first layer reads, and --layer leaves it out"));
    }
    let places = places(laws, &observation, &asked);
    let mut found = judged(&places, tell, &weights.title);
    let mut layers = wanted
        .iter()
        .map(|&layer| {
            let here = found.extract_if(.., |judged| judged.layer == layer).collect();
            LayerMeasurement::new(&observation, layer, here)
        })
        .collect::<Vec<_>>();
    if settings.compares && exact {
        let before = before.as_ref().zip(start.as_ref()).map(|(loaded, observation)| (loaded.rows(), observation));
        let before = before.as_ref().map(|(rows, observation)| Inputs { rows: rows.as_ref(), observation, ..inputs });
        layers.iter_mut().for_each(|layer| move_from(layer, &inputs, before.as_ref()));
    }
    let columns = settings.columns.then(|| ground.columns(&loaded, &observation, beside.shuffled));
    let task = job.map(|job| ground.task(&loaded, job)).transpose()?.unwrap_or_default();
    let mut notes = weights.notes.clone();
    if job.is_some_and(|job| job.answers.hot) {
        notes.push("--targets has one 1 in each row: read as classes".into());
    }
    Ok(Measurement {
        title: weights.title.clone(),
        samples: Some(samples.count as f64),
        dtype: settings.dtype.name().into(),
        device: loaded.device().into(),
        source: "weights",
        capture: None,
        task,
        layers,
        columns: columns.transpose()?,
        sizes: Some(sizes(weights, &wanted)),
        imbalance: Imbalance::of(&observation),
        notes,
        thresholds: settings.thresholds,
    })
}

impl Ground<'_> {
    /// What laws may need and was given.
    fn there(&self, init: bool, job: Option<&Job<'_>>) -> Needs {
        let given = [
            (true, Needs::AGOP.and(Needs::OUTPUT_GRADIENTS)),
            (init, Needs::START),
            (job.is_some_and(|job| job.loss.is_some()), Needs::LOSS),
            (self.settings.penalty.lambda().is_ok(), Needs::DECAY),
        ];
        given.into_iter().filter(|(is, _)| *is).map(|(_, needs)| needs).collect()
    }

    /// Another network, of the same shape.
    fn load(&self, option: &str, other: &Weights) -> Result<Loaded> {
        let (theirs, own) = (&other.layers, &self.weights.layers);
        let same = |(a, b): (&LayerWeights, &LayerWeights)| a.weight.shape() == b.weight.shape();
        if theirs.len() != own.len() || !theirs.iter().zip(own).all(same) {
            return Err(Error::input(format!("{option}: its layers have other shapes than those of --weights")));
        }
        Loaded::new(other, self.activations, self.samples, self.settings)
    }

    /// Everything that laws look at, of the network or of one beside it.
    fn observe(
        &self,
        loaded: &Loaded,
        options: &AgopOptions,
        init: Option<&Weights>,
        job: Option<&Job<'_>>,
        needs: Needs,
    ) -> Result<Observation> {
        let mut observation = loaded.observe(options)?;
        loaded.complete(&mut observation, self.samples, job, needs)?;
        for (l, layer) in observation.layers.iter_mut().enumerate() {
            layer.start = init.map(|init| init.layers[l].weight.clone());
            layer.penalty = self.settings.penalty;
        }
        Ok(observation)
    }

    /// Centred and sketched rows are not the samples' own.
    fn is_exact(&self) -> bool {
        !self.settings.agop.centered && self.settings.agop.sketch.is_none()
    }

    /// How well the network does its job, and what of that speaks for another one.
    fn task(&self, loaded: &Loaded, job: &Job<'_>) -> Result<Task> {
        let task = loaded.task(self.samples, job)?;
        let hidden = self.weights.layers.len() - 1;
        let doubts = Seen { samples: self.samples, answers: job.answers, error: task.error, hidden }.doubts();
        Ok(Task { doubts, checked: true, ..task })
    }

    /// What each column of the inputs contributes, and what it does to networks trained on shuffled targets.
    fn columns(&self, loaded: &Loaded, observation: &Observation, shuffled: &[Weights]) -> Result<Columns> {
        let options = AgopOptions { layers: Some(vec![0]), ..self.settings.agop.clone() };
        let of = |loaded: &Loaded, observation: &Observation| {
            let rows = loaded.rows();
            let found = Inputs { rows: rows.as_ref(), weights: None, options: &options, observation }.diagonal(0);
            let found = found.ok_or_else(|| Error::input("--columns: the first layer has no AGOP"))?;
            Ok(if self.is_exact() { found } else { Diagonal { blocks: Vec::new(), counts: Vec::new(), ..found } })
        };
        let control = |weights: &Weights| {
            let loaded = self.load("--shuffled", weights)?;
            of(&loaded, &loaded.observe(&options)?)
        };
        let controls = shuffled.iter().map(control).collect::<Result<Vec<_>>>()?;
        Ok(Columns::new(&of(loaded, observation)?, &controls, self.samples))
    }
}

/// Judges all places on all cores.
fn judged(places: &[Place], tell: Tell<'_>, title: &str) -> Vec<Judged> {
    let done = AtomicUsize::new(0);
    parallel::map(places.len(), |i| {
        let judged = places[i].judge();
        tell(done.fetch_add(1, Ordering::Relaxed) + 1, places.len(), &format!("{title} rows"));
        judged
    })
}

/// Sets how far a layer's first law moved, and what another network can be set beside.
fn move_from(layer: &mut LayerMeasurement, inputs: &Inputs<'_>, before: Option<&Inputs<'_>>) {
    let Some(law) = layer.laws.first().map(|found| found.law) else { return };
    let then = before.and_then(|before| before.jackknife(&law, layer.layer));
    layer.jackknife = inputs.jackknife(&law, layer.layer);
    layer.change = layer.jackknife.as_ref().zip(then).and_then(|(now, then)| now.since(&then));
}

/// Entries of the weights that are measured, and of all there are.
fn sizes(weights: &Weights, wanted: &[usize]) -> Sizes {
    let entries = |layer: &LayerWeights| (layer.weight.nrows() * layer.weight.ncols()) as u64;
    let last = weights.layers.len() - 1;
    let biases = weights.layers.iter().map(|layer| layer.bias.as_ref().map_or(0, Vec::len) as u64);
    Sizes {
        measured: wanted.iter().map(|&layer| entries(&weights.layers[layer])).sum(),
        last: if wanted.contains(&last) { entries(&weights.layers[last]) } else { 0 },
        all: weights.layers.iter().map(entries).chain(biases).sum(),
    }
}

/// Refuses inputs that don't fit and matrices too large to try.
fn check(weights: &Weights, samples: &Samples, with_targets: bool, wanted: &[usize]) -> Result<()> {
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
        if wanted.contains(&index) {
            check_size(&what("inputs"), d_in, d_in, "--layer 1,2 leaves it out")?;
        }
    }
    if with_targets {
        let widest = weights.layers.iter().map(|layer| layer.weight.nrows()).max().unwrap_or(0);
        check_size("--targets: all rows at the widest layer", samples.count, widest, "give fewer rows")?;
    }
    Ok(())
}

fn named(mut observation: Observation, weights: &Weights) -> Observation {
    for (layer, read) in observation.layers.iter_mut().zip(&weights.layers) {
        layer.name.clone_from(&read.name);
    }
    observation
}
