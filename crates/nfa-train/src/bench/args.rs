//! `bench` on the command line, without logic. Its doc comments are the help texts.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::machine::devices::Dtype;

/// What is measured.
#[derive(Clone, Debug, Subcommand)]
pub enum BenchArgs {
    /// Time the average gradient outer product of an MLP, by every path
    ///
    /// Problems: A 784-512-512-10 relu, 4096 rows (without options, this one); B 3072-1024-1024-1024-1024-10 relu,
    /// 2048 rows; C 10-64-64-64-1 tanh, 100000 rows.
    Agop(AgopArgs),
    /// Count training steps per second, by every engine
    ///
    /// Every step reads all rows. Problems, relu without biases: S 10-64-1, 500 rows (without options, this one);
    /// M 20-256-256-1, 1000 rows; L 50-512-512-512-512-1, 1000 rows.
    Train(TrainArgs),
    /// Time eigendecompositions, as probes do them
    ///
    /// Symmetric matrices in f64 on the host, whatever the device.
    Spectra(SpectraArgs),
    /// Time the AGOPs at all sites of networks that are no chains: residual, attention, convolutions
    ///
    /// And a gradient step through convolutions, step8 and step28.
    Sites(SitesArgs),
    /// Find every operation's worst error in ulp, by dtype and device, forward and backward
    ///
    /// Every operation that this project uses, then networks, losses and AGOPs, against their definition on the host.
    Fidelity(FidelityArgs),
    /// Fit how the AGOP's time grows with n, d, c, L and h, beside its count of operations
    ///
    /// One of them grows while the others stay at n = 2048, d = 256, c = 8, L = 3, h = 256.
    Scale(ScaleArgs),
    /// All of these but `scale`, on the standard problems
    All(AllArgs),
}

impl BenchArgs {
    /// What all benches take.
    pub fn common(&self) -> &Common {
        match self {
            BenchArgs::Agop(args) => &args.common,
            BenchArgs::Train(args) => &args.common,
            BenchArgs::Spectra(args) => &args.common,
            BenchArgs::Sites(args) => &args.common,
            BenchArgs::Fidelity(args) => &args.common,
            BenchArgs::Scale(args) => &args.common,
            BenchArgs::All(args) => &args.common,
        }
    }
}

/// What all benches take.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// Where to compute, as in --device flex --device cuda:0
    #[arg(long, value_name = "D", default_value = "flex")]
    pub device: Vec<String>,
    /// In what, as in --dtype f32 --dtype f64 (default: f32; fidelity: both, where the device has both)
    #[arg(long)]
    pub dtype: Vec<Dtype>,
    /// Timed repeats after warm-up; each does its work often enough to take a while
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..))]
    pub repeats: u64,
    /// Write the machine and all rows, one JSON object per line
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub save: Option<PathBuf>,
    /// Print ratios to the rows of an earlier --save
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub compare: Option<PathBuf>,
}

/// A network and how many rows go through it.
#[derive(Clone, Debug, Args)]
pub struct ProblemArgs {
    /// A standard problem, as above
    #[arg(long, value_name = "NAME", conflicts_with = "widths", help_heading = "Problem")]
    pub problem: Option<String>,
    /// Inputs, hidden widths and outputs, as in 784,512,512,10
    #[arg(long, value_name = "N,...", value_delimiter = ',', help_heading = "Problem")]
    pub widths: Vec<usize>,
    /// Between layers (default: the problem's, else relu)
    #[arg(long, value_name = "NAME", help_heading = "Problem")]
    pub activation: Option<String>,
    /// Rows (default: the problem's, else 4096 for agop and 500 for train)
    #[arg(long, value_name = "N", allow_negative_numbers = true, help_heading = "Problem")]
    pub samples: Option<usize>,
    /// With a bias in every layer
    #[arg(long, help_heading = "Problem")]
    pub bias: bool,
    /// Seed of weights and rows
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 0, help_heading = "Problem")]
    pub seed: u64,
    /// Write weights, rows and results for other programs (safetensors)
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub save_problem: Option<PathBuf>,
    /// Set one thing up, say so, then time one repeat for every line on stdin
    #[arg(long, conflicts_with_all = ["save", "compare"], help_heading = "Output")]
    pub on_demand: bool,
}

