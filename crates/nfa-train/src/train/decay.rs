//! Weight decay, as every solver has it.

use nfa_models::SpecError;
use serde::{Deserialize, Serialize};

use crate::keys::at_least;

/// Weight decay: keys of `[solver]` that every kind has.
///
/// | key | default | meaning |
/// |---|---|---|
/// | `weight_decay` | 0; the kind's own where it has one | λ of the penalty (λ/2)\|W\|² |
/// | `decay_bias` | false | whether it also takes biases |
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Decay {
    /// λ of the penalty (λ/2)|W|².
    pub weight_decay: f64,
    /// Whether it also takes biases.
    pub decay_bias: bool,
}

impl Decay {
    pub(crate) const KEYS: [&'static str; 2] = ["weight_decay", "decay_bias"];

    /// Checks λ.
    ///
    /// # Errors
    /// Where it is negative or not finite.
    pub fn check(self) -> Result<(), SpecError> {
        at_least(0.0, "weight_decay", self.weight_decay)
    }

    /// λ of a weight, or of a bias.
    pub fn of(self, bias: bool) -> f64 {
        if bias && !self.decay_bias { 0.0 } else { self.weight_decay }
    }
}
