//! Sums over the unknowns.

/// a·b
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// |a|
pub(crate) fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}
