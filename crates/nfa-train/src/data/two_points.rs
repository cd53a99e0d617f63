//! Two orthogonal points of unequal frequency and unequal targets.

use nfa_models::{Spec, SpecError};
use serde::{Deserialize, Serialize};

use crate::data::source::{LoadContext, Raw, Source, Targets};

/// (e_1, s) with weight p and (e_2, -1) with weight 1 - p, the weights relative.
///
/// The least-norm two-layer ReLU network that fits has WᵀW = diag(s, 1), while the AGOP is
/// diag(p s², 1 - p): frequency enters one and not the other. The two are ordered alike, so that
/// some exponent could fit, only where log s and log(p s² / (1 - p)) have the same sign.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwoPoints {
    /// p, the first point's share of the data.
    pub share: f64,
    /// s, the size of the first point's target over the second's.
    pub ratio: f64,
    /// The second point's target is of the other sign, so that no unit serves both.
    #[serde(default = "yes")]
    pub opposite: bool,
}

fn yes() -> bool {
    true
}

impl Source for TwoPoints {
    fn load(&self, _: &LoadContext<'_>) -> Result<Raw, SpecError> {
        let second = if self.opposite { -1.0 } else { 1.0 };
        let targets = Targets::Values { values: vec![self.ratio, second], dim: 1 };
        Ok(Raw { inputs: vec![1.0, 0.0, 0.0, 1.0], dim: 2, targets, drawn_test: None })
    }

    fn weights(&self) -> Option<Vec<f64>> {
        Some(vec![self.share, 1.0 - self.share])
    }
}

impl Spec<dyn Source> for TwoPoints {
    const KIND: &'static str = "two_points";
    const DOC: &'static str =
        "Two orthogonal points, the first a share of the data and its target a ratio: counterexample C and its phases.";
    const REFERENCE: &'static str = "this project's construction, on arXiv:2510.15563 (nonlinear networks)";
    const EXAMPLE: &'static str = "share = 0.9\nratio = 0.5\n";

    fn check(&self) -> Result<(), SpecError> {
        if !(self.share > 0.0 && self.share < 1.0) {
            return Err(SpecError::value("share", format!("lies between 0 and 1, not {}", self.share)));
        }
        if !(self.ratio.is_finite() && self.ratio > 0.0) {
            return Err(SpecError::value("ratio", format!("must be finite and positive, not {}", self.ratio)));
        }
        Ok(())
    }

    fn build(&self, (): &()) -> Result<Box<dyn Source>, SpecError> {
        Ok(Box::new(self.clone()))
    }
}
