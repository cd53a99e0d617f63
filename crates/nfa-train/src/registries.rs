//! Everything that files may name, in one value that a user's crate can extend.

use nfa_metrics::{Laws, Metrics};
use nfa_models::{AnyNetwork, Registry};

use crate::claim::columns::Columns;
use crate::data::source::Source;
use crate::train::loss::Loss;
use crate::train::solver::Solver;

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
            models: nfa_models::models().with::<crate::train::second_order::function::FunctionSpec>(),
            data: crate::data::datasets(),
            losses: crate::train::losses::losses(),
            solvers: crate::train::solvers::solvers(),
            laws: nfa_metrics::laws(),
            metrics: nfa_metrics::metrics(),
        }
    }

    /// The columns that records may have.
    pub fn columns(&self) -> Columns {
        Columns::of(&self.laws, &self.metrics, &self.solvers)
    }
}
