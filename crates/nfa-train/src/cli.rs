//! The shape of the command line, without logic. Its doc comments are the help texts.

#![allow(rustdoc::broken_intra_doc_links)] // brackets are TOML there

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::bench::options::Bench;
use crate::device::Dtype;
use crate::resolved::Engine;

/// Does a network's first layer follow its gradients, with which exponent, and how do we know?
///
/// Without a command, runs the flagship experiment: deep linear networks of depth 2 to 5 on a
/// synthetic teacher and on handwritten digits, balanced, unbalanced, and with weight decay.
#[derive(Debug, Parser)]
#[command(name = "nfa-train", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to talk.
    #[command(flatten)]
    pub voice: Voice,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run an experiment; finished runs are skipped, partial ones continued
    Run(RunArgs),
    /// Run experiments, then hold the records against their [[expect]] blocks
    Check(CheckArgs),
    /// Measure a network trained elsewhere: weights, a capture, or matrices
    Measure(Box<MeasureArgs>),
    /// Time devices, paths and engines side by side, and check their arithmetic
    Bench {
        /// What is measured
        #[command(subcommand)]
        what: Box<Bench>,
    },
    /// Rebuild tables, plots and report.html from records alone
    Report {
        /// Experiment folders
        #[arg(required = true, value_name = "DIR")]
        folders: Vec<PathBuf>,
    },
    /// List the runs of an experiment's folder
    Ls {
        /// An experiment's folder, or a folder of them
        #[arg(value_name = "DIR", default_value = "out")]
        folder: PathBuf,
    },
    /// Say what a kind of model, dataset, loss, solver or law takes
    Explain {
        /// Its name, as in `list`
        kind: String,
    },
    /// Print a first experiment file, commented, that runs as printed
    Init {
        /// Model
        #[arg(long, value_name = "K", default_value = "mlp")]
        model: String,
        /// Solver
        #[arg(long, value_name = "K", default_value = "gd")]
        solver: String,
        /// Dataset
        #[arg(long, value_name = "K", default_value = "linear_teacher")]
        data: String,
    },
    /// Print completions for a shell
    Completions {
        /// bash, zsh, fish, ...
        shell: clap_complete::Shell,
    },
    /// List what files and options may name
    List {
        /// Of what
        what: Listed,
    },
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// An experiment file, or the name of a built-in experiment
    #[arg(value_name = "SPEC.toml")]
    pub spec: PathBuf,
    /// What to change
    #[command(flatten)]
    pub options: Options,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Experiment files, or names of built-in experiments
    #[arg(required = true, value_name = "SPEC.toml")]
    pub specs: Vec<PathBuf>,
    /// Only experiments with this claim id
    #[arg(long, value_name = "ID")]
    pub claim: Option<String>,
    /// What to change
    #[command(flatten)]
    pub options: Options,
}

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

