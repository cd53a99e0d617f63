//! The Neural Feature Ansatz as a metric of burn-train: how the first layer's weights stand to the AGOP, once an epoch,
//! on a fixed batch of rows. It knows nothing of the model; copy it beside yours.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorReadError};
use burn::train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry, SerializedEntry,
};
use nfa_metrics::to_host;
use nfa_metrics::{Family, Finding, Pair, Psd, Thresholds, agop, assess};

/// A network as the metric sees it: what a model's validation output adapts to.
pub struct Seen {
    /// The first layer's weights as Burn's `Linear` stores them, `[d_in, d_out]`.
    pub weight: Tensor<2>,
    /// The network, `[n, d_in]` → `[n, c]`, each row by itself.
    pub forward: Box<dyn Fn(Tensor<2>) -> Tensor<2>>,
}

impl Seen {
    /// WᵀW against the AGOP over some rows: exponent, misfit and its causes, verdict.
    pub fn finding(&self, rows: &Tensor<2>) -> Finding {
        // W is the transpose of what Burn stores, so WᵀW is that times its transpose.
        let nfm = Psd::outer(&to_host(self.weight.clone()));
        let pair = Pair::new(nfm, agop(&self.forward, rows));
        assess(&pair, Family::Power, None, &Thresholds::default())
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
        self.found.get_or_insert_with(|| seen.finding(&self.rows));
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
