//! Mean squared error, over rows and outputs.

#[cfg(feature = "burn")]
use burn::tensor::Tensor;
use nfa_models::{Spec, SpecError};
use serde::{Deserialize, Serialize};

use crate::train::loss::Loss;
use crate::train::loss::criterion::Criterion;
#[cfg(feature = "burn")]
use crate::train::loss::half_mse::HalfMse;

/// 1/(nc) Σ_i w_i |f(x_i) - y_i|², PyTorch's `MSELoss`; `HalfMse` times 2/c.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mse {}

impl Loss for Mse {
    #[cfg(feature = "burn")]
    fn value(&self, outputs: Tensor<2>, targets: &Tensor<2>, weights: Option<&Tensor<2>>, rows: usize) -> Tensor<1> {
        let c = outputs.dims()[1] as f64;
        HalfMse {}.value(outputs, targets, weights, rows).mul_scalar(2.0 / c)
    }

    fn is_squared(&self) -> bool {
        true
    }

    fn criterion(&self) -> Option<Criterion> {
        Some(Criterion::Mse)
    }
}

impl Spec<dyn Loss> for Mse {
    const KIND: &'static str = "mse";
    const DOC: &'static str = "1/(nc) times the sum over samples and outputs of (f - y)^2, as torch.nn.MSELoss.";
    const REFERENCE: &'static str = "torch.nn.MSELoss";
    const EXAMPLE: &'static str = "";

    fn build(&self, (): &()) -> Result<Box<dyn Loss>, SpecError> {
        Ok(Box::new(*self))
    }
}
