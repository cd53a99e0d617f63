//! CURLY10.

use crate::minimise::problems::problem::{Problem, at_least, unknown};
use crate::minimise::problems::terms::Terms;

/// Quartics of sums of eleven neighbours: many minima, and ill conditioned (CUTEst CURLY10).
pub const CURLY10: Problem = Problem {
    name: "curly10",
    doc: "Quartics of sums of eleven neighbours: many minima, and ill conditioned (CUTEst CURLY10).",
    size: |r| at_least(r, 2),
    start: |r| (1..=r).map(|i| 1e-4 * i as f64 / (r + 1) as f64).collect(),
    minimum: unknown,
    terms,
};

fn terms(g: &mut Terms<'_>) {
    let r = g.count();
    for i in 0..r {
        g.add_of_sum(i..(i + 11).min(r), |q| q * (q * (q.square() - 20.0) - 0.1));
    }
}
