//! Adam with coupled decay.

use nfa_models::{Spec, SpecError};
use serde::{Deserialize, Serialize};

use crate::keys::{at_least, below_one};
use crate::train::first_order::entry::Entry;
use crate::train::first_order::rule::{Rule, Turn};
#[cfg(feature = "burn")]
use crate::train::first_order::solver::solver;
#[cfg(feature = "burn")]
use crate::train::setting::Setting;
use crate::train::solver::Solver;

/// u = g + λW; m ← β₁m + (1-β₁)u; v ← β₂v + (1-β₂)u²; W ← W - lr m̂ / (√v̂ + eps).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Adam {
    /// β₁, β₂.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub eps: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Adam { betas: [0.9, 0.999], eps: 1e-8 }
    }
}

/// The step that the moments of `push` give, for Adam and AdamW alike.
#[inline(always)]
pub(super) fn adapt<E: Entry>(
    [b1, b2]: [f64; 2],
    eps: f64,
    turn: &Turn,
    value: E,
    push: E,
    [first, second]: [E; 2],
) -> (E, [E; 2]) {
    let t = i32::try_from(turn.t).unwrap_or(i32::MAX);
    let first = first.times(b1) + push.clone().times(1.0 - b1);
    let second = second.times(b2) + (push.clone() * push).times(1.0 - b2);
    let root = second.clone().sqrt().times(1.0 / (1.0 - b2.powi(t)).sqrt()).plus(eps);
    (value - (first.clone() / root).times(turn.lr / (1.0 - b1.powi(t))), [first, second])
}

/// Checks β and eps.
pub(super) fn check(betas: [f64; 2], eps: f64) -> Result<(), SpecError> {
    below_one("betas", betas[0])?;
    below_one("betas", betas[1])?;
    at_least(0.0, "eps", eps)
}

impl Rule<2> for Adam {
    const SLOTS: [&'static str; 2] = ["exp_avg", "exp_avg_sq"];

    #[inline(always)]
    fn update<E: Entry>(&self, turn: &Turn, value: E, gradient: E, moments: [E; 2]) -> (E, [E; 2]) {
        let push = gradient + value.clone().times(turn.decay);
        adapt(self.betas, self.eps, turn, value, push, moments)
    }
}

impl Spec<dyn Solver> for Adam {
    const KIND: &'static str = "adam";
    const DOC: &'static str =
        "Adam with coupled L2 decay: the penalty's gradient is rescaled with the rest (torch.optim.Adam).";
    const REFERENCE: &'static str = "arXiv:1412.6980; torch.optim.Adam";
    const EXAMPLE: &'static str = "betas = [0.9, 0.99]\n";

    fn check(&self) -> Result<(), SpecError> {
        check(self.betas, self.eps)
    }

    #[cfg(feature = "burn")]
    fn build(&self, setting: &Setting<'_>) -> Result<Box<dyn Solver>, SpecError> {
        Ok(solver(*self, setting))
    }
}
