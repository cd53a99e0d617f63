//! TOINTGSS.

use crate::minimise::problems::problem::{Problem, at_least, unknown};
use crate::minimise::problems::terms::Terms;

/// Toint's Gaussian walls (CUTEst TOINTGSS).
pub const TOINTGSS: Problem = Problem {
    name: "tointgss",
    doc: "Toint's Gaussian walls (CUTEst TOINTGSS).",
    size: |r| at_least(r, 3),
    start: |r| vec![3.0; r],
    minimum: unknown,
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
