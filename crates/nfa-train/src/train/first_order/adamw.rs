//! Adam with decoupled decay.

use burn::tensor::Tensor;
use nfa_models::host::Real;
use nfa_models::{Spec, SpecError};
use serde::{Deserialize, Serialize};

use crate::train::decay::Decay;
use crate::train::first_order::adam;
use crate::train::first_order::rule::Slices;
use crate::train::first_order::rule::{Rule, Turn};
use crate::train::first_order::tensors::FirstOrder;
use crate::train::rate::Rate;
use crate::train::solver::Solver;

/// W ← (1 - lr λ) W, then Adam's step on g alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdamW {
    /// β₁, β₂.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub eps: f64,
    /// λ, decoupled.
    pub weight_decay: f64,
    /// Whether biases decay.
    pub decay_bias: bool,
}

impl Default for AdamW {
    fn default() -> Self {
        AdamW { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.01, decay_bias: false }
    }
}

impl Rule for AdamW {
    const SLOTS: &'static [&'static str] = &["exp_avg", "exp_avg_sq"];

    fn decay(&self) -> Decay {
        Decay { weight_decay: self.weight_decay, decay_bias: self.decay_bias }
    }

    fn update(&self, turn: Turn<'_>) -> Tensor<1> {
        let shrunk = turn.value.mul_scalar(1.0 - turn.lr * turn.decay);
        adam::adaptive(shrunk, turn.gradient, self.betas, self.eps, turn.lr, turn.t, turn.memory)
    }

    #[inline(always)]
    fn advance<T: Real>(&self, turn: Slices<'_, T>) {
        let keep = 1.0 - turn.lr * turn.decay;
        adam::adaptive_on_host(turn, keep, 0.0, self.betas, self.eps);
    }
}

impl Spec<dyn Solver> for AdamW {
    const KIND: &'static str = "adamw";
    const DOC: &'static str = "Adam with decoupled decay (torch.optim.AdamW): no stationary point of a penalised loss, so it does not restore the ansatz.";
    const REFERENCE: &'static str = "arXiv:1711.05101; torch.optim.AdamW";
    const EXAMPLE: &'static str = "weight_decay = 0.02\n";

    fn check(&self) -> Result<(), SpecError> {
        adam::check(self.betas, self.eps)?;
        self.decay().check()
    }

    fn build(&self, rate: &Rate) -> Result<Box<dyn Solver>, SpecError> {
        Ok(Box::new(FirstOrder::new(*self, rate.clone())))
    }
}
