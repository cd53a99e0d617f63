//! RMSprop.

use burn::tensor::Tensor;
use nfa_models::host::Real;
use nfa_models::{Spec, SpecError};
use serde::{Deserialize, Serialize};

use crate::keys::{at_least, below_one};
use crate::train::decay::Decay;
use crate::train::first_order::rule::Slices;
use crate::train::first_order::rule::{Rule, Turn};
use crate::train::first_order::tensors::FirstOrder;
use crate::train::rate::Rate;
use crate::train::solver::Solver;

/// u = g + λW; v ← α v + (1-α) u²; W ← W - lr u / (√v + eps).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RmsProp {
    /// How slowly the second moment forgets.
    pub alpha: f64,
    /// Added to the root.
    pub eps: f64,
    /// λ, coupled.
    pub weight_decay: f64,
    /// Whether biases decay.
    pub decay_bias: bool,
}

impl Default for RmsProp {
    fn default() -> Self {
        RmsProp { alpha: 0.99, eps: 1e-8, weight_decay: 0.0, decay_bias: false }
    }
}

impl Rule for RmsProp {
    const SLOTS: &'static [&'static str] = &["square_avg"];

    fn decay(&self) -> Decay {
        Decay { weight_decay: self.weight_decay, decay_bias: self.decay_bias }
    }

    fn update(&self, turn: Turn<'_>) -> Tensor<1> {
        let push = turn.gradient + turn.value.clone().mul_scalar(turn.decay);
        let fresh = push.clone().powi_scalar(2).mul_scalar(1.0 - self.alpha);
        let second = match turn.memory[0].take() {
            Some(v) => v.mul_scalar(self.alpha) + fresh,
            None => fresh,
        };
        turn.memory[0] = Some(second.clone());
        turn.value - push.div(second.sqrt().add_scalar(self.eps)).mul_scalar(turn.lr)
    }

    #[inline(always)]
    fn advance<T: Real>(&self, turn: Slices<'_, T>) {
        let (decay, lr, eps) = (T::from_f64(turn.decay), T::from_f64(turn.lr), T::from_f64(self.eps));
        let (keep, fresh) = (T::from_f64(self.alpha), T::from_f64(1.0 - self.alpha));
        let [second, _] = turn.memory;
        for ((value, &gradient), second) in turn.value.iter_mut().zip(turn.gradient).zip(second) {
            let push = gradient + *value * decay;
            *second = *second * keep + push * push * fresh;
            *value -= push / (second.sqrt() + eps) * lr;
        }
    }
}

impl Spec<dyn Solver> for RmsProp {
    const KIND: &'static str = "rmsprop";
    const DOC: &'static str = "RMSprop with coupled decay, without momentum and not centred (torch.optim.RMSprop).";
    const REFERENCE: &'static str = "torch.optim.RMSprop";
    const EXAMPLE: &'static str = "alpha = 0.99\n";

    fn check(&self) -> Result<(), SpecError> {
        below_one("alpha", self.alpha)?;
        at_least(0.0, "eps", self.eps)?;
        self.decay().check()
    }

    fn build(&self, rate: &Rate) -> Result<Box<dyn Solver>, SpecError> {
        Ok(Box::new(FirstOrder::new(*self, rate.clone())))
    }
}
