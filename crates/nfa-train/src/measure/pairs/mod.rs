//! Pair laws from weights alone: which tensors of a file are two factors of a product.
//!
//! A table of naming schemes finds attention heads and adapters; `nfa_metrics::laws::product` has the law.
//! Adding a scheme is one line.

mod adapters;
mod attention;
mod column;
mod config;
mod schemes;

use nfa_metrics::laws::balance;
use nfa_metrics::{Judged, ProductPair, Protected, Thresholds, assess, parallel};

use crate::measure::pairs::column::with_column;
pub use crate::measure::pairs::config::Heads;

use crate::error::{Error, Result};
use crate::measure::measurement::{Imbalance, LayerMeasurement, Measurement, Task};
use crate::measure::settings::Tell;
use crate::weights::{Checkpoint, Weights, networks};

/// The pairs of a file, not yet read.
pub struct Pairs<'a> {
    checkpoint: &'a Checkpoint<'a>,
    heads: &'a Heads,
    blocks: Vec<attention::Block<'a>>,
    adapters: Vec<adapters::Adapter>,
}

impl<'a> Pairs<'a> {
    /// Finds attention blocks and adapters by their names.
    ///
    /// # Errors
    /// A block or an adapter of which a part is missing; two networks.
    pub fn find(checkpoint: &'a Checkpoint<'a>, heads: &'a Heads) -> Result<Self> {
        networks::check(checkpoint, checkpoint.entries().iter().map(|entry| entry.name.as_str()), true)?;
        let (blocks, adapters) = (attention::blocks(checkpoint)?, adapters::adapters(checkpoint)?);
        Ok(Pairs { checkpoint, heads, blocks, adapters })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.adapters.is_empty()
    }

    /// What `f` makes of each pair, and what is no pair and why; a block's weights are in memory at a time.
    ///
    /// # Errors
    /// Heads that are not known, or don't divide a map; shapes that don't fit; weights that aren't what the network
    /// applies; numbers that are not finite.
    pub fn each<R: Send>(&self, f: impl Fn(ProductPair) -> R + Sync, tell: Tell<'_>) -> Result<(Vec<R>, Vec<String>)> {
        let (mut rows, mut notes) = (Vec::new(), Vec::new());
        for (done, block) in self.blocks.iter().enumerate() {
            tell(done, self.blocks.len(), "blocks");
            let found = block.pairs(self.checkpoint, self.heads, &self.adapters)?;
            let pairs: Vec<_> = found.pairs.into_iter().map(|pair| std::sync::Mutex::new(Some(pair))).collect();
            rows.extend(parallel::map(pairs.len(), |i| taken(&pairs[i]).map(&f)).into_iter().flatten());
            notes.extend(found.notes);
        }
        for adapter in &self.adapters {
            rows.push(f(adapter.pair(self.checkpoint)?));
        }
        Ok((rows, notes))
    }
}

/// What lies in a place that is emptied once.
fn taken<T>(place: &std::sync::Mutex<Option<T>>) -> Option<T> {
    place.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
}

/// Neighbouring layers of a plain MLP, where the activation between them leaves something.
pub fn of_layers(weights: &Weights, activations: &[nfa_models::Activation]) -> Result<Vec<ProductPair>> {
    let activations = weights.between(activations)?;
    let protected = |l: usize| match activations[l] {
        nfa_models::Activation::Linear => Some(Protected::Whole),
        nfa_models::Activation::Relu | nfa_models::Activation::LeakyRelu { .. } => Some(Protected::Units),
        _ => None,
    };
    let pair = |l: usize| {
        let (this, next) = (&weights.layers[l], &weights.layers[l + 1]);
        Some(ProductPair {
            name: format!("{} - {}", this.name, next.name),
            upper: next.weight.clone(),
            lower: with_column(&this.weight, this.bias.as_deref()),
            protected: protected(l)?,
        })
    };
    let pairs: Vec<ProductPair> = (0..activations.len()).filter_map(pair).collect();
    if pairs.is_empty() {
        return Err(Error::input(
            "--pairs auto: no pair of layers with a conserved balance: it takes linear, relu or leaky_relu between them",
        ));
    }
    Ok(pairs)
}

/// A pair's balance, as a row of the table.
pub fn row(found: &ProductPair, thresholds: &Thresholds) -> (LayerMeasurement, Imbalance) {
    let (law, pair) = (balance::LAW, found.pair());
    let scale = found.upper.squared_norm_l2().max(found.lower.squared_norm_l2());
    let frobenius = found.imbalance().norm_l2();
    let judged = Judged::alone(law, assess(&pair, law.family, None, thresholds), None);
    let row = LayerMeasurement::alone(&found.name, found.lower.nrows(), judged);
    (row, Imbalance { layer: 0, frobenius, relative: frobenius / scale })
}

/// Rows as a measurement.
pub fn measurement(
    rows: Vec<(LayerMeasurement, Imbalance)>,
    notes: Vec<String>,
    title: &str,
    thresholds: Thresholds,
) -> Measurement {
    let numbered = rows.into_iter().enumerate().map(|(layer, (mut row, imbalance))| {
        row.layer = layer;
        row.laws.iter_mut().for_each(|judged| judged.layer = layer);
        (row, Imbalance { layer, ..imbalance })
    });
    let (layers, imbalance) = numbered.unzip();
    Measurement {
        title: title.into(),
        samples: None,
        dtype: "f64".into(),
        device: "host".into(),
        source: "weights",
        capture: None,
        task: Task::default(),
        layers,
        columns: None,
        sizes: None,
        imbalance,
        notes,
        thresholds,
    }
}
