//! The equivariant NFA: weights against the gradients of the loss.

use crate::judge::family::Family;
use crate::judge::pair::Pair;
use crate::laws::law::Law;
use crate::laws::needs::Needs;
use crate::matrix::psd::Psd;
use crate::observation::Observation;

/// WᵀW ∝ (mean (∂ℓ/∂h)(∂ℓ/∂h)ᵀ)^α: the NFA with gradients of the loss in the place of those of the outputs.
pub const LAW: Law = Law {
    name: "enfa",
    left: "W^T W",
    right: "mean (dl/dh)(dl/dh)^T of the loss",
    family: Family::Power,
    doc: "The equivariant NFA, as arXiv:2507.05644 compares with it: the Gram matrix of a layer's weights is a power of \
          the second moment of the samples' loss gradients in its input, uncentred, of the training rows. Near \
          interpolation those gradients are what noise leaves.",
    reference: "arXiv:2410.03006",
    needs: Needs::LOSS_GRADIENT.and(Needs::GRADIENT_MOMENTS),
    axes: ["loss gradients", "weights"],
    details: true,
    asked: true,
    pair,
    ..Law::OF_WEIGHTS
};

fn pair(observation: &Observation, layer: usize) -> Option<Pair> {
    let layer = observation.layers.get(layer)?;
    let right = layer.loss.as_ref()?.gradients_before(observation.eps)?;
    Some(Pair::new(Psd::nfm(&layer.weight).rounded(), right))
}
