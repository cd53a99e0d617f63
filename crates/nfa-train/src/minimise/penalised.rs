//! A function and its penalty ½ Σ λ_i x_i².

use crate::minimise::function::Function;

/// ½ Σ λ_i x_i².
pub(super) fn penalty(f: &dyn Function, x: &[f64]) -> f64 {
    f.decay().iter().zip(x).map(|(decay, x)| 0.5 * decay * x * x).sum()
}

/// The gradient of f and its penalty.
pub(super) fn slope(f: &mut dyn Function, x: &[f64]) -> Vec<f64> {
    let mut gradient = f.gradient(x);
    gradient.iter_mut().zip(f.decay()).zip(x).for_each(|((g, decay), x)| *g += decay * x);
    gradient
}
