//! Stochastic gradient descent.

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

/// W ← (1 - lr λ) W - lr g on batches that are reshuffled every epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sgd {
    /// λ.
    pub weight_decay: f64,
    /// Whether biases decay.
    pub decay_bias: bool,
}

impl Rule for Sgd {
    const SLOTS: &'static [&'static str] = &[];
    const PLAIN: bool = true;

    fn decay(&self) -> Decay {
        Decay { weight_decay: self.weight_decay, decay_bias: self.decay_bias }
    }

    fn update(&self, turn: Turn<'_>) -> Tensor<1> {
        crate::train::first_order::gd::descend(turn)
    }

    #[inline(always)]
    fn advance<T: Real>(&self, turn: Slices<'_, T>) {
        crate::train::first_order::gd::descend_on_host(turn);
    }
}

impl Spec<dyn Solver> for Sgd {
    const KIND: &'static str = "sgd";
    const DOC: &'static str =
        "Stochastic gradient descent without momentum (torch.optim.SGD); coupled and decoupled decay coincide.";
    const REFERENCE: &'static str = "torch.optim.SGD";
    const EXAMPLE: &'static str = "weight_decay = 0.01\n";

    fn check(&self) -> Result<(), SpecError> {
        self.decay().check()
    }

    fn build(&self, rate: &Rate) -> Result<Box<dyn Solver>, SpecError> {
        Ok(Box::new(FirstOrder::new(*self, rate.clone())))
    }
}
