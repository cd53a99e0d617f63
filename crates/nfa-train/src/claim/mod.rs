//! What an experiment file expects and draws.

pub mod at;
pub mod columns;
pub mod expectation;
pub mod formula;
pub mod plot;
pub mod scope;
pub mod variables;
