//! From a network to a row: when it is measured, and everything that was asked for.

#[cfg(feature = "burn")]
pub mod average;
#[cfg(feature = "burn")]
pub mod columns;
pub mod layers;
#[cfg(feature = "burn")]
pub mod loss;
pub mod plan;
#[cfg(feature = "burn")]
pub mod probe;
pub mod schedule;
#[cfg(feature = "burn")]
pub mod scores;
