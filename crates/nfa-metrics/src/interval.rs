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
