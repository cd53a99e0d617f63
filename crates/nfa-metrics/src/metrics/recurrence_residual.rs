//! The exact recurrence of gradient descent, as a check on the training loop itself.

use crate::column::{Better, MetricInfo};
use crate::laws::needs::Needs;
use crate::metrics::metric::{Metric, Snapshot, Value};
use crate::observation::imbalance;

/// `recurrence_residual.layer<i>`.
pub const METRIC: Metric = Metric { name: "recurrence_residual", needs: Needs::WEIGHTS, info, measure };

fn info() -> Vec<MetricInfo> {
    vec![MetricInfo {
        name: "recurrence_residual.layer<i>".into(),
        symbol: "|D+ - (1-lr lambda)^2 D - lr^2 E| / max|W|^2",
        unit: "1",
        range: "[0, inf)",
        better: Better::Lower,
        doc: "Departure of the step that led to the probe from the recurrence that gd and sgd satisfy exactly in linear \
              networks, E = g_{l+1}^T g_{l+1} - g_l g_l^T; rounding there, and of the size of the step elsewhere.",
        reference: "follows from W_{l+1}^T g_{l+1} = g_l W_l^T",
    }]
}

fn measure(at: &Snapshot<'_>) -> Vec<Value> {
    let layers = &at.observation.layers;
    let scale = layers.iter().map(|l| crate::matrix::squared_norm(&l.weight)).fold(0.0, f64::max);
    (0..layers.len().saturating_sub(1))
        .filter(|&l| layers[l + 1].weight.ncols() == layers[l].weight.nrows())
        .map(|l| {
            let residual = at.update.filter(|_| scale > 0.0).map(|update| {
                let after = imbalance(&layers[l + 1].weight, &layers[l].weight);
                let before = imbalance(&update.before[l + 1], &update.before[l]);
                let kick = imbalance(&update.gradients[l + 1], &update.gradients[l]);
                let factor = (1.0 - update.lr * update.decay).powi(2);
                let residual = after - before * factor - kick * (update.lr * update.lr);
                crate::matrix::squared_norm(&residual).sqrt() / scale
            });
            (format!("recurrence_residual.layer{l}"), residual)
        })
        .collect()
}
