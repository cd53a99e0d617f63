//! Heavy-ball momentum.

use burn::tensor::Tensor;
use nfa_models::host::Real;
use nfa_models::{Spec, SpecError};
use serde::{Deserialize, Serialize};

use crate::keys::below_one;
use crate::train::decay::Decay;
use crate::train::first_order::rule::Slices;
use crate::train::first_order::rule::{Rule, Turn};
use crate::train::first_order::tensors::FirstOrder;
use crate::train::rate::Rate;
use crate::train::solver::Solver;

/// u = g + λW; b ← u at first, then μ b + (1 - dampening) u; W ← W - lr b.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Momentum {
    /// μ.
    pub momentum: f64,
    /// Share of each new gradient that is dropped.
    pub dampening: f64,
    /// λ, coupled.
    pub weight_decay: f64,
    /// Whether biases decay.
    pub decay_bias: bool,
}

impl Default for Momentum {
    fn default() -> Self {
        Momentum { momentum: 0.9, dampening: 0.0, weight_decay: 0.0, decay_bias: false }
    }
}

impl Rule for Momentum {
    const SLOTS: &'static [&'static str] = &["momentum"];

    fn decay(&self) -> Decay {
        Decay { weight_decay: self.weight_decay, decay_bias: self.decay_bias }
    }

    fn update(&self, turn: Turn<'_>) -> Tensor<1> {
        let push = turn.gradient + turn.value.clone().mul_scalar(turn.decay);
        let buffer = match turn.memory[0].take() {
            Some(buffer) => buffer.mul_scalar(self.momentum) + push.mul_scalar(1.0 - self.dampening),
            None => push,
        };
        turn.memory[0] = Some(buffer.clone());
        turn.value - buffer.mul_scalar(turn.lr)
    }

    #[inline(always)]
    fn advance<T: Real>(&self, turn: Slices<'_, T>) {
        let (decay, lr, keep) = (T::from_f64(turn.decay), T::from_f64(turn.lr), T::from_f64(self.momentum));
        // The first push fills the buffer undamped.
        let fresh = T::from_f64(if turn.t == 1 { 1.0 } else { 1.0 - self.dampening });
        let [buffer, _] = turn.memory;
        for ((value, &gradient), buffer) in turn.value.iter_mut().zip(turn.gradient).zip(buffer) {
            *buffer = *buffer * keep + (gradient + *value * decay) * fresh;
            *value -= *buffer * lr;
        }
    }
}

impl Spec<dyn Solver> for Momentum {
    const KIND: &'static str = "momentum";
    const DOC: &'static str =
        "Stochastic gradient descent with heavy-ball momentum and coupled decay (torch.optim.SGD).";
    const REFERENCE: &'static str = "torch.optim.SGD";
    const EXAMPLE: &'static str = "momentum = 0.9\n";

    fn check(&self) -> Result<(), SpecError> {
        below_one("momentum", self.momentum)?;
        below_one("dampening", self.dampening)?;
        self.decay().check()
    }

    fn build(&self, rate: &Rate) -> Result<Box<dyn Solver>, SpecError> {
        Ok(Box::new(FirstOrder::new(*self, rate.clone())))
    }
}
