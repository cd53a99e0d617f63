//! An experiment's folder: `plan.json`, and everything in it read back as a [`Study`].

use std::collections::HashSet;
use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

use crate::error::{Error, Result};
use crate::experiment::Experiment;
use crate::keys::get;
use crate::machine::disk::Store;
use crate::record::Record;
use crate::record::direction::read_directions;
use crate::record::layout::{PlanFile, PlanLine, SitesFile};
use crate::record::status::{Outcome, Status};
use crate::record::theory::{Clock, DecayLaw, Theory};
use crate::registries::Registries;
use crate::study::{Study, StudyRun};

/// Reads an experiment's folder back and holds its records against its expectations.
///
/// # Errors
/// A missing or damaged file, with its path.
pub fn read(store: &dyn Store, folder: &Path, registries: &Registries) -> Result<Study> {
    let text = |path: &Path| -> Result<String> {
        text_of(store, path)?.ok_or_else(|| {
            let (path, folder) = (path.display(), folder.display());
            Error::input(format!("{path} is missing: is {folder} an experiment's folder?"))
        })
    };
    let plan_path = folder.join("plan.json");
    let plan: PlanFile = serde_json::from_str(&text(&plan_path)?).map_err(|error| damaged(&plan_path, &error))?;
    let spec_path = folder.join("experiment.toml");
    let source = text(&spec_path)?;
    let origin = spec_path.display().to_string();
    let experiment = Experiment::parse(source, &origin, folder, &[], &Vec::new(), registries)?;
    let (mut runs, mut repeats, mut configurations) = (Vec::new(), 0, HashSet::new());
    for planned in plan.runs {
        let run = run(store, &folder.join("runs").join(&planned.id), planned)?;
        // Plans of before 0.3 may hold a configuration twice; a repeat is no seed and no second row.
        if configurations.insert(settings(&run.config)) || run.config.is_empty() {
            runs.push(run);
        } else {
            repeats += 1;
        }
    }
    let mut study = Study {
        name: experiment.name,
        id: experiment.id,
        claim: experiment.claim,
        reference: experiment.reference,
        experiment: experiment.source,
        laws: registries.laws.clone(),
        known: registries.columns(),
        runs,
        repeats,
        plots: experiment.plots,
        expectations: Vec::new(),
    };
    study.expectations = crate::study::check::check(&experiment.expectations, &study);
    Ok(study)
}

/// A text, where there is such a file.
fn text_of(store: &dyn Store, path: &Path) -> Result<Option<String>> {
    match store.read(path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(Error::input(format!("{} is not UTF-8 text", path.display()))),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("cannot read", path, &error)),
    }
}

fn damaged(path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::input(format!("{}: {why}; run the experiment again to write it anew", path.display()))
}

/// A run of the plan with what its folder has of it so far.
fn run(store: &dyn Store, folder: &Path, planned: PlanLine) -> Result<StudyRun> {
    let path = |name: &str| folder.join(name);
    let text = |name: &str| text_of(store, &path(name));
    let config: Table = text("config.toml")?
        .map(|text| text.parse().map_err(|error: toml::de::Error| damaged(&path("config.toml"), &error.message())))
        .transpose()?
        .unwrap_or_default();
    let status: Status = match text("status.json")? {
        Some(text) => serde_json::from_str(&text).map_err(|error| damaged(&path("status.json"), &error))?,
        None => Status::new(Outcome::Planned, 0, None),
    };
    let record = match text("metrics.csv")? {
        Some(text) => Record::from_csv(&text).map_err(|error| damaged(&path("metrics.csv"), &error))?,
        None => Record::default(),
    };
    let directions = match text("directions.csv")? {
        Some(text) => read_directions(&text).map_err(|error| damaged(&path("directions.csv"), &error))?,
        None => Vec::new(),
    };
    let manifest = text("manifest.json")?.and_then(|text| serde_json::from_str(&text).ok());
    let manifest: serde_json::Value = manifest.unwrap_or_default();
    // Names alone: without them, or with others, nothing else is wrong.
    let sites = text("sites.json")?.and_then(|text| serde_json::from_str::<SitesFile>(&text).ok());
    let theory = match manifest.get("theory") {
        Some(told) => Theory::deserialize(told).map_err(|error| damaged(&path("manifest.json"), &error))?,
        None => of_mlp(&config),
    };
    Ok(StudyRun {
        id: planned.id,
        keys: planned.keys,
        outcome: status.outcome.name().into(),
        step: status.step,
        reason: status.reason,
        config,
        manifest,
        theory,
        sites: sites.map_or_else(Vec::new, |file| file.sites),
        record,
        directions,
    })
}

/// What fixes a run's numbers, as its `config.toml` has it.
fn settings(config: &Table) -> String {
    let mut settings = config.clone();
    settings.remove("name");
    settings.to_string()
}

