//! L-BFGS.

use nfa_models::{Spec, SpecError};
use serde::{Deserialize, Serialize};

#[cfg(feature = "burn")]
use crate::train::setting::Setting;
use crate::train::solver::Solver;
#[cfg(feature = "burn")]
use crate::train::surface::limited_memory::LimitedMemory;

/// Limited-memory BFGS on loss + (λ/2)|W|², with a strong Wolfe line search.
///
/// A step is one iteration: a direction from the last `history` pairs (s, y) by the two-loop
/// recursion, and a step along it. `lr` is the first step length that is tried; the first iteration,
/// which has no scale yet, tries lr·min(1, 1/|g|₁), as torch.optim.LBFGS does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lbfgs {
    /// How many pairs are kept.
    pub history: usize,
}

impl Default for Lbfgs {
    fn default() -> Self {
        Lbfgs { history: 10 }
    }
}

impl Spec<dyn Solver> for Lbfgs {
    const KIND: &'static str = "lbfgs";
    const DOC: &'static str = "L-BFGS on loss + (lambda/2)|W|^2, full batch, with a strong Wolfe line search (c1 = 1e-4, c2 = 0.9). A step is one \
                               iteration; lr is the first step length tried, and 1 (Newton's) converges fastest. Where no step lowers the objective beyond \
                               rounding it rests and status.json says so.";
    const REFERENCE: &'static str = "Nocedal, Wright, Numerical Optimization, 2006, Lemma 3.1, Algorithms 7.4 and 7.5; Hager, Zhang 2005, doi:10.1137/030601880";
    const EXAMPLE: &'static str = "history = 10\n";

    fn check(&self) -> Result<(), SpecError> {
        if self.history == 0 {
            return Err(SpecError::value("history", "must be at least 1".into()));
        }
        Ok(())
    }

    #[cfg(feature = "burn")]
    fn build(&self, setting: &Setting<'_>) -> Result<Box<dyn Solver>, SpecError> {
        Ok(Box::new(LimitedMemory::new(*self, setting)))
    }
}
