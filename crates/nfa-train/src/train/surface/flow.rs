//! Gradient flow, integrated as a differential equation.

use nfa_models::{Spec, SpecError};
use serde::{Deserialize, Serialize};

use crate::keys::at_least;
#[cfg(feature = "burn")]
use crate::train::setting::Setting;
use crate::train::solver::Solver;
#[cfg(feature = "burn")]
use crate::train::surface::dormand_prince::DormandPrince;

/// dW/dt = -g - λW by the explicit Runge-Kutta pair of Dormand and Prince, 5(4).
///
/// A step is an interval of time of length `lr`, so records are evenly spaced; inside it sub-steps
/// adapt, and the last ends where the interval does. A sub-step is taken where
/// |error| <= `atol`·√N + `rtol`·|W|, Euclidean norms over all N parameters. In f32 `rtol` counts as
/// at least 16 machine epsilons: below, the error estimate is rounding.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Flow {
    /// Error of a sub-step relative to the norm of all parameters.
    pub rtol: f64,
    /// Error of a sub-step per parameter.
    pub atol: f64,
}

impl Default for Flow {
    fn default() -> Self {
        Flow { rtol: 1e-10, atol: 1e-12 }
    }
}

impl Spec<dyn Solver> for Flow {
    const KIND: &'static str = "flow";
    const DOC: &'static str = "Gradient flow dW/dt = -g - lambda W, full batch, by adaptive Runge-Kutta (Dormand-Prince 5(4)). A step is an \
                               interval of time lr, with as many sub-steps inside as rtol and atol ask for; t in formulas is the time. \
                               The imbalance of a linear network obeys D(t) = exp(-2 lambda t) D(0). Where the gradient jumps (relu) each \
                               jump costs sub-steps, so take rtol = 1e-6 there; in f32 rtol counts as at least 2e-6.";
    const REFERENCE: &'static str = "arXiv:2510.15563; Dormand, Prince 1980, doi:10.1016/0771-050X(80)90013-3; Hairer, Norsett, Wanner, Solving ODEs I, II.4-5";
    const EXAMPLE: &'static str = "rtol = 1e-8\n";

    fn check(&self) -> Result<(), SpecError> {
        if !(self.rtol > 0.0 && self.rtol < 1.0) {
            return Err(SpecError::value("rtol", format!("must lie in (0, 1), not {}", self.rtol)));
        }
        at_least(0.0, "atol", self.atol)
    }

    #[cfg(feature = "burn")]
    fn build(&self, setting: &Setting<'_>) -> Result<Box<dyn Solver>, SpecError> {
        Ok(Box::new(DormandPrince::new(*self, setting)))
    }
}
