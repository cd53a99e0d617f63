//! What a law needs of a network: what no asked law needs is not computed.

use std::ops::BitOr;

/// A set of what can be observed beside the weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs(u16);

impl Needs {
    /// The weights alone.
    pub const WEIGHTS: Needs = Needs(0);
    /// The AGOP of the network's outputs at the layer's input.
    pub const AGOP: Needs = Needs(1);
    /// K, the second moment of the outputs' gradients in what the map puts out.
    pub const OUTPUT_GRADIENTS: Needs = Needs(1 << 1);
    /// G, the gradient of the training loss in the weights.
    pub const LOSS_GRADIENT: Needs = Needs(1 << 2);
    /// The second moment of what the map reads.
    pub const INPUT_MOMENTS: Needs = Needs(1 << 3);
    /// The second moments of the samples' loss gradients before and behind the map.
    pub const GRADIENT_MOMENTS: Needs = Needs(1 << 4);
    /// The weights at initialisation.
    pub const START: Needs = Needs(1 << 5);
    /// λ of a coupled weight decay: asked for without one the law is refused.
    pub const DECAY: Needs = Needs(1 << 6);
    /// Running averages over the last steps of training: a run's `[probe] average`.
    pub const AVERAGE: Needs = Needs(1 << 7);
    /// The gradient of loss and penalty in every parameter.
    pub const SLOPE: Needs = Needs(1 << 9);
    /// The targets.
    pub const TARGETS: Needs = Needs(1 << 8);
    /// Everything of the loss.
    pub const LOSS: Needs =
        Needs::LOSS_GRADIENT.and(Needs::INPUT_MOMENTS).and(Needs::GRADIENT_MOMENTS).and(Needs::TARGETS);

    /// Both sets; `|` where a constant is made.
    #[must_use]
    pub const fn and(self, other: Needs) -> Needs {
        Needs(self.0 | other.0)
    }

    /// Whether all of another set is in this one.
    pub fn contains(self, other: Needs) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of another set is in this one.
    pub fn meets(self, other: Needs) -> bool {
        self.0 & other.0 != 0
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
