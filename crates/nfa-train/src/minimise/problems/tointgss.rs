//! TOINTGSS.

use crate::minimise::problems::problem::{Problem, at_least};
use crate::minimise::problems::terms::Terms;

/// Toint's Gaussian walls (after CUTEst TOINTGSS).
pub const TOINTGSS: Problem = Problem {
    name: "tointgss",
    doc: "Toint's Gaussian walls (after CUTEst TOINTGSS).",
    size: |r| at_least(r, 3),
    start: |r| vec![3.0; r],
    // Every term is 10/(r + 2) at least, and that at 0.
    minimum: |r| Some(10.0 * (r - 2) as f64 / (r + 2) as f64),
    terms,
};

fn terms(g: &mut Terms<'_>) {
    let share = 10.0 / (g.count() + 2) as f64;
    for i in 0..g.count() - 2 {
        g.add([i, i + 1, i + 2], |[a, b, z]| {
            let wall = -((a - b).square() * (z.square() + 0.1).recip());
            (z.square() + share) * (-wall.exp() + 2.0)
        });
    }
}
