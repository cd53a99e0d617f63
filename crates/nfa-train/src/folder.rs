//! An experiment's folder: `plan.json`, and everything in it read back as a [`Study`].

use std::path::Path;

use toml::Table;

use crate::error::{Error, Result};
use crate::experiment::Experiment;
use crate::outcome::{Outcome, Status};
use crate::record::Record;
use crate::registries::Registries;
use crate::store::Store;
use crate::study::{Direction, Study, StudyRun};

/// Reads an experiment's folder back and holds its records against its expectations.
///
/// # Errors
/// A missing or damaged file, with its path.
pub fn read(store: &dyn Store, folder: &Path, registries: &Registries) -> Result<Study> {
    let text = |path: &Path| -> Result<String> {
        let bytes = store.read(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Error::input(format!("{} is missing: is {} an experiment's folder?", path.display(), folder.display()))
            }
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
            .map(|text| text.parse().map_err(|error: toml::de::Error| damaged(&path("config.toml"), &error.message())))
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

fn read_directions(text: &str) -> std::result::Result<Vec<Direction>, csv::Error> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader
        .deserialize::<(u64, String, usize, f64, f64, f64)>()
        .map(|row| row.map(|(step, law, layer, g, m, leak)| Direction { step, law, layer, g, m, leak }))
        .collect()
}
