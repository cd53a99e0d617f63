//! What a person may change about a measurement, and what is tried at all.

use std::path::Path;

use nfa_metrics::{AgopOptions, Thresholds};

use crate::error::{Error, Result};
use crate::machine::devices::Dtype;

/// What a person may change about a measurement.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Of the verdict.
    pub thresholds: Thresholds,
    /// More exponents for the details.
    pub alphas: Vec<f64>,
    /// Which layers, from 0; `None` for all.
    pub layers: Option<Vec<usize>>,
    /// Of the AGOP engine.
    pub agop: AgopOptions,
    /// What the network is evaluated in.
    pub dtype: Dtype,
    /// Where, as named.
    pub device: String,
}

impl Settings {
    /// Whether a layer is asked for.
    pub fn wants(&self, layer: usize) -> bool {
        self.layers.as_ref().is_none_or(|layers| layers.contains(&layer))
    }

    /// Refuses a layer that is not there.
    ///
    /// # Errors
    /// The layer, and those that there are.
    pub fn check_layers(&self, count: usize) -> Result<()> {
        match self.layers.iter().flatten().find(|&&layer| layer >= count) {
            None => Ok(()),
            Some(layer) => {
                Err(Error::input(format!("--layer {layer}: there are layers 0 to {}", count.saturating_sub(1))))
            }
        }
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
