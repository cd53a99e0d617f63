//! BROYDN7D.

use crate::minimise::problems::problem::{Problem, multiple, unknown};
use crate::minimise::problems::terms::Terms;

/// Broyden's equations to the power 7/3, with coupled halves: the Hessian is Hoelder continuous of exponent 1/3 (after CUTEst BROYDN7D).
pub const BROYDN7D: Problem = Problem {
    name: "broydn7d",
    doc: "Broyden's equations to the power 7/3, with coupled halves: the Hessian is Hoelder continuous of exponent 1/3 (after CUTEst BROYDN7D).",
    size: |r| multiple(r, 2),
    start: |r| vec![-1.0; r],
    minimum: unknown,
    terms,
};

fn terms(g: &mut Terms<'_>) {
    let r = g.count();
    for i in 0..r {
        match (i.checked_sub(1), i + 1 < r) {
            (Some(before), true) => {
                g.add([before, i, i + 1], |[a, y, b]| ((-(y * 0.5) + 3.0) * y - a - b * 2.0 + 1.0).abs_pow(POWER));
            }
            (Some(before), false) => g.add([before, i], |[a, y]| ((-(y * 0.5) + 3.0) * y - a + 1.0).abs_pow(POWER)),
            (None, _) => g.add([i, i + 1], |[y, b]| ((-(y * 0.5) + 3.0) * y - b * 2.0 + 1.0).abs_pow(POWER)),
        }
    }
    for i in 0..r / 2 {
        g.add([i, i + r / 2], |[a, b]| (a + b).abs_pow(POWER));
    }
}

const POWER: f64 = 7.0 / 3.0;
