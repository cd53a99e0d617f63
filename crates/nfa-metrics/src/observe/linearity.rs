//! How linear the targets are in what a map reads.

use faer::Side;

use crate::matrix::Mat;
use crate::matrix::tolerance;

/// Sums over rows (1, h, y), of which the share of the targets' variance follows that a linear map of h explains.
#[derive(Clone, Debug)]
pub(crate) struct Linearity {
    /// Of (1, h, y)ᵀ(1, h, y), `[1 + d + c, 1 + d + c]`.
    sums: Mat,
    d: usize,
}

impl Linearity {
    pub(crate) fn new(d: usize, c: usize) -> Self {
        Linearity { sums: Mat::zeros(1 + d + c, 1 + d + c), d }
    }

    /// Adds rows, each times its weight.
    ///
    /// # Shapes
    /// h: `[b, d]`, y: `[b, c]`, weights: b
    pub(crate) fn add(&mut self, h: &Mat, y: &Mat, weight: impl Fn(usize) -> f64) {
        let (d, width) = (self.d, self.sums.ncols());
        let rows = Mat::from_fn(h.nrows(), width, |i, j| {
            let value = match j {
                0 => 1.0,
                j if j <= d => h[(i, j - 1)],
                j => y[(i, j - 1 - d)],
            };
            weight(i).sqrt() * value
        });
        self.sums += rows.transpose() * &rows;
    }

    /// R²; `None` where the targets don't vary or a number is not finite.
    pub(crate) fn share(&self) -> Option<f64> {
        let (d, n) = (self.d, self.sums[(0, 0)]);
        if !(self.sums.is_all_finite() && n > 0.0) {
            return None;
        }
        let covariance = |i: usize, j: usize| (self.sums[(i, j)] - self.sums[(i, 0)] * self.sums[(0, j)] / n) / n;
        let c = self.sums.ncols() - 1 - d;
        let (whole, raw) = (0..c).fold((0.0, 0.0), |(whole, raw), k| {
            let at = 1 + d + k;
            (whole + covariance(at, at), raw + self.sums[(at, at)] / n)
        });
        if whole <= tolerance::rounding(d) * raw {
            return None;
        }
        let own = Mat::from_fn(d, d, |i, j| covariance(1 + i, 1 + j));
        let with = Mat::from_fn(d, c, |i, k| covariance(1 + i, 1 + d + k));
        let eigen = own.self_adjoint_eigen(Side::Lower).ok()?;
        let (values, along) = (eigen.S().column_vector(), eigen.U().transpose() * with);
        // Where h does not vary it explains nothing; the sums' rounding is of what h is, mean included.
        let size: f64 = (0..d).map(|i| self.sums[(1 + i, 1 + i)] / n).sum();
        let least = tolerance::rounding(d) * size;
        let explained: f64 = (0..d)
            .filter(|&i| values[i] > least)
            .map(|i| (0..c).map(|k| along[(i, k)].powi(2)).sum::<f64>() / values[i])
            .sum();
        Some((explained / whole).clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nfa_models::Stream;

    #[test]
    fn a_linear_target_is_linear_and_noise_takes_its_share() {
        let draws = Stream::root(3).normals(400);
        let h = Mat::from_fn(100, 3, |i, j| draws[3 * i + j] + 5.0);
        let noise = |i: usize| draws[300 + i];
        let of = |y: Mat| {
            let mut sums = Linearity::new(3, 1);
            sums.add(&h, &y, |_| 1.0);
            sums.share()
        };
        let line = |i: usize| 2.0 * h[(i, 0)] - h[(i, 2)] + 7.0;
        assert!((of(Mat::from_fn(100, 1, |i, _| line(i))).expect("varies") - 1.0).abs() < 1e-10);
        // Against a fit by normal equations of its own: what is left of the noise is its part across (1, h).
        let share = of(Mat::from_fn(100, 1, |i, _| line(i) + noise(i))).expect("varies");
        assert!(share > 0.6 && share < 0.95, "{share}");
        assert!(of(Mat::from_fn(100, 1, |i, _| noise(i))).expect("varies") < 0.15);
        assert_eq!(of(Mat::from_fn(100, 1, |_, _| 3.0)), None);
    }
}
