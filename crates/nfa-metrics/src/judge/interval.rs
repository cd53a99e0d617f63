//! Intervals, and the source of variation that they speak of.

use crate::judge::family::Family;
use crate::judge::misfit::{ALPHA_RANGE, Fit};

/// What varies inside an interval. Never mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IntervalSource {
    /// Nothing: the value is exact for the inputs given, and the interval has width zero.
    None,
    /// The samples, as draws from a distribution.
    Inputs,
    /// The runs of a grid over seeds.
    Seeds,
}

impl IntervalSource {
    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            IntervalSource::None => "none",
            IntervalSource::Inputs => "inputs",
            IntervalSource::Seeds => "seeds",
        }
    }
}

/// A 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Of width zero.
    pub fn exact(value: f64) -> Self {
        Interval { low: value, high: value }
    }

    /// high - low.
    pub fn width(self) -> f64 {
        self.high - self.low
    }

    /// What lies in a range that holds the value in any case. Where nothing does, or an end is no
    /// number, the samples say nothing, and it is the range itself.
    fn within(self, [least, most]: [f64; 2]) -> Self {
        // A maximum or minimum with NaN is the other number.
        let clipped = Interval { low: self.low.max(least), high: self.high.min(most) };
        if clipped.low <= clipped.high { clipped } else { Interval { low: least, high: most } }
    }

    /// Whether a value lies inside.
    pub fn contains(self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// The 95 % intervals of a fit, and what they speak of.
///
/// Over inputs they are the population's: where few inputs spread the spectrum of B, the exponent
/// fitted to them lies below the population's, and may lie outside its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// What varies.
    pub source: IntervalSource,
    /// Of the exponent.
    pub alpha: Interval,
    /// Of the misfit.
    pub misfit: Interval,
}

impl Spread {
    /// Wider by so much at both ends, within what a misfit can be.
    pub(crate) fn widened(self, alpha: f64, misfit: f64, misfits: [f64; 2]) -> Self {
        let wider = |of: Interval, by: f64| Interval { low: of.low - by.abs(), high: of.high + by.abs() };
        Spread {
            source: self.source,
            alpha: wider(self.alpha, alpha).within(ALPHA_RANGE),
            misfit: wider(self.misfit, misfit).within(misfits),
        }
    }
}

/// The 97.5 % quantile of Student's t (Cornish-Fisher expansion; to 1e-3 from 4 degrees on).
pub fn t_quantile(degrees: f64) -> f64 {
    const Z: f64 = 1.959_963_984_540_054;
    // Below, the expansion is too small; these two are closed forms.
    if degrees < 2.5 {
        return if degrees < 2.0 {
            (0.475 * std::f64::consts::PI).tan()
        } else {
            0.95 * f64::sqrt(2.0 / (4.0 * 0.975 * 0.025))
        };
    }
    let (v, z2) = (degrees, Z * Z);
    let odd = |coefficients: &[f64]| Z * coefficients.iter().rev().fold(0.0, |sum, c| sum * z2 + c);
    Z + odd(&[1.0, 1.0]) / (4.0 * v)
        + odd(&[3.0, 16.0, 5.0]) / (96.0 * v.powi(2))
        + odd(&[-15.0, 17.0, 19.0, 3.0]) / (384.0 * v.powi(3))
        + odd(&[-945.0, -1920.0, 1482.0, 776.0, 79.0]) / (92160.0 * v.powi(4))
}

/// A standard error, and the degrees of freedom with which it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StandardError {
    /// The error.
    pub error: f64,
    /// Satterthwaite's, from the excess kurtosis γ of what was averaged: Var(s²)/s⁴ is
    /// 2/(n - 1) + γ/n, of which a normal has the first term.
    pub degrees: f64,
}

impl StandardError {
    /// Of a mean of independent values; `None` of fewer than two.
    pub fn of_mean(values: &[f64]) -> Option<Self> {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let square = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
        let fourth = values.iter().map(|v| (v - mean).powi(4)).sum::<f64>();
        let heavier = if square > 0.0 { (n * fourth / (square * square) - 3.0).max(0.0) } else { 0.0 };
        let degrees = 2.0 / (2.0 / (n - 1.0) + heavier / n);
        (n >= 2.0).then(|| StandardError { error: (square / (n * (n - 1.0))).sqrt(), degrees })
    }

    fn times(self, factor: f64) -> Self {
        StandardError { error: self.error * factor, ..self }
    }
}

/// Moves of log α and of δ² below this are the rounding of the fits.
const ROUNDING: f64 = 1e-9;

/// Fewer blocks than this give no interval.
pub const FEWEST_BLOCKS: usize = 8;