/// Arguments of `measure`.
#[derive(Clone, Debug, Default, Args)]
pub struct MeasureArgs {
    /// Weights of an MLP (safetensors, PyTorch's layout); several files are a trajectory
    #[arg(long, value_name = "FILE", num_args = 1.., group = "source", help_heading = "Network")]
    pub weights: Vec<PathBuf>,
    /// A capture of any network (nfa.capture/1, made by python/nfa_capture.py); several are a trajectory
    #[arg(long, value_name = "FILE", num_args = 1.., group = "source", help_heading = "Network")]
    pub capture: Vec<PathBuf>,
    /// A layer's W^T W computed elsewhere
    #[arg(long, value_name = "FILE", requires = "agop", group = "source", help_heading = "Network")]
    pub nfm: Option<String>,
    /// The AGOP at the same layer's input
    #[arg(long, value_name = "FILE", requires = "nfm", help_heading = "Network")]
    pub agop: Option<String>,
    /// With --nfm: weight matrices from there to the outputs; gives the predicted exponent
    #[arg(long, value_name = "L", requires = "nfm", help_heading = "Network")]
    pub depth: Option<usize>,
    /// Rows to measure on: .npy, .npz:key, .csv[.gz], IDX[.gz], .safetensors:key
    #[arg(long, value_name = "FILE", requires = "weights", help_heading = "Rows")]
    pub inputs: Option<String>,
    /// Targets of the rows: integers are classes
    #[arg(long, value_name = "FILE", requires = "inputs", help_heading = "Rows")]
    pub targets: Option<String>,
    /// Loss to state: mse, half_mse, cross_entropy
    #[arg(long, value_name = "KIND", requires = "targets", help_heading = "Rows")]
    pub loss: Option<String>,
    /// Between layers, one or one per hidden layer: linear, relu, leaky_relu[:slope], tanh, gelu, silu, sigmoid,
    /// softplus, quadratic
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', requires = "weights", help_heading = "Network")]
    pub activation: Vec<String>,
    /// The weights' names in the file, in order
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', requires = "weights", help_heading = "Network")]
    pub layers: Vec<String>,
    /// Balance of the weights that the loss sees through their product (attention heads, LoRA, linear or ReLU
    /// neighbours), from weights alone
    #[arg(long, value_name = "auto", requires = "weights", conflicts_with = "inputs", help_heading = "Network")]
    pub pairs: Option<Pairs>,
    /// With --pairs: attention heads of each block, where no config.json beside the weights says so
    #[arg(long, value_name = "N", requires = "pairs", help_heading = "Network")]
    pub heads: Option<usize>,
    /// Weights (or the capture) at initialisation, for the misfit there
    #[arg(long, value_name = "FILE", requires = "source", help_heading = "Network")]
    pub init: Option<PathBuf>,
    /// Two files of --weights or --capture side by side
    #[arg(long, requires = "source", help_heading = "Output")]
    pub compare: bool,
    /// More exponents for the details
    #[arg(long, value_name = "A,...", value_delimiter = ',')]
    pub alpha: Vec<f64>,
    /// Layers to measure, from 0
    #[arg(long, value_name = "all|0,1", default_value = "all")]
    pub layer: String,
    /// Multiply the inputs
    #[arg(long, value_name = "F", default_value_t = 1.0, help_heading = "Rows")]
    pub scale: f64,
    /// Subtract each output's mean gradient
    #[arg(long, requires = "weights")]
    pub centered: bool,
    /// exact, or sketch:K random combinations of the outputs
    #[arg(long, value_name = "exact|sketch:K", default_value = "exact", requires = "weights")]
    pub estimator: String,
    /// Rows per batch
    #[arg(long, value_name = "ROWS", help_heading = "Rows")]
    pub batch: Option<usize>,
    /// Where to compute
    #[arg(long, value_name = "D", default_value = "flex")]
    pub device: String,
    /// What to evaluate the network in
    #[arg(long, default_value = "f64")]
    pub dtype: MeasureDtype,
    /// A threshold of the verdict, as in --set verdict.holds=0.1
    #[arg(long, value_name = "verdict.KEY=V")]
    pub set: Vec<String>,
    /// Write NFM and AGOP of every layer (safetensors, f64)
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub save: Option<PathBuf>,
    /// Write the fan
    #[arg(long, value_name = "FILE.svg", help_heading = "Output")]
    pub plot: Option<PathBuf>,
}

/// How `--pairs` finds pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pairs {
    /// By the names of gpt2, llama, bert, vit, opt, t5, torch's attention and peft's adapters
    Auto,
}

/// What `measure` evaluates in; `f64` unless told otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum MeasureDtype {
    /// Single precision.
    F32,
    /// Double precision.
    #[default]
    F64,
}

/// The name that this program was started under: a user's own crate has its own.
pub fn program() -> String {
    let path = std::env::args_os().next().map(PathBuf::from);
    let name = path.as_deref().and_then(Path::file_stem).and_then(std::ffi::OsStr::to_str);
    name.unwrap_or("nfa-train").to_string()
}

/// How results and messages are presented.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Voice {
    /// One JSON object per line on stdout
    #[arg(long, global = true, help_heading = "Presentation")]
    pub json: bool,
    /// Results and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Presentation")]
    pub quiet: bool,
    /// Say more
    #[arg(short, long, global = true, help_heading = "Presentation")]
    pub verbose: bool,
    /// When to colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = "Presentation")]
    pub color: Color,
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Also into a pipe
    Always,
    /// Not at all
    Never,
}

/// What `list` lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Listed {
    /// [model] kinds
    Models,
    /// [solver] kinds
    Solvers,
    /// [data] kinds
    Data,
    /// [loss] kinds
    Losses,
    /// Laws
    Laws,
    /// Columns of records
    Metrics,
    /// Devices, compiled in or not
    Devices,
    /// Built-in experiments
    Experiments,
}
