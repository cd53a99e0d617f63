//! Running averages over the last steps of training.

use crate::matrix::Mat;

/// Averages over the last steps of training, at one map.
#[derive(Clone, Debug)]
pub struct Averaged {
    /// Of WᵀW, `[d_in, d_in]`.
    pub nfm: Mat,
    /// Of FACT = -WᵀG/λ, `[d_in, d_in]`.
    pub fact: Mat,
    /// 2λΣη over these steps. Where it is large the two agree on any bounded path: under gd
    /// mean FACT = mean M + (M_K - M_0 - ΣΔᵀΔ)/(2λΣη) in the symmetric part, whatever the loss is.
    pub window: f64,
    /// |M_K - M_0|/|M_K| with M = WᵀW: how far it moved over them.
    pub drift: f64,
}
