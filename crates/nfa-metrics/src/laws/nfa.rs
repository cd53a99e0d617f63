//! The Neural Feature Ansatz: weights against the AGOP.

use crate::judge::family::Family;
use crate::judge::pair::Pair;
use crate::laws::law::Law;
use crate::laws::needs::Needs;
use crate::matrix::psd::Psd;
use crate::observation::Observation;

/// W_lᵀW_l ∝ AGOP_l^α, with α = 1/(L-l+1) in balanced linear networks (layers from 1).
pub const LAW: Law = Law {
    name: "nfa",
    left: "W_l^T W_l",
    right: "AGOP at layer l's input",
    family: Family::Power,
    doc: "The Neural Feature Ansatz: the Gram matrix of a layer's weights is a power of the average gradient outer \
          product of the network's outputs in that layer's input.",
    reference: "arXiv:2510.15563",
    needs: Needs::AGOP,
    varies: true,
    axes: ["AGOP", "weights"],
    last: Some("behind the last layer the AGOP is W^T W"),
    details: true,
    pair,
    ..Law::OF_WEIGHTS
};

fn pair(observation: &Observation, layer: usize) -> Option<Pair> {
    let layer = observation.layers.get(layer)?;
    let agop = layer.agop.clone()?;
    let predicted = layer.depth_from_here.filter(|_| observation.linear).map(|depth| 1.0 / depth as f64);
    Some(Pair::new(Psd::nfm_within(&layer.weight, agop.frame()).rounded(), agop).predicting(predicted))
}
