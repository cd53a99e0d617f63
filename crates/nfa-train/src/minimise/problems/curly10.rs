//! CURLY10.

use crate::minimise::problems::problem::{Problem, at_least};
use crate::minimise::problems::terms::Terms;

/// Quartics of sums of eleven neighbours: many minima, and ill conditioned (CUTEst CURLY10).
pub const CURLY10: Problem = Problem {
    name: "curly10",
    doc: "Quartics of sums of eleven neighbours: many minima, and ill conditioned (CUTEst CURLY10).",
    size: |r| at_least(r, 2),
    start: |r| (1..=r).map(|i| 1e-4 * i as f64 / (r + 1) as f64).collect(),
    minimum: |r| Some(r as f64 * least()),
    terms,
};

fn terms(g: &mut Terms<'_>) {
    let r = g.count();
    for i in 0..r {
        g.add_of_sum(i..(i + 11).min(r), |q| q * (q * (q.square() - 20.0) - 0.1));
    }
}

/// The least q⁴ - 20 q² - 0.1 q. The sums are a triangular map of the variables, so that each can take it.
fn least() -> f64 {
    // The largest root of 4q³ - 40q - 0.1, by cosines.
    let q = 2.0 * (10.0_f64 / 3.0).sqrt() * libm::cos(libm::acos(0.00375 * 0.3_f64.sqrt()) / 3.0);
    q * (q * (q * q - 20.0) - 0.1)
}
