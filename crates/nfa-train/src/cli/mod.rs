//! The shape of the command line. Its doc comments are the help texts; a file each has what a command does.

#![allow(rustdoc::broken_intra_doc_links)] // brackets are TOML there

use std::path::PathBuf;

#[cfg(feature = "burn")]
use clap::Args;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

#[cfg(feature = "burn")]
use crate::bench::args::BenchArgs;
#[cfg(feature = "burn")]
pub use crate::cli::options::Options;
pub use crate::cli::voice::{Color, Voice};
use crate::measure::args::MeasureArgs;

#[cfg(feature = "burn")]
pub(crate) mod dry_run;
pub(crate) mod explain;
#[cfg(feature = "burn")]
pub(crate) mod init;
pub(crate) mod list;
pub(crate) mod ls;
#[cfg(feature = "burn")]
pub mod options;
pub(crate) mod report;
#[cfg(feature = "burn")]
pub(crate) mod run;
pub(crate) mod sections;
pub mod session;
pub mod voice;

/// Does a network's first layer follow its gradients, with which exponent, and how do we know?
///
/// Without a command, runs the flagship experiment: deep linear networks of depth 2 to 5 on a
/// synthetic teacher and on handwritten digits, balanced, unbalanced, and with weight decay.
#[derive(Debug, Parser)]
#[command(name = "nfa-train", version, max_term_width = 100)]
#[cfg_attr(not(feature = "burn"), command(after_help = WITHOUT_BURN))]
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
    #[cfg(feature = "burn")]
    /// Run an experiment; finished runs are skipped, partial ones continued
    Run(RunArgs),
    #[cfg(feature = "burn")]
    /// Run experiments, then hold the records against their [[expect]] blocks
    Check(CheckArgs),
    /// What a build with Burn has
    #[cfg(not(feature = "burn"))]
    #[command(aliases = ["check", "init", "bench"], hide = true)]
    Run {
        /// Whatever it would take
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        _rest: Vec<String>,
    },
    /// Measure a network trained elsewhere: weights, a capture, or matrices
    #[command(after_help = crate::measure::options::help())]
    Measure(Box<MeasureArgs>),
    #[cfg(feature = "burn")]
    /// Time devices, paths and engines side by side, and check their arithmetic
    Bench {
        /// What is measured
        #[command(subcommand)]
        what: Box<BenchArgs>,
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
    #[cfg(feature = "burn")]
    /// Print a first experiment file, commented, that runs as printed
    Init(InitArgs),
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

#[cfg(feature = "burn")]
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

#[cfg(feature = "burn")]
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

#[cfg(feature = "burn")]
/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Model
    #[arg(long, value_name = "K", default_value = "mlp")]
    pub model: String,
    /// Solver
    #[arg(long, value_name = "K", default_value = "gd")]
    pub solver: String,
    /// Dataset
    #[arg(long, value_name = "K", default_value = "linear_teacher")]
    pub data: String,
}

/// What a build without Burn says where it would train.
#[cfg(not(feature = "burn"))]
pub(crate) const WITHOUT_BURN: &str = "this build has no Burn, so it trains nothing: it has measure, report, ls, list and \
    explain; build it with default features for run, check, init and bench";

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

/// `completions`: a script for a shell on stdout.
pub fn completions(shell: clap_complete::Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), crate::machine::build::program(), &mut script);
    voice::out(String::from_utf8_lossy(&script).trim_end());
}
