//! The Features at Convergence Theorem behind the map.

use crate::judge::pair::Pair;
use crate::judge::right::Square;
use crate::laws::law::Law;
use crate::laws::stationary::{bfact, known};
use crate::matrix::psd::Psd;
use crate::observation::Observation;

/// WWᵀ = bFACT := -(1/(nλ)) Σ_i (Wh)(∂ℓ_i/∂(Wh))ᵀ, at stationary points of the loss with coupled decay λ.
pub const LAW: Law = Law {
    name: "bfact",
    left: "W W^T",
    right: "bFACT = -W (dL/dW)^T / lambda",
    doc: "The backward form of the Features at Convergence Theorem: what a layer writes, against minus the mean outer \
          product of its outputs with the loss gradient there, over lambda. Of the training rows, raw and signed.",
    axes: ["bFACT", "weights"],
    pair,
    ..crate::laws::fact::LAW
};

fn pair(observation: &Observation, layer: usize) -> Option<Pair> {
    let (layer, loss, lambda) = known(observation, layer)?;
    let right = Square::new(bfact(&layer.weight, &loss.gradient, lambda), observation.eps);
    Some(Pair::new(Psd::outer(&layer.weight).rounded(), right))
}
