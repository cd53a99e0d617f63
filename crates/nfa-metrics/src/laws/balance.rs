//! Balance of neighbouring layers, which gradient flow conserves in linear networks.

use crate::judge::family::Family;
use crate::judge::pair::Pair;
use crate::laws::law::{Law, Over};
use crate::matrix::psd::Psd;
use crate::observation::Observation;

/// W_{l+1}ᵀW_{l+1} = W_lW_lᵀ.
pub const LAW: Law = Law {
    name: "balance",
    left: "W_{l+1}^T W_{l+1}",
    right: "W_l W_l^T",
    family: Family::Equal,
    doc: "Balanced layers: what layer l+1 reads equals what layer l writes. Between linear layers without biases \
          gradient flow without decay conserves the difference, and coupled decay shrinks it; AdamW and Muon need not.",
    reference: "arXiv:2510.15563",
    over: Over::Neighbours,
    brings: &["imbalance", "recurrence_residual"],
    pair,
    ..Law::OF_WEIGHTS
};

fn pair(observation: &Observation, layer: usize) -> Option<Pair> {
    let (readers, this) = (observation.readers(layer)?, &observation.layers.get(layer)?.weight);
    (readers.ncols() == this.nrows()).then(|| Pair::new(Psd::nfm(&readers), Psd::outer(this).rounded()))
}
