//! LIARWHD.

use crate::minimise::problems::problem::{Problem, at_least, zero};
use crate::minimise::problems::terms::Terms;

/// Each variable's square tied to the first (CUTEst LIARWHD).
pub const LIARWHD: Problem = Problem {
    name: "liarwhd",
    doc: "Each variable's square tied to the first (CUTEst LIARWHD).",
    size: |r| at_least(r, 2),
    start: |r| vec![4.0; r],
    minimum: zero,
    terms,
};

fn terms(g: &mut Terms<'_>) {
    g.add([0], |[a]| (a.square() - a).square() * 4.0 + (a - 1.0).square());
    for i in 1..g.count() {
        g.add([i, 0], |[y, a]| (y.square() - a).square() * 4.0 + (y - 1.0).square());
    }
}
