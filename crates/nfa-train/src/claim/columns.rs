//! The columns that records may have.

use nfa_metrics::column::{MetricInfo, describes};
use nfa_metrics::laws::columns::law_columns;
use nfa_metrics::{Laws, Metrics};
use nfa_models::{Registry, SpecError};

use crate::train::solver::Solver;

/// Of a column without a range.
const UNBOUNDED: [f64; 2] = [f64::NEG_INFINITY, f64::INFINITY];

/// Every column that some laws and metrics bring.
#[derive(Clone, Debug)]
pub struct Columns {
    /// Pattern, unit, and the ends of its range.
    known: Vec<(String, &'static str, [f64; 2])>,
}

impl Columns {
    /// Of laws, metrics and solvers.
    pub fn of(laws: &Laws, metrics: &Metrics, solvers: &Registry<dyn Solver>) -> Self {
        let metrics = metrics.rows().iter().flat_map(|row| (row.info)());
        let laws = laws.rows().iter().flat_map(law_columns);
        let row = |info: MetricInfo| {
            let bounds = info.bounds();
            (info.name, info.unit, bounds)
        };
        let mut known: Vec<(String, &str, [f64; 2])> = metrics.chain(laws).map(row).collect();
        for (name, unit, _) in solvers.entries().iter().flat_map(|entry| entry.columns) {
            known.push((format!("iteration.{name}"), unit, UNBOUNDED));
        }
        known.push(("outcome".to_string(), "text", UNBOUNDED));
        known.push(("step".to_string(), "1", [0.0, f64::INFINITY]));
        Columns { known }
    }

    /// The ends of a column's range, infinite where it has none or is not known.
    pub fn bounds(&self, column: &str) -> [f64; 2] {
        self.known.iter().find(|(pattern, ..)| describes(pattern, column)).map_or(UNBOUNDED, |(_, _, bounds)| *bounds)
    }

    /// The unit of a column (`text` of words) that a law or a metric brings, of `step` or `outcome`;
    /// `layer*` stands for any layer.
    ///
    /// # Errors
    /// An unknown one, complained about at `path`, with the column that may have been meant.
    pub fn unit(&self, path: &str, column: &str) -> Result<&'static str, SpecError> {
        let first = column.replace("layer*", "layer0");
        if let Some((_, unit, _)) = self.known.iter().find(|(pattern, ..)| describes(pattern, &first)) {
            return Ok(unit);
        }
        let layer = column.rsplit_once(".layer").map_or("0", |(_, layer)| layer);
        let known: Vec<String> = self.known.iter().map(|(pattern, ..)| pattern.replace("<i>", layer)).collect();
        let mut error = SpecError::unknown(path, "column", column, known.iter().map(String::as_str));
        // There are too many to name here.
        error.known.clear();
        error.message.push_str("; `nfa-train list metrics` names all");
        Err(error)
    }
}
