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
//! | [`cli`], [`app`] | the command line; the builder that a user's crate extends |
//! | `testing` | the conformance suites for one's own kinds (feature `testing`) |
//! | [`measure`] | networks trained elsewhere |
//! | [`run`] | a plan's line -> a folder |
//! | [`report`] | a study -> tables, figures, a page |
//! | [`study`] | folders -> what they say |
//! | [`experiment`] | a file -> a plan |
//! | [`claim`] | what is expected and drawn |
//! | [`registries`] | everything that files may name |
//! | [`observe`] | a network -> a row |
//! | [`mod@bench`] | devices, paths and engines side by side |
//! | [`train`] | rows and a network -> steps |
//! | [`minimise`] | a function of one's own -> its minimum, by cubic regularisation |
//! | [`data`] | a table -> rows |
//! | [`weights`] | files of weights -> a network's layers |
//! | [`machine`], [`mod@array`] | disk, devices, threads; files of numbers -> arrays |
//! | [`keys`], [`error`] | dotted keys of a run; the one error |
//! | [`record`] | the bytes that programs read |
//!
//! Imports go down this table only; a test holds that.

pub mod app;
pub mod array;
#[cfg(feature = "burn")]
pub mod bench;
pub mod claim;
pub mod cli;
pub mod data;
pub mod error;
pub mod experiment;
pub mod keys;
pub mod machine;
pub mod measure;
pub mod minimise;
pub mod observe;
pub mod record;
pub mod registries;
pub mod report;
#[cfg(feature = "burn")]
pub mod run;
pub mod study;
#[cfg(all(feature = "burn", any(test, feature = "testing")))]
pub mod testing;
pub mod train;
pub mod weights;

pub use app::App;
pub use error::{Error, Result};
pub use record::Record;
pub use study::Study;
