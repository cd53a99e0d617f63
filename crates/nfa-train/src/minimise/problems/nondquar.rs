//! NONDQUAR.

use crate::minimise::problems::problem::{Problem, at_least, in_turn, zero};
use crate::minimise::problems::terms::Terms;

/// Quartics whose Hessian is singular at the minimum (CUTEst NONDQUAR).
pub const NONDQUAR: Problem = Problem {
    name: "nondquar",
    doc: "Quartics whose Hessian is singular at the minimum (CUTEst NONDQUAR).",
    size: |r| at_least(r, 4),
    start: |r| in_turn(r, [1.0, -1.0]),
    minimum: zero,
    terms,
};

fn terms(g: &mut Terms<'_>) {
    let last = g.count() - 1;
    g.add([0, 1], |[a, b]| (a - b).square());
    g.add([last - 1, last], |[a, b]| (a - b).square());
    // Of three variables, which are two where the last is its own neighbour.
    for i in 0..last - 1 {
        g.add([i, i + 1, last], |[a, b, z]| (a + b + z).powi(4));
    }
}
