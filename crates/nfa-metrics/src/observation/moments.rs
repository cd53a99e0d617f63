//! What a loss does at a map: gradients and second moments over samples.

use crate::matrix::Mat;
use crate::matrix::psd::Psd;

/// Moments at one map, over samples i and positions p; δ = ∂ℓ_i/∂z is the gradient of a sample's loss in what the map
/// puts out, through this map alone. None of them is centred.
#[derive(Clone, Debug)]
pub struct Moments {
    /// G = mean Σ_p δᵀh, the gradient of the mean loss in the weights: `[d_out, d_in]`.
    pub gradient: Mat,
    /// H = mean Σ_p hhᵀ of what the map reads, `[d_in, d_in]`; where it was asked for.
    pub values: Option<Mat>,
    /// mean Σ_p (∂ℓ_i/∂h)(∂ℓ_i/∂h)ᵀ = Wᵀ(mean Σ_p δᵀδ)W, `[d_in, d_in]`; where it was asked for.
    pub gradients: Option<Mat>,
    /// mean Σ_p δᵀδ, `[d_out, d_out]`; where it was asked for and is known.
    pub behind: Option<Mat>,
    /// Share of the targets' variance that a linear map of h with an intercept explains, where it was asked for and a
    /// sample has one position.
    pub linearity: Option<f64>,
}

impl Moments {
    /// A gradient, and nothing else.
    pub fn of_gradient(gradient: Mat) -> Self {
        Moments { gradient, values: None, gradients: None, behind: None, linearity: None }
    }

    /// H before the map.
    pub fn values_before(&self, eps: f64) -> Option<Psd> {
        self.values.as_ref().map(|values| Psd::gram_of(values.clone(), eps))
    }

    /// WHWᵀ, the second moment of Wh behind it.
    pub fn values_behind(&self, weight: &Mat, eps: f64) -> Option<Psd> {
        self.values.as_ref().map(|values| Psd::gram_of(weight * values * weight.transpose(), eps))
    }

    /// Second moment of the loss gradients before the map.
    pub fn gradients_before(&self, eps: f64) -> Option<Psd> {
        self.gradients.as_ref().map(|gradients| Psd::gram_of(gradients.clone(), eps))
    }

    /// Second moment of the loss gradients behind it.
    pub fn gradients_behind(&self, eps: f64) -> Option<Psd> {
        self.behind.as_ref().map(|behind| Psd::gram_of(behind.clone(), eps))
    }
}
