//! A table of one's own.

use nfa_models::{Spec, SpecError};
use serde::{Deserialize, Serialize};

use crate::array::table::Column;
use crate::data::source::{LoadContext, Raw, Source, raw};

/// A CSV or TSV file, gzipped or not: some columns are targets, all others inputs.
///
/// A single target column of whole numbers written as such (`3`, not `3.0`) holds classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Csv {
    /// Relative to the experiment file.
    pub path: String,
    /// A name, an index from 0 (negative from the end), or a list of either.
    pub target: Target,
}

/// One target column or several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Target {
    /// One.
    One(Column),
    /// Several.
    Several(Vec<Column>),
}

impl Source for Csv {
    fn load(&self, context: &LoadContext<'_>) -> Result<Raw, SpecError> {
        let bytes =
            context.read(&self.path).map_err(|error| SpecError::value("path", format!("{}: {error}", self.path)))?;
        let targets = match &self.target {
            Target::One(column) => std::slice::from_ref(column),
            Target::Several(columns) => columns,
        };
        read(&bytes, &self.path, targets)
    }
}

/// Rows of a table's bytes.
pub(super) fn read(bytes: &[u8], name: &str, targets: &[Column]) -> Result<Raw, SpecError> {
    let wrong = |error: crate::array::ArrayError| SpecError::value("path", error.in_file(name).to_string());
    let bytes = crate::array::gzip::unpack(bytes).map_err(wrong)?;
    let tabs = name.trim_end_matches(".gz").ends_with(".tsv").then_some(b'\t');
    let table = crate::array::csv::read(&bytes, tabs).map_err(wrong)?;
    let (inputs, targets) =
        table.split(targets).map_err(|error| SpecError::value("target", error.in_file(name).to_string()))?;
    raw(inputs, targets)
}

impl Spec<dyn Source> for Csv {
    const KIND: &'static str = "csv";
    const DOC: &'static str =
        "A CSV or TSV file (.gz too): `target` names the target column or columns, all others are inputs.";
    const REFERENCE: &'static str = "RFC 4180";
    const EXAMPLE: &'static str = "path = \"data.csv\"\ntarget = \"quality\"\n";
    const PATHS: &'static [&'static str] = &["path"];

    fn build(&self, (): &()) -> Result<Box<dyn Source>, SpecError> {
        Ok(Box::new(self.clone()))
    }
}