/// One quantity, jackknifed.
#[derive(Clone, Debug)]
pub(crate) struct Jackknifed {
    whole: f64,
    bias: f64,
    /// With the variance of their mean that of the estimate.
    deviations: Vec<f64>,
}

impl Jackknifed {
    /// From the value on all samples and without each block, the blocks' shares of the samples
    /// being `shares` (the delete-m_j jackknife of Busing, Meijer and van der Leeden, 1999).
    pub(crate) fn new(whole: f64, without: &[f64], shares: &[f64]) -> Self {
        let blocks = without.len() as f64;
        let moved: f64 = without.iter().zip(shares).map(|(value, share)| (1.0 - share) * (value - whole)).sum();
        // θ_J = θ - bias, θ_j = θ - (1/share - 1)(θ_(-j) - θ), and the variance of θ_J is
        // Σ (θ_j - θ_J)² / (1/share - 1) / M; for blocks of one size that of a mean of M.
        let deviations = without.iter().zip(shares).map(|(value, share)| {
            let h = 1.0 / share;
            (moved - (h - 1.0) * (value - whole)) * ((blocks - 1.0) / (h - 1.0)).sqrt()
        });
        Jackknifed { whole, bias: moved, deviations: deviations.collect() }
    }

    /// With the blocks' own scatter, within a range that holds the value in any case.
    pub(crate) fn interval(&self, range: [f64; 2]) -> Option<Interval> {
        let (centre, half) = self.around(StandardError::of_mean(&self.deviations)?);
        Some(Interval { low: centre - half, high: centre + half }.within(range))
    }

    /// Centre and half-width: less the bias, which the blocks know up to a relative variance of
    /// at most about 2/M (as one variance from M values).
    fn around(&self, error: StandardError) -> (f64, f64) {
        let blocks = self.deviations.len() as f64;
        let bias = if self.bias.abs() > ROUNDING { self.bias } else { 0.0 };
        let error_of_bias2 = 2.0 * bias * bias / blocks;
        let own = if error.error > ROUNDING { error.error } else { 0.0 };
        (self.whole - bias, t_quantile(error.degrees) * (own * own + error_of_bias2).sqrt())
    }
}

/// What leaving out each block of samples does to a fit: the intervals' centres, and where the
/// blocks are all there is also their widths.
///
/// Few samples spread the spectrum of B and turn its eigenvectors, so that the fitted exponent is
/// too small and the fitted misfit too large, by a share that falls like 1/n; the jackknife
/// removes that order. It works on log α and δ²: the bias of α is a factor, and δ² is smooth in B
/// where δ is 0.
#[derive(Clone, Debug)]
pub struct Jackknife {
    family: Family,
    log_alpha: Jackknifed,
    misfit2: Jackknifed,
    /// Exponent and misfit of the whole, and without each block.
    whole: [f64; 2],
    without: Vec<[f64; 2]>,
    shares: Vec<f64>,
}

/// How far exponent and misfit moved from one network to another on the same rows, with 95 % intervals over rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// Of the exponent.
    pub alpha: f64,
    /// Its interval.
    pub alpha_interval: Interval,
    /// Of the misfit.
    pub misfit: f64,
    /// Its interval.
    pub misfit_interval: Interval,
}

impl Jackknife {
    /// From the fit to all samples and those without each block, whose counts of samples are given.
    ///
    /// `None` with fewer than [`FEWEST_BLOCKS`], or where a fit has no exponent, or the whole's
    /// ran to an end of the search.
    pub fn new(family: Family, whole: &Fit, without: &[Fit], counts: &[f64]) -> Option<Self> {
        if without.len() < FEWEST_BLOCKS || without.len() != counts.len() || whole.at_end.is_some() {
            return None;
        }
        let total: f64 = counts.iter().sum();
        let shares: Vec<f64> = counts.iter().map(|count| count / total).collect();
        let logs: Vec<f64> = without.iter().map(|fit| Some(fit.alpha?.ln())).collect::<Option<_>>()?;
        let squares: Vec<f64> = without.iter().map(|fit| fit.misfit * fit.misfit).collect();
        let both = |fit: &Fit| Some([fit.alpha?, fit.misfit]);
        Some(Jackknife {
            family,
            log_alpha: Jackknifed::new(whole.alpha?.ln(), &logs, &shares),
            misfit2: Jackknifed::new(whole.misfit * whole.misfit, &squares, &shares),
            whole: both(whole)?,
            without: without.iter().map(both).collect::<Option<_>>()?,
            shares,
        })
    }

