//! BROYDN3D.

use crate::minimise::problems::problem::{Problem, at_least, zero};
use crate::minimise::problems::terms::Terms;

/// Broyden's tridiagonal equations, as least squares (CUTEst BROYDN3DLS).
pub const BROYDN3D: Problem = Problem {
    name: "broydn3d",
    doc: "Broyden's tridiagonal equations, as least squares (CUTEst BROYDN3DLS).",
    size: |r| at_least(r, 2),
    start: |r| vec![-1.0; r],
    minimum: zero,
    terms,
};

fn terms(g: &mut Terms<'_>) {
    let r = g.count();
    for i in 0..r {
        match (i.checked_sub(1), i + 1 < r) {
            (Some(before), true) => {
                g.add([before, i, i + 1], |[a, y, b]| ((-(y * 2.0) + 3.0) * y - a - b * 2.0 + 1.0).square());
            }
            (Some(before), false) => g.add([before, i], |[a, y]| ((-(y * 2.0) + 3.0) * y - a + 1.0).square()),
            (None, _) => g.add([i, i + 1], |[y, b]| ((-(y * 2.0) + 3.0) * y - b * 2.0 + 1.0).square()),
        }
    }
}
