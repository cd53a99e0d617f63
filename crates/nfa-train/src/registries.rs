//! Everything that files may name, in one value that a user's crate can extend.

use nfa_metrics::columns::{describes, law_columns};
use nfa_metrics::{Laws, Metrics};
use nfa_models::{AnyNetwork, Registry, SpecError};

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

    /// The unit of a column (`text` of words) that a law or a metric brings, of `step` or `outcome`;
    /// `layer*` stands for any layer.
    ///
    /// # Errors
    /// An unknown one, complained about at `path`, with the column that may have been meant.
    pub fn unit(&self, path: &str, column: &str) -> Result<&'static str, SpecError> {
        let metrics = self.metrics.rows().iter().flat_map(|row| (row.info)());
        let laws = self.laws.rows().iter().flat_map(law_columns);
        let mut known: Vec<(String, &str)> = metrics.chain(laws).map(|info| (info.name, info.unit)).collect();
        known.extend([("outcome".to_string(), "text"), ("step".to_string(), "1")]);
        let first = column.replace("layer*", "layer0");
        if let Some((_, unit)) = known.iter().find(|(pattern, _)| describes(pattern, &first)) {
            return Ok(unit);
        }
        let layer = column.rsplit_once(".layer").map_or("0", |(_, layer)| layer);
        let known: Vec<String> = known.into_iter().map(|(pattern, _)| pattern.replace("<i>", layer)).collect();
        let mut error = SpecError::unknown(path, "column", column, known.iter().map(String::as_str));
        // There are too many to name here.
        error.known.clear();
        error.message.push_str("; `nfa-train list metrics` names all");
        Err(error)
    }
}
