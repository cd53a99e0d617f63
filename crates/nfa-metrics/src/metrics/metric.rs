//! What is measured beside the laws.

use crate::column::MetricInfo;
use crate::laws::needs::Needs;
use crate::matrix::Mat;
use crate::observation::Observation;

/// Loss and accuracy on one split.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// Mean loss, without penalty.
    pub loss: f64,
    /// Share of rows whose largest output is the target's; `None` where targets are no classes.
    pub accuracy: Option<f64>,
}

/// The step of plain (stochastic) gradient descent that led to a probe.
#[derive(Clone, Debug)]
pub struct Update {
    /// W_l before the step.
    pub before: Vec<Mat>,
    /// dF/dW_l there, without decay.
    pub gradients: Vec<Mat>,
    /// η.
    pub lr: f64,
    /// λ.
    pub decay: f64,
}

/// Everything that metrics are computed from at one probe, on the host.
#[derive(Debug)]
pub struct Snapshot<'a> {
    /// Weights (and AGOPs, where a law asked for them).
    pub observation: &'a Observation,
    /// On the training rows.
    pub train: Scores,
    /// On the held-out rows, where there are any.
    pub test: Option<Scores>,
    /// (λ/2)|W|².
    pub penalty: f64,
    /// |D_l| at step 0 of the pairs of layers that fit together; `None` at step 0 itself.
    pub initial_imbalance: Option<&'a [f64]>,
    /// Orthonormal rows, `[k, d]`: the directions of the inputs that the targets depend on, where the dataset knows them.
    pub teacher: Option<&'a Mat>,
    /// |gradient| of loss and penalty in every parameter, where a metric asks for it.
    pub slope: Option<f64>,
    /// What the steps took so far, in gradients.
    pub work: f64,
    /// The training loss at step 0.
    pub first_loss: Option<f64>,
    /// The least loss that there is, where the model knows it.
    pub least_loss: Option<f64>,
    /// The step that led here, where the solver's rule has a recurrence.
    pub update: Option<&'a Update>,
}

/// A column and its value; `None` where it is undefined at this probe.
pub type Value = (String, Option<f64>);

/// A metric: some columns, always the same for a run.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name in `[probe] metrics`.
    pub name: &'static str,
    /// What must have been observed beside the weights.
    pub needs: Needs,
    /// What its columns mean.
    pub info: fn() -> Vec<MetricInfo>,
    /// Its columns at a probe.
    pub measure: fn(&Snapshot<'_>) -> Vec<Value>,
}

/// The known metrics, in order.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    rows: Vec<Metric>,
}

impl Metrics {
    /// Adds a metric; one of the same name before it is replaced.
    #[must_use]
    pub fn with(mut self, metric: Metric) -> Self {
        self.rows.retain(|row| row.name != metric.name);
        self.rows.push(metric);
        self
    }

    /// Every metric.
    pub fn rows(&self) -> &[Metric] {
        &self.rows
    }

    /// The metric of this name.
    pub fn get(&self, name: &str) -> Option<&Metric> {
        self.rows.iter().find(|metric| metric.name == name)
    }
}
