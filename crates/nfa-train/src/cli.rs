//! The shape of the command line, without logic. Its doc comments are the help texts.

#![allow(rustdoc::broken_intra_doc_links)] // brackets are TOML there

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::device::Dtype;

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
    /// Where results go
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,
    /// Start beside the old results instead of continuing them
    #[arg(long)]
    pub fresh: bool,
    /// Print the plan and stop
    #[arg(long)]
    pub dry_run: bool,
}

/// How results and messages are presented.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Voice {
    /// One JSON object per line on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// Results and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// When to colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
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
