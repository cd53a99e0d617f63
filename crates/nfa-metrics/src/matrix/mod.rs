//! Symmetric matrices on the host, in the form that gives the best spectrum.

pub mod accumulator;
pub mod factor;
pub mod psd;
#[cfg(feature = "burn")]
pub(crate) mod sandwich;
pub(crate) mod symmetric;
pub(crate) mod tiles;
pub mod tolerance;
