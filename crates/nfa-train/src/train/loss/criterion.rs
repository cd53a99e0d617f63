//! Losses of the host engine: value and gradient in the outputs, row by row.

use nfa_models::host::Real;

/// A loss that the host engine knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Criterion {
    /// 1/(2n) Σ w |f - y|²
    HalfMse,
    /// 1/(nc) Σ w |f - y|²
    Mse,
    /// -(1/n) Σ w Σ_k y_k log softmax(f)_k
    CrossEntropy,
}

impl Criterion {
    /// Turns outputs into the loss's gradient there, and returns the loss of these rows.
    ///
    /// `rows` is the n of the mean, where the rows given stand for more than there are.
    ///
    /// # Shapes
    /// outputs, targets: `[b, c]`; weights: `[b]`
    pub(crate) fn differentiate<T: Real>(
        self,
        outputs: &mut [T],
        targets: &[T],
        weights: Option<&[T]>,
        c: usize,
        rows: usize,
    ) -> f64 {
        let factor = match self {
            Criterion::HalfMse => 0.5 / rows as f64,
            Criterion::Mse => 1.0 / (rows * c) as f64,
            Criterion::CrossEntropy => 1.0 / rows as f64,
        };
        match (self, weights) {
            (Criterion::CrossEntropy, weights) => surprise(outputs, targets, weights, c, factor),
            (_, None) => squares(outputs, targets, T::from_f64(2.0 * factor)) * factor,
            (_, Some(weights)) => {
                let rows = outputs.chunks_exact_mut(c).zip(targets.chunks_exact(c)).zip(weights);
                let each = rows.map(|((outputs, targets), &weight)| {
                    weight.to_f64() * squares(outputs, targets, T::from_f64(2.0 * factor) * weight)
                });
                each.sum::<f64>() * factor
            }
        }
    }
}

/// Σ (f - y)², and f ← (f - y) scale.
fn squares<T: Real>(outputs: &mut [T], targets: &[T], scale: T) -> f64 {
    let mut sum = 0.0;
    for (output, &target) in outputs.iter_mut().zip(targets) {
        let error = *output - target;
        sum += error.to_f64() * error.to_f64();
        *output = error * scale;
    }
    sum
}

/// Softmax of each row, from the largest entry down; log and exp in `f64`.
fn surprise<T: Real>(outputs: &mut [T], targets: &[T], weights: Option<&[T]>, c: usize, factor: f64) -> f64 {
    let mut sum = 0.0;
    for (i, (outputs, targets)) in outputs.chunks_exact_mut(c).zip(targets.chunks_exact(c)).enumerate() {
        let weight = weights.map_or(1.0, |weights| weights[i].to_f64());
        // A NaN that max() passes over is in the total.
        let top = outputs.iter().fold(f64::NEG_INFINITY, |top, f| top.max(f.to_f64()));
        let total: f64 = outputs.iter().map(|f| (f.to_f64() - top).exp()).sum();
        let mass: f64 = targets.iter().map(|y| y.to_f64()).sum();
        for (output, &target) in outputs.iter_mut().zip(targets) {
            let (log, target) = (output.to_f64() - top - total.ln(), target.to_f64());
            if target != 0.0 {
                sum -= weight * target * log;
            }
            *output = T::from_f64(weight * factor * (mass * log.exp() - target));
        }
    }
    sum * factor
}
