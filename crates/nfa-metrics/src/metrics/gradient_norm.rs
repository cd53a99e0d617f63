//! How far from a stationary point.

use crate::column::{Better, MetricInfo};
use crate::laws::needs::Needs;
use crate::metrics::metric::{Metric, Snapshot, Value};

/// `gradient_norm`.
pub const METRIC: Metric = Metric { name: "gradient_norm", needs: Needs::SLOPE, info, measure };

fn info() -> Vec<MetricInfo> {
    vec![MetricInfo {
        name: "gradient_norm".into(),
        symbol: "|g|",
        unit: "loss/|W|",
        range: "[0, inf)",
        better: Better::Lower,
        doc: "Norm of the gradient of loss + penalty in every parameter, on all training rows: 0 at a stationary point, where the laws of \
              stationary points hold exactly.",
        reference: "Nocedal, Wright, Numerical Optimization, 2006, 2.1",
    }]
}

fn measure(at: &Snapshot<'_>) -> Vec<Value> {
    vec![("gradient_norm".into(), at.slope)]
}
