//! Symmetric positive semidefinite matrices, kept in the form that gives the best spectrum.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use faer::Side;

use crate::matrix::Mat;
use crate::matrix::symmetric;
use crate::matrix::tiles::tiles;
use crate::matrix::tolerance;

/// What a rank, and with it every power, was computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RankRule {
    /// The SVD of the stacked Jacobian, whole.
    Stacked,
    /// The SVD of a linear network's product matrix, which is every sample's Jacobian.
    Product,
    /// The SVD of the triangle that a streamed QR of the stacked Jacobian left.
    StreamedQr,
    /// The eigenvalues of the Gram matrix: half the digits of the others.
    Gram,
}

impl RankRule {
    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            RankRule::Stacked => "stacked",
            RankRule::Product => "product",
            RankRule::StreamedQr => "streamed_qr",
            RankRule::Gram => "gram",
        }
    }
}

/// Eigenpairs of a [`Psd`], eigenvalues descending.
#[derive(Clone, Debug)]
pub struct Spectrum {
    /// r eigenvalues, exactly 0 beyond the rank. Without a frame r = d; with one the other d - r
    /// are 0 too.
    pub values: Vec<f64>,
    /// Orthonormal eigenvectors as columns, `[r, r]`, in the frame's coordinates.
    pub vectors: Mat,
    /// The frame, `[d, r]`, if there is one.
    pub frame: Option<Arc<Mat>>,
    /// How many eigenvalues count.
    pub rank: usize,
    /// By which rule.
    pub rule: RankRule,
    /// Machine epsilon of what it was computed from.
    pub eps: f64,
}

impl Spectrum {
    /// d.
    pub fn dim(&self) -> usize {
        self.frame.as_ref().map_or(self.values.len(), |frame| frame.nrows())
    }

    /// How many eigenvalues are 0 because they lie outside the frame.
    pub fn padding(&self) -> usize {
        self.dim() - self.values.len()
    }

    /// B^α with 0^α = 0.
    ///
    /// # Shapes
    /// `[d, d]`
    pub fn power(&self, alpha: f64) -> Mat {
        self.map(|g| g.powf(alpha))
    }

    /// Σ f(g_i) v_i v_iᵀ over the eigenvalues that count.
    ///
    /// # Shapes
    /// `[d, d]`
    pub(crate) fn map(&self, f: impl Fn(f64) -> f64) -> Mat {
        let r = self.values.len();
        let roots: Vec<f64> = self.values[..self.rank].iter().map(|&g| f(g).sqrt()).collect();
        let scaled = Mat::from_fn(r, self.rank, |i, k| self.vectors[(i, k)] * roots[k]);
        let scaled = match &self.frame {
            Some(frame) => &**frame * scaled,
            None => scaled,
        };
        symmetric::product(scaled.as_ref(), scaled.transpose())
    }
}

/// A symmetric PSD matrix B, as itself or as a factor F with B = FᵀF.
///
/// A factor gives small eigenvalues to full precision (s² of singular values, not a difference of
/// rounded sums), which is what keeps B^(1/L) meaningful: to the power 1/5 a null eigenvalue of
/// 1e-16 becomes 6e-4.
///
/// Of low rank it may live in a *frame*: orthonormal columns Q, `[d, r]`, with B = QCQᵀ. What
/// WᵀW and the AGOP of a layer with few outputs are then costs as much as an r × r matrix.
#[derive(Clone, Debug)]
pub struct Psd {
    form: Form,
    frame: Option<Arc<Mat>>,
    core: OnceLock<Mat>,
    full: OnceLock<Mat>,
    spectrum: OnceLock<Spectrum>,
}

/// A frame pays from this dimension on, and where it halves it.
const FRAME_FROM: usize = 256;

/// Orthonormal columns that span the rows of a layer's weights, in which its NFM and AGOP both
/// live; `None` where that would save little.
///
/// # Shapes
/// weight: `[k, d]` → `[d, k]`
pub fn frame(weight: &Mat) -> Option<Arc<Mat>> {
    let (k, d) = (weight.nrows(), weight.ncols());
    (d >= FRAME_FROM && 2 * k <= d).then(|| {
        let fast = weight.transpose().qr().compute_thin_Q();
        let lost = ((weight * &fast) * fast.transpose() - weight).norm_l2();
        // The fast factorisation loses columns that depend on the others up to rounding; with
        // pivots, at ten times the cost, it doesn't.
        let kept = lost <= 64.0 * f64::EPSILON * weight.norm_l2();
        Arc::new(if kept { fast } else { weight.transpose().col_piv_qr().compute_thin_Q() })
    })
}

