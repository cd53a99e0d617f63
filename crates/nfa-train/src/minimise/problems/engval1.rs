//! ENGVAL1.

use crate::minimise::problems::problem::{Problem, at_least, unknown};
use crate::minimise::problems::terms::Terms;

/// Quartics of neighbours (CUTEst ENGVAL1).
pub const ENGVAL1: Problem = Problem {
    name: "engval1",
    doc: "Quartics of neighbours (CUTEst ENGVAL1).",
    size: |r| at_least(r, 2),
    start: |r| vec![2.0; r],
    minimum: unknown,
    terms,
};

fn terms(g: &mut Terms<'_>) {
    for i in 0..g.count() - 1 {
        g.add([i, i + 1], |[a, b]| (a.square() + b.square()).square() - a * 4.0 + 3.0);
    }
}
