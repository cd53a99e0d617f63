//! WOODS.

use crate::minimise::problems::problem::{Problem, in_turn, multiple, zero};
use crate::minimise::problems::terms::Terms;

/// Wood's function of groups of four (CUTEst WOODS).
pub const WOODS: Problem = Problem {
    name: "woods",
    doc: "Wood's function of groups of four (CUTEst WOODS).",
    size: |r| multiple(r, 4),
    start: |r| in_turn(r, [-3.0, -1.0]),
    minimum: zero,
    terms,
};

fn terms(g: &mut Terms<'_>) {
    for i in (0..g.count()).step_by(4) {
        g.add([i, i + 1], |[a, b]| (b - a.square()).square() * 100.0 + (a - 1.0).square());
        g.add([i + 2, i + 3], |[a, b]| (b - a.square()).square() * 90.0 + (a - 1.0).square());
        g.add([i + 1, i + 3], |[a, b]| (a + b - 2.0).square() * 10.0 + (a - b).square() * 0.1);
    }
}