/// Arguments of `bench agop`.
#[derive(Clone, Debug, Args)]
pub struct AgopArgs {
    /// Which network
    #[command(flatten)]
    pub problem: ProblemArgs,
    /// Which way: all (that the network allows), auto (the one that `auto` takes), or one by name
    #[arg(long, value_name = "all|auto|NAME", default_value = "all")]
    pub path: String,
    /// At the inputs of which layers, from 0; `all` in one sweep
    #[arg(long, value_name = "all|0,1", default_value = "0")]
    pub layers: String,
    /// Whether to compute the f64 reference of the errors
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub reference: Reference,
    /// How
    #[command(flatten)]
    pub common: Common,
}

/// When the f64 result is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Reference {
    /// Where that takes less than about 30 s
    #[default]
    Auto,
    /// However long it takes
    Always,
    /// Errors are left out
    Never,
}

/// Arguments of `bench train`.
#[derive(Clone, Debug, Args)]
pub struct TrainArgs {
    /// Which network
    #[command(flatten)]
    pub problem: ProblemArgs,
    /// A solver, as in `list solvers`
    #[arg(long, value_name = "KIND", default_value = "gd")]
    pub solver: String,
    /// A loss, as in `list losses`
    #[arg(long, value_name = "KIND", default_value = "mse")]
    pub loss: String,
    /// Which way: all, auto (the one that runs take), or one by name
    #[arg(long, value_name = "all|auto|NAME", default_value = "all")]
    pub engine: String,
    /// Learning rate
    #[arg(long, value_name = "F", allow_negative_numbers = true, default_value_t = 0.01)]
    pub lr: f64,
    /// lambda of the penalty
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    pub weight_decay: Option<f64>,
    /// A grid of so many runs that differ in their seed; the rate is that of all together
    #[arg(long, value_name = "R", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub runs: u64,
    /// With --runs: so many at a time, one core each (1: one after the other, each on all cores)
    #[arg(long, value_name = "J", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub jobs: u64,
    /// How
    #[command(flatten)]
    pub common: Common,
}

/// Arguments of `bench spectra`.
#[derive(Clone, Debug, Args)]
pub struct SpectraArgs {
    /// Sizes
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "784,3072")]
    pub dims: Vec<usize>,
    /// So many at a time, one core each, as a probe decomposes its layers; times are per spectrum
    #[arg(long, value_name = "J", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub jobs: u64,
    /// Set one size up, say so, then time one repeat for every line on stdin
    #[arg(long, conflicts_with_all = ["save", "compare"], help_heading = "Output")]
    pub on_demand: bool,
    /// How
    #[command(flatten)]
    pub common: Common,
}

/// Arguments of `bench sites`.
#[derive(Clone, Debug, Args)]
pub struct SitesArgs {
    /// Which network: residual, attention, convolution, step8, step28, or all
    #[arg(long, value_name = "NAME", default_value = "all")]
    pub network: String,
    /// Write parameters, rows and results for other programs (safetensors)
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub save_problem: Option<PathBuf>,
    /// Set one network up, say so, then time one repeat for every line on stdin
    #[arg(long, conflicts_with_all = ["save", "compare"], help_heading = "Output")]
    pub on_demand: bool,
    /// How
    #[command(flatten)]
    pub common: Common,
}

/// Arguments of `bench fidelity`.
#[derive(Clone, Debug, Args)]
pub struct FidelityArgs {
    /// Only operations whose name begins so
    #[arg(long, value_name = "NAME")]
    pub operation: Option<String>,
    /// How
    #[command(flatten)]
    pub common: Common,
}

/// Arguments of `bench scale`.
#[derive(Clone, Debug, Args)]
pub struct ScaleArgs {
    /// Which way: all, auto, or one by name
    #[arg(long, value_name = "all|auto|NAME", default_value = "auto")]
    pub path: String,
    /// Between layers
    #[arg(long, value_name = "NAME", default_value = "relu")]
    pub activation: String,
    /// Divide n, d and h, for a quick look
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=16))]
    pub shrink: u64,
    /// How
    #[command(flatten)]
    pub common: Common,
}

/// Arguments of `bench all`.
#[derive(Clone, Debug, Args)]
pub struct AllArgs {
    /// How
    #[command(flatten)]
    pub common: Common,
}
