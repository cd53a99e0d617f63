//! Muon: momentum, orthogonalised.

use nfa_metrics::Mat;
use nfa_metrics::matrix::tolerance::rank_of_stack;
use nfa_models::{Spec, SpecError};
use serde::{Deserialize, Serialize};

use crate::keys::below_one;
use crate::train::first_order::entry::Entry;
use crate::train::first_order::rule::{Rule, Turn};
#[cfg(feature = "burn")]
use crate::train::first_order::solver::solver;
#[cfg(feature = "burn")]
use crate::train::setting::Setting;
use crate::train::solver::Solver;

/// B ← μB + g; P = g + μB with `nesterov`, else B; W ← (1 - lr λ)W - lr c·orth(P), decay decoupled,
/// c = √max(1, d_out/d_in) or 1. Parameters of one axis (biases) have no such thing as orthogonal:
/// they move by lr·P, which is momentum or Nesterov's.
///
/// A step is as long however small the gradient is, so a constant lr circles a minimum instead of
/// reaching it; and where the gradient is rounding, so is its polar factor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Muon {
    /// μ.
    pub momentum: f64,
    /// Whether the step looks ahead along the new buffer.
    pub nesterov: bool,
    /// How a matrix is made orthogonal.
    pub orthogonalize: Orthogonalize,
    /// c.
    pub scale: Scale,
}

/// How the singular values of a matrix are made one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Orthogonalize {
    /// The polar factor UVᵀ of the singular value decomposition, exact; in host `f64`.
    Polar,
    /// Five steps of the quintic iteration of the reference implementation, in host `f64`: singular
    /// values above 1/500 of the Frobenius norm come to lie between 0.68 and 1.21.
    NewtonSchulz,
}

/// The factor c of a `[d_out, d_in]` matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// √max(1, d_out/d_in), as in the reference implementation.
    Spectral,
    /// 1.
    None,
}

impl Default for Muon {
    fn default() -> Self {
        Muon { momentum: 0.95, nesterov: true, orthogonalize: Orthogonalize::Polar, scale: Scale::Spectral }
    }
}

impl Rule<1> for Muon {
    const SLOTS: [&'static str; 1] = ["momentum"];
    const WHOLE: bool = true;
    const DECOUPLED: bool = true;

    fn update<E: Entry>(&self, turn: &Turn, value: E, gradient: E, [buffer]: [E; 1]) -> (E, [E; 1]) {
        let buffer = buffer.times(self.momentum) + gradient.clone();
        let push = if self.nesterov { gradient + buffer.clone().times(self.momentum) } else { buffer.clone() };
        let push = match turn.matrix {
            Some([rows, cols]) => {
                let orthogonal = push.matrix([rows, cols], |push, eps| self.orthogonalize.apply(push, eps));
                orthogonal.times(self.scale.of(rows, cols))
            }
            None => push,
        };
        (value.times(1.0 - turn.lr * turn.decay) - push.times(turn.lr), [buffer])
    }
}

impl Orthogonalize {
    /// The orthogonal factor of a matrix whose numbers are known to `eps`.
    fn apply(self, matrix: &Mat, eps: f64) -> Mat {
        match self {
            Orthogonalize::Polar => polar(matrix, rank_of_stack(matrix.nrows(), matrix.ncols(), eps)),
            Orthogonalize::NewtonSchulz => newton_schulz(matrix),
        }
    }
}

impl Scale {
    fn of(self, rows: usize, cols: usize) -> f64 {
        match self {
            Scale::Spectral => (rows as f64 / cols as f64).max(1.0).sqrt(),
            Scale::None => 1.0,
        }
    }
}

/// U_rV_rᵀ over the singular values above `tolerance` times the largest: 1 on the range of a matrix,
/// 0 elsewhere. Of numbers that are not finite nothing finite comes, as in every other rule.
fn polar(matrix: &Mat, tolerance: f64) -> Mat {
    let Ok(svd) = matrix.thin_svd() else {
        return Mat::from_fn(matrix.nrows(), matrix.ncols(), |_, _| f64::NAN);
    };
    let singular = svd.S().column_vector();
    let largest = singular.iter().copied().fold(0.0, f64::max);
    let rank = singular.iter().filter(|&&s| s > tolerance * largest).count();
    svd.U().subcols(0, rank) * svd.V().subcols(0, rank).transpose()
}

/// X ← aX + (bA + cA²)X with A = XXᵀ, five times from X = G/|G|.
fn newton_schulz(matrix: &Mat) -> Mat {
    const COEFFICIENTS: (f64, f64, f64) = (3.4445, -4.7750, 2.0315);
    let (a, b, c) = COEFFICIENTS;
    let norm = matrix.norm_l2();
    if norm == 0.0 {
        return matrix.clone();
    }
    // The smaller Gram matrix does.
    let tall = matrix.nrows() > matrix.ncols();
    let mut x = if tall { matrix.transpose().to_owned() } else { matrix.clone() } * (1.0 / norm);
    for _ in 0..5 {
        let gram = &x * x.transpose();
        x = &x * a + (&gram * b + &gram * &gram * c) * &x;
    }
    if tall { x.transpose().to_owned() } else { x }
}

impl Spec<dyn Solver> for Muon {
    const KIND: &'static str = "muon";
    const DOC: &'static str = "Momentum whose step in each weight matrix is replaced by its polar factor (orthogonalize = \"polar\": U V^T over \
                               singular values above max(rows, cols) eps of the largest; or \"newton_schulz\": five quintic steps), times \
                               sqrt(max(1, rows/cols)) (scale = \"spectral\", or \"none\"). Decay is decoupled; biases take plain (Nesterov's) momentum.";
    const REFERENCE: &'static str = "Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/; torch.optim.Muon";
    const EXAMPLE: &'static str = "nesterov = true\n";

