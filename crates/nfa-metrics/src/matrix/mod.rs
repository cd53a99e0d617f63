//! Symmetric matrices on the host, in the form that gives the best spectrum.

pub mod accumulator;
pub mod factor;
pub mod psd;
pub(crate) mod sandwich;
pub(crate) mod symmetric;
pub(crate) mod tiles;
pub mod tolerance;

/// The host matrix type: column-major `f64`.
pub type Mat = faer::Mat<f64>;

/// A matrix from its rows.
pub fn mat<const R: usize, const C: usize>(rows: &[[f64; C]; R]) -> Mat {
    Mat::from_fn(R, C, |i, j| rows[i][j])
}

/// |X|² (Frobenius).
pub(crate) fn squared_norm(x: &Mat) -> f64 {
    x.squared_norm_l2()
}
