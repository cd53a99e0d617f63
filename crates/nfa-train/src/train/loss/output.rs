//! The outputs themselves.

#[cfg(feature = "burn")]
use burn::tensor::Tensor;
use nfa_models::{Spec, SpecError};
use serde::{Deserialize, Serialize};

use crate::train::loss::Loss;

/// (1/n) Σ_i w_i Σ_k f(x_i)_k: what a model gives is what is minimised, and targets are not looked at.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {}

impl Loss for Output {
    #[cfg(feature = "burn")]
    fn value(&self, outputs: Tensor<2>, _: &Tensor<2>, weights: Option<&Tensor<2>>, rows: usize) -> Tensor<1> {
        let outputs = match weights {
            Some(weights) => outputs * weights.clone(),
            None => outputs,
        };
        outputs.sum().mul_scalar(1.0 / rows as f64)
    }

    fn is_output(&self) -> bool {
        true
    }
}

impl Spec<dyn Loss> for Output {
    const KIND: &'static str = "output";
    const DOC: &'static str = "Mean over samples of the sum of the outputs: a model that is a function to be minimised; targets are not looked at.";
    const REFERENCE: &'static str = "none needed";
    const EXAMPLE: &'static str = "";

    fn build(&self, (): &()) -> Result<Box<dyn Loss>, SpecError> {
        Ok(Box::new(*self))
    }
}
