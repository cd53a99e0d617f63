//! What laws of stationary points share: FACT itself, when it can be asked, and how stationary a map is.
//!
//! At a stationary point of loss + (λ/2)|W|² a map's weights obey λW + G = 0, G = ∂L/∂W. Multiplied by Wᵀ from the left
//! or by itself transposed from the right that is WᵀW = FACT and WWᵀ = bFACT (arXiv:2507.05644, Theorem 1). At any
//! weights WᵀW - FACT = Wᵀ(λW + G)/λ exactly.

use crate::column::Better;
use crate::laws::absent::Absent;
use crate::laws::quantity::{Quantity, Reading, number};
use crate::matrix::Mat;
use crate::observation::moments::Moments;
use crate::observation::{Layer, Observation};

/// FACT = -WᵀG/λ = -(1/(nλ)) Σ_i (∂ℓ_i/∂h) hᵀ, as it is: neither symmetric nor positive before convergence.
///
/// # Shapes
/// `[d_out, d_in]` twice → `[d_in, d_in]`
pub fn fact(weight: &Mat, gradient: &Mat, lambda: f64) -> Mat {
    weight.transpose() * gradient * (-1.0 / lambda)
}

/// bFACT = -WGᵀ/λ = -(1/(nλ)) Σ_i (Wh)(∂ℓ_i/∂(Wh))ᵀ.
///
/// # Shapes
/// `[d_out, d_in]` twice → `[d_out, d_out]`
pub fn bfact(weight: &Mat, gradient: &Mat, lambda: f64) -> Mat {
    weight * gradient.transpose() * (-1.0 / lambda)
}

/// A layer's loss and λ, where a law of stationary points can be asked there.
pub(crate) fn known(observation: &Observation, layer: usize) -> Option<(&Layer, &Moments, f64)> {
    let layer = observation.layers.get(layer)?;
    Some((layer, layer.loss.as_ref()?, layer.penalty.lambda().ok()?))
}

/// Of |<W, G>| against |W||G|: what rounding leaves where the loss doesn't see the scale of W.
fn invariance(eps: f64) -> f64 {
    if eps <= f64::EPSILON { 1e-12 } else { 1e-6 }
}

/// Why a law of stationary points can't be asked at a layer whose loss was observed.
pub(crate) fn unless(observation: &Observation, layer: usize) -> Option<Absent> {
    let layer = observation.layers.get(layer)?;
    let Moments { gradient, .. } = layer.loss.as_ref()?;
    if let Err(why) = layer.penalty.lambda() {
        return Some(Absent::NotApplicable(format!("refused: {why}")));
    }
    if let Some(why) = &layer.unsound {
        return Some(Absent::NotApplicable(why.clone()));
    }
    let inner: f64 = layer.weight.col_iter().zip(gradient.col_iter()).map(|(w, g)| w.transpose() * g).sum();
    let size = layer.weight.norm_l2() * gradient.norm_l2();
    (size > 0.0 && inner.abs() <= invariance(observation.eps) * size).then(|| {
        Absent::NotApplicable(
            "scale-invariant: what the map puts out is normalised, so <W, dL/dW> = 0 and the trace of FACT is 0 whatever \
             the weights are"
                .into(),
        )
    })
}

/// |λW + G|/|λW|; undefined without a loss, a λ or weights.
pub const STATIONARITY: Quantity<Layer> = Quantity {
    better: Better::Lower,
    ..number(
        "stationarity",
        "|lambda W + dL/dW| / |lambda W|",
        "How far the layer is from a stationary point of the penalised loss; 0 there, and the law is exact.",
        |layer: &Layer| {
            let residual = || {
                let (loss, lambda) = (layer.loss.as_ref()?, layer.penalty.lambda().ok()?);
                let decay = &layer.weight * lambda;
                let size = decay.norm_l2();
                (layer.unsound.is_none() && size > 0.0).then(|| (decay + &loss.gradient).norm_l2() / size)
            };
            Reading::from(residual().filter(|residual| residual.is_finite()))
        },
    )
}
.range(|_| "[0, inf)");
