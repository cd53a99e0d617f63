//! COSINE.

use crate::minimise::problems::problem::{Problem, at_least};
use crate::minimise::problems::terms::Terms;

/// Cosines of neighbours; it has valleys that never end (CUTEst COSINE).
pub const COSINE: Problem = Problem {
    name: "cosine",
    doc: "Cosines of neighbours; it has valleys that never end (CUTEst COSINE).",
    size: |r| at_least(r, 2),
    start: |r| vec![1.0; r],
    minimum: |r| Some(1.0 - r as f64),
    terms,
};

fn terms(g: &mut Terms<'_>) {
    for i in 0..g.count() - 1 {
        g.add([i, i + 1], |[a, b]| (a.square() - b * 0.5).cos());
    }
}
