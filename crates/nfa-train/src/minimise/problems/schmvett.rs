//! SCHMVETT.

use crate::minimise::problems::problem::{Problem, at_least};
use crate::minimise::problems::terms::Terms;

/// Ratios, sines and exponentials of three neighbours (CUTEst SCHMVETT).
pub const SCHMVETT: Problem = Problem {
    name: "schmvett",
    doc: "Ratios, sines and exponentials of three neighbours (CUTEst SCHMVETT).",
    size: |r| at_least(r, 3),
    start: |r| vec![3.0; r],
    minimum: |r| Some(-3.0 * (r - 2) as f64),
    terms,
};

fn terms(g: &mut Terms<'_>) {
    for i in 0..g.count() - 2 {
        g.add([i, i + 1, i + 2], |[a, b, z]| {
            let ratio = ((a + z) * b.recip() - 2.0).square();
            let half = (b * std::f64::consts::PI + z) * 0.5;
            -(((a - b).square() + 1.0).recip() + half.sin() + (-ratio).exp())
        });
    }
}
