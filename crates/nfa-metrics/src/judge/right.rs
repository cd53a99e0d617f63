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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::certificate::CertificateKind;
    use crate::judge::family::Family;
    use crate::judge::finding::{Finding, assess};
    use crate::judge::pair::Pair;
    use crate::judge::verdict::{Thresholds, Verdict};
    use crate::matrix::mat;

    /// A = diag(2, 1) against B.
    fn equality(b: Mat) -> Finding {
        let a = Psd::gram(mat(&[[2.0, 0.0], [0.0, 1.0]]));
        assess(&Pair::new(a, Square::new(b, f64::EPSILON)), Family::Equal, None, &Thresholds::default())
    }

    fn margin(finding: &Finding, kind: CertificateKind) -> Option<f64> {
        finding.certificates.iter().find(|certificate| certificate.kind == kind)?.margin
    }

    #[test]
    fn what_is_antisymmetric_is_outside_every_eigenspace() {
        let finding = equality(mat(&[[2.0, 0.5], [-0.5, 1.0]]));
        // |K|² = 1/2, |A|² = 5.
        let expected = 0.1f64.sqrt();
        let parts = finding.parts.expect("fits");
        assert!((finding.misfit.expect("fits") - expected).abs() < 1e-15);
        assert!((parts.directions - expected).abs() < 1e-15 && parts.order == 0.0 && parts.shape < 1e-15);
        assert!((margin(&finding, CertificateKind::Asymmetry).expect("stands") - expected).abs() < 1e-15);
        assert_eq!(margin(&finding, CertificateKind::Indefinite), None);
    }

    #[test]
    fn a_sign_is_not_lost() {
        let finding = equality(mat(&[[-2.0, 0.0], [0.0, -1.0]]));
        assert!((finding.misfit.expect("fits") - 2.0).abs() < 1e-15);
        assert!((margin(&finding, CertificateKind::Indefinite).expect("stands") - 1.0).abs() < 1e-15);
        assert_eq!(finding.verdict, Verdict::Fails);
        // Half of it right: S₋ = diag(0, -1), A - B = diag(0, 2).
        let finding = equality(mat(&[[2.0, 0.0], [0.0, -1.0]]));
        assert!((finding.misfit.expect("fits") - 2.0 / 5f64.sqrt()).abs() < 1e-15);
        assert!((margin(&finding, CertificateKind::Indefinite).expect("stands") - 1.0 / 5f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn a_square_of_a_gram_matrix_is_that_matrix() {
        let b = mat(&[[1.5, 0.4], [0.4, 0.7]]);
        let a = Psd::gram(mat(&[[2.0, 0.1], [0.1, 1.0]]));
        let judge = |pair: Pair| assess(&pair, Family::Equal, None, &Thresholds::default());
        let square = judge(Pair::new(a.clone(), Square::new(b.clone(), f64::EPSILON)));
        let psd = judge(Pair::new(a, Psd::gram(b)));
        assert!((square.misfit.expect("fits") - psd.misfit.expect("fits")).abs() < 1e-15);
        assert_eq!(square.reason, psd.reason);
    }

    #[test]
    fn no_power_is_taken_of_it() {
        let a = Psd::gram(mat(&[[2.0, 0.0], [0.0, 1.0]]));
        let pair = Pair::new(a, Square::new(mat(&[[1.0, 0.0], [0.0, -1.0]]), f64::EPSILON));
        for family in [Family::Power, Family::Proportional] {
            let finding = assess(&pair, family, None, &Thresholds::default());
            assert_eq!(finding.verdict, Verdict::Undetermined);
            assert!(finding.reason.contains("can only be compared as it is"), "{}", finding.reason);
        }
    }
}
