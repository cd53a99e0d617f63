//! What a law's left side is compared with.

/// Which members B^α a law compares A with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// κB^α, both free.
    Power,
    /// κB.
    Proportional,
    /// B itself.
    Equal,
}

impl Family {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Family::Power => "power",
            Family::Proportional => "proportional",
            Family::Equal => "equal",
        }
    }

    /// The exponent that it fixes; `None` where that is free.
    pub fn exponent(self) -> Option<f64> {
        match self {
            Family::Power => None,
            Family::Proportional | Family::Equal => Some(1.0),
        }
    }

    /// Its members in a sign or two.
    pub fn sign(self) -> &'static str {
        match self {
            Family::Power => "κBᵅ",
            Family::Proportional => "κB",
            Family::Equal => "B",
        }
    }

    /// What a misfit may be: a sine, but for equality, where the scale counts.
    pub fn misfit_range(self) -> [f64; 2] {
        match self {
            Family::Power | Family::Proportional => [0.0, 1.0],
            Family::Equal => [0.0, f64::INFINITY],
        }
    }
}
