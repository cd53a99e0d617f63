//! What training took so far.

use crate::column::{Better, MetricInfo};
use crate::laws::needs::Needs;
use crate::metrics::metric::{Metric, Snapshot, Value};

/// `work`.
pub const METRIC: Metric = Metric { name: "work", needs: Needs::WEIGHTS, info, measure };

fn info() -> Vec<MetricInfo> {
    vec![MetricInfo {
        name: "work".into(),
        symbol: "passes",
        unit: "gradients",
        range: "[0, inf)",
        better: Better::Neither,
        doc: "What the solver evaluated so far, in gradients on the rows of a step (one pass forward, one back): the axis on which solvers \
              of different kinds compare. A value alone is 1/3, a product with the Hessian 2, a direction of a block of them 1.",
        reference: "Griewank, Walther, Evaluating Derivatives, 2008, 4.6",
    }]
}

fn measure(at: &Snapshot<'_>) -> Vec<Value> {
    vec![("work".into(), Some(at.work))]
}
