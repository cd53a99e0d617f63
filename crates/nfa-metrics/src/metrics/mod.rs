//! The known metrics: one file and one line each.

use crate::metrics::metric::Metrics;

pub mod accuracy;
pub mod gap;
pub mod gradient_norm;
pub mod imbalance;
pub mod loss;
pub mod metric;
pub mod recurrence_residual;
pub mod target_linearity;
pub mod teacher_overlap;
pub mod work;

/// Every built-in metric.
pub fn metrics() -> Metrics {
    Metrics::default()
        .with(loss::METRIC)
        .with(accuracy::METRIC)
        .with(imbalance::METRIC)
        .with(recurrence_residual::METRIC)
        .with(target_linearity::METRIC)
        .with(teacher_overlap::METRIC)
        .with(gradient_norm::METRIC)
        .with(work::METRIC)
        .with(gap::METRIC)
}
