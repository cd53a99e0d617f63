//! The figures that an experiment asks for in `[[plot]]` blocks.

use crate::claim::plot::{Drawing, Plot};
use crate::report::draw::figure::Figure;
use crate::report::figures::selection::{Nothing, Selection};
use crate::report::figures::{curve, map, profile};
use crate::study::Study;

/// A plot as a figure, or why there is nothing to draw.
pub(crate) fn figure(plot: &Plot, study: &Study) -> Result<Figure, Nothing> {
    let selection = Selection::of(plot, study)?;
    match &plot.drawing {
        Drawing::Curve(curve) => curve::figure(plot, curve, selection),
        Drawing::Profile(profile) => profile::figure(plot, profile, selection),
        Drawing::Map(map) => map::figure(plot, map, selection, study.law()),
    }
}
