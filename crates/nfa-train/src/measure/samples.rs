//! The rows that a network is measured on, and what it should answer to them.

use crate::error::{Error, Result};
use crate::train::loss::Loss;

/// The rows that a network is measured on.
#[derive(Clone, Debug)]
pub struct Samples {
    /// `[n, d]`, row-major.
    pub inputs: Vec<f64>,
    /// n.
    pub count: usize,
    /// d.
    pub dim: usize,
    /// Of the columns; empty where the file has none.
    pub names: Vec<String>,
}

/// Targets of the samples.
#[derive(Clone, Debug)]
pub struct Answers {
    /// `[n, c]`, row-major; one-hot for classes.
    pub values: Vec<f64>,
    /// c.
    pub dim: usize,
    /// Whether they are classes.
    pub classes: bool,
    /// Whether they came as one-hot rows.
    pub hot: bool,
}

/// What a network is for.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// Targets of the samples.
    pub answers: &'a Answers,
    /// The loss to state.
    pub loss: Option<&'a dyn Loss>,
}

impl Samples {
    /// The variance of each column.
    pub(super) fn variances(&self) -> Vec<f64> {
        let n = self.count as f64;
        let column = |j: usize| self.inputs.iter().skip(j).step_by(self.dim);
        let of = |j: usize| {
            let mean = column(j).sum::<f64>() / n;
            column(j).map(|v| (v - mean).powi(2)).sum::<f64>() / n
        };
        (0..self.dim).map(of).collect()
    }
}

impl Answers {
    /// Refuses another width than the outputs'.
    ///
    /// # Errors
    /// Both widths.
    pub(super) fn check_width(&self, outputs: usize) -> Result<()> {
        if self.dim == outputs {
            return Ok(());
        }
        Err(Error::input(format!("--targets has {} columns and the network {outputs} outputs", self.dim)))
    }

    /// The variance of the values around each output's mean, summed over outputs.
    pub(super) fn variance(&self) -> f64 {
        let c = self.dim;
        let n = (self.values.len() / c) as f64;
        let mean: Vec<f64> = (0..c).map(|k| self.values.iter().skip(k).step_by(c).sum::<f64>() / n).collect();
        self.values.iter().enumerate().map(|(i, y)| (y - mean[i % c]).powi(2)).sum::<f64>() / n
    }
}
