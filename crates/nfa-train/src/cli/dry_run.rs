//! `--dry-run`: the plan, and for linear networks when they will have come to the ansatz.

use std::path::Path;

use nfa_metrics::forecast::{Forecast, REACHED};
use serde_json::json;

use crate::cli::session::Session;
use crate::cli::voice::{out, out_json};
use crate::error::Result;
use crate::experiment::Experiment;
use crate::experiment::plan::PlannedRun;
use crate::run::manifest::Provenance;

/// Prints the runs.
pub(crate) fn print(session: &Session<'_>, experiment: &Experiment, runs: &[&PlannedRun]) -> Result<()> {
    let voice = session.voice;
    if !voice.json {
        let steps: u64 = runs.iter().map(|run| run.config.course.steps()).sum();
        let takes = experiment.takes.as_ref().map_or(String::new(), |takes| format!(" (the whole takes {takes})"));
        out(&format!("{}: {} runs, {steps} steps{takes}", experiment.name, runs.len()));
    }
    let provenance = Provenance::collect();
    let runner = session.runner(experiment, Path::new(""), &provenance, &|_| ());
    for run in runs {
        let steps = run.config.course.steps();
        let forecast = runner.forecast(run).map_err(|error| error.context(&experiment.origin))?;
        if voice.json {
            let step = match forecast {
                Some(Forecast::Always) => Some(0.0),
                Some(Forecast::Step(step)) => Some(step.round()),
                Some(Forecast::Never) | None => None,
            };
            let config = run.config.table();
            out_json("nfa.plan/1", &json!({ "run": run.id, "steps": steps, "forecast": step, "config": config }));
            continue;
        }
        let probes = run.config.probe.at.steps(steps).len();
        out(&format!("  {}  {steps} steps, {probes} probes{}", run.id, outlook(forecast, steps)));
        if voice.verbose {
            out(&toml::to_string(&run.config.table()).unwrap_or_default());
        }
    }
    Ok(())
}

fn outlook(forecast: Option<Forecast>, steps: u64) -> String {
    match forecast {
        None => String::new(),
        Some(Forecast::Always) => "; imbalance small against what is to be learned".into(),
        Some(Forecast::Never) => "; no decay: the imbalance stays (what is learned may outgrow it)".into(),
        Some(Forecast::Step(step)) => format!(
            "; if the weights live, cosine beyond {} at about step {step:.0}{}",
            1.0 - REACHED,
            if step > steps as f64 { ", after the end" } else { "" }
        ),
    }
}
