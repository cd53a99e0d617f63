//! One probe: everything that was asked for, as one row and the discs of the fan.

use std::collections::BTreeMap;

use nfa_metrics::{
    AgopOptions, Details, Finding, Law, Laws, Metrics, Observation, Pair, Scores, Snapshot, Spread, Thresholds, Update,
    assess_with, observe_network, over_inputs,
};
use nfa_models::AnyNetwork;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::data::split::Data;
use crate::observe::plan::{Layers, ProbeInterval, ProbePlan};
use crate::observe::scores::{penalty, scores};
use crate::record::Cell;
use crate::record::direction::Direction;
use crate::train::loss::Loss;
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
    /// What is minimised.
    pub loss: &'a dyn Loss,
}

/// What later probes compare with.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Baseline {
    /// |D_l| at step 0 of the pairs of layers that fit together.
    pub imbalance: Vec<f64>,
    /// Misfits at step 0, by `<law>.layer<i>`.
    pub misfit: BTreeMap<String, f64>,
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
        update: Option<&Update>,
        baseline: Option<&Baseline>,
    ) -> Measured {
        let split = &self.data.train;
        let layers = match &self.plan.layers {
            Layers::All => None,
            Layers::List(list) => Some(list.clone()),
        };
        let options = AgopOptions { layers, ..AgopOptions::default() };
        let observation = observe_network(network, &split.inputs, split.weights.as_deref(), &options);
        let asked = |name: &str| self.plan.metrics.iter().any(|metric| metric == name);
        let brought = |name: &str| self.laws.rows().iter().any(|law| asked(law.name) && law.brings.contains(&name));
        let penalty = penalty(&network.parameters(), solver.decay());
        let metrics = || {
            let train = scores(network, split, self.loss, self.data.classes);
            let test = self.data.test.as_ref().map(|test| scores(network, test, self.loss, self.data.classes));
            let initial_imbalance = baseline.map(|baseline| baseline.imbalance.as_slice());
            let snapshot = Snapshot { observation: &observation, train, test, penalty, initial_imbalance, update };
            let rows = self.metrics.rows().iter().filter(|metric| asked(metric.name) || brought(metric.name));
            let values = rows.flat_map(|metric| (metric.measure)(&snapshot));
            let wanted = values.filter(|(column, _)| self.wants(column));
            (train, wanted.map(|(column, value)| (column, Cell::from(value))).collect::<Vec<_>>())
        };
        let laws: Vec<&Law> = self.laws.rows().iter().filter(|law| asked(law.name)).collect();
        let layers: Vec<usize> =
            (0..observation.layers.len()).filter(|&layer| self.plan.layers.contains(layer)).collect();
        let places = laws.iter().flat_map(|&law| layers.iter().map(move |&layer| (law, layer)));
        let pairs: Vec<_> = places
            .filter_map(|(law, layer)| {
                let pair = (law.pair)(&observation, layer)?;
                // The other laws' matrices are no averages over the rows.
                let varies = self.plan.interval == ProbeInterval::Inputs && law.name == "nfa";
                let over = || over_inputs(network, &split.inputs, split.weights.as_deref(), layer, &pair, &options);
                let spread = varies.then(over).flatten();
                Some((law, layer, pair, varies, spread))
            })
            .collect();
        let judge = |(law, layer, pair, varies, spread): &(&Law, usize, Pair, bool, Option<Spread>)| {
            // Decomposing them is most of the work.
            if law.details {
                rayon::join(|| pair.a.spectrum().is_some(), || pair.b.spectrum().is_some());
            }
            let at_start = baseline.and_then(|baseline| baseline.misfit.get(&key(law, *layer)).copied());
            let mut finding = assess_with(pair, law.family, at_start, self.thresholds, *spread);
            if baseline.is_none() {
                finding.null.init = finding.misfit;
            }
            let mut row = columns(law.name, *layer, &finding, *varies);
            if law.details {
                let depth = observation.layers[*layer].depth_from_here;
                row.extend(detail_columns(law.name, *layer, pair, depth, &self.plan.alpha));
            }
            (finding, row)
        };
        let mut findings: Vec<(Finding, Vec<(String, Cell)>)> = Vec::new();
        // A network stays on its thread.
        let (train, metrics) = rayon::in_place_scope(|scope| {
            scope.spawn(|_| findings = pairs.par_iter().map(judge).collect());
            metrics()
        });
        let mut row = vec![("step".to_string(), Cell::number(step as f64))];
        row.extend(metrics);
        let mut misfit = BTreeMap::new();
        let mut directions = Vec::new();
        for ((law, layer, ..), (finding, columns)) in pairs.iter().zip(findings) {
            misfit.extend(finding.misfit.map(|misfit| (key(law, *layer), misfit)));
            row.extend(columns);
            directions.extend(finding.directions.iter().map(|direction| Direction {
                step,
                law: law.name.into(),
                layer: *layer,
                g: direction.g,
                m: direction.m,
                leak: direction.leak,
            }));
        }
        let first = baseline.is_none().then(|| {
            let imbalance = nfa_metrics::metrics::imbalance::norms(&observation).into_iter().map(|(_, norm)| norm);
            Baseline { imbalance: imbalance.collect(), misfit }
        });
        Measured { row, directions, observation, train, baseline: first }
    }

    /// Whether a metric's column belongs to a layer that is asked for.
    fn wants(&self, column: &str) -> bool {
        match column.rsplit_once(".layer").and_then(|(_, digits)| digits.parse::<usize>().ok()) {
            Some(layer) => self.plan.layers.contains(layer),
            None => true,
        }
    }
}

