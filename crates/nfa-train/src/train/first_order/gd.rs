//! Gradient descent on all rows.

use nfa_models::Spec;
#[cfg(feature = "burn")]
use nfa_models::SpecError;
use serde::{Deserialize, Serialize};

use crate::record::theory::DecayLaw;
use crate::train::first_order::entry::Entry;
use crate::train::first_order::rule::{Rule, Turn};
#[cfg(feature = "burn")]
use crate::train::first_order::solver::solver;
#[cfg(feature = "burn")]
use crate::train::setting::Setting;
use crate::train::solver::Solver;

/// W ← (1 - lr λ) W - lr g, full batch.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gd {}

/// The step of gd and sgd alike.
#[inline(always)]
pub(super) fn descend<E: Entry>(turn: &Turn, value: E, gradient: E) -> E {
    value.times(1.0 - turn.lr * turn.decay) - gradient.times(turn.lr)
}

impl Rule<0> for Gd {
    const SLOTS: [&'static str; 0] = [];
    const LAW: Option<DecayLaw> = Some(DecayLaw::Discrete);
    const BATCHES: bool = false;

    #[inline(always)]
    fn update<E: Entry>(&self, turn: &Turn, value: E, gradient: E, memory: [E; 0]) -> (E, [E; 0]) {
        (descend(turn, value, gradient), memory)
    }
}

impl Spec<dyn Solver> for Gd {
    const KIND: &'static str = "gd";
    const DOC: &'static str =
        "Full-batch gradient descent. The imbalance obeys D+ = (1 - lr lambda)^2 D + lr^2 E exactly.";
    const REFERENCE: &'static str = "arXiv:2510.15563";
    const EXAMPLE: &'static str = "";

    #[cfg(feature = "burn")]
    fn build(&self, setting: &Setting<'_>) -> Result<Box<dyn Solver>, SpecError> {
        Ok(solver(*self, setting))
    }
}