/// The theory of a run by version 0.1, whose manifest has none: that of an `mlp` and its solver. Of
/// other kinds' keys nothing is known.
fn of_mlp(config: &Table) -> Theory {
    let word = |key: &str| get(config, key).and_then(Value::as_str);
    if word("model.kind") != Some("mlp") {
        return Theory::default();
    }
    let depth = get(config, "model.depth").and_then(Value::as_integer).and_then(|depth| usize::try_from(depth).ok());
    let widths = || Some(get(config, "model.widths")?.as_array()?.len() + 1);
    let is_linear = |name: &Value| matches!(name.as_str(), Some("linear" | "identity"));
    let linear = match get(config, "model.activation") {
        None => true,
        Some(Value::Array(names)) => names.iter().all(is_linear),
        Some(name) => is_linear(name),
    };
    let (clock, decay) = match word("solver.kind") {
        Some("gd" | "sgd") => (Clock::Step, Some(DecayLaw::Discrete)),
        Some("flow") => (Clock::Time, Some(DecayLaw::Continuous)),
        _ => (Clock::Step, None),
    };
    let bias = get(config, "model.bias").and_then(Value::as_bool) == Some(true);
    Theory { clock, decay, depth: depth.or_else(widths), linear: linear && !bias, ..Theory::default() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::machine::disk::Disk;

    #[test]
    fn the_first_version_s_mlps_keep_their_theory() {
        let theory = |text: &str| of_mlp(&text.parse().unwrap());
        let told = theory("[model]\nkind = \"mlp\"\nwidths = [20, 20]\n[solver]\nkind = \"flow\"");
        let expected = Theory {
            clock: Clock::Time,
            decay: Some(DecayLaw::Continuous),
            depth: Some(3),
            linear: true,
            ..Theory::default()
        };
        assert_eq!(told, expected);
        let relu = theory("[model]\nkind = \"mlp\"\ndepth = 2\nactivation = \"relu\"\n[solver]\nkind = \"sgd\"");
        assert_eq!((relu.depth, relu.linear, relu.decay), (Some(2), false, Some(DecayLaw::Discrete)));
        assert!(!theory("[model]\nkind = \"mlp\"\ndepth = 2\nbias = true").linear);
        assert_eq!(theory("[model]\nkind = \"residual\"\ndepth = 2"), Theory::default());
    }

    #[test]
    fn a_configuration_counts_once_and_a_waiting_run_is_no_repeat() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            Disk.create_dir(path.parent().unwrap()).unwrap();
            Disk.write(&path, text.as_bytes()).unwrap();
        };
        let keys = |seeds: [u8; 2]| seeds.map(|seed| format!("[\"seed\", \"{seed}\"]")).join(", ");
        // As `--grid seed=7,8` was planned on a file with seeds 0 and 1; `x` and `y` have not begun.
        let plan = [("a", [0, 7]), ("b", [0, 8]), ("c", [1, 7]), ("d", [1, 8]), ("x", [2, 7]), ("y", [2, 8])];
        let lines =
            plan.map(|(id, seeds)| format!("{{ \"id\": \"{id}\", \"keys\": [{}], \"steps\": 4 }}", keys(seeds)));
        write("plan.json", &format!("{{ \"runs\": [{}] }}", lines.join(", ")));
        write("experiment.toml", "name = \"x\"\n");
        for (i, (id, [_, seed])) in plan[..4].iter().enumerate() {
            write(&format!("runs/{id}/config.toml"), &format!("name = \"x--{id}\"\nseed = {seed}\n"));
            write(&format!("runs/{id}/status.json"), r#"{ "outcome": "completed", "step": 4 }"#);
            write(&format!("runs/{id}/metrics.csv"), &format!("step,loss\n4,{}\n", i % 2));
        }
        let study = read(&Disk, folder.path(), &Registries::standard()).unwrap();
        let ids: Vec<&str> = study.runs.iter().map(|run| run.id.as_str()).collect();
        assert_eq!((ids, study.repeats), (vec!["a", "b", "x", "y"], 2));
        let seeds = crate::study::seeds::csv(&study).unwrap();
        assert!(seeds.lines().nth(1).unwrap().starts_with("loss,2,0.5,"), "{seeds}");
    }

    #[test]
    fn a_run_s_theory_is_what_its_manifest_tells() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            Disk.create_dir(path.parent().unwrap()).unwrap();
            Disk.write(&path, text.as_bytes()).unwrap();
        };
        let read = || read(&Disk, folder.path(), &Registries::standard());
        write("plan.json", r#"{ "runs": [{ "id": "a", "keys": [], "steps": 4 }] }"#);
        write("experiment.toml", "name = \"x\"\n[[expect]]\nmetric = \"loss\"\nequals = \"t + L\"\n");
        // A model and a solver of a user's own, with a key of another meaning.
        write("runs/a/config.toml", "[model]\nkind = \"residual\"\ndepth = 2\n[solver]\nkind = \"mine\"\nlr = 0.5\n");
        write("runs/a/metrics.csv", "step,loss,nfa.misfit.layer0,nfa.misfit.layer1,nfa.misfit.layer2\n4,5,0,0,0\n");
        write("runs/a/manifest.json", r#"{ "theory": { "clock": "time", "decay": "continuous", "depth": 3 } }"#);
        let study = read().unwrap();
        let run = &study.runs[0];
        let (law, last) = (study.law().unwrap(), run.layers("nfa").len() - 1);
        assert!(run.is_given(law, last) && !run.is_given(law, last - 1));
        assert!(study.expectations[0].met, "0.5 · 4 + 3, not 4 + 2: {:?}", study.expectations[0]);
        write("runs/a/manifest.json", "{}");
        let study = read().unwrap();
        assert_eq!(study.runs[0].theory, Theory::default());
        assert!(!study.runs[0].is_given(study.law().unwrap(), 1), "depth = 2 says nothing of its sites");
        write("runs/a/manifest.json", r#"{ "theory": { "clock": "sundial" } }"#);
        let error = read().unwrap_err().to_string();
        assert!(error.contains("manifest.json: unknown variant `sundial`"), "{error}");
    }
}
