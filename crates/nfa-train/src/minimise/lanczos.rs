//! The least eigenvalue of a Hessian that is too large to decompose.

use faer::Side;
use nfa_metrics::Mat;
use nfa_models::Stream;

use crate::minimise::function::Function;
use crate::minimise::vector::{dot, norm};

/// Products that are spent.
const STEPS: usize = 60;
/// The probability that the bound holds.
pub(super) const PROBABILITY: f64 = 0.99;
/// An off-diagonal entry below this share of the spread ends the recurrence: the space is invariant.
const INVARIANT: f64 = 1e-13;

/// What Lanczos' method finds of the least eigenvalue.
#[derive(Debug)]
pub(super) struct Ritz {
    /// The least Ritz value: never below the eigenvalue.
    pub(super) value: f64,
    /// Its vector.
    pub(super) direction: Vec<f64>,
    /// The eigenvalue lies above this, with [`PROBABILITY`].
    pub(super) bound: f64,
    /// The largest absolute Ritz value.
    pub(super) norm: f64,
    /// Products that were taken.
    pub(super) steps: usize,
}

/// From a random start, with full reorthogonalisation.
///
/// With k products the least Ritz value θ is above the least eigenvalue by more than ε times the spread of the
/// eigenvalues with probability at most 1.648 √D exp(-√ε (2k - 1)) (Kuczyński, Woźniakowski 1992, doi:10.1137/0613066,
/// theorem 4.2 for A - λ_min I); the spread itself is estimated likewise at the other end.
pub(super) fn lowest(f: &mut dyn Function, x: &[f64], stream: &Stream) -> Ritz {
    let d = x.len();
    let start = stream.normals(d);
    let length = norm(&start);
    let mut basis: Vec<Vec<f64>> = vec![start.iter().map(|v| v / length).collect()];
    let (mut diagonal, mut beside) = (Vec::new(), Vec::new());
    for k in 0..STEPS.min(d) {
        let mut w = f.products(x, &basis[k]);
        w.iter_mut().zip(f.decay()).zip(&basis[k]).for_each(|((w, decay), v)| *w += decay * v);
        diagonal.push(dot(&w, &basis[k]));
        for _ in 0..2 {
            for known in &basis {
                let along = dot(&w, known);
                w.iter_mut().zip(known).for_each(|(w, v)| *w -= along * v);
            }
        }
        let rest = norm(&w);
        let size = diagonal.iter().chain(&beside).fold(0.0, |most: f64, v: &f64| most.max(v.abs()));
        if rest <= INVARIANT * size || k + 1 == STEPS.min(d) || !rest.is_finite() {
            break;
        }
        beside.push(rest);
        basis.push(w.iter().map(|v| v / rest).collect());
    }
    let k = diagonal.len();
    let tridiagonal = Mat::from_fn(k, k, |i, j| match i.abs_diff(j) {
        0 => diagonal[i],
        1 => beside[i.min(j)],
        _ => 0.0,
    });
    let Ok(eigen) = tridiagonal.self_adjoint_eigen(Side::Lower) else {
        return Ritz { value: f64::NAN, direction: vec![0.0; d], bound: f64::NAN, norm: f64::NAN, steps: k };
    };
    let (values, vectors) = (eigen.S().column_vector(), eigen.U());
    let (least, most) = (values[0], values[k - 1]);
    let mut direction = vec![0.0; d];
    for (i, v) in basis.iter().enumerate().take(k) {
        direction.iter_mut().zip(v).for_each(|(to, v)| *to += vectors[(i, 0)] * v);
    }
    // Both ends may fail: half of what is left for each.
    let fails = 0.5 * (1.0 - PROBABILITY);
    let root = (1.648 * (d as f64).sqrt() / fails).ln() / (2.0 * k as f64 - 1.0);
    let epsilon = root * root;
    let spread = if epsilon < 0.5 { (most - least) / (1.0 - 2.0 * epsilon) } else { f64::INFINITY };
    Ritz { value: least, direction, bound: least - epsilon * spread, norm: least.abs().max(most.abs()), steps: k }
}
