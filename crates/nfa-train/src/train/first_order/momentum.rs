//! Heavy-ball momentum.

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

/// u = g + λW; b ← u at first, then μ b + (1 - dampening) u; W ← W - lr b.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Momentum {
    /// μ.
    pub momentum: f64,
    /// Share of each new gradient that is dropped.
    pub dampening: f64,
}

impl Default for Momentum {
    fn default() -> Self {
        Momentum { momentum: 0.9, dampening: 0.0 }
    }
}

impl Rule<1> for Momentum {
    const SLOTS: [&'static str; 1] = ["momentum"];

    #[inline(always)]
    fn update<E: Entry>(&self, turn: &Turn, value: E, gradient: E, [buffer]: [E; 1]) -> (E, [E; 1]) {
        let push = gradient + value.clone().times(turn.decay);
        // The first push fills the buffer undamped.
        let fresh = if turn.t == 1 { 1.0 } else { 1.0 - self.dampening };
        let buffer = buffer.times(self.momentum) + push.times(fresh);
        (value - buffer.clone().times(turn.lr), [buffer])
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
        below_one("dampening", self.dampening)
    }

    #[cfg(feature = "burn")]
    fn build(&self, setting: &Setting<'_>) -> Result<Box<dyn Solver>, SpecError> {
        Ok(solver(*self, setting))
    }
}
