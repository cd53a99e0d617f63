//! What `run` and `check` may change about an experiment.

use std::path::PathBuf;

use clap::Args;

use crate::machine::devices::Dtype;
use crate::train::engine::Engine;

/// What `run` and `check` may change about an experiment.
#[derive(Clone, Debug, Default, Args)]
pub struct Options {
    /// Override a key before arms and grids, as in --set solver.lr=0.1
    #[arg(long, value_name = "A.B=V")]
    pub set: Vec<String>,
    /// Add an axis to the grid, as in --grid seed=0,1,2
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

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n > 0).ok_or_else(|| "write a number from 1 on".to_string())
}

/// `I/N` with 1 <= I <= N.
fn shard(text: &str) -> Result<(usize, usize), String> {
    let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    parts.filter(|&(i, n)| 1 <= i && i <= n).ok_or_else(|| "write I/N with I from 1 to N, as in 1/4".to_string())
}
