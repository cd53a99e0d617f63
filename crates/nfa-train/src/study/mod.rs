//! Everything that tables, plots and checks are made from: one experiment's records, read back.

use nfa_metrics::laws::law::{Law, Laws};
use toml::Table;

use crate::claim::columns::Columns;
use crate::claim::expectation::Basis;
use crate::claim::plot::Plot;
use crate::claim::variables::Variables;
use crate::keys::{get, number};
use crate::record::direction::Direction;
use crate::record::layout::SiteLine;
use crate::record::theory::Theory;
use crate::record::{Cell, Record, csv_line};

pub mod check;
pub mod decay;
mod read;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod sample;
pub mod seeds;

pub use read::read;

/// One experiment folder, read back from its records.
#[derive(Clone, Debug)]
pub struct Study {
    /// The experiment's name.
    pub name: String,
    /// Its stable claim id, if it has one.
    pub id: Option<String>,
    /// What it claims, in a sentence.
    pub claim: Option<String>,
    /// Where the claim comes from.
    pub reference: Option<String>,
    /// The text of `experiment.toml` as it ran.
    pub experiment: String,
    /// The laws that its runs may have measured, the first of them before the others.
    pub laws: Laws,
    /// What the columns of its records may be.
    pub known: Columns,
    /// Its runs, in the plan's order, each configuration once.
    pub runs: Vec<StudyRun>,
    /// Runs of the plan that were left out because another one has the same configuration.
    pub repeats: usize,
    /// The figures that the experiment asks for.
    pub plots: Vec<Plot>,
    /// Each expectation held against each run that it speaks of.
    pub expectations: Vec<Checked>,
}

/// One run of a study.
#[derive(Clone, Debug)]
pub struct StudyRun {
    /// The run's id, the name of its folder.
    pub id: String,
    /// Arm (key `arm`, where the experiment has arms) and grid values, in order.
    pub keys: Vec<(String, String)>,
    /// `completed`, `diverged`, `interrupted`, `failed`, ...
    pub outcome: String,
    /// The last step reached.
    pub step: u64,
    /// Why it ended, where that needs words.
    pub reason: Option<String>,
    /// The resolved configuration (`config.toml`).
    pub config: Table,
    /// Versions, device, data hash (`manifest.json`).
    pub manifest: serde_json::Value,
    /// What theory needs to know of it, as its solver and its network told.
    pub theory: Theory,
    /// Its layers by name (`sites.json`); none of runs of before 0.4.
    pub sites: Vec<SiteLine>,
    /// Its rows.
    pub record: Record,
    /// What the fan draws, at the first and the last probe.
    pub directions: Vec<Direction>,
}

/// One expectation held against one run: the worst probe.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Checked {
    /// The metric's column.
    pub metric: String,
    /// Which runs the expectation speaks of.
    #[serde(rename = "where")]
    pub scope: serde_json::Value,
    /// The probe: `last`, `first`, `every` or a step.
    pub at: String,
    /// The run's id.
    pub run: String,
    /// What was expected, as written (with its value where a formula).
    pub expected: String,
    /// What was measured: a number or a word, null where undefined.
    pub measured: serde_json::Value,
    /// The tolerance, as written.
    pub tolerance: Option<String>,
    /// Whether it was met.
    pub met: bool,
    /// Where the expected number comes from; a record from before there was a basis claims none.
    #[serde(default)]
    pub basis: Basis,
    /// The place of its `[[expect]]` block among the file's.
    #[serde(skip)]
    pub block: usize,
}

impl StudyRun {
    /// The arm, where the experiment has arms.
    pub fn arm(&self) -> Option<&str> {
        self.keys.iter().find(|(key, _)| key == "arm").map(|(_, value)| value.as_str())
    }

    /// What the variables of formulas stand for.
    pub fn variables(&self) -> Variables<'_> {
        Variables { config: &self.config, theory: &self.theory }
    }

    /// Whether it reached its end.
    pub fn completed(&self) -> bool {
        self.outcome == "completed"
    }

    /// Whether it has not begun.
    pub fn planned(&self) -> bool {
        self.outcome == "planned"
    }

    /// The number in the last row of a column.
    pub fn last(&self, column: &str) -> Option<f64> {
        self.record.number(-1, column)
    }

    /// One number of a law at the last probe, such as `misfit` of layer 0.
    pub fn measured(&self, law: &str, quantity: &str, layer: usize) -> Option<f64> {
        self.last(&format!("{law}.{quantity}.layer{layer}"))
    }

    /// One word of a law at the last probe: `verdict` or `reason`.
    pub fn word(&self, law: &str, quantity: &str, layer: usize) -> Option<&str> {
        self.record.text(-1, &format!("{law}.{quantity}.layer{layer}"))
    }

    /// The columns of a name in which `layer*` stands for each layer.
    pub fn columns(&self, name: &str) -> Vec<String> {
        let (before, after) = name.split_once('*').unwrap_or((name, ""));
        let fits = |column: &&String| match column.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)) {
            Some(layer) if name.contains("layer*") => !layer.is_empty() && layer.bytes().all(|b| b.is_ascii_digit()),
            _ => *column == name,
        };
        self.record.columns().iter().filter(fits).cloned().collect()
    }

    /// The layers on which it measured a law, ascending.
    pub fn layers(&self, law: &str) -> Vec<usize> {
        let columns = self.columns(&format!("{law}.misfit.layer*"));
        let mut layers: Vec<usize> = columns.iter().filter_map(|column| layer_of(column)).collect();
        layers.sort_unstable();
        layers
    }

    /// Whether a law says nothing at a layer: at the last of several, where it holds by definition.
    pub fn is_given(&self, law: &Law, layer: usize) -> bool {
        let last = match self.sites.get(layer) {
            Some(site) => site.last && self.sites.len() > 1,
            None => self.theory.depth.is_some_and(|depth| depth > 1 && depth == layer + 1),
        };
        law.last.is_some() && last
    }

    /// A layer by number, and by name where its network gave it one: `3 blocks.0.up`.
    pub fn layer(&self, layer: usize) -> String {
        let name = self.sites.get(layer).map(|site| site.name.as_str());
        match name.filter(|name| *name != format!("layers.{layer}")) {
            Some(name) => format!("{layer} {name}"),
            None => layer.to_string(),
        }
    }

    /// A threshold of the verdict as this run resolved it.
    pub fn threshold(&self, name: &str, default: f64) -> f64 {
        get(&self.config, &format!("verdict.{name}")).and_then(number).unwrap_or(default)
    }
}

