//! Every tolerance of the engine, derived from the machine epsilon and the size.

/// Eigenvalues closer than this share of the largest are one: their eigenvectors are arbitrary
/// within the pool. Rounding moves an eigenvalue of a d × d matrix by a few d·eps.
pub fn pool(d: usize) -> f64 {
    64.0 * d as f64 * f64::EPSILON
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
