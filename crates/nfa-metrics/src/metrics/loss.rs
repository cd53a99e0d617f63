//! Loss on both splits, and the penalty.

use crate::column::{Better, MetricInfo};
use crate::laws::needs::Needs;
use crate::metrics::metric::{Metric, Snapshot, Value};

/// `loss`, `loss.test`, `penalty`.
pub const METRIC: Metric = Metric { name: "loss", needs: Needs::WEIGHTS, info, measure };

fn info() -> Vec<MetricInfo> {
    let row = |name: &str, symbol, doc| MetricInfo {
        name: name.into(),
        symbol,
        unit: "loss",
        range: "[0, inf)",
        better: Better::Lower,
        doc,
        reference: "arXiv:2510.15563",
    };
    vec![
        row("loss", "F", "Mean loss on the training rows, without penalty."),
        row("penalty", "(lambda/2)|W|^2", "Weight-decay penalty; what the solver minimises is loss + penalty."),
        row("loss.test", "F_test", "Mean loss on the held-out rows."),
    ]
}

fn measure(at: &Snapshot<'_>) -> Vec<Value> {
    let mut values = vec![("loss".into(), Some(at.train.loss)), ("penalty".into(), Some(at.penalty))];
    if let Some(test) = at.test {
        values.push(("loss.test".into(), Some(test.loss)));
    }
    values
}
