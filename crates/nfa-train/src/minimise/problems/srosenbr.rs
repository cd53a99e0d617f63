//! SROSENBR.

use crate::minimise::problems::problem::{Problem, in_turn, multiple, zero};
use crate::minimise::problems::terms::Terms;

/// Rosenbrock's function of pairs that don't meet (CUTEst SROSENBR).
pub const SROSENBR: Problem = Problem {
    name: "srosenbr",
    doc: "Rosenbrock's function of pairs that don't meet (CUTEst SROSENBR).",
    size: |r| multiple(r, 2),
    start: |r| in_turn(r, [-1.2, 1.0]),
    minimum: zero,
    terms,
};

fn terms(g: &mut Terms<'_>) {
    for i in (0..g.count()).step_by(2) {
        g.add([i, i + 1], |[a, b]| (b - a.square()).square() * 100.0 + (a - 1.0).square());
    }
}
