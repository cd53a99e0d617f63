//! Every tolerance of the engine, derived from the machine epsilon and the size.

/// Eigenvalues s² closer than this share of s·s_1 are one: their eigenvectors are arbitrary within
/// the pool. Rounding moves a singular value s of a stack of rows of length d by a few d·eps·s_1.
pub fn pool(d: usize, eps: f64) -> f64 {
    64.0 * d as f64 * eps
}

/// As [`pool`], of the eigenvalues of a Gram matrix and as a share of the largest. What is summed
/// in lower precision has no digits to spare between this and [`rank_of_gram`].
pub fn pool_of_gram(d: usize, eps: f64) -> f64 {
    pool(d, f64::EPSILON).max(rank_of_gram(d, eps))
}

/// A certificate's margin, or the spread of a spectrum, below this is rounding.
pub fn rounding(d: usize) -> f64 {
    64.0 * d as f64 * f64::EPSILON
}

/// Singular values of an m × d stack below this share of the largest are zero.
pub fn rank_of_stack(rows: usize, d: usize, eps: f64) -> f64 {
    rows.max(d) as f64 * eps
}

/// Eigenvalues of a d × d Gram matrix below this share of the largest are zero.
pub fn rank_of_gram(d: usize, eps: f64) -> f64 {
    d as f64 * eps
}
