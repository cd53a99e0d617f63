//! The solvers that files may name.

use nfa_models::Registry;

use crate::train::first_order::{adam, adamw, gd, momentum, muon, nesterov, rmsprop, sgd};
use crate::train::solver::Solver;
use crate::train::surface::{flow, lbfgs};

/// Every built-in solver: one line each.
pub fn solvers() -> Registry<dyn Solver> {
    Registry::new("solver")
        .with::<gd::Gd>()
        .with::<sgd::Sgd>()
        .with::<momentum::Momentum>()
        .with::<nesterov::Nesterov>()
        .with::<rmsprop::RmsProp>()
        .with::<adam::Adam>()
        .with::<adamw::AdamW>()
        .with::<muon::Muon>()
        .with::<lbfgs::Lbfgs>()
        .with::<flow::Flow>()
}
