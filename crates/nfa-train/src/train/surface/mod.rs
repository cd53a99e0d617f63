//! Solvers that measure a step as a whole, on the penalised objective as a function of one vector.

#[cfg(feature = "burn")]
mod dormand_prince;
pub mod flow;
pub mod lbfgs;
#[cfg(feature = "burn")]
mod limited_memory;
#[cfg(feature = "burn")]
mod line_search;
#[cfg(feature = "burn")]
pub(in crate::train) mod penalised;
