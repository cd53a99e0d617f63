//! GENROSE.

use crate::minimise::problems::problem::{Problem, at_least, in_turn, zero};
use crate::minimise::problems::terms::Terms;

/// Rosenbrock's valley in a chain, without the constant 1 (after CUTEst GENROSE).
pub const GENROSE: Problem = Problem {
    name: "genrose",
    doc: "Rosenbrock's valley in a chain, without the constant 1 (after CUTEst GENROSE).",
    size: |r| at_least(r, 2),
    start: |r| in_turn(r, [-1.2, 1.0]),
    minimum: zero,
    terms,
};

fn terms(g: &mut Terms<'_>) {
    for i in 0..g.count() - 1 {
        g.add([i, i + 1], |[a, b]| (b - a.square()).square() * 100.0 + (a - 1.0).square());
    }
}
