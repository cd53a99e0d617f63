//! ARWHEAD.

use crate::minimise::problems::problem::{Problem, at_least, zero};
use crate::minimise::problems::terms::Terms;

/// Quartics of each variable with the last (CUTEst ARWHEAD).
pub const ARWHEAD: Problem = Problem {
    name: "arwhead",
    doc: "Quartics of each variable with the last (CUTEst ARWHEAD).",
    size: |r| at_least(r, 2),
    start: |r| vec![1.0; r],
    minimum: zero,
    terms,
};

fn terms(g: &mut Terms<'_>) {
    let last = g.count() - 1;
    for i in 0..last {
        g.add([i, last], |[a, b]| (a.square() + b.square()).square() - a * 4.0 + 3.0);
    }
}
