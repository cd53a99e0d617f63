//! Gradient descent on all rows.

use burn::tensor::Tensor;
use nfa_models::host::Real;
use nfa_models::{Spec, SpecError};
use serde::{Deserialize, Serialize};

use crate::train::decay::Decay;
use crate::train::first_order::rule::Slices;
use crate::train::first_order::rule::{Rule, Turn};
use crate::train::first_order::tensors::FirstOrder;
use crate::train::rate::Rate;
use crate::train::solver::Solver;

/// W ← (1 - lr λ) W - lr g, full batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gd {
    /// λ.
    pub weight_decay: f64,
    /// Whether biases decay.
    pub decay_bias: bool,
}

/// The step of gd and sgd alike.
pub(super) fn descend(turn: Turn<'_>) -> Tensor<1> {
    turn.value.mul_scalar(1.0 - turn.lr * turn.decay) - turn.gradient.mul_scalar(turn.lr)
}

/// [`descend`], in place.
#[inline(always)]
pub(super) fn descend_on_host<T: Real>(turn: Slices<'_, T>) {
    let (keep, lr) = (T::from_f64(1.0 - turn.lr * turn.decay), T::from_f64(turn.lr));
    for (value, &gradient) in turn.value.iter_mut().zip(turn.gradient) {
        *value = *value * keep - gradient * lr;
    }
}

impl Rule for Gd {
    const SLOTS: &'static [&'static str] = &[];
    const PLAIN: bool = true;
    const BATCHES: bool = false;

    fn decay(&self) -> Decay {
        Decay { weight_decay: self.weight_decay, decay_bias: self.decay_bias }
    }

    fn update(&self, turn: Turn<'_>) -> Tensor<1> {
        descend(turn)
    }

    #[inline(always)]
    fn advance<T: Real>(&self, turn: Slices<'_, T>) {
        descend_on_host(turn);
    }
}

impl Spec<dyn Solver> for Gd {
    const KIND: &'static str = "gd";
    const DOC: &'static str =
        "Full-batch gradient descent. The imbalance obeys D+ = (1 - lr lambda)^2 D + lr^2 E exactly.";
    const REFERENCE: &'static str = "arXiv:2510.15563";
    const EXAMPLE: &'static str = "weight_decay = 0.01\n";

    fn check(&self) -> Result<(), SpecError> {
        self.decay().check()
    }

    fn build(&self, rate: &Rate) -> Result<Box<dyn Solver>, SpecError> {
        Ok(Box::new(FirstOrder::new(*self, rate.clone())))
    }
}
