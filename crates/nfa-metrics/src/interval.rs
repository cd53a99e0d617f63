//! Intervals, and the source of variation that they speak of.

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

    /// Whether a value lies inside.
    pub fn contains(self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// Half-widths of 95 % intervals, and what they speak of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// What varies.
    pub source: IntervalSource,
    /// Of the exponent.
    pub alpha: f64,
    /// Of the misfit.
    pub misfit: f64,
}

/// The 97.5 % quantile of Student's t (Cornish-Fisher expansion; to 1e-3 from 4 degrees on).
pub fn t_quantile(degrees: f64) -> f64 {
    const Z: f64 = 1.959_963_984_540_054;
    let (v, z2) = (degrees, Z * Z);
    let odd = |coefficients: &[f64]| Z * coefficients.iter().rev().fold(0.0, |sum, c| sum * z2 + c);
    Z + odd(&[1.0, 1.0]) / (4.0 * v)
        + odd(&[3.0, 16.0, 5.0]) / (96.0 * v.powi(2))
        + odd(&[-15.0, 17.0, 19.0, 3.0]) / (384.0 * v.powi(3))
        + odd(&[-945.0, -1920.0, 1482.0, 776.0, 79.0]) / (92160.0 * v.powi(4))
}

/// Half-width of a 95 % interval for a mean, from what each of n equal parts contributes to it.
pub fn half_width(contributions: &[f64]) -> f64 {
    let n = contributions.len() as f64;
    if n < 2.0 {
        return f64::INFINITY;
    }
    let mean = contributions.iter().sum::<f64>() / n;
    let variance = contributions.iter().map(|c| (c - mean).powi(2)).sum::<f64>() / (n * (n - 1.0));
    t_quantile(n - 1.0) * variance.sqrt()
}

#[cfg(test)]
mod tests {
    use super::t_quantile;

    #[test]
    fn quantiles_of_students_t() {
        // Tables of the distribution.
        for (degrees, quantile) in [(4.0, 2.7764), (7.0, 2.3646), (15.0, 2.1314), (31.0, 2.0395), (1000.0, 1.9623)] {
            assert!((t_quantile(degrees) - quantile).abs() < 2e-3, "{degrees}: {}", t_quantile(degrees));
        }
    }
}
