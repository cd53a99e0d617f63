//! One disc of the fan, and `directions.csv`, which holds them.

use nfa_metrics::Law;

use crate::record::{csv_line, decimal};

/// One disc of the fan: a law's left matrix A seen in the eigenbasis of its right matrix B.
#[derive(Clone, Debug, PartialEq)]
pub struct Direction {
    /// The probe's step.
    pub step: u64,
    /// The law's name.
    pub law: String,
    /// The layer, from 0.
    pub layer: usize,
    /// Eigenvalue of B, descending; 0 beyond its rank.
    pub g: f64,
    /// vᵀAv.
    pub m: f64,
    /// Off-diagonal mass of A in that row of B's eigenbasis (Frobenius).
    pub leak: f64,
}

impl Direction {
    /// One of a law's, as it was found.
    pub fn new(step: u64, law: &Law, layer: usize, found: &nfa_metrics::Direction) -> Self {
        Direction { step, law: law.name.into(), layer, g: found.g, m: found.m, leak: found.leak }
    }
}

/// The columns of `directions.csv`.
pub const COLUMNS: [&str; 6] = ["step", "law", "layer", "g", "m", "leak"];

impl Direction {
    /// Its line in `directions.csv`.
    pub fn csv(&self) -> String {
        let numbers = [self.g, self.m, self.leak].map(decimal);
        csv_line([self.step.to_string(), self.law.clone(), self.layer.to_string()].into_iter().chain(numbers))
    }
}

pub(crate) fn read_directions(text: &str) -> std::result::Result<Vec<Direction>, csv::Error> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader
        .deserialize::<(u64, String, usize, f64, f64, f64)>()
        .map(|row| row.map(|(step, law, layer, g, m, leak)| Direction { step, law, layer, g, m, leak }))
        .collect()
}
