//! Tables: what a study says, in words and numbers.

pub(crate) mod checks;
pub(crate) mod runs;
pub(crate) mod seeds;
pub(crate) mod terminal;
mod words;
