//! How much of the way down is left.

use crate::column::{Better, MetricInfo};
use crate::laws::needs::Needs;
use crate::metrics::metric::{Metric, Snapshot, Value};

/// `gap`.
pub const METRIC: Metric = Metric { name: "gap", needs: Needs::WEIGHTS, info, measure };

fn info() -> Vec<MetricInfo> {
    vec![MetricInfo {
        name: "gap".into(),
        symbol: "(f - f*)/(f0 - f*)",
        unit: "1",
        range: "(-inf, inf)",
        better: Better::Lower,
        doc: "The share of the way from the first loss down to the least one that is left, where the model knows the least one ([model] kind = \
              \"function\"): 1 at step 0. What ends in another minimum stays above 0, or falls below it.",
        reference: "More, Wild 2009, doi:10.1137/080724083",
    }]
}

fn measure(at: &Snapshot<'_>) -> Vec<Value> {
    let gap = at.least_loss.map(|least| {
        let first = at.first_loss.unwrap_or(at.train.loss);
        (at.train.loss - least) / (first - least)
    });
    vec![("gap".into(), gap)]
}