#[derive(Clone, Debug)]
enum Form {
    Gram { eps: f64 },
    Factor { factor: Mat, rows: usize, rule: RankRule, eps: f64 },
}

impl Psd {
    /// From the matrix itself, `[d, d]`, symmetric up to rounding (its symmetric part is taken).
    pub fn gram(matrix: Mat) -> Self {
        Self::gram_of(matrix, f64::EPSILON)
    }

    /// As [`Psd::gram`], of entries computed with this machine epsilon.
    pub fn gram_of(matrix: Mat, eps: f64) -> Self {
        let d = matrix.nrows();
        let mut symmetric = Mat::zeros(d, d);
        tiles(d, d, |i, j| symmetric[(i, j)] = 0.5 * (matrix[(i, j)] + matrix[(j, i)]));
        Self::symmetric(symmetric, eps)
    }

    /// As [`Psd::gram_of`], of a matrix that is symmetric to the bit.
    pub(crate) fn symmetric(matrix: Mat, eps: f64) -> Self {
        Psd { core: OnceLock::from(matrix), ..Self::of(Form::Gram { eps }) }
    }

    /// FᵀF from F, `[k, d]`, which stands for a stack of `rows` rows (its rank cut-off) computed
    /// with machine epsilon `eps`.
    pub fn factor(factor: Mat, rows: usize, rule: RankRule, eps: f64) -> Self {
        Self::of(Form::Factor { factor, rows, rule, eps })
    }

    fn of(form: Form) -> Self {
        Psd { form, frame: None, core: OnceLock::new(), full: OnceLock::new(), spectrum: OnceLock::new() }
    }

    /// The matrix that this one is in the coordinates of a frame: QCQᵀ.
    ///
    /// # Shapes
    /// self: `[r, r]`, frame: `[d, r]` → `[d, d]`
    #[must_use]
    pub fn within(mut self, frame: Option<Arc<Mat>>) -> Self {
        self.full = OnceLock::new();
        self.spectrum = OnceLock::new();
        self.frame = frame;
        self
    }

    /// The frame, `[d, r]`, if there is one.
    pub fn frame(&self) -> Option<&Arc<Mat>> {
        self.frame.as_ref()
    }

    /// The same matrix without a frame.
    fn unframed(&self) -> Self {
        let Some(frame) = &self.frame else { return self.clone() };
        match &self.form {
            Form::Factor { factor, rows, rule, eps } => Self::factor(factor * frame.transpose(), *rows, *rule, *eps),
            Form::Gram { eps } => Self::gram_of(self.matrix().clone(), *eps),
        }
    }

