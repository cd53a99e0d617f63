//! Dense networks of any depth and widths.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::activation::Activation;
use crate::host::dense::check_chain;
use crate::network::{Chain, Network};
use crate::sites::Sites;
use crate::spec_error::SpecError;

/// f(x) = W_L φ(… φ(W_1 x + b_1) …) + b_L; no activation after the last layer.
///
/// Weights are stored in paper layout `[d_out, d_in]`, so parameters, records and PyTorch's files
/// agree without a transpose.
#[derive(Module, Debug)]
pub struct Mlp {
    layers: Vec<Dense>,
    #[module(skip)]
    activations: Vec<Activation>,
}

#[derive(Module, Debug)]
struct Dense {
    weight: Param<Tensor<2>>,
    bias: Option<Param<Tensor<1>>>,
}

impl Mlp {
    /// A network from its weights and biases.
    ///
    /// # Shapes
    /// weights: L tensors `[d_l, d_{l-1}]`; biases: L of `[d_l]` or `None`; activations: L - 1
    ///
    /// # Errors
    /// No layers, shapes that don't chain, the wrong number of biases or activations.
    pub fn new(
        weights: Vec<Tensor<2>>,
        biases: Vec<Option<Tensor<1>>>,
        activations: Vec<Activation>,
    ) -> Result<Self, SpecError> {
        let sizes: Vec<Option<usize>> = biases.iter().map(|bias| Some(bias.as_ref()?.dims()[0])).collect();
        check_chain(&weights.iter().map(Tensor::dims).collect::<Vec<_>>(), &sizes, activations.len())?;
        let layers = weights
            .into_iter()
            .zip(biases)
            .map(|(weight, bias)| Dense { weight: Param::from_tensor(weight), bias: bias.map(Param::from_tensor) })
            .collect();
        Ok(Mlp { layers, activations })
    }

    /// The number of weight matrices, L.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }
}

impl Network for Mlp {
    fn forward(&self, x: Tensor<2>, at: &mut Sites) -> Tensor<2> {
        let mut h = x;
        for (l, layer) in self.layers.iter().enumerate() {
            h = at.dense(format_args!("layers.{l}"), h, layer.weight.val(), layer.bias.as_ref().map(|bias| bias.val()));
            if let Some(activation) = self.activations.get(l) {
                h = at.activation(h, |h| activation.forward(h));
                at.follows(format_args!("layers.{l}"), format_args!("layers.{}", l + 1));
            }
        }
        h
    }

    fn chain(&self) -> Option<Chain> {
        Some(Chain {
            weights: self.layers.iter().map(|layer| layer.weight.val()).collect(),
            biases: self.layers.iter().map(|layer| layer.bias.as_ref().map(Param::val)).collect(),
            activations: self.activations.clone(),
        })
    }
}
