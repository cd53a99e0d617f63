//! How linear the targets are in what a layer reads.

use crate::column::{Better, MetricInfo};
use crate::laws::needs::Needs;
use crate::metrics::metric::{Metric, Snapshot, Value};

/// `target_linearity.layer<i>`.
pub const METRIC: Metric =
    Metric { name: "target_linearity", needs: Needs::LOSS_GRADIENT.and(Needs::TARGETS), info, measure };

fn info() -> Vec<MetricInfo> {
    vec![MetricInfo {
        name: "target_linearity.layer<i>".into(),
        symbol: "R^2(y | h)",
        unit: "1",
        range: "[0, 1]",
        better: Better::Higher,
        doc: "Share of the training targets' variance that a linear map of what the layer reads, with an intercept, \
              explains: whether features serve the task, which no law tells. Empty where a row has several positions. \
              The name is the reference's, its exact definition was not at hand.",
        reference: "arXiv:2605.06258",
    }]
}

fn measure(at: &Snapshot<'_>) -> Vec<Value> {
    let value = |(l, layer): (usize, &crate::observation::Layer)| {
        let linearity = layer.loss.as_ref().and_then(|loss| loss.linearity);
        (format!("target_linearity.layer{l}"), linearity)
    };
    at.observation.layers.iter().enumerate().map(value).collect()
}