    /// Two matrices in one frame, or in none.
    pub fn aligned<'a>(a: &'a Psd, b: &'a Psd) -> (Cow<'a, Psd>, Cow<'a, Psd>) {
        let same = match (&a.frame, &b.frame) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        };
        if same { (Cow::Borrowed(a), Cow::Borrowed(b)) } else { (Cow::Owned(a.unframed()), Cow::Owned(b.unframed())) }
    }

    /// WᵀW of weights, `[d_out, d_in]` → `[d_in, d_in]`.
    pub fn nfm(weight: &Mat) -> Self {
        Self::factor(weight.clone(), weight.nrows(), RankRule::Stacked, f64::EPSILON)
    }

    /// WᵀW of weights in the coordinates of a frame that spans their rows.
    pub fn nfm_within(weight: &Mat, frame: Option<&Arc<Mat>>) -> Self {
        match frame {
            None => Self::nfm(weight),
            Some(q) => {
                Self::factor(weight * &**q, weight.nrows(), RankRule::Stacked, f64::EPSILON).within(Some(q.clone()))
            }
        }
    }

    /// WWᵀ of weights, `[d_out, d_in]` → `[d_out, d_out]`.
    pub fn outer(weight: &Mat) -> Self {
        Self::nfm(&weight.transpose().to_owned())
    }

    /// With no more digits than a Gram matrix has, where that makes the spectrum cheaper: enough for a matrix
    /// that no power is taken of.
    #[must_use]
    pub fn rounded(mut self) -> Self {
        if let Form::Factor { factor, rule, .. } = &mut self.form
            && 2 * factor.nrows() > factor.ncols()
        {
            *rule = RankRule::Gram;
            self.spectrum = OnceLock::new();
        }
        self
    }

    /// Machine epsilon of what it was computed from.
    pub fn eps(&self) -> f64 {
        match &self.form {
            Form::Factor { eps, .. } | Form::Gram { eps } => *eps,
        }
    }

    /// d.
    pub fn dim(&self) -> usize {
        self.frame.as_ref().map_or(self.core_dim(), |frame| frame.nrows())
    }

    fn core_dim(&self) -> usize {
        match &self.form {
            Form::Factor { factor, .. } => factor.ncols(),
            Form::Gram { .. } => self.core().nrows(),
        }
    }

    /// The matrix, `[d, d]`.
    pub fn matrix(&self) -> &Mat {
        match &self.frame {
            None => self.core(),
            Some(q) => self.full.get_or_init(|| symmetric::product((&**q * self.core()).as_ref(), q.transpose())),
        }
    }

    /// The matrix in the frame's coordinates, `[r, r]`; without a frame the matrix itself.
    pub fn core(&self) -> &Mat {
        self.core.get_or_init(|| match &self.form {
            Form::Factor { factor, .. } => symmetric::product(factor.transpose(), factor.as_ref()),
            // A Gram's matrix is there from the start.
            Form::Gram { .. } => Mat::zeros(0, 0),
        })
    }

    /// B's diagonal, without the whole of it where it has a frame.
    ///
    /// # Shapes
    /// d numbers
    pub fn diagonal(&self) -> Vec<f64> {
        let core = self.core();
        let Some(q) = &self.frame else { return (0..core.nrows()).map(|j| core[(j, j)]).collect() };
        let half = &**q * core;
        (0..q.nrows()).map(|j| (0..q.ncols()).map(|i| half[(j, i)] * q[(j, i)]).sum()).collect()
    }

    /// tr B.
    pub fn trace(&self) -> f64 {
        match &self.form {
            Form::Factor { factor, .. } => crate::matrix::squared_norm(factor),
            Form::Gram { .. } => (0..self.core_dim()).map(|i| self.core()[(i, i)]).sum(),
        }
    }

    /// The smallest eigenvalue of the matrix as it is: negative where it is no Gram matrix at all, which
    /// [`Psd::spectrum`] does not show. `None` as there.
    pub fn lowest(&self) -> Option<f64> {
        if !self.is_finite() {
            return None;
        }
        self.matrix().self_adjoint_eigenvalues(Side::Lower).ok()?.first().copied()
    }

    /// Whether every entry is finite.
    pub fn is_finite(&self) -> bool {
        let entries = match &self.form {
            Form::Factor { factor, .. } => factor,
            Form::Gram { .. } => self.core(),
        };
        entries.col_iter().all(|col| col.iter().all(|x| x.is_finite()))
    }

    /// Its eigenpairs, computed once.
    ///
    /// `None` where an entry is not finite, the largest eigenvalue overflows, or the iteration fails
    /// to converge.
    pub fn spectrum(&self) -> Option<&Spectrum> {
        if self.spectrum.get().is_none() {
            let spectrum = self.decompose().filter(|s| s.values.first().is_none_or(|top| top.is_finite()))?;
            // A second thread may have been faster; both computed the same.
            let _ = self.spectrum.set(spectrum);
        }
        self.spectrum.get()
    }

    fn decompose(&self) -> Option<Spectrum> {
        if !self.is_finite() {
            return None;
        }
        let (d, frame) = (self.dim(), self.frame.clone());
        match &self.form {
            Form::Factor { factor, rows, rule, eps } if *rule != RankRule::Gram => {
                let r = factor.ncols();
                // Every right singular vector is needed, the null space's too; the left ones never.
                let svd = if factor.nrows() >= r { factor.thin_svd() } else { factor.svd() }.ok()?;
                let singular: Vec<f64> = svd.S().column_vector().iter().copied().collect();
                let cut = tolerance::rank_of_stack(*rows, d, *eps) * singular.first().copied().unwrap_or(0.0);
                let rank = singular.iter().filter(|&&s| s > cut).count();
                let values = (0..r).map(|i| if i < rank { singular[i] * singular[i] } else { 0.0 }).collect();
                Some(Spectrum { values, vectors: svd.V().to_owned(), frame, rank, rule: *rule, eps: *eps })
            }
            Form::Factor { eps, .. } | Form::Gram { eps } => {
                let r = self.core_dim();
                let eigen = self.core().self_adjoint_eigen(Side::Lower).ok()?;
                let ascending: Vec<f64> = eigen.S().column_vector().iter().copied().collect();
                let top = ascending.last().copied().unwrap_or(0.0).max(0.0);
                let cut = tolerance::rank_of_gram(d, *eps) * top;
                let rank = ascending.iter().filter(|&&g| g > cut).count();
                let values = (0..r).map(|i| if i < rank { ascending[r - 1 - i] } else { 0.0 }).collect();
                let vectors = eigen.U().reverse_cols().to_owned();
                Some(Spectrum { values, vectors, frame, rank, rule: RankRule::Gram, eps: *eps })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mat;

    #[test]
    fn a_factor_keeps_small_eigenvalues_that_a_gram_loses() {
        // Singular values 1 and 1e-10 in a rotated basis: the Gram's second eigenvalue, 1e-20,
        // is below its rounding.
        let (c, s) = (0.6, 0.8);
        let factor = mat(&[[c, s], [-1e-10 * s, 1e-10 * c]]);
        let from_factor = Psd::factor(factor, 2, RankRule::Stacked, f64::EPSILON);
        let spectrum = from_factor.spectrum().expect("finite");
        assert_eq!(spectrum.rank, 2);
        assert!((spectrum.values[1] / 1e-20 - 1.0).abs() < 1e-5, "{:?}", spectrum.values);
        let gram = Psd::gram(from_factor.matrix().clone());
        assert_eq!(gram.spectrum().expect("finite").rank, 1);
    }

    #[test]
    fn powers_invert() {
        let psd = Psd::gram(mat(&[[2.0, 0.5, 0.0], [0.5, 1.0, 0.2], [0.0, 0.2, 3.0]]));
        let root = psd.spectrum().expect("finite").power(1.0 / 3.0);
        let cube = &root * &root * &root;
        assert!(crate::matrix::squared_norm(&(&cube - psd.matrix())).sqrt() < 1e-14 * 4.0);
    }

    #[test]
    fn a_frame_changes_nothing_but_the_cost() {
        // 3 × 300 weights, and an AGOP within their rows.
        let weight = Mat::from_fn(3, 300, |i, j| (((i + 1) * (j + 1)) as f64 * 0.37).sin());
        let inner = mat(&[[2.0, 0.5, 0.0], [0.5, 1.0, 0.2], [0.0, 0.2, 3.0]]);
        let q = frame(&weight);
        assert_eq!(q.as_ref().expect("worth it").ncols(), 3);
        let full = Psd::gram(weight.transpose() * &inner * &weight);
        let map = &weight * &**q.as_ref().expect("worth it");
        let framed = Psd::gram(map.transpose() * &inner * &map).within(q.clone());
        let size = crate::matrix::squared_norm(full.matrix()).sqrt();
        assert!(crate::matrix::squared_norm(&(framed.matrix() - full.matrix())).sqrt() < 1e-14 * size);
        let (a, b) = (framed.spectrum().expect("finite"), full.spectrum().expect("finite"));
        assert_eq!((a.dim(), a.padding(), a.rank, a.rank), (300, 297, 3, b.rank));
        for k in 0..3 {
            assert!((a.values[k] - b.values[k]).abs() < 1e-13 * b.values[0]);
        }
        let power = b.power(0.4);
        assert!(
            crate::matrix::squared_norm(&(a.power(0.4) - &power)).sqrt()
                < 1e-12 * crate::matrix::squared_norm(&power).sqrt()
        );
        let nfm = Psd::nfm_within(&weight, q.as_ref());
        assert!(crate::matrix::squared_norm(&(nfm.matrix() - Psd::nfm(&weight).matrix())).sqrt() < 1e-12);
    }

    #[test]
    fn a_frame_spans_rows_that_depend_on_each_other_to_rounding() {
        // sin(a + b) in rows: rank 2, and a third direction of 1e-12.
        let weight = Mat::from_fn(3, 300, |i, j| ((i * 300 + j * j) as f64 * 0.7).sin());
        let q = frame(&weight).expect("worth it");
        let lost = (&weight * &*q) * q.transpose() - &weight;
        assert!(lost.norm_l2() < 1e-14 * weight.norm_l2());
    }

    #[test]
    fn what_is_not_finite_has_no_spectrum() {
        assert!(Psd::gram(mat(&[[f64::NAN]])).spectrum().is_none());
        assert!(Psd::nfm(&mat(&[[f64::INFINITY, 1.0]])).spectrum().is_none());
        assert!(Psd::nfm(&mat(&[[1e160, 0.0], [0.0, 1.0]])).spectrum().is_none(), "its square overflows");
    }

    #[test]
    fn the_smallest_eigenvalue_may_be_negative() {
        let lowest = |m: Mat| Psd::gram(m).lowest().expect("finite");
        assert!((lowest(mat(&[[1.0, 2.0], [2.0, 1.0]])) + 1.0).abs() < 1e-14);
        assert!((lowest(mat(&[[2.0, 1.0], [1.0, 2.0]])) - 1.0).abs() < 1e-14);
        assert!(Psd::gram(mat(&[[f64::NAN]])).lowest().is_none());
    }
}
