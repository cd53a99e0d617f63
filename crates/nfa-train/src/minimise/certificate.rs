//! What is known of an end.

use std::fmt;

use nfa_models::Stream;
use serde::{Deserialize, Serialize};

use crate::minimise::cubic::Spectrum;
use crate::minimise::function::Function;
use crate::minimise::hessian::{add_decay, dense};
use crate::minimise::iteration::Stop;
use crate::minimise::lanczos::{self, PROBABILITY};
use crate::minimise::penalised::slope;
use crate::minimise::settings::Settings;
use crate::minimise::vector::norm;

/// Up to so many unknowns the Hessian is decomposed.
const DENSE: usize = 3000;

/// What is known of an end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// What stopped the iteration.
    pub stopped_by: Stop,
    /// |g|, penalty included.
    pub gradient: f64,
    /// What was asked of it; 0 for nothing but rounding.
    pub gradient_tol: f64,
    /// The least eigenvalue of the Hessian, penalty included; where it is estimated, the least Ritz value, which the
    /// eigenvalue never exceeds.
    pub curvature: f64,
    /// How it is known.
    pub known: Known,
    /// A value that the least eigenvalue is not below: with `probability` where it is estimated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<f64>,
    /// The probability of that bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// Eigenvalues above minus this are not negative: what was asked for, or what rounding leaves.
    pub curvature_tol: f64,
    /// The relative error of the Hessian: rounding, or that of differences.
    pub precision: f64,
    /// The largest residual of a reduced problem, of all iterations.
    pub residual: f64,
    /// What this certificate itself took, in gradients; in no other count.
    pub work: f64,
}

/// How a least eigenvalue is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// The Hessian was decomposed.
    Exact,
    /// By Lanczos' method from a random start.
    Estimated,
    /// Bounded from below by what the function is.
    Proven,
}

impl Certificate {
    /// Of x, where an iteration has stopped.
    pub(crate) fn of(f: &mut dyn Function, x: &[f64], settings: &Settings, stopped_by: Stop, residual: f64) -> Self {
        let gradient = norm(&slope(f, x));
        let found = lowest(f, x, &Stream::root(settings.seed).fork("certificate"));
        let curvature_tol = settings.curvature_floor(f, found.norm);
        // Never done with curvature below what is tolerated.
        let saddle = found.value < -curvature_tol && stopped_by != Stop::Budget;
        Certificate {
            stopped_by: if saddle { Stop::Curvature } else { stopped_by },
            gradient,
            gradient_tol: settings.gradient_tol,
            curvature: found.value,
            known: found.known,
            bound: found.bound,
            probability: found.probability,
            curvature_tol,
            precision: f.precision(),
            residual,
            work: 1.0 + found.work,
        }
    }

    /// Whether this is a point where no direction leads down to second order.
    pub fn is_minimum(&self) -> bool {
        self.curvature >= -self.curvature_tol && matches!(self.stopped_by, Stop::Gradient | Stop::Rounding)
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.stopped_by {
            Stop::Gradient => "stopped by the gradient, which is small",
            Stop::Curvature => "not done: negative curvature is left",
            Stop::Rounding => "stopped by rounding: no step lowers function or gradient any more",
            Stop::Budget if self.curvature < -self.curvature_tol => {
                "stopped by the budget of iterations, with negative curvature left"
            }
            Stop::Budget => "stopped by the budget of iterations",
        };
        write!(f, "{why}; |g| = {:.1e}, least eigenvalue {:.1e} ", self.gradient, self.curvature)?;
        match (self.known, self.bound, self.probability) {
            (Known::Estimated, Some(bound), Some(probability)) => {
                write!(f, "(estimated: not below {bound:.1e} with probability {probability})")?;
            }
            (Known::Proven, Some(bound), _) => write!(f, "(proven: not below {bound:.1e})")?,
            // Single precision, or differences of gradients.
            _ if self.precision > 1e-12 => write!(f, "(exact, of a Hessian to {:.0e})", self.precision)?,
            _ => f.write_str("(exact)")?,
        }
        write!(f, ", worst residual of a step {:.1e}", self.residual)
    }
}

/// The least eigenvalue of the Hessian, penalty included.
pub(super) struct Lowest {
    pub(super) value: f64,
    pub(super) direction: Vec<f64>,
    pub(super) norm: f64,
    pub(super) work: f64,
    known: Known,
    bound: Option<f64>,
    probability: Option<f64>,
}

/// Finds it: exactly where that can be afforded.
pub(super) fn lowest(f: &mut dyn Function, x: &[f64], stream: &Stream) -> Lowest {
    let cost = f.costs().product;
    if x.len() <= DENSE {
        let mut hessian = dense(f, x, |f, x, rows| f.products(x, rows));
        add_decay(&mut hessian, f.decay(), None);
        let work = x.len() as f64 * cost;
        let Some(spectrum) = Spectrum::of(&hessian) else {
            let direction = vec![0.0; x.len()];
            return Lowest {
                value: f64::NAN,
                direction,
                norm: f64::NAN,
                work,
                known: Known::Exact,
                bound: None,
                probability: None,
            };
        };
        return Lowest {
            value: spectrum.values().first().copied().unwrap_or(0.0),
            direction: if x.is_empty() { Vec::new() } else { spectrum.lowest() },
            norm: spectrum.norm(),
            work,
            known: Known::Exact,
            bound: None,
            probability: None,
        };
    }
    let ritz = lanczos::lowest(f, x, stream);
    let proven = f.least_curvature();
    Lowest {
        value: ritz.value,
        direction: ritz.direction,
        norm: ritz.norm,
        work: ritz.steps as f64 * cost,
        known: if proven.is_some() { Known::Proven } else { Known::Estimated },
        bound: proven.or(Some(ritz.bound)),
        probability: proven.is_none().then_some(PROBABILITY),
    }
}
