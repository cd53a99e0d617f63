//! The Features at Convergence Theorem: weights against the loss gradients and values that pass through them.

use crate::judge::family::Family;
use crate::judge::pair::Pair;
use crate::judge::right::Square;
use crate::laws::law::Law;
use crate::laws::needs::Needs;
use crate::laws::stationary::{STATIONARITY, fact, known, unless};
use crate::matrix::psd::Psd;
use crate::observation::Observation;

/// WᵀW = FACT := -(1/(nλ)) Σ_i (∂ℓ_i/∂h) hᵀ, at stationary points of the loss with coupled decay λ.
pub const LAW: Law = Law {
    name: "fact",
    left: "W^T W",
    right: "FACT = -W^T (dL/dW) / lambda",
    family: Family::Equal,
    doc: "The Features at Convergence Theorem: at a stationary point of the loss with coupled decay lambda the Gram \
          matrix of a layer's weights equals minus the mean outer product of the loss gradient in its input with that \
          input, over lambda. Of the training rows, raw and signed.",
    reference: "arXiv:2507.05644",
    needs: Needs::LOSS_GRADIENT.and(Needs::DECAY),
    axes: ["FACT", "weights"],
    signed: true,
    beside: &[STATIONARITY],
    unless,
    pair,
    ..Law::OF_WEIGHTS
};

fn pair(observation: &Observation, layer: usize) -> Option<Pair> {
    let (layer, loss, lambda) = known(observation, layer)?;
    let right = Square::new(fact(&layer.weight, &loss.gradient, lambda), observation.eps);
    Some(Pair::new(Psd::nfm(&layer.weight).rounded(), right))
}