/// The name of a law at a layer.
fn key(law: &Law, layer: usize) -> String {
    format!("{}.layer{layer}", law.name)
}

/// The columns of a finding; its intervals where they were asked for.
fn columns(law: &str, layer: usize, finding: &Finding, intervals: bool) -> Vec<(String, Cell)> {
    let name = |quantity: &str| format!("{law}.{quantity}.layer{layer}");
    let text = |word: &str| Cell::Text(word.to_string());
    let flag = |flag: Option<bool>| flag.map_or(Cell::Empty, |flag| text(if flag { "true" } else { "false" }));
    let mut row = vec![
        (name("alpha"), finding.alpha.into()),
        (name("predicted"), finding.predicted.into()),
        (name("exponent_agrees"), flag(finding.exponent_agrees)),
        (name("misfit"), finding.misfit.into()),
        (name("parts.directions"), finding.parts.map(|parts| parts.directions).into()),
        (name("parts.order"), finding.parts.map(|parts| parts.order).into()),
        (name("parts.shape"), finding.parts.map(|parts| parts.shape).into()),
    ];
    if intervals {
        for (quantity, interval) in
            [("alpha_interval", finding.alpha_interval), ("misfit_interval", finding.misfit_interval)]
        {
            row.push((name(&format!("{quantity}.low")), interval.map(|interval| interval.low).into()));
            row.push((name(&format!("{quantity}.high")), interval.map(|interval| interval.high).into()));
        }
    }
    for kind in nfa_metrics::CertificateKind::ALL {
        let found = finding.certificates.iter().find(|certificate| certificate.kind == kind);
        let cell = match found {
            None => Cell::Empty,
            Some(certificate) => certificate.margin.map_or_else(|| text("stands"), Cell::number),
        };
        row.push((name(&format!("certificates.{}", kind.name())), cell));
    }
    row.push((name("null.haar"), finding.null.haar.into()));
    row.push((name("null.init"), finding.null.init.into()));
    row.push((name("verdict"), text(finding.verdict.name())));
    row.push((name("reason"), text(&finding.reason)));
    row
}

/// The columns of the details: at 1/(depth from here) without, at other exponents with `@alpha`.
fn detail_columns(
    law: &str,
    layer: usize,
    pair: &nfa_metrics::Pair,
    depth: Option<usize>,
    more: &[f64],
) -> Vec<(String, Cell)> {
    let own = depth.map(|depth| 1.0 / depth as f64);
    let mut alphas: Vec<f64> = own.into_iter().collect();
    for &alpha in [0.5, 1.0].iter().chain(more) {
        if !alphas.contains(&alpha) {
            alphas.push(alpha);
        }
    }
    let details = Details::new(pair, &alphas);
    let name = |quantity: &str| format!("{law}.{quantity}.layer{layer}");
    let single = |f: &dyn Fn(&Details) -> Option<f64>| Cell::from(details.as_ref().and_then(f));
    let mut row = vec![
        (name("nfm_trace"), single(&|d| Some(d.nfm_trace))),
        (name("agop_trace"), single(&|d| Some(d.agop_trace))),
        (name("agop_rank"), single(&|d| Some(d.agop_rank as f64))),
        (name("rank_rule"), details.as_ref().map_or(Cell::Empty, |d| Cell::Text(d.rank_rule.name().into()))),
        (name("nfm_effective_rank"), single(&|d| d.nfm_effective_rank)),
        (name("loglog_slope"), single(&|d| d.loglog_slope)),
        (name("loglog_r2"), single(&|d| d.loglog_r2)),
        (name("kendall_tau"), single(&|d| d.kendall_tau)),
    ];
    for k in nfa_metrics::judge::details::OVERLAPS {
        let overlap = single(&|d| d.top_k_overlap.iter().find(|(other, _)| *other == k).map(|(_, value)| *value));
        row.push((name(&format!("top_k_overlap@{k}")), overlap));
    }
    for (index, &alpha) in alphas.iter().enumerate() {
        let at = if own == Some(alpha) { String::new() } else { format!("@{}", crate::record::decimal(alpha)) };
        let quantity = |word: &str, f: &dyn Fn(&nfa_metrics::AlphaDetails) -> Option<f64>| {
            (name(&format!("{word}{at}")), single(&|d| d.at.get(index).and_then(f)))
        };
        row.extend([
            quantity("cosine", &|a| a.cosine),
            quantity("one_minus_cosine", &|a| a.one_minus_cosine),
            quantity("traceless_cosine", &|a| a.traceless_cosine),
            quantity("pearson", &|a| a.pearson),
            quantity("pearson_offdiag", &|a| a.pearson_offdiag),
            quantity("relative_error", &|a| a.relative_error),
            quantity("kappa", &|a| a.kappa),
            quantity("cosine_sorted", &|a| a.cosine_sorted),
            quantity("haar", &|a| a.haar),
        ]);
    }
    row
}
