//! Adam with decoupled decay.

use nfa_models::{Spec, SpecError};
use serde::{Deserialize, Serialize};

use crate::train::first_order::adam;
use crate::train::first_order::entry::Entry;
use crate::train::first_order::rule::{Rule, Turn};
#[cfg(feature = "burn")]
use crate::train::first_order::solver::solver;
#[cfg(feature = "burn")]
use crate::train::setting::Setting;
use crate::train::solver::Solver;

/// W ← (1 - lr λ) W, then Adam's step on g alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdamW {
    /// β₁, β₂.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub eps: f64,
}

impl Default for AdamW {
    fn default() -> Self {
        AdamW { betas: [0.9, 0.999], eps: 1e-8 }
    }
}

impl Rule<2> for AdamW {
    const SLOTS: [&'static str; 2] = ["exp_avg", "exp_avg_sq"];
    const DECOUPLED: bool = true;

    #[inline(always)]
    fn update<E: Entry>(&self, turn: &Turn, value: E, gradient: E, moments: [E; 2]) -> (E, [E; 2]) {
        let kept = value.times(1.0 - turn.lr * turn.decay);
        adam::adapt(self.betas, self.eps, turn, kept, gradient, moments)
    }
}

impl Spec<dyn Solver> for AdamW {
    const KIND: &'static str = "adamw";
    const DOC: &'static str = "Adam with decoupled decay (torch.optim.AdamW): no stationary point of a penalised loss, so it does not restore the ansatz while its entrywise rescaling is at work (eps below the gradients).";
    const REFERENCE: &'static str = "arXiv:1711.05101; torch.optim.AdamW";
    const DEFAULTS: &'static str = "weight_decay = 0.01";
    const EXAMPLE: &'static str = "betas = [0.9, 0.99]\n";

    fn check(&self) -> Result<(), SpecError> {
        adam::check(self.betas, self.eps)
    }

    #[cfg(feature = "burn")]
    fn build(&self, setting: &Setting<'_>) -> Result<Box<dyn Solver>, SpecError> {
        Ok(solver(*self, setting))
    }
}
