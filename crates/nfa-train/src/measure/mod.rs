//! `measure`: laws of networks trained elsewhere, from weights, captures or plain matrices.

pub mod args;
pub mod capture;
pub mod chosen;
pub mod columns;
pub mod command;
pub mod compare;
mod depth;
mod doubts;
pub mod fan;
pub mod json;
pub mod matrices;
pub mod measurement;
pub mod network;
#[cfg(feature = "burn")]
mod on_burn;
#[cfg(not(feature = "burn"))]
mod on_host;
pub mod options;
pub mod pairs;
pub mod recorded;
pub mod samples;
pub mod settings;
pub mod summary;
pub mod table;
pub mod trained;

pub use measurement::Measurement;
pub use recorded::Recorded;
