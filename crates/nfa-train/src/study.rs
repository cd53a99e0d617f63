//! Everything that tables, plots and checks are made from: one experiment's records, read back.

use std::path::Path;

use toml::Table;

use crate::error::{Error, Result};
use crate::experiment::Experiment;
use crate::outcome::{Outcome, Status};
use crate::record::{Cell, Record, csv_line, decimal};
use crate::registries::Registries;
use crate::store::Store;

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

/// One disc of the fan: a law's left matrix A seen in the eigenbasis of its right matrix B.
#[derive(Clone, Debug, PartialEq)]
pub struct Direction {
    /// The probe's step.
    pub step: u64,
    /// The law's name.
    pub law: String,
    /// The layer, from 0.
    pub layer: usize,
    /// Eigenvalue of B, descending; 0 beyond its rank.
    pub g: f64,
    /// vᵀAv.
    pub m: f64,
    /// Off-diagonal mass of A in that row of B's eigenbasis (Frobenius).
    pub leak: f64,
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
    /// Reads an experiment's folder back and holds its records against its expectations.
    ///
    /// # Errors
    /// A missing or damaged file, with its path.
    pub fn load(store: &dyn Store, folder: &Path, registries: &Registries) -> Result<Self> {
        let text = |path: &Path| -> Result<String> {
            let bytes = store.read(path).map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Error::input(format!(
                    "{} is missing: is {} an experiment's folder?",
                    path.display(),
                    folder.display()
                )),
                _ => Error::io("cannot read", path, &error),
            })?;
            String::from_utf8(bytes).map_err(|_| Error::input(format!("{} is not UTF-8 text", path.display())))
        };
        let damaged = |path: &Path, why: &dyn std::fmt::Display| {
            Error::input(format!("{}: {why}; run the experiment again to write it anew", path.display()))
        };
        let plan_path = folder.join("plan.json");
        let plan: PlanFile = serde_json::from_str(&text(&plan_path)?).map_err(|error| damaged(&plan_path, &error))?;
        let spec_path = folder.join("experiment.toml");
        let source = text(&spec_path)?;
        let origin = spec_path.display().to_string();
        let experiment = Experiment::parse(source, &origin, folder, &[], &Vec::new(), registries)?;
        let mut runs = Vec::new();
        for planned in plan.runs {
            let run = folder.join("runs").join(&planned.id);
            let path = |name: &str| run.join(name);
            let config: Table = text(&path("config.toml"))
                .ok()
                .map(|text| {
                    text.parse().map_err(|error: toml::de::Error| damaged(&path("config.toml"), &error.message()))
                })
                .transpose()?
                .unwrap_or_default();
            let status: Status = match text(&path("status.json")) {
                Ok(text) => serde_json::from_str(&text).map_err(|error| damaged(&path("status.json"), &error))?,
                Err(_) => Status { outcome: Outcome::Planned, step: 0, reason: None },
            };
            let record = match text(&path("metrics.csv")) {
                Ok(text) => Record::from_csv(&text).map_err(|error| damaged(&path("metrics.csv"), &error))?,
                Err(_) => Record::default(),
            };
            let directions = match text(&path("directions.csv")) {
                Ok(text) => read_directions(&text).map_err(|error| damaged(&path("directions.csv"), &error))?,
                Err(_) => Vec::new(),
            };
            let manifest = text(&path("manifest.json")).ok().and_then(|text| serde_json::from_str(&text).ok());
            runs.push(StudyRun {
                id: planned.id,
                keys: planned.keys,
                outcome: status.outcome.name().into(),
                step: status.step,
                reason: status.reason,
                config,
                manifest: manifest.unwrap_or_default(),
                record,
                directions,
            });
        }
        let mut study = Study {
            name: experiment.name,
            id: experiment.id,
            claim: experiment.claim,
            reference: experiment.reference,
            experiment: experiment.source,
            runs,
            expectations: Vec::new(),
        };
        study.expectations = crate::expect::check(&experiment.expectations, &study);
        Ok(study)
    }

    /// `summary.csv`: run, keys, outcome, step, then the last value of every column.
    pub fn summary(&self) -> String {
        let mut keys: Vec<&str> = Vec::new();
        let mut columns: Vec<&str> = Vec::new();
        for run in &self.runs {
            keys.extend(
                run.keys.iter().map(|(key, _)| key.as_str()).filter(|key| !keys.contains(key)).collect::<Vec<_>>(),
            );
            let new: Vec<&str> = run
                .record
                .columns()
                .iter()
                .map(String::as_str)
                .filter(|c| *c != "step" && !columns.contains(c))
                .collect();
            columns.extend(new);
        }
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

/// `plan.json`.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct PlanFile {
    /// The runs, in order.
    pub runs: Vec<PlanLine>,
}

/// One run of `plan.json`.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct PlanLine {
    /// Its id.
    pub id: String,
    /// Arm and grid values, in order.
    pub keys: Vec<(String, String)>,
    /// Its number of steps.
    pub steps: u64,
}

/// The columns of `directions.csv`.
pub const DIRECTION_COLUMNS: [&str; 6] = ["step", "law", "layer", "g", "m", "leak"];

impl Direction {
    /// Its line in `directions.csv`.
    pub fn csv(&self) -> String {
        let numbers = [self.g, self.m, self.leak].map(decimal);
        csv_line([self.step.to_string(), self.law.clone(), self.layer.to_string()].into_iter().chain(numbers))
    }
}

fn read_directions(text: &str) -> std::result::Result<Vec<Direction>, csv::Error> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader
        .deserialize::<(u64, String, usize, f64, f64, f64)>()
        .map(|row| row.map(|(step, law, layer, g, m, leak)| Direction { step, law, layer, g, m, leak }))
        .collect()
}
