//! One line an epoch on the terminal. (Without its dashboard burn-train prints one a batch, and no metric.)

use std::io::Write;

use burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn::train::metric::{MetricDefinition, NumericEntry};
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation, MetricsRendererTraining,
};

/// The renderer.
#[derive(Default)]
pub struct Lines {
    known: Vec<MetricDefinition>,
    row: Vec<(String, f64)>,
    headed: bool,
}

impl Lines {
    /// Keeps the number that a metric ends an epoch with.
    fn keep(&mut self, split: &str, state: &MetricState) {
        if let MetricState::Numeric(entry, Some(NumericEntry::Final(value))) = state {
            let metric = self.known.iter().find(|metric| metric.metric_id == entry.metric_id);
            self.row.extend(metric.map(|metric| (format!("{split} {}", metric.name), *value)));
        }
    }
}

impl MetricsRendererTraining for Lines {
    fn update_train(&mut self, state: MetricState) {
        self.keep("train", &state);
    }

    fn update_valid(&mut self, state: MetricState) {
        self.keep("valid", &state);
    }
}

impl TrainingProgressLogger for Lines {
    fn start(&mut self, _: usize, _: usize, _: Option<usize>, _: Option<&str>) {}
    fn start_split(&mut self, _: &str, _: usize) {}
    fn update_split(&mut self, _: usize) {}
    fn end_split(&mut self) {}
    fn end(&mut self) {}
    fn log_event_training(&mut self, _: String) {}

    fn update_epoch(&mut self, epoch: usize) {
        // A reader that has seen enough (`| head`) is no reason to end the training.
        let print = |line: String| drop(writeln!(std::io::stdout(), "{line}"));
        if !self.headed {
            let names: String = self.row.iter().map(|(name, _)| format!("  {name}")).collect();
            print(format!("epoch{names}"));
            self.headed = true;
        }
        let values: String =
            self.row.drain(..).map(|(name, value)| format!("  {value:>width$.4}", width = name.len())).collect();
        print(format!("{epoch:>5}{values}"));
    }
}

impl MetricsRendererEvaluation for Lines {
    fn update_test(&mut self, _: EvaluationName, _: MetricState) {}
}

impl EvaluationProgressLogger for Lines {
    fn start_global_progress(&mut self, _: usize) {}
    fn start_test(&mut self, _: &str, _: usize) {}
    fn update_test_progress(&mut self, _: usize) {}
    fn end_test(&mut self) {}
    fn end_global_progress(&mut self) {}
    fn log_event_evaluation(&mut self, _: String) {}
}

impl MetricsRenderer for Lines {
    fn manual_close(&mut self) {}

    fn register_metric(&mut self, definition: MetricDefinition) {
        self.known.push(definition);
    }
}
