//! From a network to a row: when it is measured, and everything that was asked for.

pub mod columns;
pub mod plan;
pub mod probe;
pub mod schedule;
pub mod scores;
