//! What each coordinate of a layer's input contributes to the AGOP: its diagonal, as shares of the trace.

use crate::judge::interval::{FEWEST_BLOCKS, Interval, Jackknifed};

/// diag(AGOP) on all rows, and on blocks of them.
///
/// Entry j is the mean over rows of Σ_k (∂f_k/∂x_j)²: how strongly the outputs follow that coordinate, per unit of it.
#[derive(Clone, Debug)]
pub struct Diagonal {
    /// On all rows, d numbers.
    pub whole: Vec<f64>,
    /// On each block, d numbers; none where there is nothing to vary.
    pub blocks: Vec<Vec<f64>>,
    /// Rows of each block.
    pub counts: Vec<f64>,
}

/// A coordinate's part of the trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// From 0 to 1.
    pub share: f64,
    /// Over other rows (95 %, the jackknife over blocks); `None` without blocks.
    pub interval: Option<Interval>,
}

impl Diagonal {
    /// Each coordinate's share of Σ_j s_j diag_j. With all factors s_j = 1 per unit of the coordinates; with their
    /// variances per standard deviation, which doesn't hang on units.
    ///
    /// # Shapes
    /// factors: d; returns d shares, none where the sum is no positive number
    pub fn shares(&self, factors: &[f64]) -> Option<Vec<Share>> {
        let shares = |diagonal: &[f64]| {
            let parts: Vec<f64> = diagonal.iter().zip(factors).map(|(value, factor)| value * factor).collect();
            let sum: f64 = parts.iter().sum();
            (sum.is_finite() && sum > 0.0).then(|| parts.iter().map(|part| part / sum).collect::<Vec<f64>>())
        };
        let whole = shares(&self.whole)?;
        let total: f64 = self.counts.iter().sum();
        let without = |b: usize| {
            let left: Vec<f64> = (0..whole.len())
                .map(|j| {
                    let kept = (0..self.blocks.len()).filter(|&other| other != b);
                    kept.map(|other| self.blocks[other][j] * self.counts[other]).sum::<f64>()
                })
                .collect();
            shares(&left)
        };
        let others: Option<Vec<Vec<f64>>> = (0..self.blocks.len()).map(without).collect();
        let others = others.filter(|others| others.len() >= FEWEST_BLOCKS);
        let sizes: Vec<f64> = self.counts.iter().map(|count| count / total).collect();
        let interval = |j: usize| {
            let left: Vec<f64> = others.as_ref()?.iter().map(|shares| shares[j]).collect();
            Jackknifed::new(whole[j], &left, &sizes).interval([0.0, 1.0])
        };
        Some((0..whole.len()).map(|j| Share { share: whole[j], interval: interval(j) }).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::matrix::Mat;
    use crate::matrix::psd::Psd;

    #[test]
    fn shares_add_up_and_what_does_not_vary_is_exact() {
        let block = vec![3.0, 1.0, 0.0];
        let same = Diagonal { whole: block.clone(), blocks: vec![block; 8], counts: vec![5.0; 8] };
        let shares = same.shares(&[1.0; 3]).expect("positive");
        assert_eq!(shares.iter().map(|s| s.share).collect::<Vec<_>>(), [0.75, 0.25, 0.0]);
        assert!(shares.iter().all(|s| s.interval == Some(Interval::exact(s.share))), "{shares:?}");
        // Per standard deviation: (3, 9, 0) of 12.
        let scaled = same.shares(&[1.0, 9.0, 4.0]).expect("positive");
        assert_eq!(scaled[1].share, 0.75);
        let still = Diagonal { whole: vec![0.0; 2], blocks: Vec::new(), counts: Vec::new() };
        assert!(still.shares(&[1.0; 2]).is_none());
    }

    #[test]
    fn the_diagonal_in_a_frame_is_that_of_the_whole() {
        // Q with orthonormal columns in five dimensions, by hand.
        let q = Mat::from_fn(5, 2, |j, i| [[0.6, 0.0], [0.0, 1.0], [0.8, 0.0], [0.0, 0.0], [0.0, 0.0]][j][i]);
        let core = Mat::from_fn(2, 2, |i, j| [[2.0, 0.5], [0.5, 1.0]][i][j]);
        let framed = Psd::gram_of(core, f64::EPSILON).within(Some(Arc::new(q)));
        for (found, expected) in framed.diagonal().iter().zip([0.72, 1.0, 1.28, 0.0, 0.0]) {
            assert!((found - expected).abs() < 1e-15, "{found} {expected}");
        }
    }

    #[test]
    fn an_interval_holds_what_all_rows_would_give() {
        // Ratio of means of (u, 1): block means of u around 2, so a share of 2/3 in the limit.
        let u = [1.9, 2.1, 2.05, 1.92, 2.2, 1.85, 2.0, 1.98];
        let mean = u.iter().sum::<f64>() / 8.0;
        let blocks = u.iter().map(|&u| vec![u, 1.0]).collect();
        let one = Diagonal { whole: vec![mean, 1.0], blocks, counts: vec![10.0; 8] };
        let share = one.shares(&[1.0; 2]).expect("positive")[0];
        let interval = share.interval.expect("eight blocks");
        // The delta method: d(u/(1+u)) = du/(1+u)^2, with Student's 7 degrees.
        let error = (u.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 56.0).sqrt() / (1.0 + mean).powi(2);
        assert!((interval.width() / (2.0 * 2.3646 * error) - 1.0).abs() < 0.02, "{interval:?} {error}");
        assert!(interval.contains(2.0 / 3.0));
    }
}
