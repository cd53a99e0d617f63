//! Stochastic gradient descent.

use nfa_models::Spec;
#[cfg(feature = "burn")]
use nfa_models::SpecError;
use serde::{Deserialize, Serialize};

use crate::record::theory::DecayLaw;
use crate::train::first_order::entry::Entry;
use crate::train::first_order::gd::descend;
use crate::train::first_order::rule::{Rule, Turn};
#[cfg(feature = "burn")]
use crate::train::first_order::solver::solver;
#[cfg(feature = "burn")]
use crate::train::setting::Setting;
use crate::train::solver::Solver;

/// W ← (1 - lr λ) W - lr g on batches that are reshuffled every epoch.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sgd {}

impl Rule<0> for Sgd {
    const SLOTS: [&'static str; 0] = [];
    const LAW: Option<DecayLaw> = Some(DecayLaw::Discrete);

    #[inline(always)]
    fn update<E: Entry>(&self, turn: &Turn, value: E, gradient: E, memory: [E; 0]) -> (E, [E; 0]) {
        (descend(turn, value, gradient), memory)
    }
}

impl Spec<dyn Solver> for Sgd {
    const KIND: &'static str = "sgd";
    const DOC: &'static str =
        "Stochastic gradient descent without momentum (torch.optim.SGD); coupled and decoupled decay coincide.";
    const REFERENCE: &'static str = "torch.optim.SGD";
    const EXAMPLE: &'static str = "";

    #[cfg(feature = "burn")]
    fn build(&self, setting: &Setting<'_>) -> Result<Box<dyn Solver>, SpecError> {
        Ok(solver(*self, setting))
    }
}
