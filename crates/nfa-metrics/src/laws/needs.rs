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
    /// dL/dW of the mean training loss, without penalty.
    pub const LOSS_GRADIENT: Needs = Needs(1 << 1);
    /// The weights at initialisation.
    pub const START: Needs = Needs(1 << 2);
    /// λ of a coupled weight decay.
    pub const DECAY: Needs = Needs(1 << 3);
    /// The mean of hhᵀ, h the layer's input.
    pub const INPUT_MOMENTS: Needs = Needs(1 << 4);
    /// The mean of (∇_hℓ)(∇_hℓ)ᵀ, ℓ a sample's loss.
    pub const GRADIENT_MOMENTS: Needs = Needs(1 << 5);

    /// Whether all of another set is in this one.
    pub fn contains(self, other: Needs) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Needs {
    type Output = Needs;

    fn bitor(self, other: Needs) -> Needs {
        Needs(self.0 | other.0)
    }
}
