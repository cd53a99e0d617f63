//! The functions between layers.

use burn::tensor::{Tensor, activation};
use serde::{Deserialize, Serialize};

/// An activation function, applied entry by entry; its file form is the lower-case name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// z
    #[serde(alias = "identity")]
    Linear,
    /// max(z, 0), with derivative 0 at 0
    Relu,
    /// tanh z
    Tanh,
}

impl Activation {
    /// Every activation, in the order of the documentation.
    pub const ALL: [Activation; 3] = [Activation::Linear, Activation::Relu, Activation::Tanh];

    /// Its name in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Activation::Linear => "linear",
            Activation::Relu => "relu",
            Activation::Tanh => "tanh",
        }
    }

    /// φ(z).
    ///
    /// # Shapes
    /// any → the same
    pub fn forward<const D: usize>(self, z: Tensor<D>) -> Tensor<D> {
        match self {
            Activation::Linear => z,
            Activation::Relu => activation::relu(z),
            Activation::Tanh => activation::tanh(z),
        }
    }

    /// φ'(z) from z and a = φ(z), or `None` where it is 1 everywhere.
    ///
    /// # Shapes
    /// any, any → the same
    pub fn derivative<const D: usize>(self, z: &Tensor<D>, a: &Tensor<D>) -> Option<Tensor<D>> {
        match self {
            Activation::Linear => None,
            Activation::Relu => {
                // The gate by values, in the tensor's own dtype (`bool.float()` takes the device's).
                let gate = z.clone().greater_elem(0.0);
                Some(z.zeros_like().mask_fill(gate, 1.0))
            }
            Activation::Tanh => Some(a.clone().powi_scalar(2).neg().add_scalar(1.0)),
        }
    }

    /// Whether φ(tz) = t^k φ(z) for t > 0, and with which k.
    pub fn homogeneity(self) -> Option<u32> {
        match self {
            Activation::Linear | Activation::Relu => Some(1),
            Activation::Tanh => None,
        }
    }

    /// Whether φ is differentiable everywhere (finite differences must stay off the kinks else).
    pub fn is_smooth(self) -> bool {
        self != Activation::Relu
    }
}
