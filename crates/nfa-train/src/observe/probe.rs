//! One probe: everything that was asked for, as one row and the discs of the fan.

use std::collections::BTreeMap;

use nfa_metrics::{
    AgopOptions, Asked, Averaged, Finding, Inputs, Law, Laws, Layer, Mat, Metric, Metrics, Needs, Observation, OnBurn,
    Place, Rows, Scores, Sharing, SitesError, Snapshot, Thresholds, Update, join, observe_network, output_gradients,
    places, to_host, weights_of,
};
use nfa_models::parameters::Parameter;
use nfa_models::{AnyNetwork, Stream};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::data::split::{Data, Split};
use crate::observe::columns::columns;
use crate::observe::loss::{LossSeen, penalty_of};
use crate::observe::plan::{ProbeInterval, ProbePlan, ProbeRows};
use crate::observe::scores::{penalty, scores};
use crate::record::Cell;
use crate::record::direction::Direction;
use crate::train::second_order::function::FunctionNetwork;
use crate::train::solver::Solver;

/// What every probe of a run shares.
pub struct Probe<'a> {
    /// The known laws.
    pub laws: &'a Laws,
    /// The known metrics.
    pub metrics: &'a Metrics,
    /// What is asked for.
    pub plan: &'a ProbePlan,
    /// Of the verdict.
    pub thresholds: &'a Thresholds,
    /// The rows.
    pub data: &'a Data,
    /// Those that AGOPs are taken on ([`probed`]).
    pub probed: &'a Split,
    /// The layers that are measured, by place; `None` for all.
    pub layers: Option<&'a [usize]>,
    /// How many of them differ ([`distinct`]).
    pub rows: Rows,
    /// What is minimised, on the rows trained on.
    pub loss: LossSeen<'a>,
    /// Weights at the start, where a law asks for them.
    pub start: Option<&'a [Mat]>,
    /// What each layer sees of its weights, where a law asks for the loss's gradient.
    pub sharing: Option<&'a [Sharing]>,
}

/// What led to a probe.
#[derive(Clone, Debug, Default)]
pub struct Led {
    /// The last step, where it is one that metrics want to know.
    pub update: Option<Update>,
    /// Averages over the last steps, by layer; empty where there are none.
    pub averaged: Vec<Averaged>,
    /// What the steps took so far, in gradients.
    pub work: f64,
}

/// What later probes compare with.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Baseline {
    /// |D_l| at step 0 of the pairs of layers that fit together.
    pub imbalance: Vec<f64>,
    /// Misfits at step 0, by `<law>.layer<i>`.
    pub misfit: BTreeMap<String, f64>,
    /// The training loss at step 0.
    #[serde(default)]
    pub loss: Option<f64>,
}

/// A probe's results.
#[derive(Debug)]
pub struct Measured {
    /// Columns and cells, `step` first.
    pub row: Vec<(String, Cell)>,
    /// For the fan.
    pub directions: Vec<Direction>,
    /// The weights and AGOPs that were seen.
    pub observation: Observation,
    /// On the training rows.
    pub train: Scores,
    /// For the probes to come; at step 0 only.
    pub baseline: Option<Baseline>,
}

