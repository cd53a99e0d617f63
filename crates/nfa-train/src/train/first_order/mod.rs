//! Solvers that take one gradient a step.

pub mod adam;
pub mod adamw;
pub mod entry;
pub mod gd;
pub mod momentum;
pub mod muon;
pub mod nesterov;
pub mod rmsprop;
pub mod rule;
pub mod sgd;
#[cfg(feature = "burn")]
pub(crate) mod slices;
#[cfg(feature = "burn")]
pub mod solver;
#[cfg(feature = "burn")]
pub mod tensors;
