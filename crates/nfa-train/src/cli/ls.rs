//! `ls`: the runs of experiments' folders.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::cli::session::Session;
use crate::cli::voice::{out, out_json};
use crate::error::{Error, Result};
use crate::study::Study;

/// Lists the runs of an experiment's folder, or of the experiments in a folder.
pub(crate) fn ls(session: &Session<'_>, folder: &Path) -> Result<()> {
    for folder in experiments(session, folder)? {
        let study = crate::study::read(session.store, &folder, session.registries)?;
        match session.voice.json {
            true => json_lines(&folder, &study),
            false => table(&folder, &study),
        }
    }
    Ok(())
}

/// The experiments' folders at a folder, in it, or one level deeper.
fn experiments(session: &Session<'_>, folder: &Path) -> Result<Vec<PathBuf>> {
    let store = session.store;
    let is_experiment = |folder: &Path| store.read(&folder.join("plan.json")).is_ok();
    if is_experiment(folder) {
        return Ok(vec![folder.to_path_buf()]);
    }
    let entries = store
        .list(folder)
        .map_err(|error| Error::input(format!("{}: {error}; give an experiment's folder", folder.display())))?;
    // One level deeper too: `--out out/seeds` leaves out/seeds/<name>.
    let below = |entry: PathBuf| match is_experiment(&entry) {
        true => vec![entry],
        false => store.list(&entry).unwrap_or_default().into_iter().filter(|e| is_experiment(e)).collect(),
    };
    let folders: Vec<PathBuf> = entries.into_iter().flat_map(below).collect();
    match folders.is_empty() {
        true => Err(Error::input(format!("{}: no experiment here (a folder with a plan.json)", folder.display()))),
        false => Ok(folders),
    }
}

fn json_lines(folder: &Path, study: &Study) {
    for run in &study.runs {
        let keys: Map<String, Value> =
            run.keys.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
        let fields = json!({
            "experiment": study.name, "run": run.id, "keys": keys,
            "outcome": run.outcome, "step": run.step, "reason": run.reason,
            "directory": folder.join("runs").join(&run.id).display().to_string(),
        });
        out_json("nfa.run/1", &fields);
    }
}

fn table(folder: &Path, study: &Study) {
    let met = study.expectations.iter().filter(|checked| checked.met).count();
    let (runs, expectations) = (study.runs.len(), study.expectations.len());
    out(&format!("{}  {runs} runs  {met}/{expectations} expectations met", folder.display()));
    let width = study.runs.iter().map(|run| run.id.len()).max().unwrap_or(0);
    for run in &study.runs {
        let reason = run.reason.as_deref().map_or(String::new(), |reason| format!("  {reason}"));
        out(&format!("  {:width$}  {:11}  step {}{reason}", run.id, run.outcome, run.step));
    }
}
