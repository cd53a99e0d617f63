//! The six alignments of the Canonical Representation Hypothesis.
//!
//! Of a map z = Wh three matrices before it, H = mean hhᵀ (representations), WᵀW (weights) and the second moment of the
//! loss gradients in h (gradients), and three behind it, of Wh, WWᵀ and the gradients in Wh: on either side any two are
//! proportional (arXiv:2410.03006). None is an identity at a stationary point. Moments are uncentred; the paper's text
//! was not at hand. Where they break, its authors expect powers.

use crate::judge::family::Family;
use crate::judge::pair::Pair;
use crate::laws::law::Law;
use crate::laws::needs::Needs;
use crate::matrix::psd::Psd;
use crate::observation::moments::Moments;
use crate::observation::{Layer, Observation};

const OF_LOSS: Law =
    Law { family: Family::Proportional, reference: "arXiv:2410.03006", asked: true, ..Law::OF_WEIGHTS };

/// Weights and representations before the map.
pub const RW_BEFORE: Law = Law {
    name: "crh.rw.before",
    left: "W^T W",
    right: "mean h h^T",
    doc: "Representations and weights are aligned before a map: W^T W is a multiple of the second moment of what it reads.",
    needs: Needs::LOSS_GRADIENT.and(Needs::INPUT_MOMENTS),
    axes: ["values", "weights"],
    pair: |observation, layer| weights(observation, layer, Psd::nfm, |m, _, eps| m.values_before(eps)),
    ..OF_LOSS
};

/// Weights and loss gradients before the map.
pub const GW_BEFORE: Law = Law {
    name: "crh.gw.before",
    left: "W^T W",
    right: "mean (dl/dh)(dl/dh)^T",
    doc: "Gradients and weights are aligned before a map: W^T W is a multiple of the second moment of the loss gradients \
          there. The eNFA with exponent 1.",
    needs: Needs::LOSS_GRADIENT.and(Needs::GRADIENT_MOMENTS),
    axes: ["loss gradients", "weights"],
    pair: |observation, layer| weights(observation, layer, Psd::nfm, |m, _, eps| m.gradients_before(eps)),
    ..OF_LOSS
};

/// Representations and loss gradients before the map.
pub const RG_BEFORE: Law = Law {
    name: "crh.rg.before",
    left: "mean h h^T",
    right: "mean (dl/dh)(dl/dh)^T",
    doc: "Representations and gradients are aligned before a map: the second moment of what it reads is a multiple of \
          that of the loss gradients there.",
    needs: Needs::LOSS_GRADIENT.and(Needs::INPUT_MOMENTS).and(Needs::GRADIENT_MOMENTS),
    axes: ["loss gradients", "values"],
    pair: |observation, layer| {
        let (_, moments) = known(observation, layer)?;
        let eps = observation.eps;
        Some(Pair::new(moments.values_before(eps)?, moments.gradients_before(eps)?))
    },
    ..OF_LOSS
};

/// Weights and representations behind the map.
pub const RW_BEHIND: Law = Law {
    name: "crh.rw.behind",
    left: "W W^T",
    right: "mean (Wh)(Wh)^T",
    doc: "Representations and weights are aligned behind a map: W W^T is a multiple of the second moment of Wh.",
    needs: Needs::LOSS_GRADIENT.and(Needs::INPUT_MOMENTS),
    axes: ["values", "weights"],
    pair: |observation, layer| {
        weights(observation, layer, Psd::outer, |m, layer, eps| m.values_behind(&layer.weight, eps))
    },
    ..OF_LOSS
};

/// Weights and loss gradients behind the map.
pub const GW_BEHIND: Law = Law {
    name: "crh.gw.behind",
    left: "W W^T",
    right: "mean (dl/dz)(dl/dz)^T",
    doc: "Gradients and weights are aligned behind a map: W W^T is a multiple of the second moment of the loss gradients \
          in what it puts out.",
    needs: Needs::LOSS_GRADIENT.and(Needs::GRADIENT_MOMENTS),
    axes: ["loss gradients", "weights"],
    pair: |observation, layer| weights(observation, layer, Psd::outer, |m, _, eps| m.gradients_behind(eps)),
    ..OF_LOSS
};

/// Representations and loss gradients behind the map.
pub const RG_BEHIND: Law = Law {
    name: "crh.rg.behind",
    left: "mean (Wh)(Wh)^T",
    right: "mean (dl/dz)(dl/dz)^T",
    doc: "Representations and gradients are aligned behind a map: the second moment of Wh is a multiple of that of the \
          loss gradients there.",
    needs: Needs::LOSS_GRADIENT.and(Needs::INPUT_MOMENTS).and(Needs::GRADIENT_MOMENTS),
    axes: ["loss gradients", "values"],
    pair: |observation, layer| {
        let (layer, moments) = known(observation, layer)?;
        let eps = observation.eps;
        Some(Pair::new(moments.values_behind(&layer.weight, eps)?, moments.gradients_behind(eps)?))
    },
    ..OF_LOSS
};

fn known(observation: &Observation, layer: usize) -> Option<(&Layer, &Moments)> {
    let layer = observation.layers.get(layer)?;
    Some((layer, layer.loss.as_ref()?))
}

/// The weights' own matrix against one of the loss.
fn weights(
    observation: &Observation,
    layer: usize,
    left: fn(&crate::matrix::Mat) -> Psd,
    right: impl Fn(&Moments, &Layer, f64) -> Option<Psd>,
) -> Option<Pair> {
    let (layer, moments) = known(observation, layer)?;
    Some(Pair::new(left(&layer.weight).rounded(), right(moments, layer, observation.eps)?))
}
