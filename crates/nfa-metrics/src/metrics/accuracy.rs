//! Classification accuracy on both splits.

use crate::column::{Better, MetricInfo};
use crate::laws::needs::Needs;
use crate::metrics::metric::{Metric, Snapshot, Value};

/// `accuracy`, `accuracy.test`; no columns where targets are no classes.
pub const METRIC: Metric = Metric { name: "accuracy", needs: Needs::WEIGHTS, info, measure };

fn info() -> Vec<MetricInfo> {
    let row = |name: &str, symbol, doc| MetricInfo {
        name: name.into(),
        symbol,
        unit: "1",
        range: "[0, 1]",
        better: Better::Higher,
        doc,
        reference: "share of rows whose largest output is the target's",
    };
    vec![
        row("accuracy", "acc", "Share of training rows classified right."),
        row("accuracy.test", "acc_test", "Share of held-out rows classified right."),
    ]
}

fn measure(at: &Snapshot<'_>) -> Vec<Value> {
    let mut values = Vec::new();
    if let Some(accuracy) = at.train.accuracy {
        values.push(("accuracy".into(), Some(accuracy)));
    }
    if let Some(accuracy) = at.test.and_then(|test| test.accuracy) {
        values.push(("accuracy.test".into(), Some(accuracy)));
    }
    values
}
