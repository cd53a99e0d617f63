//! How results and messages are presented.

use clap::{Args, ValueEnum};

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