    fn check(&self) -> Result<(), SpecError> {
        below_one("momentum", self.momentum)
    }

    #[cfg(feature = "burn")]
    fn build(&self, setting: &Setting<'_>) -> Result<Box<dyn Solver>, SpecError> {
        Ok(solver(*self, setting))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The polar factor P of A is the one matrix with PᵀA symmetric, its square AᵀA, its trace the sum
    /// of A's singular values, and PᵀP a projector of A's rank.
    fn assert_polar(a: &Mat, p: &Mat, rank: usize) {
        let close = |x: &Mat, y: &Mat, what: &str| {
            let off = (x - y).norm_max();
            assert!(off <= 1e-13 * (1.0 + y.norm_max()), "{what}: {off:e}");
        };
        let h = p.transpose() * a;
        close(&h, &h.transpose().to_owned(), "symmetric");
        close(&(&h * &h), &(a.transpose() * a), "the root of the Gram matrix");
        let projector = p.transpose() * p;
        close(&(&projector * &projector), &projector, "a projector");
        let trace: f64 = (0..projector.ncols()).map(|i| projector[(i, i)]).sum();
        assert!((trace - rank as f64).abs() < 1e-12, "of rank {trace}");
        let trace: f64 = (0..h.ncols()).map(|i| h[(i, i)]).sum();
        let nuclear: f64 = a.singular_values().expect("finite").iter().sum();
        assert!((trace - nuclear).abs() <= 1e-13 * nuclear, "no negative direction: {trace} of {nuclear}");
    }

    fn matrix(rows: usize, cols: usize, rank: usize) -> Mat {
        let factor = |n: usize, seed: f64| {
            Mat::from_fn(n, rank, |i, j| ((i * i * 7 + i * j * 5 + j * 13) as f64 * 0.37 + seed).sin())
        };
        factor(rows, 0.2) * factor(cols, 1.1).transpose()
    }

    #[test]
    fn a_polar_factor_is_what_defines_it_at_every_shape_and_rank() {
        for (rows, cols, rank) in [(5, 5, 5), (7, 3, 3), (3, 8, 3), (6, 9, 2), (9, 4, 1), (1, 4, 1)] {
            let a = matrix(rows, cols, rank);
            assert_polar(&a, &polar(&a, rank_of_stack(rows, cols, f64::EPSILON)), rank);
        }
        let zero = Mat::zeros(3, 4);
        assert_eq!(polar(&zero, 1e-15).norm_max(), 0.0);
        assert_eq!(newton_schulz(&zero).norm_max(), 0.0);
    }

    #[test]
    fn newton_schulz_keeps_the_singular_vectors_and_brings_the_values_near_one() {
        for (rows, cols) in [(5, 5), (7, 3), (3, 8)] {
            let a = matrix(rows, cols, 3);
            let x = newton_schulz(&a);
            let singular = x.singular_values().expect("finite");
            for (k, s) in singular.iter().enumerate() {
                assert!(if k < 3 { (0.5..1.3).contains(s) } else { *s < 1e-13 }, "{rows}x{cols}: {s}");
            }
            // Same singular vectors: XᵀA is symmetric.
            let h = x.transpose() * &a;
            assert!((&h - h.transpose()).norm_max() <= 1e-12 * h.norm_max());
        }
    }
}
