//! SINQUAD.

use crate::minimise::problems::problem::{Problem, at_least, zero};
use crate::minimise::problems::terms::Terms;

/// Sines and squares that meet in the first and the last variable (CUTEst SINQUAD2).
pub const SINQUAD: Problem = Problem {
    name: "sinquad",
    doc: "Sines and squares that meet in the first and the last variable (CUTEst SINQUAD2).",
    size: |r| at_least(r, 3),
    start: |r| vec![0.1; r],
    minimum: zero,
    terms,
};

fn terms(g: &mut Terms<'_>) {
    let last = g.count() - 1;
    g.add([0], |[a]| (a - 1.0).powi(4));
    g.add([0, last], |[a, z]| (z.square() - a.square()).square());
    for i in 1..last {
        g.add([i, last, 0], |[y, z, a]| ((y - z).sin() - a.square() + y.square()).square());
    }
}
