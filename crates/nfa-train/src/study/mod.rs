//! Everything that tables, plots and checks are made from: one experiment's records, read back.

use toml::Table;

use crate::claim::plot::Plot;
use crate::record::direction::Direction;
use crate::record::{Cell, Record, csv_line};

pub mod check;
mod read;
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
    /// Its runs, in the plan's order.
    pub runs: Vec<StudyRun>,
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
}

impl StudyRun {
    /// The arm, where the experiment has arms.
    pub fn arm(&self) -> Option<&str> {
        self.keys.iter().find(|(key, _)| key == "arm").map(|(_, value)| value.as_str())
    }
}

impl Study {
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
