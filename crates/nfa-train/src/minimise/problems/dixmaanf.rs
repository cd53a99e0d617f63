//! DIXMAANF.

use crate::minimise::problems::problem::{Problem, multiple};
use crate::minimise::problems::terms::Terms;

/// Dixon and Maany's function, the sixth of its family (CUTEst DIXMAANF).
pub const DIXMAANF: Problem = Problem {
    name: "dixmaanf",
    doc: "Dixon and Maany's function, the sixth of its family (CUTEst DIXMAANF).",
    size: |r| multiple(r, 3),
    start: |r| vec![2.0; r],
    minimum: |_| Some(1.0),
    terms,
};

fn terms(g: &mut Terms<'_>) {
    let (r, m) = (g.count(), g.count() / 3);
    let [a, b, c, d] = [1.0, 0.0625, 0.0625, 0.0625];
    g.value += 1.0;
    let share = |i: usize| (i + 1) as f64 / r as f64;
    for i in 0..r {
        g.add([i], |[y]| y.square() * (a * share(i)));
    }
    for i in 0..r - 1 {
        g.add([i, i + 1], |[y, z]| y.square() * (z + z.square()).square() * b);
    }
    for i in 0..2 * m {
        g.add([i, i + m], |[y, z]| y.square() * z.powi(4) * c);
    }
    for i in 0..m {
        g.add([i, i + 2 * m], |[y, z]| y * z * (d * share(i)));
    }
}
