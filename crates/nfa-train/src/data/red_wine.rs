//! The bundled red wines.

use nfa_models::{Spec, SpecError};
use serde::{Deserialize, Serialize};

use crate::array::table::Column;
use crate::data::source::{LoadContext, Raw, Source, Targets};

const TABLE: &[u8] = include_bytes!("../../data/red_wine/winequality-red.csv.gz");

/// 1,599 red wines, 11 measurements each, and their quality (data/ATTRIBUTION.md); a regression.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedWine {}

impl Source for RedWine {
    fn load(&self, _context: &LoadContext<'_>) -> Result<Raw, SpecError> {
        let raw = crate::data::csv::read(TABLE, "the bundled red wines", &[Column::Name("quality".into())])?;
        // Quality is a grade: an order and a distance, not eleven classes.
        let targets = match raw.targets {
            Targets::Classes { labels, .. } => {
                Targets::Values { values: labels.into_iter().map(|label| label as f64).collect(), dim: 1 }
            }
            values => values,
        };
        Ok(Raw { targets, ..raw })
    }
}

impl Spec<dyn Source> for RedWine {
    const KIND: &'static str = "red_wine";
    const DOC: &'static str = "1,599 red wines, bundled: 11 measurements of very different scales (so give standardize = true) and a quality from 3 to 8.";
    const REFERENCE: &'static str =
        "Cortez et al., Decision Support Systems 47(4), 2009; UCI Machine Learning Repository";
    const EXAMPLE: &'static str = "";

    fn build(&self, (): &()) -> Result<Box<dyn Source>, SpecError> {
        Ok(Box::new(*self))
    }
}
