//! No data at all.

use nfa_models::{Spec, SpecError};
use serde::{Deserialize, Serialize};

use crate::data::source::{LoadContext, Raw, Source, Targets};

/// One row of one zero: for models that are functions of their parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct None {}

impl Source for None {
    fn load(&self, _: &LoadContext<'_>) -> Result<Raw, SpecError> {
        let targets = Targets::Values { values: vec![0.0], dim: 1 };
        Ok(Raw { inputs: vec![0.0], dim: 1, targets, drawn_test: Option::None })
    }
}

impl Spec<dyn Source> for None {
    const KIND: &'static str = "none";
    const DOC: &'static str =
        "One row of one zero, for models that read no data: [model] kind = \"function\" with [loss] kind = \"output\".";
    const REFERENCE: &'static str = "none needed";
    const EXAMPLE: &'static str = "";

    fn build(&self, (): &()) -> Result<Box<dyn Source>, SpecError> {
        Ok(Box::new(*self))
    }
}
