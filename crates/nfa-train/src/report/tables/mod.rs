//! Tables: what a study says, in words and numbers.

pub(crate) mod checks;
pub(crate) mod runs;
pub(crate) mod seeds;
