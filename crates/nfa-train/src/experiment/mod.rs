//! From a file to a plan: what is claimed, how it is run, every run with every default spelled out.

pub mod arm;
pub mod built_in;
mod command_line;
pub mod config;
pub mod file;
pub mod plan;

pub use file::Experiment;
