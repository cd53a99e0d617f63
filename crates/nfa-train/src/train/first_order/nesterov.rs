//! Nesterov's momentum.

use nfa_models::{Spec, SpecError};
use serde::{Deserialize, Serialize};

use crate::keys::below_one;
use crate::train::first_order::entry::Entry;
use crate::train::first_order::rule::{Rule, Turn};
#[cfg(feature = "burn")]
use crate::train::first_order::solver::solver;
#[cfg(feature = "burn")]
use crate::train::setting::Setting;
use crate::train::solver::Solver;

/// u = g + λW; b ← u at first, then μ b + u; W ← W - lr (u + μ b).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Nesterov {
    /// μ.
    pub momentum: f64,
}

impl Default for Nesterov {
    fn default() -> Self {
        Nesterov { momentum: 0.9 }
    }
}

impl Rule<1> for Nesterov {
    const SLOTS: [&'static str; 1] = ["momentum"];

    #[inline(always)]
    fn update<E: Entry>(&self, turn: &Turn, value: E, gradient: E, [buffer]: [E; 1]) -> (E, [E; 1]) {
        let push = gradient + value.clone().times(turn.decay);
        let buffer = buffer.times(self.momentum) + push.clone();
        (value - (push + buffer.clone().times(self.momentum)).times(turn.lr), [buffer])
    }
}

impl Spec<dyn Solver> for Nesterov {
    const KIND: &'static str = "nesterov";
    const DOC: &'static str =
        "Stochastic gradient descent with Nesterov's momentum and coupled decay (torch.optim.SGD, nesterov=True).";
    const REFERENCE: &'static str = "torch.optim.SGD";
    const EXAMPLE: &'static str = "momentum = 0.9\n";

    fn check(&self) -> Result<(), SpecError> {
        below_one("momentum", self.momentum)
    }

    #[cfg(feature = "burn")]
    fn build(&self, setting: &Setting<'_>) -> Result<Box<dyn Solver>, SpecError> {
        Ok(solver(*self, setting))
    }
}