/// A layer of several runs as [`StudyRun::layer`] has it, by name where they all agree.
pub fn layer_of_all<'a>(runs: impl IntoIterator<Item = &'a StudyRun>, layer: usize) -> String {
    let mut names: Vec<String> =
        runs.into_iter().filter(|run| run.sites.len() > layer).map(|run| run.layer(layer)).collect();
    names.sort_unstable();
    names.dedup();
    match names.len() {
        1 => names.remove(0),
        _ => layer.to_string(),
    }
}

/// The layer of a column, from 0.
pub fn layer_of(column: &str) -> Option<usize> {
    column.rsplit_once("layer").and_then(|(_, digits)| digits.parse().ok())
}

impl Study {
    /// Whether a law of that name leaves its exponent to be measured.
    pub fn has_exponent(&self, law: &str) -> bool {
        self.laws.get(law).is_none_or(|law| law.family.exponent().is_none())
    }

    /// Every law that some run has a misfit of.
    pub fn measured(&self) -> impl Iterator<Item = &Law> {
        self.laws.rows().iter().filter(|law| self.runs.iter().any(|run| !run.layers(law.name).is_empty()))
    }

    /// The law that the page is about: the first that was measured.
    pub fn law(&self) -> Option<&Law> {
        self.measured().next()
    }

    /// The checks on runs that have begun: what is only planned, in a part of a plan, is neither met nor missed.
    pub fn checks(&self) -> Vec<&Checked> {
        let planned = |id: &str| self.runs.iter().any(|run| run.id == id && run.planned());
        self.expectations.iter().filter(|checked| !planned(&checked.run)).collect()
    }

    /// How some of its runs ended: `38 runs completed, 2 diverged`; empty where there are none.
    pub fn endings(&self, of: impl Fn(&StudyRun) -> bool) -> String {
        let outcomes = tally(self.runs.iter().filter(|run| of(run)).map(|run| run.outcome.as_str()));
        let parts = outcomes.into_iter().enumerate().map(|(i, (outcome, n))| match (i, n) {
            (0, 1) => format!("1 run {outcome}"),
            (0, n) => format!("{n} runs {outcome}"),
            (_, n) => format!("{n} {outcome}"),
        });
        parts.collect::<Vec<_>>().join(", ")
    }

    /// Every column of some run but the step, in order.
    pub fn columns(&self) -> Vec<&str> {
        let all = self.runs.iter().flat_map(|run| run.record.columns());
        distinct(all.map(String::as_str).filter(|column| *column != "step"))
    }

    /// `summary.csv`: run, keys, outcome, step, then the last value of every column.
    pub fn summary(&self) -> String {
        let keys = distinct(self.runs.iter().flat_map(|run| run.keys.iter().map(|(key, _)| key.as_str())));
        let columns = self.columns();
        let header =
            ["run"].into_iter().chain(keys.iter().copied()).chain(["outcome", "step"]).chain(columns.iter().copied());
        let mut csv = csv_line(header.map(String::from));
        for run in &self.runs {
            let key = |key: &&str| run.keys.iter().find(|(k, _)| k == key).map_or(String::new(), |(_, v)| v.clone());
            let cell = |column: &&str| run.record.cell(-1, column).map_or(String::new(), Cell::to_string);
            let fields = [run.id.clone()]
                .into_iter()
                .chain(keys.iter().map(key))
                .chain([run.outcome.clone(), run.step.to_string()])
                .chain(columns.iter().map(cell));
            csv.push_str(&csv_line(fields));
        }
        csv
    }
}

/// Each once, in the order of their first.
pub fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = std::collections::HashSet::new();
    names.filter(|name| seen.insert(*name)).collect()
}

/// How often each word occurs, in the order of their first.
pub fn tally<'a>(words: impl Iterator<Item = &'a str>) -> Vec<(&'a str, usize)> {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for word in words {
        match counts.iter_mut().find(|(known, _)| *known == word) {
            Some((_, n)) => *n += 1,
            None => counts.push((word, 1)),
        }
    }
    counts
}
