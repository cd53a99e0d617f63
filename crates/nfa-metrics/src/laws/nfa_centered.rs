//! The centred NFA: what training changed, against the gradients through it.

use crate::judge::family::Family;
use crate::judge::pair::Pair;
use crate::laws::law::Law;
use crate::laws::needs::Needs;
use crate::matrix::psd::Psd;
use crate::observation::Observation;

/// ΔWᵀΔW ∝ (ΔWᵀKΔW)^α with ΔW = W - W₀ and K the second moment of the outputs' gradients behind the map.
pub const LAW: Law = Law {
    name: "nfa.centered",
    left: "dW^T dW, dW = W - W0",
    right: "dW^T K dW",
    family: Family::Power,
    doc: "The centred NFA: the part of a layer's weights that training added, against the gradients of the outputs \
          through that part. Without decay the start stays in the weights, and this law leaves it out.",
    reference: "arXiv:2402.05271",
    needs: Needs::OUTPUT_GRADIENTS.and(Needs::START),
    varies: true,
    axes: ["centred AGOP", "change of weights"],
    last: Some("behind the last layer the centred AGOP is dW^T dW"),
    details: true,
    pair,
    ..Law::OF_WEIGHTS
};

fn pair(observation: &Observation, layer: usize) -> Option<Pair> {
    let layer = observation.layers.get(layer)?;
    let change = &layer.weight - layer.start.as_ref()?;
    let right = Psd::gram_of(change.transpose() * layer.k.as_ref()? * &change, observation.eps);
    Some(Pair::new(Psd::nfm(&change).rounded(), right))
}
