//! Figures: what a study shows, drawn.

mod choice;
pub(crate) mod curve;
pub(crate) mod fan;
pub(crate) mod map;
pub(crate) mod misfit;
pub(crate) mod plots;
mod profile;
pub(crate) mod selection;
pub(crate) mod strip;
mod thinning;
pub(crate) mod view;