    /// What changed since another network was measured, block by block: what both owe to the same rows cancels. `None`
    /// where the blocks are others.
    pub fn since(&self, before: &Jackknife) -> Option<Change> {
        if self.shares != before.shares {
            return None;
        }
        let moved = |k: usize, most: f64| {
            let without: Vec<f64> =
                self.without.iter().zip(&before.without).map(|(after, before)| after[k] - before[k]).collect();
            let value = self.whole[k] - before.whole[k];
            Some((value, Jackknifed::new(value, &without, &self.shares).interval([-most, most])?))
        };
        let ((alpha, alpha_interval), (misfit, misfit_interval)) =
            (moved(0, ALPHA_RANGE[1])?, moved(1, self.family.misfit_range()[1])?);
        Some(Change { alpha, alpha_interval, misfit, misfit_interval })
    }

    /// Intervals with the blocks' own scatter.
    pub fn over_blocks(&self) -> Option<Spread> {
        let error = |quantity: &Jackknifed| StandardError::of_mean(&quantity.deviations);
        Some(self.spread(error(&self.log_alpha)?, error(&self.misfit2)?))
    }

    /// Intervals with the scatter of the single samples' contributions to dα and dδ (see
    /// [`Sensitivity`](crate::Sensitivity)): the infinitesimal jackknife.
    pub fn over_inputs(&self, alpha: &[f64], misfit: &[f64]) -> Option<Spread> {
        let (of_alpha, of_misfit) = (StandardError::of_mean(alpha)?, StandardError::of_mean(misfit)?);
        let delta = self.misfit2.whole.sqrt();
        Some(self.spread(of_alpha.times((-self.log_alpha.whole).exp()), of_misfit.times(2.0 * delta)))
    }

