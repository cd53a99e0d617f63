//! The arguments of `measure`; their doc comments are its help.

#![allow(rustdoc::broken_intra_doc_links)] // brackets are the command line's there

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};

/// Arguments of `measure`.
#[derive(Clone, Debug, Default, Args)]
pub struct MeasureArgs {
    /// Weights (safetensors, .npz, model.safetensors.index.json or its folder); several are a trajectory
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
    #[arg(long, value_name = "L", help_heading = "Network")]
    pub depth: Option<usize>,
    /// Rows to measure on: .npy, .npz:key, .csv[.gz], IDX[.gz], .safetensors:key
    #[arg(long, value_name = "FILE", help_heading = "Rows")]
    pub inputs: Option<String>,
    /// Targets of the rows: integers are classes
    #[arg(long, value_name = "FILE", help_heading = "Rows")]
    pub targets: Option<String>,
    /// Loss to state: mse, half_mse, cross_entropy
    #[arg(long, value_name = "KIND", help_heading = "Rows")]
    pub loss: Option<String>,
    /// Lambda of the penalty (lambda/2)|W|^2 that was trained with, coupled: the FACT laws, of the rows trained on
    #[arg(long, value_name = "LAMBDA", help_heading = "Rows")]
    pub weight_decay: Option<f64>,
    /// Laws to measure, or all; else the usual ones (`nfa-train list laws`)
    #[arg(long, value_name = "all|NAME,...", value_delimiter = ',')]
    pub law: Vec<String>,
    /// With --targets: exit with 1 where the loss says that another network was read
    #[arg(long, help_heading = "Rows")]
    pub strict: bool,
    /// With --nfm: directions of --agop that are no rounding, where its numbers don't say it
    #[arg(long, value_name = "R", help_heading = "Network")]
    pub rank: Option<usize>,
    /// Between layers, one or one per hidden layer: linear, relu, leaky_relu[:slope], tanh, gelu, silu, sigmoid,
    /// softplus, quadratic
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', help_heading = "Network")]
    pub activation: Vec<String>,
    /// The weights' names in the file, in order
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', help_heading = "Network")]
    pub layers: Vec<String>,
    /// Tensors whose names begin so, of a file with several networks
    #[arg(long, value_name = "PREFIX", help_heading = "Network")]
    pub prefix: Option<String>,
    /// Balance of the weights that the loss sees through their product (attention heads, LoRA, linear or ReLU
    /// neighbours), from weights alone
    #[arg(long, value_name = "auto", help_heading = "Network")]
    pub pairs: Option<Pairs>,
    /// With --pairs: attention heads of each block, where no config.json beside the weights says so; with --capture
    /// hide: no rows for parts of a map
    #[arg(long, value_name = "N|hide", help_heading = "Network")]
    pub heads: Option<HeadsArg>,
    /// Weights (or the capture) at initialisation, for the misfit there
    #[arg(long, value_name = "FILE", help_heading = "Network")]
    pub init: Option<PathBuf>,
    /// Two files of --weights or --capture side by side
    #[arg(long, help_heading = "Output")]
    pub compare: bool,
    /// More exponents for the details
    #[arg(long, value_name = "A,...", value_delimiter = ',')]
    pub alpha: Vec<f64>,
    /// Layers to measure: numbers from 0, names, or patterns such as *.up
    #[arg(long, value_name = "all|0,NAME,...", default_value = "all")]
    pub layer: String,
    /// What each column of --inputs contributes: diag(AGOP), with the names of a CSV's header
    #[arg(long, help_heading = "Rows")]
    pub columns: bool,
    /// With --columns: the same network trained on shuffled targets, for what chance gives
    #[arg(long, value_name = "FILE", num_args = 1.., help_heading = "Rows")]
    pub shuffled: Vec<PathBuf>,
    /// Multiply the inputs
    #[arg(long, value_name = "F", default_value_t = 1.0, help_heading = "Rows")]
    pub scale: f64,
    /// Subtract each output's mean gradient
    #[arg(long)]
    pub centered: bool,
    /// exact, or sketch:K random combinations of the outputs
    #[arg(long, value_name = "exact|sketch:K", default_value = "exact")]
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
    /// Write exponent and misfit over depth
    #[arg(long, value_name = "FILE.svg", help_heading = "Output")]
    pub plot_depth: Option<PathBuf>,
    /// With --columns: write the bars
    #[arg(long, value_name = "FILE.svg", help_heading = "Output")]
    pub plot_columns: Option<PathBuf>,
}

/// What is said of attention heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadsArg {
    /// So many in each block.
    Count(usize),
    /// No rows of their own.
    Hide,
}

impl FromStr for HeadsArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "hide" => Ok(HeadsArg::Hide),
            count => count.parse().map(HeadsArg::Count).map_err(|_| "a number of heads, or hide".into()),
        }
    }
}

/// How `--pairs` finds pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pairs {
    /// By the names of families of models: gpt2, llama, neox, falcon, phi, bert, vit, opt, t5, torch ...; peft, kohya
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
