//! An experiment file: what is claimed, how it is run, what is expected.

use std::path::{Path, PathBuf};

use nfa_models::SpecError;
use toml::{Table, Value};

use crate::claim::expectation::Expectation;
use crate::claim::plot::Plot;
use crate::claim::scope::Scope;
use crate::error::{Error, Result};
use crate::experiment::arm::{Arm, Grid, axes};
use crate::experiment::command_line::CommandLine;
use crate::keys::{RUN_KEYS, line_column, position};
use crate::registries::Registries;

/// A parsed experiment file with the command line's overrides applied.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// The folder under `--out`.
    pub name: String,
    /// Stable claim id.
    pub id: Option<String>,
    /// What it claims.
    pub claim: Option<String>,
    /// Where the claim comes from.
    pub reference: Option<String>,
    /// The file's text.
    pub source: String,
    /// The text that reproduces these runs: the file's, unless the command line changed something.
    pub as_run: String,
    /// What the command line replaced in it, in sentences.
    pub notes: Vec<String>,
    /// Where it was read, for messages.
    pub origin: String,
    /// The folder that relative paths start from.
    pub base: PathBuf,
    /// Run keys before arms and grids.
    pub run: Table,
    /// Arms, or one unnamed.
    pub arms: Vec<Arm>,
    /// `[grid]` and `--grid`.
    pub grid: Grid,
    /// `[[expect]]`.
    pub expectations: Vec<Expectation>,
    /// `[reduced]`: which runs are enough for a quick look (arm or dotted key, value or list).
    pub reduced: Option<Scope>,
    /// How long the whole takes, and where that was measured, in words.
    pub takes: Option<String>,
    /// `[[plot]]`.
    pub plots: Vec<Plot>,
}

const TOP_KEYS: [&str; 10] = ["name", "id", "claim", "reference", "takes", "grid", "arm", "expect", "plot", "reduced"];

impl Experiment {
    /// Reads an experiment and applies overrides (`--set`, `--seed`, ...: dotted key, value) and axes (`--grid`).
    ///
    /// An override acts before arms and grids, but on a key that is an axis it takes the place of its list; an
    /// axis takes the place of the file's and of every arm's own.
    ///
    /// # Errors
    /// Broken TOML, unknown keys, wrong types: with file, line, key and what could be meant. Overrides and axes
    /// that contradict an arm or one another.
    pub fn parse(
        source: String,
        origin: &str,
        base: &Path,
        overrides: &[(String, Value)],
        grid: &Grid,
        registries: &Registries,
    ) -> Result<Self> {
        let mut table: Table = source.parse().map_err(|error: toml::de::Error| {
            let place = error.span().map_or((1, 1), |span| line_column(&source, span.start));
            let (line, column) = place;
            Error::input(format!("{origin}:{line}:{column}: broken TOML: {}", error.message()))
        })?;
        let notes = CommandLine { sets: overrides, grid, source: &source, origin }.apply(&mut table)?;
        let mut experiment = Experiment::from_table(&table, source.clone(), origin, base, registries)
            .map_err(|error| locate(error, &source, origin, overrides))?;
        experiment.notes = notes;
        if !overrides.is_empty() || !grid.is_empty() {
            experiment.as_run = toml::to_string(&table).unwrap_or_default();
        }
        Ok(experiment)
    }

    fn from_table(
        table: &Table,
        source: String,
        origin: &str,
        base: &Path,
        registries: &Registries,
    ) -> std::result::Result<Self, SpecError> {
        for key in table.keys() {
            if !TOP_KEYS.contains(&key.as_str()) && !RUN_KEYS.contains(&key.as_str()) {
                return Err(SpecError::unknown(key, "key", key, TOP_KEYS.into_iter().chain(RUN_KEYS)));
            }
        }
        let text = |key: &str| match table.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(SpecError::value(key, format!("must be a string, not {other}"))),
        };
        let name = text("name")?.ok_or_else(|| SpecError::value("name", "is required and missing".into()))?;
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', ':']) {
            return Err(SpecError::value("name", format!("is a folder's name under --out, so not `{name}`")));
        }
        let grid = match table.get("grid") {
            None => Vec::new(),
            Some(Value::Table(grid)) => axes(grid).map_err(|error| error.under("grid"))?,
            Some(other) => return Err(SpecError::value("grid", format!("must be a table, not {other}"))),
        };
        let mut arms = blocks(table, "arm", Arm::parse)?;
        if !table.contains_key("arm") {
            arms.push(Arm::default());
        }
        let columns = registries.columns();
        let expectations = blocks(table, "expect", |_, block| {
            let expectation = Expectation::parse(block)?;
            // A typo must be refused before anything starts, in every arm.
            columns.unit("metric", &expectation.metric)?;
            Ok(expectation)
        })?;
        let mut plots = blocks(table, "plot", |index, block| Plot::parse(block, index, &columns))?;
        crate::claim::plot::tell_apart(&mut plots);
        let reduced = Scope::at(table, "reduced")?;
        let run = table.iter().filter(|(key, _)| RUN_KEYS.contains(&key.as_str())).map(|(k, v)| (k.clone(), v.clone()));
        Ok(Experiment {
            name,
            id: text("id")?,
            claim: text("claim")?,
            reference: text("reference")?,
            takes: text("takes")?,
            reduced,
            as_run: source.clone(),
            notes: Vec::new(),
            source,
            origin: origin.into(),
            base: base.into(),
            run: run.collect(),
            arms,
            grid,
            expectations,
            plots,
        })
    }
}

/// The blocks of a `[[key]]`, each read with its index.
fn blocks<T>(
    table: &Table,
    key: &str,
    read: impl Fn(usize, &Value) -> std::result::Result<T, SpecError>,
) -> std::result::Result<Vec<T>, SpecError> {
    match table.get(key) {
        None => Ok(Vec::new()),
        Some(Value::Array(list)) => list
            .iter()
            .enumerate()
            .map(|(index, block)| read(index, block).map_err(|error| error.under(&format!("{key}.{index}"))))
            .collect(),
        Some(other) => Err(SpecError::value(key, format!("is written [[{key}]], not {other}"))),
    }
}

/// Adds file and line to a complaint about a key, or says that the command line set it.
pub fn locate(error: SpecError, source: &str, origin: &str, overrides: &[(String, Value)]) -> Error {
    let path = in_grid(&error.path);
    if let Some((key, _)) = overrides.iter().find(|(key, _)| path == key || path.starts_with(&format!("{key}."))) {
        return Error::input(format!("command line ({key}): {error}"));
    }
    match position(source, &error.path) {
        Some((line, column)) => Error::input(format!("{origin}:{line}:{column}: {error}")),
        None => Error::input(format!("{origin}: {error}")),
    }
}

/// The key of an axis, whoever's grid it stands in; other paths as they are.
fn in_grid(path: &str) -> &str {
    let of_arm = path.strip_prefix("arm.").and_then(|rest| rest.split_once('.')).map_or(path, |(_, rest)| rest);
    of_arm.strip_prefix("grid.").unwrap_or(path)
}
