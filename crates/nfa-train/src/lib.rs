//! From one TOML file to records, checked claims and a report.
//!
//! ```text
//! experiment.toml -> Experiment -> plan -> runs -> records -> Study -> check, report
//! ```
//!
//! The plan is a pure function of the file, a run of its resolved configuration and device, a
//! record is deterministic bytes (wall clock lives apart), and a report is a pure function of
//! records. A user's crate adds its own kinds and keeps everything else:
//!
//! ```no_run
//! use nfa_train::App;
//! fn main() -> std::process::ExitCode {
//!     App::standard().laws(|laws| laws.with(nfa_metrics::laws::nfa::LAW)).main() // your own LAW here
//! }
//! ```
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | [`experiment`], [`resolved`], [`plan`] | a file; one run's configuration; all runs |
//! | [`data`], [`loss`], [`solver`] | datasets, losses, solvers: one file and one line each |
//! | [`start`], [`objective`] | starting weights in a file; the loss that solvers see |
//! | [`run`], [`probe`], [`checkpoint`], [`outcome`] | the loop, what it measures, saves, ends in |
//! | [`record`], [`folder`], [`study`], [`expect`], [`plot`], [`report`] | rows; a folder read back; claims; pictures |
//! | [`formula`], [`scope`] | what claims and pictures are written in; which runs they speak of |
//! | [`store`] | the only door to the file system |
//! | [`measure`], [`mod@array`] | networks trained elsewhere; the files that arrays come in |
//! | [`device`], [`mod@bench`] | from a name to a Burn device; devices, paths and engines side by side |
//! | [`app`], [`cli`], [`explain`] | the command line |

pub mod allocator;
pub mod app;
pub mod array;
pub mod bench;
pub mod checkpoint;
pub mod cli;
pub mod data;
pub mod device;
pub mod error;
pub mod expect;
pub mod experiment;
pub mod explain;
pub mod folder;
pub mod forecast;
pub mod formula;
pub mod host;
pub mod jobs;
pub mod loss;
pub mod manifest;
pub mod measure;
pub mod objective;
pub mod outcome;
pub mod plan;
pub mod plot;
pub mod probe;
mod progress;
pub mod record;
pub mod registries;
pub mod report;
pub mod resolved;
pub mod run;
pub mod schedule;
pub mod scope;
pub mod seeds;
pub mod solver;
pub mod start;
pub mod store;
pub mod study;
pub mod toml_text;

pub use app::App;
pub use error::{Error, Result};
pub use record::Record;
pub use study::Study;
