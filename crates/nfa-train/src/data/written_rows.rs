//! Rows written into the experiment file: constructed cases.

use nfa_models::{Spec, SpecError};
use serde::{Deserialize, Serialize};

use crate::data::source::{LoadContext, Raw, Source, Targets};

/// Inputs and targets as lists of rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenRows {
    /// `[n, d]`.
    pub inputs: Vec<Vec<f64>>,
    /// `[n, c]`.
    pub targets: Vec<Vec<f64>>,
}

impl Source for WrittenRows {
    fn load(&self, _: &LoadContext<'_>) -> Result<Raw, SpecError> {
        let targets = Targets::Values { values: self.targets.concat(), dim: self.targets[0].len() };
        Ok(Raw { inputs: self.inputs.concat(), dim: self.inputs[0].len(), targets, drawn_test: None })
    }
}

impl Spec<dyn Source> for WrittenRows {
    const KIND: &'static str = "rows";
    const DOC: &'static str = "Rows written into the file, for constructed cases.";
    const REFERENCE: &'static str = "this project's constructed cases";
    const EXAMPLE: &'static str = "inputs = [[1.0, 0.0], [0.0, 1.0]]\ntargets = [[1.0], [-2.0]]\n";

    fn check(&self) -> Result<(), SpecError> {
        for (key, rows) in [("inputs", &self.inputs), ("targets", &self.targets)] {
            let width = rows.first().map_or(0, Vec::len);
            if width == 0 {
                return Err(SpecError::value(key, "needs at least one row of at least one number".into()));
            }
            if let Some(row) = rows.iter().position(|row| row.len() != width) {
                let message = format!("row {row} has {} numbers and row 0 has {width}", rows[row].len());
                return Err(SpecError::value(key, message));
            }
        }
        if self.inputs.len() != self.targets.len() {
            let message =
                format!("there are {} rows of targets and {} of inputs", self.targets.len(), self.inputs.len());
            return Err(SpecError::value("targets", message));
        }
        Ok(())
    }

    fn build(&self, (): &()) -> Result<Box<dyn Source>, SpecError> {
        Ok(Box::new(self.clone()))
    }
}
