//! What one iteration did.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One iteration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Iteration {
    /// The function before it, penalty included.
    pub value: f64,
    /// |Bg|, B the orthonormal rows that it looked along; of ARC |g| itself.
    pub gradient: f64,
    /// l, how many directions it looked along.
    pub rows: usize,
    /// The numerical rank of the Hessian there, without the penalty's.
    pub rank: usize,
    /// The least eigenvalue of the Hessian there, with the penalty's.
    pub curvature: f64,
    /// σ of its model.
    pub sigma: f64,
    /// |s|.
    pub length: f64,
    /// The decrease over what was promised; not a number where nothing was promised or the trial point lies outside
    /// the domain.
    pub ratio: f64,
    /// Whether the ratio was read off slopes, as the decrease would be rounding.
    pub by_slopes: bool,
    /// Whether the step was taken.
    pub accepted: bool,
    /// The residual of the reduced problem.
    pub residual: f64,
    /// The largest residual so far.
    pub worst: f64,
    /// Work so far, in gradients.
    pub work: f64,
    /// Σ (l/D)² so far: full Hessians seen.
    pub hessians: f64,
    /// Why nothing is left to do, where that is so.
    pub stop: Option<Stop>,
}

/// Why an end is an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// |g| is small enough and the Hessian has no negative curvature: a minimum to second order.
    Gradient,
    /// Negative curvature is left: this is no minimum, whether |g| is small or not, and no step along it was found
    /// that lowers the function.
    Curvature,
    /// No step lowers the function or its gradient beyond rounding.
    Rounding,
    /// The iterations that were allowed are over.
    Budget,
}

impl Stop {
    /// Its word in files.
    pub fn name(self) -> &'static str {
        match self {
            Stop::Gradient => "gradient",
            Stop::Curvature => "curvature",
            Stop::Rounding => "rounding",
            Stop::Budget => "budget",
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
