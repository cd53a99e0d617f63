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

/// The second derivative of a loss in its outputs at some rows.
#[cfg(feature = "burn")]
#[derive(Debug)]
pub(crate) struct Bend<T> {
    /// Of a squared loss: what each row is multiplied by.
    scales: Vec<T>,
    /// Of cross entropy: q = w m p/n for each row, m the targets' sum and p the softmax. Then Hv = q∘v - q (q·v)/Σq.
    shares: Option<Vec<T>>,
}

#[cfg(feature = "burn")]
impl Criterion {
    /// From the gradient in the outputs, as [`Criterion::differentiate`] leaves it.
    ///
    /// # Shapes
    /// gradient, targets: `[b, c]`; weights: `[b]`
    pub(crate) fn bend<T: Real>(
        self,
        gradient: &[T],
        targets: &[T],
        weights: Option<&[T]>,
        c: usize,
        rows: usize,
    ) -> Bend<T> {
        let factor = match self {
            Criterion::HalfMse | Criterion::CrossEntropy => 1.0 / rows as f64,
            Criterion::Mse => 2.0 / (rows * c) as f64,
        };
        let b = gradient.len() / c.max(1);
        let scales: Vec<T> =
            (0..b).map(|i| T::from_f64(factor * weights.map_or(1.0, |weights| weights[i].to_f64()))).collect();
        let shares = (self == Criterion::CrossEntropy)
            .then(|| gradient.iter().zip(targets).enumerate().map(|(i, (&g, &y))| g + scales[i / c] * y).collect());
        Bend { scales, shares }
    }
}

#[cfg(feature = "burn")]
impl<T: Real> Bend<T> {
    /// v ← Hv for rows of changes of the outputs, several times over the same samples.
    ///
    /// # Shapes
    /// v: `[l, b, c]`
    pub(crate) fn apply(&self, v: &mut [T], c: usize) {
        for (i, v) in v.chunks_exact_mut(c).enumerate() {
            let row = i % self.scales.len();
            let Some(shares) = &self.shares else {
                v.iter_mut().for_each(|v| *v *= self.scales[row]);
                continue;
            };
            let q = &shares[row * c..(row + 1) * c];
            let total: f64 = q.iter().map(|q| q.to_f64()).sum();
            let along: f64 = q.iter().zip(&*v).map(|(q, v)| q.to_f64() * v.to_f64()).sum();
            // A row without weight bends nothing.
            let mean = T::from_f64(if total > 0.0 { along / total } else { 0.0 });
            v.iter_mut().zip(q).for_each(|(v, &q)| *v = q * (*v - mean));
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
