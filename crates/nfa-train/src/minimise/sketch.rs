//! Random subspaces: the rows that an iteration looks along.

use nfa_models::Stream;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// How the rows of a sketch are drawn.
///
/// A step depends on the space that they span alone, so their scale doesn't matter: Gaussian and Haar rows are the
/// same method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sketch {
    /// Independent normals.
    #[default]
    Gaussian,
    /// Each column has [`Settings::nonzeros`](crate::minimise::Settings::nonzeros) entries ±1 in rows of its own
    /// (s-hashing).
    Hashing,
    /// Half of the rows are the leading directions of recent gradients, the AGOP of the loss in the parameters; the
    /// others are Gaussian, and the guarantees and the rank rule are theirs.
    Guided,
}

impl Sketch {
    /// Its word in files.
    pub fn name(self) -> &'static str {
        match self {
            Sketch::Gaussian => "gaussian",
            Sketch::Hashing => "hashing",
            Sketch::Guided => "guided",
        }
    }
}

/// Rows of standard normals, a stream each.
///
/// # Shapes
/// `[l, D]`
pub(super) fn gaussian(stream: &Stream, l: usize, d: usize) -> Vec<f64> {
    (0..l as u64).into_par_iter().map(|row| stream.fork_index(row).normals(d)).collect::<Vec<_>>().concat()
}

/// An s-hashing matrix: in each column `nonzeros` entries ±1 (at most l) in distinct rows.
///
/// # Shapes
/// `[l, D]`
pub(super) fn hashing(stream: &Stream, l: usize, d: usize, nonzeros: usize) -> Vec<f64> {
    let mut rows = vec![0.0; l * d];
    let mut draws = stream.draws();
    let mut order: Vec<usize> = (0..l).collect();
    for column in 0..d {
        for k in 0..nonzeros.min(l) {
            // The first of a random order, whatever order was left.
            order.swap(k, k + draws.below((l - k) as u64) as usize);
            rows[order[k] * d + column] = draws.sign();
        }
    }
    rows
}
