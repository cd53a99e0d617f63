//! The runs of an experiment: a pure function of its file.

use std::collections::HashMap;

use toml::{Table, Value};

use crate::error::{Error, Result};
use crate::experiment::Experiment;
use crate::experiment::arm::{Arm, arm_path};
use crate::experiment::config::Resolved;
use crate::experiment::file::locate;
use crate::keys::{override_with, plain};
use crate::registries::Registries;

/// One run that an experiment asks for.
#[derive(Clone, Debug)]
pub struct PlannedRun {
    /// Arm and grid values, safe for file names, and 8 digits of the configuration's fingerprint.
    pub id: String,
    /// Arm (key `arm`) and grid values, in order.
    pub keys: Vec<(String, Value)>,
    /// Its configuration.
    pub config: Resolved,
}

impl PlannedRun {
    /// The arm, where the experiment has arms.
    pub fn arm(&self) -> Option<&str> {
        self.keys.iter().find(|(key, _)| key == "arm").and_then(|(_, value)| value.as_str())
    }
}

/// The runs that an experiment asks for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Each configuration once.
    pub runs: Vec<PlannedRun>,
    /// The points of arms and grids whose configuration another run has, and the ids of both.
    pub repeats: Vec<(String, String)>,
}

impl Plan {
    /// What was planned once though it was asked for more often, in a sentence; `None` where nothing was.
    pub fn repeated(&self) -> Option<String> {
        let (repeat, run) = self.repeats.first()?;
        let n = self.repeats.len();
        let runs = if n == 1 { "1 run repeats".to_string() } else { format!("{n} runs repeat") };
        Some(format!("{runs} the configuration of another and is left out of the plan: {repeat} is {run}"))
    }
}

/// A grid larger than this is a mistake in the file.
const MAX_RUNS: usize = 100_000;

/// Every run, arm by arm, the last axis fastest; of runs with one configuration the first.
///
/// # Errors
/// The key at fault with its place, or a grid that is too large.
pub fn plan(experiment: &Experiment, overrides: &[(String, Value)], registries: &Registries) -> Result<Plan> {
    let mut runs: Vec<PlannedRun> = Vec::new();
    let mut repeats = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for arm in &experiment.arms {
        let axes: Vec<&(String, Vec<Value>)> = experiment
            .grid
            .iter()
            .filter(|(key, _)| !arm.grid.iter().any(|(own, _)| own == key))
            .chain(&arm.grid)
            .collect();
        let count = axes.iter().try_fold(1usize, |product, (_, values)| product.checked_mul(values.len()));
        match count {
            Some(count) if runs.len().saturating_add(count) <= MAX_RUNS => {}
            count => {
                let sizes: Vec<String> = axes.iter().map(|(key, values)| format!("{key}: {}", values.len())).collect();
                let message = format!(
                    "{}: the grid asks for {} runs ({}); at most {MAX_RUNS} are planned at once",
                    experiment.origin,
                    count.map_or("too many".into(), |count| runs.len().saturating_add(count).to_string()),
                    sizes.join(", ")
                );
                return Err(Error::input(message));
            }
        }
        for index in 0..count.unwrap_or(0) {
            let mut rest = index;
            let mut point: Vec<(String, Value)> = axes
                .iter()
                .rev()
                .map(|(key, values)| {
                    let value = values[rest % values.len()].clone();
                    rest /= values.len();
                    (key.clone(), value)
                })
                .collect();
            point.reverse();
            let (run, fingerprint) = planned(experiment, arm, point, overrides, registries)?;
            match known.get(&fingerprint) {
                Some(&first) => repeats.push((run.id, runs[first].id.clone())),
                None => {
                    known.insert(fingerprint, runs.len());
                    runs.push(run);
                }
            }
        }
    }
    check_keys(experiment, overrides, &runs)?;
    Ok(Plan { runs, repeats })
}

/// The keys that expectations and plots name are those of the runs that they speak of.
fn check_keys(experiment: &Experiment, overrides: &[(String, Value)], runs: &[PlannedRun]) -> Result<()> {
    let expectations =
        experiment.expectations.iter().enumerate().map(|(i, e)| (format!("expect.{i}"), &e.scope, e.mentions()));
    let plots = experiment.plots.iter().enumerate().map(|(i, p)| (format!("plot.{i}"), &p.scope, p.mentions()));
    let blocks: Vec<_> = expectations.chain(plots).filter(|(_, _, mentions)| !mentions.is_empty()).collect();
    if blocks.is_empty() {
        return Ok(());
    }
    let tables: Vec<(Option<&str>, Table)> = runs.iter().map(|run| (run.arm(), run.config.table())).collect();
    let all: Vec<&Table> = tables.iter().map(|(_, table)| table).collect();
    for (block, scope, mentions) in blocks {
        let here: Vec<&Table> =
            tables.iter().filter(|(arm, table)| scope.holds(*arm, table)).map(|(_, table)| table).collect();
        for mention in mentions {
            mention
                .check(&all, &here)
                .map_err(|error| locate(error.under(&block), &experiment.source, &experiment.origin, overrides))?;
        }
    }
    Ok(())
}

/// A run and its configuration's fingerprint.
fn planned(
    experiment: &Experiment,
    arm: &Arm,
    point: Vec<(String, Value)>,
    overrides: &[(String, Value)],
    registries: &Registries,
) -> Result<(PlannedRun, String)> {
    let mut table: Table = experiment.run.clone();
    for (key, value) in arm.overrides.iter().chain(&point) {
        override_with(&mut table, key, value.clone())
            .map_err(|error| locate(error, &experiment.source, &experiment.origin, overrides))?;
    }
    let config = Resolved::new(&table, registries, &experiment.base).map_err(|mut error| {
        let path = arm_path(arm, &error.path);
        let armed = path != error.path;
        error.path = path;
        let error = locate(error, &experiment.source, &experiment.origin, overrides);
        match &arm.name {
            Some(name) if armed => error.context(format!("arm `{name}`")),
            _ => error,
        }
    })?;
    let mut keys = Vec::new();
    if let Some(name) = &arm.name {
        keys.push(("arm".to_string(), Value::String(name.clone())));
    }
    keys.extend(point);
    let mut parts: Vec<String> = keys
        .iter()
        .map(|(key, value)| match key.as_str() {
            "arm" => safe(&plain(value)),
            key => format!("{}={}", safe(key.rsplit('.').next().unwrap_or(key)), safe(&plain(value))),
        })
        .collect();
    if parts.is_empty() {
        parts.push("run".into());
    }
    let fingerprint = config.fingerprint();
    let id = format!("{}-{}", parts.join("-"), &fingerprint[..8]);
    Ok((PlannedRun { id, keys, config }, fingerprint))
}

/// Letters, digits and `. _ = -`; whatever else becomes `_`, and long values are cut: the
/// fingerprint keeps ids apart.
fn safe(text: &str) -> String {
    text.chars().take(40).map(|c| if c.is_ascii_alphanumeric() || "._=-".contains(c) { c } else { '_' }).collect()
}
