//! ARTIF.

use crate::minimise::problems::problem::{Problem, at_least, zero};
use crate::minimise::problems::terms::Terms;

/// Least squares of atan(sin(k y)) against neighbours, k = i mod 100 (CUTEst ARTIF).
pub const ARTIF: Problem = Problem {
    name: "artif",
    doc: "Least squares of atan(sin(k y)) against neighbours, k = i mod 100 (CUTEst ARTIF).",
    size: |r| at_least(r, 2),
    start: |r| vec![1.0; r],
    minimum: zero,
    terms,
};

fn terms(g: &mut Terms<'_>) {
    let r = g.count();
    for i in 0..r {
        let k = ((i + 1) % 100) as f64;
        // The ends have neighbours of 0.
        match (i.checked_sub(1), i + 1 < r) {
            (Some(before), true) => {
                g.add([before, i, i + 1], |[a, y, b]| ((a + y + b) * -0.05 + (y * k).sin().atan()).square())
            }
            (Some(before), false) => g.add([before, i], |[a, y]| ((a + y) * -0.05 + (y * k).sin().atan()).square()),
            (None, _) => g.add([i, i + 1], |[y, b]| ((y + b) * -0.05 + (y * k).sin().atan()).square()),
        }
    }
}
