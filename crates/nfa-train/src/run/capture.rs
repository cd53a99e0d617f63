//! The network at a run's end as a capture file.

use nfa_metrics::{Capturing, Mat, Penalty, capture};
use nfa_models::AnyNetwork;

use crate::data::split::Split;
use crate::error::{Error, Result};
use crate::observe::loss::LossSeen;

/// What a capture is made of.
pub(super) struct Captured<'a> {
    /// Weights at the run's start.
    pub(super) init: &'a [Mat],
    /// The rows: those that AGOPs are taken on.
    pub(super) rows: &'a Split,
    /// The loss on the rows trained on, and its name.
    pub(super) loss: (&'a str, LossSeen<'a>),
    /// How weight decay acted.
    pub(super) penalty: Penalty,
}

impl Captured<'_> {
    /// The file's bytes.
    pub(super) fn bytes(&self, network: &dyn AnyNetwork) -> Result<Vec<u8>> {
        let (name, loss) = &self.loss;
        let each = loss.each();
        let what = Capturing {
            weights: self.rows.weights.as_deref(),
            init: Some(self.init),
            loss: Some((name, &*each)),
            trained: Some((&loss.rows.inputs, loss.rows.weights.as_deref())),
            penalty: self.penalty,
        };
        capture(&|x, at| network.forward(x, at), &self.rows.inputs, &what)
            .map_err(|error| Error::input(format!("probe.capture: {error}")))
    }
}