    fn spread(&self, log_alpha: StandardError, misfit2: StandardError) -> Spread {
        let (centre, half) = self.log_alpha.around(log_alpha);
        let alpha = Interval { low: (centre - half).exp(), high: (centre + half).exp() }.within(ALPHA_RANGE);
        let (centre, half) = self.misfit2.around(misfit2);
        let misfit = Interval { low: (centre - half).max(0.0).sqrt(), high: (centre.max(0.0) + half).sqrt() }
            .within(self.family.misfit_range());
        Spread { source: IntervalSource::Inputs, alpha, misfit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::misfit::{End, Parts};

    fn fit(alpha: f64, misfit: f64) -> Fit {
        let parts = Parts { directions: 0.0, order: 0.0, shape: 0.0 };
        Fit { alpha: Some(alpha), kappa: 1.0, misfit, parts, at_end: None }
    }

    #[test]
    fn quantiles_of_students_t() {
        // Tables of the distribution.
        for (degrees, quantile) in [
            (1.0, 12.7062),
            (2.0, 4.3027),
            (3.0, 3.1824),
            (4.0, 2.7764),
            (7.0, 2.3646),
            (15.0, 2.1314),
            (31.0, 2.0395),
            (1000.0, 1.9623),
        ] {
            assert!((t_quantile(degrees) - quantile).abs() < 4e-3, "{degrees}: {}", t_quantile(degrees));
        }
    }

    #[test]
    fn the_jackknife_of_a_mean_and_of_its_square() {
        // θ = x̄², whose bias is the variance of x̄: the jackknife's is s²/n.
        let x = [0.3, 1.9, 0.7, 2.2, 1.1, 0.4, 1.6, 0.9];
        let mean = |skip: Option<usize>| {
            let kept: Vec<f64> = (0..8).filter(|&i| Some(i) != skip).map(|i| x[i]).collect();
            kept.iter().sum::<f64>() / kept.len() as f64
        };
        let without: Vec<f64> = (0..8).map(|i| mean(Some(i)).powi(2)).collect();
        let quantity = Jackknifed::new(mean(None).powi(2), &without, &[0.125; 8]);
        let variance = StandardError::of_mean(&x).expect("eight").error.powi(2);
        assert!((quantity.bias / variance - 1.0).abs() < 1e-12, "{} {variance}", quantity.bias);
        // A mean has no bias, and its error is the mean's, however the blocks are cut.
        for sizes in [[1usize; 8], [3, 1, 2, 1, 4, 1, 2, 2]] {
            let total: usize = sizes.iter().sum();
            let shares: Vec<f64> = sizes.iter().map(|&m| m as f64 / total as f64).collect();
            let whole: f64 = shares.iter().zip(&x).map(|(s, x)| s * x).sum();
            let without: Vec<f64> = shares.iter().zip(&x).map(|(s, x)| (whole - s * x) / (1.0 - s)).collect();
            let quantity = Jackknifed::new(whole, &without, &shares);
            assert!(quantity.bias.abs() < 1e-14);
            let expected: f64 =
                shares.iter().zip(&x).map(|(s, x)| s / (1.0 - s) * (x - whole).powi(2)).sum::<f64>() / 8.0;
            let square: f64 = quantity.deviations.iter().map(|v| v * v).sum::<f64>() / (8.0 * 7.0);
            assert!((square / expected - 1.0).abs() < 1e-12, "{square} {expected}");
        }
    }

    #[test]
    fn a_change_is_known_better_than_both_ends_where_rows_move_them_alike() {
        let moved = |b: usize| [0.02, -0.01, 0.015, -0.03, 0.005, 0.01, -0.02, 0.01][b];
        let fits = |alpha: f64, own: f64| -> Vec<Fit> {
            (0..8).map(|b| fit(alpha + moved(b) + own * moved((b + 3) % 8), 0.3 + moved(b) / 2.0)).collect()
        };
        let jackknife = |alpha: f64, own: f64| {
            Jackknife::new(Family::Power, &fit(alpha, 0.3), &fits(alpha, own), &[10.0; 8]).expect("eight blocks")
        };
        let (before, after) = (jackknife(0.4, 0.0), jackknife(0.6, 0.1));
        let change = after.since(&before).expect("the same blocks");
        assert!((change.alpha - 0.2).abs() < 1e-15 && change.misfit == 0.0);
        assert!(change.misfit_interval.width() < 1e-8, "{change:?}");
        let width = after.over_blocks().expect("eight").alpha.width();
        assert!(
            change.alpha_interval.width() > 0.0 && change.alpha_interval.width() < 0.2 * width,
            "{change:?} {width}"
        );
        let uneven = Jackknife::new(Family::Power, &fit(0.4, 0.3), &fits(0.4, 0.0), &[5.0; 8]).expect("eight");
        assert!(after.since(&uneven).is_some(), "as large a share each");
        let other =
            Jackknife::new(Family::Power, &fit(0.4, 0.3), &[&fits(0.4, 0.0)[..], &[fit(0.4, 0.3)]].concat(), &[5.0; 9]);
        assert!(after.since(&other.expect("nine")).is_none());
    }

    #[test]
    fn heavy_tails_cost_degrees_of_freedom() {
        let flat: Vec<f64> = (0..50).map(f64::from).collect();
        assert!((StandardError::of_mean(&flat).expect("many").degrees - 49.0).abs() < 1e-12);
        let mut heavy = vec![0.0; 50];
        heavy[7] = 1.0;
        let degrees = StandardError::of_mean(&heavy).expect("many").degrees;
        assert!(degrees < 2.2, "{degrees}");
        assert!(StandardError::of_mean(&[1.0]).is_none());
    }

    #[test]
    fn what_does_not_vary_has_width_zero_and_what_is_degenerate_no_interval() {
        let same = vec![fit(0.5, 0.1); 8];
        let spread = Jackknife::new(Family::Power, &same[0], &same, &[10.0; 8])
            .and_then(|j| j.over_blocks())
            .expect("eight blocks");
        assert_eq!((spread.alpha.width(), spread.misfit.width()), (0.0, 0.0));
        assert!((spread.alpha.low - 0.5).abs() < 1e-15);
        assert!(Jackknife::new(Family::Power, &same[0], &same[1..], &[10.0; 7]).is_none());
        let at_end = Fit { at_end: Some(End::Upper), ..fit(4.0, 0.1) };
        assert!(Jackknife::new(Family::Power, &at_end, &same, &[10.0; 8]).is_none());
        let none = Fit { alpha: None, ..fit(1.0, 0.1) };
        assert!(Jackknife::new(Family::Power, &none, &same, &[10.0; 8]).is_none());
        let mut some = same.clone();
        some[3] = none;
        assert!(Jackknife::new(Family::Power, &same[0], &some, &[10.0; 8]).is_none());
    }

    #[test]
    fn an_interval_stays_where_the_value_can_be() {
        // Blocks of which one moves the exponent by orders of magnitude: e^half overflows.
        let mut wild = vec![fit(0.5, 0.1); 8];
        wild[2] = fit(1e-3, 0.9);
        let spread = Jackknife::new(Family::Power, &fit(0.5, 0.1), &wild, &[10.0; 8])
            .and_then(|j| j.over_blocks())
            .expect("eight");
        assert_eq!(spread.alpha, Interval { low: ALPHA_RANGE[0], high: ALPHA_RANGE[1] });
        assert_eq!(spread.misfit, Interval { low: 0.0, high: 1.0 });
        let cut = |low: f64, high: f64| Interval { low, high }.within([1.0, 2.0]);
        assert_eq!(cut(0.5, 1.5), Interval { low: 1.0, high: 1.5 });
        assert_eq!(cut(1.2, 1.2), Interval { low: 1.2, high: 1.2 });
        for (low, high) in [(3.0, f64::INFINITY), (f64::NAN, f64::NAN), (0.1, 0.2)] {
            assert_eq!(cut(low, high), Interval { low: 1.0, high: 2.0 });
        }
    }
}
