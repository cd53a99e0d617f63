//! The columns that records may have.

use nfa_metrics::column::describes;
use nfa_metrics::laws::quantity::law_columns;
use nfa_metrics::{Laws, Metrics};
use nfa_models::SpecError;

/// Every column that some laws and metrics bring.
pub struct Columns {
    /// Pattern and unit.
    known: Vec<(String, &'static str)>,
}

impl Columns {
    /// Of laws and metrics.
    pub fn of(laws: &Laws, metrics: &Metrics) -> Self {
        let metrics = metrics.rows().iter().flat_map(|row| (row.info)());
        let laws = laws.rows().iter().flat_map(law_columns);
        let mut known: Vec<(String, &str)> = metrics.chain(laws).map(|info| (info.name, info.unit)).collect();
        known.extend([("outcome".to_string(), "text"), ("step".to_string(), "1")]);
        Columns { known }
    }

    /// The unit of a column (`text` of words) that a law or a metric brings, of `step` or `outcome`;
    /// `layer*` stands for any layer.
    ///
    /// # Errors
    /// An unknown one, complained about at `path`, with the column that may have been meant.
    pub fn unit(&self, path: &str, column: &str) -> Result<&'static str, SpecError> {
        let first = column.replace("layer*", "layer0");
        if let Some((_, unit)) = self.known.iter().find(|(pattern, _)| describes(pattern, &first)) {
            return Ok(unit);
        }
        let layer = column.rsplit_once(".layer").map_or("0", |(_, layer)| layer);
        let known: Vec<String> = self.known.iter().map(|(pattern, _)| pattern.replace("<i>", layer)).collect();
        let mut error = SpecError::unknown(path, "column", column, known.iter().map(String::as_str));
        // There are too many to name here.
        error.known.clear();
        error.message.push_str("; `nfa-train list metrics` names all");
        Err(error)
    }
}
