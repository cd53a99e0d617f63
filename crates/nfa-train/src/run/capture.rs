//! The network at a run's end as a capture file.

use burn::tensor::Tensor;
use nfa_metrics::{Capturing, Mat, capture};
use nfa_models::AnyNetwork;

use crate::data::split::Split;
use crate::error::{Error, Result};
use crate::train::loss::Loss;

/// What a capture is made of.
pub(super) struct Captured<'a> {
    /// Weights at the run's start.
    pub(super) init: Vec<Mat>,
    /// The rows: those that AGOPs are taken on.
    pub(super) rows: &'a Split,
    /// The loss, by name.
    pub(super) loss: (&'a str, &'a dyn Loss),
    /// λ.
    pub(super) weight_decay: f64,
    /// Whether it acts beside the step.
    pub(super) decoupled: bool,
}

impl Captured<'_> {
    /// The file's bytes.
    pub(super) fn bytes(&self, network: &dyn AnyNetwork) -> Result<Vec<u8>> {
        let (name, loss) = self.loss;
        let targets = &self.rows.targets;
        let losses = |y: Tensor<2>, samples: std::ops::Range<usize>, factors: &[f64]| {
            let targets = targets.clone().slice([samples]);
            let factors = burn::tensor::TensorData::new(factors.to_vec(), [factors.len(), 1]);
            let factors = Tensor::from_data(factors, (&targets.device(), targets.dtype()));
            // The mean over one row is the sum over all of them.
            loss.value(y, &targets, Some(&factors), 1)
        };
        let what = Capturing {
            weights: self.rows.weights.as_deref(),
            init: Some(&self.init),
            loss: Some((name, &losses)),
            weight_decay: self.weight_decay,
            decay: match (self.weight_decay > 0.0, self.decoupled) {
                (false, _) => "none",
                (true, false) => "coupled",
                (true, true) => "decoupled",
            },
        };
        capture(&|x, at| network.forward(x, at), &self.rows.inputs, &what)
            .map_err(|error| Error::input(format!("probe.capture: {error}")))
    }
}
