//! A rule as a solver.

use crate::train::first_order::rule::Rule;
use crate::train::first_order::tensors::FirstOrder;
use crate::train::host;
use crate::train::setting::Setting;
use crate::train::solver::Solver;

/// A rule at its start: on the host engine where there is a problem for it, else on tensors.
pub fn solver<R: Rule<N>, const N: usize>(rule: R, setting: &Setting<'_>) -> Box<dyn Solver> {
    host::fused(rule, setting).unwrap_or_else(|| Box::new(FirstOrder::new(rule, setting)))
}
