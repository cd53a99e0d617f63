//! What a person may change about a measurement, and what is tried at all.

use std::path::Path;

use nfa_metrics::{AgopOptions, Penalty, Thresholds};

use crate::error::{Error, Result};
use crate::machine::devices::Dtype;
use crate::observe::layers::{Layers, NoLayer};

/// Who is told how many rows are done, of how many, and of what.
pub type Tell<'a> = &'a (dyn Fn(usize, usize, &str) + Sync);

/// What a person may change about a measurement.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Of the verdict.
    pub thresholds: Thresholds,
    /// More exponents for the details.
    pub alphas: Vec<f64>,
    /// Which layers, by number or by name.
    pub layers: Layers,
    /// Of the AGOP engine.
    pub agop: AgopOptions,
    /// What the network is evaluated in.
    pub dtype: Dtype,
    /// Where, as named.
    pub device: String,
    /// Laws by name; empty for the usual ones.
    pub laws: Vec<String>,
    /// How weight decay acted in training, where that is said.
    pub penalty: Penalty,
    /// Whether networks are set beside each other.
    pub compares: bool,
    /// Whether matrices are written.
    pub saves: bool,
    /// Whether columns of the inputs are measured.
    pub columns: bool,
}

impl Settings {
    /// The places of the layers that are asked for, among layers of these names.
    ///
    /// # Errors
    /// A layer that is not there, and those that are.
    pub fn places(&self, names: &[String]) -> Result<Vec<usize>> {
        let places = self
            .layers
            .among(names)
            .map_err(|NoLayer { asked, there }| Error::input(format!("--layer {asked}: there are layers {there}")))?;
        Ok(places.unwrap_or_else(|| (0..names.len()).collect()))
    }
}

/// Entries of the largest dense matrix that is made: 2 GiB, and hours of decomposing. Sizes come from
/// files, where a few bytes can ask for any, and an allocation that fails ends the process.
pub const MOST_ENTRIES: usize = 1 << 28;

/// Refuses a matrix with more than [`MOST_ENTRIES`].
///
/// # Errors
/// `what` it is, its size, and the next step.
pub fn check_size(what: &str, rows: usize, cols: usize, next: &str) -> Result<()> {
    if rows.checked_mul(cols).is_some_and(|entries| entries <= MOST_ENTRIES) {
        return Ok(());
    }
    let gibibytes = rows as f64 * cols as f64 * 8.0 / f64::from(1 << 30);
    Err(Error::input(format!("{what}: {rows} x {cols} numbers are {gibibytes:.0} GiB, more than is tried; {next}")))
}

/// The path of a file for messages.
pub fn title_of(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}