impl Probe<'_> {
    /// Measures a network after `step` steps.
    pub fn measure(
        &self,
        network: &dyn AnyNetwork,
        solver: &dyn Solver,
        step: u64,
        led: &Led,
        baseline: Option<&Baseline>,
    ) -> Result<Measured, SitesError> {
        let probed = self.probed;
        let options = AgopOptions { layers: self.observed(), ..AgopOptions::default() };
        // A function has no layers, and nothing to see of them.
        let mut observation = match network.as_any().is::<FunctionNetwork>() {
            true => Observation { layers: Vec::new(), linear: false, eps: f64::EPSILON },
            false => observe_network(network, &probed.inputs, probed.weights.as_deref(), &options)?,
        };
        self.complete(&mut observation, network, solver, &led.averaged)?;
        let metrics = || self.scores(network, solver, led, baseline, &observation);
        let layers: Vec<usize> = (0..observation.layers.len()).filter(|&layer| self.measures(layer)).collect();
        let intervals = self.plan.interval == ProbeInterval::Inputs;
        let weights = probed.weights.as_deref();
        let rows = OnBurn { network, x: &probed.inputs };
        let inputs = Inputs { rows: &rows, weights, options: &options, observation: &observation };
        let asked = Asked {
            layers: &layers,
            thresholds: self.thresholds,
            alphas: &self.plan.alpha,
            rows: Some(self.rows),
            predicts: unpredicted(network, solver).is_none(),
            init: &|law, layer| baseline.and_then(|baseline| baseline.misfit.get(&key(law, layer)).copied()),
            spread: &|law, layer, pair| intervals.then(|| inputs.spread(law, layer, pair)).flatten(),
        };
        let places = places(self.asked_laws(), &observation, &asked);
        let judge = |place: &Place| {
            // Decomposing them is most of the work.
            if let (true, Ok(pair)) = (place.law.details, &place.pair)
                && let Some(b) = pair.b.psd()
            {
                rayon::join(|| pair.a.spectrum().is_some(), || b.spectrum().is_some());
            }
            let mut found = place.judge();
            if baseline.is_none() {
                found.finding.null.init = found.finding.misfit;
            }
            let row = columns(place, &found, intervals);
            (found.finding, row)
        };
        let mut findings: Vec<(Finding, Vec<(String, Cell)>)> = Vec::new();
        // A network stays on its thread.
        let (train, metrics) = rayon::in_place_scope(|scope| {
            scope.spawn(|_| findings = places.par_iter().map(judge).collect());
            metrics()
        });
        let mut row = vec![("step".to_string(), Cell::number(step as f64))];
        row.extend(metrics);
        row.extend(solver.columns().into_iter().map(|(name, value)| (format!("iteration.{name}"), Cell::from(value))));
        let mut misfit = BTreeMap::new();
        let mut directions = Vec::new();
        for (Place { law, layer, .. }, (finding, columns)) in places.iter().zip(findings) {
            misfit.extend(finding.misfit.map(|misfit| (key(law, *layer), misfit)));
            row.extend(columns);
            directions.extend(finding.directions.iter().map(|found| Direction::new(step, law, *layer, found)));
        }
        let first = baseline.is_none().then(|| {
            let imbalance = nfa_metrics::metrics::imbalance::norms(&observation).into_iter().map(|(_, norm)| norm);
            Baseline { imbalance: imbalance.collect(), misfit, loss: Some(train.loss) }
        });
        Ok(Measured { row, directions, observation, train, baseline: first })
    }

    /// How well it does on the training rows, and the metrics that are asked for.
    fn scores(
        &self,
        network: &dyn AnyNetwork,
        solver: &dyn Solver,
        led: &Led,
        baseline: Option<&Baseline>,
        observation: &Observation,
    ) -> (Scores, Vec<(String, Cell)>) {
        let of = |split: &Split| scores(network, split, self.loss.loss, self.data.classes);
        let train = of(&self.data.train);
        let snapshot = Snapshot {
            observation,
            train,
            test: self.data.test.as_ref().map(of),
            penalty: penalty(&network.parameters(), solver.decay()),
            initial_imbalance: baseline.map(|baseline| baseline.imbalance.as_slice()),
            teacher: self.data.teacher.as_ref(),
            slope: self.needs().contains(Needs::SLOPE).then(|| self.loss.slope(network, solver.decay())),
            work: led.work,
            first_loss: baseline.and_then(|baseline| baseline.loss),
            least_loss: network.as_any().downcast_ref::<FunctionNetwork>().map(FunctionNetwork::least),
            update: led.update.as_ref(),
        };
        let values = self.asked_metrics().flat_map(|metric| (metric.measure)(&snapshot));
        let wanted = values.filter(|(column, _)| self.wants(column));
        (train, wanted.map(|(column, value)| (column, Cell::from(value))).collect())
    }

    /// Adds what laws and metrics ask for beside AGOPs.
    fn complete(
        &self,
        observation: &mut Observation,
        network: &dyn AnyNetwork,
        solver: &dyn Solver,
        averaged: &[Averaged],
    ) -> Result<(), SitesError> {
        let needs = self.needs();
        if needs.meets(Needs::LOSS) {
            let moments = self.loss.moments(network, needs)?;
            observation.layers.iter_mut().zip(moments).for_each(|(layer, moments)| layer.loss = Some(moments));
            join(observation, self.sharing.unwrap_or_default());
        }
        if needs.contains(Needs::OUTPUT_GRADIENTS) {
            let ks = output_gradients(network, &self.probed.inputs, self.probed.weights.as_deref())?;
            observation.layers.iter_mut().zip(ks).for_each(|(layer, k)| layer.k = Some(k));
        }
        let penalty = penalty_of(solver);
        for (l, layer) in observation.layers.iter_mut().enumerate() {
            layer.penalty = penalty;
            layer.start = self.start.and_then(|start| start.get(l).cloned());
            layer.averaged = averaged.get(l).cloned();
        }
        Ok(())
    }

    /// Weights and loss gradients, layer by layer: what averages are of.
    ///
    /// # Errors
    /// Sites that can't be measured.
    pub fn gradients(&self, network: &dyn AnyNetwork) -> Result<Vec<(Mat, Mat)>, SitesError> {
        let weights = weights_of(network, &self.data.train.inputs)?;
        let moments = self.loss.moments(network, Needs::LOSS_GRADIENT)?;
        let layer = |(weight, moments)| Layer { loss: Some(moments), ..Layer::new("", weight) };
        let layers = weights.into_iter().zip(moments).map(layer).collect();
        let mut seen = Observation { layers, linear: false, eps: f64::EPSILON };
        join(&mut seen, self.sharing.unwrap_or_default());
        Ok(seen.layers.into_iter().filter_map(|layer| Some((layer.weight, layer.loss?.gradient))).collect())
    }

    fn needs(&self) -> Needs {
        asked(self.plan, self.laws, self.metrics)
    }

    fn measures(&self, layer: usize) -> bool {
        self.layers.is_none_or(|layers| layers.contains(&layer))
    }

    fn asked_laws(&self) -> impl Iterator<Item = &Law> {
        asked_laws(self.plan, self.laws)
    }

    fn asked_metrics(&self) -> impl Iterator<Item = &Metric> {
        asked_metrics(self.plan, self.laws, self.metrics)
    }

    /// The layers whose AGOPs are taken; `None` for all.
    fn observed(&self) -> Option<Vec<usize>> {
        if !self.needs().contains(Needs::AGOP) && !self.plan.matrices {
            return Some(Vec::new());
        }
        self.layers.map(<[usize]>::to_vec)
    }

    /// Whether a metric's column belongs to a layer that is asked for.
    fn wants(&self, column: &str) -> bool {
        match column.rsplit_once(".layer").and_then(|(_, digits)| digits.parse::<usize>().ok()) {
            Some(layer) => self.measures(layer),
            None => true,
        }
    }
}

