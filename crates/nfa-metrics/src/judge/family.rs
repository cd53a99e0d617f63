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
}
