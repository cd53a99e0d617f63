//! Half the mean squared error, summed over outputs.

#[cfg(feature = "burn")]
use burn::tensor::Tensor;
use nfa_models::{Spec, SpecError};
use serde::{Deserialize, Serialize};

use crate::train::loss::Loss;
use crate::train::loss::criterion::Criterion;

/// 1/(2n) Σ_i w_i |f(x_i) - y_i|²: its gradient in the outputs is (f - y)/n.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HalfMse {}

impl Loss for HalfMse {
    #[cfg(feature = "burn")]
    fn value(&self, outputs: Tensor<2>, targets: &Tensor<2>, weights: Option<&Tensor<2>>, rows: usize) -> Tensor<1> {
        let error = outputs - targets.clone();
        let squares = error.powi_scalar(2);
        let squares = match weights {
            Some(weights) => squares * weights.clone(),
            None => squares,
        };
        // Not div_scalar: its backward rounds to f32 in Burn 0.22.
        squares.sum().mul_scalar(0.5 / rows as f64)
    }

    fn is_squared(&self) -> bool {
        true
    }

    fn criterion(&self) -> Option<Criterion> {
        Some(Criterion::HalfMse)
    }
}

impl Spec<dyn Loss> for HalfMse {
    const KIND: &'static str = "half_mse";
    const DOC: &'static str = "1/(2n) times the sum over samples and outputs of (f - y)^2.";
    const REFERENCE: &'static str = "arXiv:2510.15563";
    const EXAMPLE: &'static str = "";

    fn build(&self, (): &()) -> Result<Box<dyn Loss>, SpecError> {
        Ok(Box::new(*self))
    }
}
