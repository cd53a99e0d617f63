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
pub(crate) mod slices;
pub mod solver;
pub mod tensors;
