//! B, the right side of a law.

use faer::Side;

use crate::matrix::Mat;
use crate::matrix::psd::{Psd, RankRule, Spectrum};
use crate::matrix::tolerance;

/// What A is compared with.
#[allow(clippy::large_enum_variant)] // nearly every B is the large one
#[derive(Clone, Debug)]
pub enum Right {
    /// A symmetric matrix without negative eigenvalues: every family takes it.
    Psd(Psd),
    /// Any square matrix, for [`Family::Equal`](crate::Family::Equal) alone.
    Square(Square),
}

/// A square matrix B = S + K, S symmetric, K antisymmetric. With A symmetric |A - B|² = |A - S|² + |K|².
#[derive(Clone, Debug)]
pub struct Square {
    matrix: Mat,
    eps: f64,
}

impl Square {
    /// A `[d, d]` matrix of entries computed with machine epsilon `eps`.
    pub fn new(matrix: Mat, eps: f64) -> Self {
        Square { matrix, eps }
    }

    /// B, `[d, d]`.
    pub fn matrix(&self) -> &Mat {
        &self.matrix
    }

    /// S, `[d, d]`.
    pub fn symmetric(&self) -> Mat {
        let d = self.matrix.nrows();
        Mat::from_fn(d, d, |i, j| 0.5 * (self.matrix[(i, j)] + self.matrix[(j, i)]))
    }

    /// |K|.
    pub fn skew(&self) -> f64 {
        0.5 * (&self.matrix - self.matrix.transpose()).norm_l2()
    }

    /// S's eigenpairs, by descending eigenvalue; those below rounding of the largest are 0. `None` where an entry
    /// is not finite, an eigenvalue overflows or the iteration fails to converge.
    pub(crate) fn spectrum(&self) -> Option<Spectrum> {
        let symmetric = self.symmetric();
        if !symmetric.is_all_finite() {
            return None;
        }
        let d = symmetric.nrows();
        let eigen = symmetric.self_adjoint_eigen(Side::Lower).ok()?;
        let mut values: Vec<f64> = eigen.S().column_vector().iter().rev().copied().collect();
        let top = values.iter().map(|g| g.abs()).fold(0.0, f64::max);
        let cut = tolerance::rank_of_gram(d, self.eps) * top;
        values.iter_mut().filter(|g| g.abs() <= cut).for_each(|g| *g = 0.0);
        let rank = values.iter().filter(|&&g| g != 0.0).count();
        let vectors = eigen.U().reverse_cols().to_owned();
        let rule = RankRule::Gram;
        top.is_finite().then_some(Spectrum { values, vectors, frame: None, rank, rule, eps: self.eps })
    }
}

impl Right {
    /// B where it is no more than symmetric PSD.
    pub fn psd(&self) -> Option<&Psd> {
        match self {
            Right::Psd(psd) => Some(psd),
            Right::Square(_) => None,
        }
    }

    /// B, `[d, d]`.
    pub fn matrix(&self) -> &Mat {
        match self {
            Right::Psd(psd) => psd.matrix(),
            Right::Square(square) => &square.matrix,
        }
    }

    /// tr B.
    pub fn trace(&self) -> f64 {
        match self {
            Right::Psd(psd) => psd.trace(),
            Right::Square(square) => (0..square.matrix.nrows()).map(|i| square.matrix[(i, i)]).sum(),
        }
    }

    /// Whether every entry is finite.
    pub fn is_finite(&self) -> bool {
        match self {
            Right::Psd(psd) => psd.is_finite(),
            Right::Square(square) => square.matrix.is_all_finite(),
        }
    }
}

impl From<Psd> for Right {
    fn from(psd: Psd) -> Self {
        Right::Psd(psd)
    }
}

impl From<Square> for Right {
    fn from(square: Square) -> Self {
        Right::Square(square)
    }
}
