//! Cross entropy of classes.

#[cfg(feature = "burn")]
use burn::tensor::{Tensor, activation};
use nfa_models::{Spec, SpecError};
use serde::{Deserialize, Serialize};

use crate::train::loss::Loss;
use crate::train::loss::criterion::Criterion;

/// -(1/n) Σ_i w_i Σ_k y_ik log softmax(f(x_i))_k, with one-hot targets.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrossEntropy {}

impl Loss for CrossEntropy {
    #[cfg(feature = "burn")]
    fn value(&self, outputs: Tensor<2>, targets: &Tensor<2>, weights: Option<&Tensor<2>>, rows: usize) -> Tensor<1> {
        let surprise = activation::log_softmax(outputs, 1) * targets.clone();
        let surprise = match weights {
            Some(weights) => surprise * weights.clone(),
            None => surprise,
        };
        surprise.sum().mul_scalar(-1.0 / rows as f64)
    }

    fn criterion(&self) -> Option<Criterion> {
        Some(Criterion::CrossEntropy)
    }
}

impl Spec<dyn Loss> for CrossEntropy {
    const KIND: &'static str = "cross_entropy";
    const DOC: &'static str = "Mean over samples of -log softmax at the target class, as torch.nn.CrossEntropyLoss.";
    const REFERENCE: &'static str = "torch.nn.CrossEntropyLoss";
    const EXAMPLE: &'static str = "";

    fn build(&self, (): &()) -> Result<Box<dyn Loss>, SpecError> {
        Ok(Box::new(*self))
    }
}
