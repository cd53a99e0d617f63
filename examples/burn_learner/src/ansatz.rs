//! The Neural Feature Ansatz as a metric of burn-train: how the first layer's weights stand to the AGOP, once an epoch,
//! on a fixed batch of rows. It knows nothing of the model; copy it beside yours.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorReadError};
use burn::train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry, SerializedEntry,
};
use nfa_metrics::laws::nfa;
use nfa_metrics::{AgopOptions, Finding, Forward, SitesError, Thresholds, assess, observe_forward};

/// A network as the metric sees it: what a model's validation output adapts to.
pub struct Seen {
    /// The network, `[n, d_in]` → `[n, c]`, each row by itself.
    pub forward: Box<Forward<'static>>,
}

impl Seen {
    /// The first layer's WᵀW against its AGOP over some rows: exponent, misfit and its causes, verdict.
    pub fn finding(&self, rows: &Tensor<2>) -> Result<Finding, SitesError> {
        let options = AgopOptions { layers: Some(vec![0]), ..AgopOptions::default() };
        let observed = observe_forward(&self.forward, rows, None, &options)?;
        let pair = nfa::LAW.at(&observed, 0).ok_or(SitesError::NoSite)?;
        Ok(assess(&pair, nfa::LAW.family, None, &Thresholds::default()))
    }
}

/// Which number of the finding: a metric of burn-train is one number.
#[derive(Clone, Copy)]
pub enum Quantity {
    /// α of WᵀW ∝ AGOP^α.
    Exponent,
    /// How far WᵀW is from the nearest power of the AGOP, as a share of its norm.
    Misfit,
}

/// The metric.
#[derive(Clone)]
pub struct Ansatz {
    quantity: Quantity,
    rows: Tensor<2>,
    found: Option<Finding>,
}

impl Ansatz {
    /// Measured on these rows, `[n, d_in]`, the same every epoch: a curve of the network, not of the batch.
    pub fn new(quantity: Quantity, rows: Tensor<2>) -> Self {
        Ansatz { quantity, rows, found: None }
    }

    fn number(&self) -> Option<f64> {
        let found = self.found.as_ref()?;
        match self.quantity {
            Quantity::Exponent => found.alpha,
            Quantity::Misfit => found.misfit,
        }
    }

    fn entry(&self, of: impl Fn(f64) -> NumericEntry) -> SerializedEntry {
        match self.number() {
            Some(number) => SerializedEntry::new(format!("{number:.4}"), of(number).serialize()),
            None => SerializedEntry::not_available(None),
        }
    }
}

impl Metric for Ansatz {
    type Input = Seen;

    fn name(&self) -> MetricName {
        let name = match self.quantity {
            Quantity::Exponent => "NFA exponent",
            Quantity::Misfit => "NFA misfit",
        };
        Arc::new(name.to_string())
    }

    fn attributes(&self) -> MetricAttributes {
        NumericAttributes { unit: None, higher_is_better: false }.into()
    }

    fn update(&mut self, seen: &Seen, _: &MetricMetadata) -> Result<SerializedEntry, TensorReadError> {
        // Validation doesn't change the network, so an epoch's first batch says it all.
        if self.found.is_none() {
            self.found = seen.finding(&self.rows).ok();
        }
        Ok(self.entry(NumericEntry::Value))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        Ok(self.entry(NumericEntry::Final))
    }

    fn clear(&mut self) {
        self.found = None;
    }
}

impl Numeric for Ansatz {
    fn value(&self) -> Option<NumericEntry> {
        self.number().map(NumericEntry::Value)
    }

    fn running_value(&self) -> Option<NumericEntry> {
        self.value()
    }

    fn final_value(&self) -> NumericEntry {
        NumericEntry::Final(self.number().unwrap_or(f64::NAN))
    }
}
