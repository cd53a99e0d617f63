//! The exact recurrence of gradient descent, as a check on the training loop itself.

use crate::column::{Better, MetricInfo};
use crate::laws::needs::Needs;
use crate::matrix::Mat;
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
    let residual = |l: usize| {
        let readers = at.observation.readers(l).filter(|readers| readers.ncols() == layers[l].weight.nrows())?;
        let residual = at.update.filter(|_| scale > 0.0).and_then(|update| {
            let of = |all: &[Mat]| Some(imbalance(&layers[l].readers_of(all)?, &all[l]));
            let (before, kick) = (of(&update.before)?, of(&update.gradients)?);
            let factor = (1.0 - update.lr * update.decay).powi(2);
            let after = imbalance(&readers, &layers[l].weight);
            let residual = after - before * factor - kick * (update.lr * update.lr);
            Some(crate::matrix::squared_norm(&residual).sqrt() / scale)
        });
        Some((format!("recurrence_residual.layer{l}"), residual))
    };
    at.observation.writers().filter_map(residual).collect()
}
