//! How unbalanced neighbouring layers are, absolutely and against the start.

use crate::metric::{Better, Metric, MetricInfo, Snapshot, Value};
use crate::observation::{Observation, imbalance};

/// `imbalance.layer<i>`, `imbalance_ratio.layer<i>`.
pub const METRIC: Metric = Metric { name: "imbalance", info, measure };

fn info() -> Vec<MetricInfo> {
    let row = |name: &str, symbol, doc| MetricInfo {
        name: name.into(),
        symbol,
        unit: "1",
        range: "[0, inf)",
        better: Better::Neither,
        doc,
        reference: "arXiv:2510.15563",
    };
    vec![
        row("imbalance.layer<i>", "|D_l|", "Frobenius norm of W_{l+1}^T W_{l+1} - W_l W_l^T, layers i and i+1."),
        row(
            "imbalance_ratio.layer<i>",
            "|D_l(t)|/|D_l(0)|",
            "The same over its value at step 0; (1 - lr lambda)^(2t) under gradient descent up to O(lr), exp(-2 lambda t) under flow.",
        ),
    ]
}

/// |D_l| of every neighbouring pair of layers that fit together.
pub fn norms(observation: &Observation) -> Vec<f64> {
    observation
        .layers
        .windows(2)
        .filter(|pair| pair[1].weight.ncols() == pair[0].weight.nrows())
        .map(|pair| crate::squared_norm(&imbalance(&pair[1].weight, &pair[0].weight)).sqrt())
        .collect()
}

fn measure(at: &Snapshot<'_>) -> Vec<Value> {
    let now = norms(at.observation);
    let start = at.initial_imbalance.unwrap_or(&now);
    let scale = at.observation.layers.iter().map(|l| crate::squared_norm(&l.weight)).fold(0.0, f64::max);
    let mut values = Vec::new();
    for (l, norm) in now.iter().enumerate() {
        values.push((format!("imbalance.layer{l}"), Some(*norm)));
    }
    for (l, norm) in now.iter().enumerate() {
        // A balanced start has |D(0)| = rounding, and a ratio to rounding means nothing.
        let d = at.observation.layers[l].weight.nrows();
        let base = start.get(l).copied().filter(|&base| base > crate::tolerance::pool(d, at.observation.eps) * scale);
        values.push((format!("imbalance_ratio.layer{l}"), base.map(|base| norm / base)));
    }
    values
}
