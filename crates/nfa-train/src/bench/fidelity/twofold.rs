//! Numbers of twice the precision: what f64 results are held against.

/// The unevaluated sum of two `f64`, the second below half an ulp of the first: about 106 bits
/// (Dekker 1971; Joldes, Muller, Popescu 2017).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Twofold {
    /// The number rounded to `f64`.
    pub high: f64,
    /// What is left of it.
    pub low: f64,
}

impl Twofold {
    /// An `f64`.
    pub fn new(value: f64) -> Self {
        Twofold { high: value, low: 0.0 }
    }

    /// a + b, exactly.
    pub fn sum(a: f64, b: f64) -> Self {
        let high = a + b;
        let part = high - a;
        Self::kept(high, (a - (high - part)) + (b - part))
    }

    /// a b, exactly where that does not underflow.
    pub fn product(a: f64, b: f64) -> Self {
        let high = a * b;
        Self::kept(high, a.mul_add(b, -high))
    }

    /// What stays of a rounding error: nothing beside infinities.
    fn kept(high: f64, low: f64) -> Self {
        Twofold { high, low: if high.is_finite() && low.is_finite() { low } else { 0.0 } }
    }

    /// The sum.
    pub fn plus(self, other: Twofold) -> Self {
        let high = Self::sum(self.high, other.high);
        Self::sum(high.high, high.low + self.low + other.low)
    }

    /// The product.
    pub fn times(self, other: Twofold) -> Self {
        let high = Self::product(self.high, other.high);
        Self::sum(high.high, high.low + self.high.mul_add(other.low, self.low * other.high))
    }

    /// The quotient.
    pub fn over(self, other: Twofold) -> Self {
        let high = self.high / other.high;
        if !high.is_finite() || high == 0.0 {
            return Self::new(high);
        }
        let rest = self.plus(other.times(Self::new(-high)));
        Self::sum(high, rest.high / other.high)
    }

    /// The square root.
    pub fn root(self) -> Self {
        let high = self.high.sqrt();
        if !high.is_finite() || high == 0.0 {
            return Self::new(high);
        }
        let rest = self.plus(Self::product(high, -high));
        Self::sum(high, rest.high / (2.0 * high))
    }

    /// The number of the other sign.
    pub fn negative(self) -> Self {
        Twofold { high: -self.high, low: -self.low }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_f64_rounds_away_is_kept() {
        let third = Twofold::new(1.0).over(Twofold::new(3.0));
        assert_eq!(third.times(Twofold::new(3.0)).plus(Twofold::new(-1.0)).high.abs().max(1e-31), 1e-31);
        let two = Twofold::new(2.0).root();
        let rest = two.times(two).plus(Twofold::new(-2.0)).high;
        assert!(rest.abs() < 1e-30, "{rest:e}");
        assert_eq!(Twofold::sum(1e20, 1.0).plus(Twofold::new(-1e20)).high, 1.0);
        assert_eq!(Twofold::product(1e200, 1e200).high, f64::INFINITY);
        assert_eq!(Twofold::new(1.0).over(Twofold::new(0.0)).low, 0.0);
    }
}
