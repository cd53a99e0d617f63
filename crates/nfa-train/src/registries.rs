//! Everything that files may name, in one value that a user's crate can extend.

use nfa_metrics::{Laws, Metrics};
use nfa_models::{AnyNetwork, Registry};

use crate::data::Source;
use crate::loss::Loss;
use crate::solver::Solver;

/// The registries of an [`crate::App`].
pub struct Registries {
    /// `[model] kind`.
    pub models: Registry<dyn AnyNetwork>,
    /// `[data] kind`.
    pub data: Registry<dyn Source>,
    /// `[loss] kind`.
    pub losses: Registry<dyn Loss>,
    /// `[solver] kind`.
    pub solvers: Registry<dyn Solver>,
    /// `[probe] metrics`.
    pub laws: Laws,
    /// `[probe] metrics`.
    pub metrics: Metrics,
}

impl Registries {
    /// Everything built in.
    pub fn standard() -> Self {
        Registries {
            models: nfa_models::models(),
            data: crate::data::datasets(),
            losses: crate::loss::losses(),
            solvers: crate::solver::solvers(),
            laws: nfa_metrics::laws(),
            metrics: nfa_metrics::metrics(),
        }
    }
}