fn asked_laws<'a>(plan: &'a ProbePlan, laws: &'a Laws) -> impl Iterator<Item = &'a Law> {
    laws.rows().iter().filter(|law| plan.metrics.iter().any(|name| name == law.name))
}

/// Those that are named, and those that a named law brings.
fn asked_metrics<'a>(plan: &'a ProbePlan, laws: &'a Laws, metrics: &'a Metrics) -> impl Iterator<Item = &'a Metric> {
    let brought = |name: &str| asked_laws(plan, laws).any(|law| law.brings.contains(&name));
    let named = |name: &str| plan.metrics.iter().any(|metric| metric == name);
    metrics.rows().iter().filter(move |metric| named(metric.name) || brought(metric.name))
}

/// What the laws and metrics of a plan need.
pub fn asked(plan: &ProbePlan, laws: &Laws, metrics: &Metrics) -> Needs {
    let of_laws = asked_laws(plan, laws).map(|law| law.needs);
    of_laws.chain(asked_metrics(plan, laws, metrics).map(|metric| metric.needs)).collect()
}

/// The rows that AGOPs are taken on: of those that the plan names all, or as many as it says.
pub fn probed(plan: &ProbePlan, data: &Data, stream: &Stream) -> Split {
    let all = match (plan.rows, &data.test) {
        (Some(ProbeRows::Test), Some(test)) => test,
        _ => &data.train,
    };
    match plan.samples {
        Some(count) if count < all.rows() => {
            let mut rows = stream.fork("probe.samples").permutation(all.rows());
            rows.truncate(count);
            rows.sort_unstable();
            all.only(&rows)
        }
        _ => all.clone(),
    }
}

/// How many of the rows that are probed differ; those without weight are none.
pub fn distinct(plan: &ProbePlan, split: &Split) -> Rows {
    const CHUNK: usize = 256;
    let [n, d] = split.inputs.dims();
    let chunk = |start: usize| {
        let end = (start + CHUNK).min(n);
        let rows = to_host(split.inputs.clone().slice([start..end, 0..d]));
        let counts = move |i: &usize| split.weights.as_ref().is_none_or(|weights| weights[start + i] > 0.0);
        (0..end - start).filter(counts).map(move |i| (0..d).map(|j| rows[(i, j)]).collect::<Vec<f64>>())
    };
    Rows::of((0..n).step_by(CHUNK).flat_map(chunk), plan.interval == ProbeInterval::Inputs)
}

/// Why theory predicts no exponents of a network with these parameters, where it doesn't: at stationary points
/// M_{l+1} = N_l + b_l b_lᵀ.
pub fn unpredicted(network: &dyn AnyNetwork, solver: &dyn Solver) -> Option<&'static str> {
    let decay = solver.decay();
    let decays = decay.decay_bias && decay.weight_decay > 0.0;
    (decays && network.parameters().iter().any(Parameter::is_bias)).then_some("biases decay with the weights")
}

/// The name of a law at a layer.
fn key(law: &Law, layer: usize) -> String {
    format!("{}.layer{layer}", law.name)
}
