//! Adam with coupled decay.

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

/// u = g + λW; m ← β₁m + (1-β₁)u; v ← β₂v + (1-β₂)u²; W ← W - lr m̂ / (√v̂ + eps).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Adam {
    /// β₁, β₂.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub eps: f64,
    /// λ, coupled: part of the gradient.
    pub weight_decay: f64,
    /// Whether biases decay.
    pub decay_bias: bool,
}

impl Default for Adam {
    fn default() -> Self {
        Adam { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0, decay_bias: false }
    }
}

/// Moments of `push`, and the step they give, for Adam and AdamW alike.
pub(super) fn adaptive(
    value: Tensor<1>,
    push: Tensor<1>,
    betas: [f64; 2],
    eps: f64,
    lr: f64,
    t: u64,
    memory: &mut [Option<Tensor<1>>],
) -> Tensor<1> {
    let [b1, b2] = betas;
    let first = push.clone().mul_scalar(1.0 - b1);
    let second = push.powi_scalar(2).mul_scalar(1.0 - b2);
    let first = match memory[0].take() {
        Some(m) => m.mul_scalar(b1) + first,
        None => first,
    };
    let second = match memory[1].take() {
        Some(v) => v.mul_scalar(b2) + second,
        None => second,
    };
    memory[0] = Some(first.clone());
    memory[1] = Some(second.clone());
    let t = i32::try_from(t).unwrap_or(i32::MAX);
    let root = second.sqrt().mul_scalar(1.0 / (1.0 - b2.powi(t)).sqrt()).add_scalar(eps);
    value - first.div(root).mul_scalar(lr / (1.0 - b1.powi(t)))
}

/// [`adaptive`], in place, after a decay by `keep` and with `coupled` times the value in the push.
#[inline(always)]
pub(super) fn adaptive_on_host<T: Real>(turn: Slices<'_, T>, keep: f64, coupled: f64, betas: [f64; 2], eps: f64) {
    let [b1, b2] = betas;
    let t = i32::try_from(turn.t).unwrap_or(i32::MAX);
    let root = T::from_f64(1.0 / (1.0 - b2.powi(t)).sqrt());
    let lr = T::from_f64(turn.lr / (1.0 - b1.powi(t)));
    let [keep, coupled, eps] = [keep, coupled, eps].map(T::from_f64);
    let [b1, c1, b2, c2] = [b1, 1.0 - b1, b2, 1.0 - b2].map(T::from_f64);
    let [first, second] = turn.memory;
    let moments = first.iter_mut().zip(second);
    for ((value, &gradient), (first, second)) in turn.value.iter_mut().zip(turn.gradient).zip(moments) {
        let push = gradient + *value * coupled;
        *first = *first * b1 + push * c1;
        *second = *second * b2 + push * push * c2;
        *value = *value * keep - *first / (second.sqrt() * root + eps) * lr;
    }
}

/// Checks β and eps.
pub(super) fn check(betas: [f64; 2], eps: f64) -> Result<(), SpecError> {
    below_one("betas", betas[0])?;
    below_one("betas", betas[1])?;
    at_least(0.0, "eps", eps)
}

impl Rule for Adam {
    const SLOTS: &'static [&'static str] = &["exp_avg", "exp_avg_sq"];

    fn decay(&self) -> Decay {
        Decay { weight_decay: self.weight_decay, decay_bias: self.decay_bias }
    }

    fn update(&self, turn: Turn<'_>) -> Tensor<1> {
        let push = turn.gradient + turn.value.clone().mul_scalar(turn.decay);
        adaptive(turn.value, push, self.betas, self.eps, turn.lr, turn.t, turn.memory)
    }

    #[inline(always)]
    fn advance<T: Real>(&self, turn: Slices<'_, T>) {
        let decay = turn.decay;
        adaptive_on_host(turn, 1.0, decay, self.betas, self.eps);
    }
}

impl Spec<dyn Solver> for Adam {
    const KIND: &'static str = "adam";
    const DOC: &'static str =
        "Adam with coupled L2 decay: the penalty's gradient is rescaled with the rest (torch.optim.Adam).";
    const REFERENCE: &'static str = "arXiv:1412.6980; torch.optim.Adam";
    const EXAMPLE: &'static str = "weight_decay = 0.01\n";

    fn check(&self) -> Result<(), SpecError> {
        check(self.betas, self.eps)?;
        self.decay().check()
    }

    fn build(&self, rate: &Rate) -> Result<Box<dyn Solver>, SpecError> {
        Ok(Box::new(FirstOrder::new(*self, rate.clone())))
    }
}
