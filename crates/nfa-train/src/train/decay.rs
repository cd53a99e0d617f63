//! Weight decay, as every solver has it.

use nfa_models::SpecError;
use serde::{Deserialize, Serialize};

use crate::keys::at_least;

/// Weight decay, for every solver.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decay {
    /// λ of the penalty (λ/2)|W|².
    pub weight_decay: f64,
    /// Whether it also takes biases.
    pub decay_bias: bool,
}

impl Decay {
    /// Checks λ.
    ///
    /// # Errors
    /// Where it is negative or not finite.
    pub fn check(self) -> Result<(), SpecError> {
        at_least(0.0, "weight_decay", self.weight_decay)
    }
}
