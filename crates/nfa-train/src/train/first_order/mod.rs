//! Solvers that take one gradient a step.

pub mod adam;
pub mod adamw;
pub mod gd;
pub mod momentum;
pub mod muon;
pub mod nesterov;
pub mod rmsprop;
pub mod rule;
pub mod sgd;
pub mod tensors;
