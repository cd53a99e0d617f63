//! What the laws look at: one network at one moment, on the host.

use crate::matrix::Mat;
use crate::matrix::psd::Psd;
use crate::matrix::symmetric;

/// Weights and AGOPs of a network's layers.
#[derive(Clone, Debug)]
pub struct Observation {
    /// From the input on.
    pub layers: Vec<Layer>,
    /// Whether the network is linear in its input: then theory predicts every layer's exponent.
    pub linear: bool,
    /// Whether each layer reads what the one before it writes; a capture's sites are any of a network's.
    pub neighbours: bool,
    /// The machine epsilon of what the network computes in.
    pub eps: f64,
}

/// One layer as it was observed.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Its name in the network.
    pub name: String,
    /// Its weights, `[d_out, d_in]`.
    pub weight: Mat,
    /// AGOP of the network's outputs at its input, `[d_in, d_in]`.
    pub agop: Option<Psd>,
    /// The number of weight matrices from here to the outputs, where that is known.
    pub depth_from_here: Option<usize>,
}

/// D_l = W_{l+1}ᵀW_{l+1} - W_lW_lᵀ of two neighbouring layers.
///
/// # Shapes
/// next: `[_, h]`, this: `[h, _]` → `[h, h]`
pub fn imbalance(next: &Mat, this: &Mat) -> Mat {
    symmetric::difference(next.transpose(), this.as_ref())
}
