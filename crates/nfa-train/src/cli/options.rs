//! What `run` and `check` may change about an experiment.

use std::path::PathBuf;

use clap::Args;
use toml::Value;

use crate::error::{Error, Result};
use crate::experiment::Experiment;
use crate::experiment::arm::Grid;
use crate::experiment::plan::PlannedRun;
use crate::keys::parse_value;
use crate::machine::devices::Dtype;
use crate::machine::threads;
use crate::train::engine::Engine;

/// What `run` and `check` may change about an experiment.
#[derive(Clone, Debug, Default, Args)]
pub struct Options {
    /// Override a key before arms and grids, as in --set solver.lr=0.1; of an axis, its list
    #[arg(long, value_name = "A.B=V")]
    pub set: Vec<String>,
    /// Vary a key, as in --grid seed=0,1,2; replaces the file's axis of it, and every arm's
    #[arg(long, value_name = "A.B=V1,V2")]
    pub grid: Vec<String>,
    /// Seed of all random streams
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Where to compute: flex, ndarray, wgpu[:i], vulkan[:i], cuda[:i]
    #[arg(long, value_name = "D")]
    pub device: Option<String>,
    /// What to train in (metrics are f64 on the host)
    #[arg(long)]
    pub dtype: Option<Dtype>,
    /// What gradients come from: the host engine where it can (auto), or Burn's autodiff
    #[arg(long)]
    pub engine: Option<Engine>,
    /// Where results go
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,
    /// Runs at a time, one core each; results are the same for any number
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = at_least_one)]
    pub jobs: usize,
    /// Only the I-th of N equal parts of the plan, as in --shard 1/4; `report` shows all that share a folder
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub shard: Option<(usize, usize)>,
    /// Only the runs that the file's [reduced] names, for a quick look; all where there is no such table
    #[arg(long)]
    pub reduced: bool,
    /// Start beside the old results instead of continuing them
    #[arg(long)]
    pub fresh: bool,
    /// Print the plan and stop
    #[arg(long)]
    pub dry_run: bool,
}

impl Options {
    /// `--set` and its kin as (dotted key, value), and `--grid` as axes.
    ///
    /// # Errors
    /// What is no key and value.
    pub fn overrides(&self) -> Result<(Vec<(String, Value)>, Grid)> {
        let mut set = Vec::new();
        for text in &self.set {
            let (key, value) = text
                .split_once('=')
                .filter(|(key, _)| !key.is_empty())
                .ok_or_else(|| Error::input(format!("--set {text}: write key=value, as in --set solver.lr=0.1")))?;
            set.push((key.trim().to_string(), parse_value(value)));
        }
        if let Some(seed) = self.seed {
            let seed = i64::try_from(seed).map_err(|_| Error::input(format!("--seed {seed}: at most {}", i64::MAX)))?;
            set.push(("seed".into(), Value::Integer(seed)));
        }
        let device = self.device.as_deref().map(|device| ("device", device));
        let dtype = self.dtype.map(|dtype| ("dtype", dtype.name()));
        let engine = self.engine.map(|engine| ("engine", engine.name()));
        let words = [device, dtype, engine].into_iter().flatten();
        set.extend(words.map(|(key, word)| (key.to_string(), Value::String(word.into()))));
        let mut grid = Grid::new();
        for text in &self.grid {
            let axis = text.split_once('=').filter(|(key, values)| !key.is_empty() && !values.is_empty());
            let (key, values) =
                axis.ok_or_else(|| Error::input(format!("--grid {text}: write key=v1,v2, as in --grid seed=0,1,2")))?;
            // As a TOML list where it is one, else the words between the commas.
            let values = match parse_value(&format!("[{values}]")) {
                Value::Array(list) => list,
                _ => values.split(',').map(parse_value).collect(),
            };
            grid.push((key.trim().to_string(), values));
        }
        Ok((set, grid))
    }
}

/// The runs that the command line asks for: the reduced ones, or a shard, or a shard of those.
///
/// # Errors
/// A `[reduced]` that names none.
pub fn chosen<'a>(experiment: &Experiment, plan: &'a [PlannedRun], options: &Options) -> Result<Vec<&'a PlannedRun>> {
    let mut runs: Vec<&PlannedRun> = plan.iter().collect();
    if options.reduced {
        // A file that names none is short as it is.
        let scope = experiment.reduced.clone().unwrap_or_default();
        runs.retain(|run| scope.holds(run.arm(), &run.config.table()));
        if runs.is_empty() {
            return Err(Error::input(format!("{}: [reduced] names no run of the plan", experiment.origin)));
        }
    }
    Ok(match options.shard {
        Some((index, of)) => threads::shard(runs.len(), index, of).map(|i| runs[i]).collect(),
        None => runs,
    })
}

fn at_least_one(text: &str) -> Result<usize> {
    text.parse().ok().filter(|&n| n > 0).ok_or_else(|| Error::input("write a number from 1 on"))
}

/// `I/N` with 1 <= I <= N.
fn shard(text: &str) -> Result<(usize, usize)> {
    let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    parts.filter(|&(i, n)| 1 <= i && i <= n).ok_or_else(|| Error::input("write I/N with I from 1 to N, as in 1/4"))
}
