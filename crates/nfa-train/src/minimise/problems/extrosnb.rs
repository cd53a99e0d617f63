//! EXTROSNB.

use crate::minimise::problems::problem::{Problem, at_least, zero};
use crate::minimise::problems::terms::Terms;

/// Rosenbrock's valley in a chain, held at its first variable alone (CUTEst EXTROSNB).
pub const EXTROSNB: Problem = Problem {
    name: "extrosnb",
    doc: "Rosenbrock's valley in a chain, held at its first variable alone (CUTEst EXTROSNB).",
    size: |r| at_least(r, 2),
    start: |r| vec![-1.0; r],
    minimum: zero,
    terms,
};

fn terms(g: &mut Terms<'_>) {
    g.add([0], |[a]| (a - 1.0).square());
    for i in 1..g.count() {
        g.add([i - 1, i], |[a, b]| (b - a.square()).square() * 100.0);
    }
}
