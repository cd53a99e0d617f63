//! What a law needs of a network: what no asked law needs is not computed.

use std::ops::BitOr;

/// A set of what can be observed beside the weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs(u8);

impl Needs {
    /// The weights alone.
    pub const WEIGHTS: Needs = Needs(0);
    /// The AGOP of the network's outputs at the layer's input.
    pub const AGOP: Needs = Needs(1);

    /// Whether all of another set is in this one.
    pub fn contains(self, other: Needs) -> bool {
        self.0 & other.0 == other.0
    }
}

impl FromIterator<Needs> for Needs {
    fn from_iter<I: IntoIterator<Item = Needs>>(sets: I) -> Needs {
        sets.into_iter().fold(Needs::WEIGHTS, Needs::bitor)
    }
}

impl BitOr for Needs {
    type Output = Needs;

    fn bitor(self, other: Needs) -> Needs {
        Needs(self.0 | other.0)
    }
}
