//! RMSprop.

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

/// u = g + λW; v ← α v + (1-α) u²; W ← W - lr u / (√v + eps).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RmsProp {
    /// How slowly the second moment forgets.
    pub alpha: f64,
    /// Added to the root.
    pub eps: f64,
}

impl Default for RmsProp {
    fn default() -> Self {
        RmsProp { alpha: 0.99, eps: 1e-8 }
    }
}

impl Rule<1> for RmsProp {
    const SLOTS: [&'static str; 1] = ["square_avg"];

    #[inline(always)]
    fn update<E: Entry>(&self, turn: &Turn, value: E, gradient: E, [second]: [E; 1]) -> (E, [E; 1]) {
        let push = gradient + value.clone().times(turn.decay);
        let second = second.times(self.alpha) + (push.clone() * push.clone()).times(1.0 - self.alpha);
        (value - (push / second.clone().sqrt().plus(self.eps)).times(turn.lr), [second])
    }
}

impl Spec<dyn Solver> for RmsProp {
    const KIND: &'static str = "rmsprop";
    const DOC: &'static str = "RMSprop with coupled decay, without momentum and not centred (torch.optim.RMSprop).";
    const REFERENCE: &'static str = "torch.optim.RMSprop";
    const EXAMPLE: &'static str = "alpha = 0.99\n";

    fn check(&self) -> Result<(), SpecError> {
        below_one("alpha", self.alpha)?;
        at_least(0.0, "eps", self.eps)
    }

    #[cfg(feature = "burn")]
    fn build(&self, setting: &Setting<'_>) -> Result<Box<dyn Solver>, SpecError> {
        Ok(solver(*self, setting))
    }
}
