//! Dense networks of any depth and widths.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::activation::Activation;
use crate::context::Context;
use crate::init::Init;
use crate::matrix::Matrix;
use crate::network::{AnyNetwork, Chain, Network, Site};
use crate::spec::Spec;
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

impl Dense {
    fn forward(&self, h: Tensor<2>) -> Tensor<2> {
        let z = h.matmul(self.weight.val().transpose());
        match &self.bias {
            Some(bias) => z + bias.val().unsqueeze(),
            None => z,
        }
    }
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
        let depth = weights.len();
        if depth == 0 {
            return Err(SpecError::value("", "a network needs at least one layer".into()));
        }
        if biases.len() != depth || activations.len() != depth - 1 {
            return Err(SpecError::value(
                "",
                format!(
                    "{depth} layers take {depth} biases and {} activations, not {} and {}",
                    depth - 1,
                    biases.len(),
                    activations.len()
                ),
            ));
        }
        for (l, pair) in weights.windows(2).enumerate() {
            let ([out, _], [_, into]) = (pair[0].dims(), pair[1].dims());
            if out != into {
                return Err(SpecError::value(
                    "",
                    format!("layer {l} has {out} outputs and layer {} takes {into}", l + 1),
                ));
            }
        }
        for (l, (weight, bias)) in weights.iter().zip(&biases).enumerate() {
            if let Some(bias) = bias
                && bias.dims()[0] != weight.dims()[0]
            {
                return Err(SpecError::value(
                    "",
                    format!("layer {l} has {} outputs and {} biases", weight.dims()[0], bias.dims()[0]),
                ));
            }
        }
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

    fn run(&self, from: usize, to: usize, mut h: Tensor<2>) -> Tensor<2> {
        for (l, layer) in self.layers.iter().enumerate().take(to).skip(from) {
            h = layer.forward(h);
            if let Some(activation) = self.activations.get(l) {
                h = activation.forward(h);
            }
        }
        h
    }
}

impl Network for Mlp {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.run(0, self.depth(), x)
    }

    fn weight(&self, site: Site) -> Option<Tensor<2>> {
        self.layers.get(site.0).map(|layer| layer.weight.val())
    }

    fn sites(&self) -> usize {
        self.depth()
    }

    fn encode(&self, site: Site, x: Tensor<2>) -> Tensor<3> {
        self.run(0, site.0, x).unsqueeze_dim(1)
    }

    fn decode(&self, site: Site, h: Tensor<3>) -> Tensor<2> {
        self.run(site.0, self.depth(), h.squeeze_dim(1))
    }

    fn chain(&self) -> Option<Chain> {
        Some(Chain {
            weights: self.layers.iter().map(|layer| layer.weight.val()).collect(),
            biases: self.layers.iter().map(|layer| layer.bias.as_ref().map(Param::val)).collect(),
            activations: self.activations.clone(),
        })
    }
}

/// One activation for every hidden layer, or one each.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Activations {
    /// The same everywhere.
    Same(Activation),
    /// One per hidden layer.
    Each(Vec<Activation>),
}

impl<'de> Deserialize<'de> for Activations {
    // By hand: serde's untagged enums answer a typo with "did not match any variant".
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::value::{SeqAccessDeserializer, StrDeserializer};
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Activations;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an activation, or a list with one per hidden layer")
            }
            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
                Activation::deserialize(StrDeserializer::new(name)).map(Activations::Same)
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Activations::Each)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// The file form of an [`Mlp`].
///
/// | key | default | meaning |
/// |---|---|---|
/// | `depth`, `width` | | number of weight matrices, and the width of every hidden layer |
/// | `widths` | | the hidden widths, one each, instead of `depth` and `width` |
/// | `activation` | `"linear"` | one of [`Activation`]'s words, or a list with one per hidden layer |
/// | `bias` | `false` | a bias in every layer, starting at 0 or where a file says |
/// | `init` | `{ kind = "gaussian", scale = 1.0 }` | see [`Init`] |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MlpSpec {
    /// The number of weight matrices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<usize>,
    /// The width of every hidden layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// The width of each hidden layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub widths: Option<Vec<usize>>,
    /// Between layers.
    #[serde(default = "linear")]
    pub activation: Activations,
    /// Whether every layer has one.
    #[serde(default)]
    pub bias: bool,
    /// Starting weights.
    #[serde(default)]
    pub init: Init,
}

fn linear() -> Activations {
    Activations::Same(Activation::Linear)
}

/// More layers than this is a mistake in the file, not an experiment.
const MAX_DEPTH: usize = 1000;

impl MlpSpec {
    fn hidden(&self) -> Result<Vec<usize>, SpecError> {
        let hidden = match (self.depth, self.width, &self.widths) {
            (None, None, Some(widths)) => widths.clone(),
            (Some(0), _, None) => {
                return Err(SpecError::value("depth", "counts weight matrices, so it is at least 1".into()));
            }
            (Some(depth), _, None) if depth > MAX_DEPTH => {
                return Err(SpecError::value("depth", format!("is {depth}; at most {MAX_DEPTH} layers are supported")));
            }
            (Some(1), _, None) => Vec::new(),
            (Some(depth), Some(width), None) => vec![width; depth - 1],
            (Some(_), None, None) => {
                return Err(SpecError::value("width", "is missing: `depth` goes with `width`".into()));
            }
            (None, Some(_), None) => {
                return Err(SpecError::value("depth", "is missing: `width` goes with `depth`".into()));
            }
            (None, None, None) => {
                return Err(SpecError::value("depth", "is missing: give `depth` and `width`, or `widths`".into()));
            }
            (_, _, Some(_)) => {
                return Err(SpecError::value(
                    "widths",
                    "stands instead of `depth` and `width`; keep one of the two forms".into(),
                ));
            }
        };
        if let Some(zero) = hidden.iter().position(|&w| w == 0) {
            return Err(SpecError::value("width", format!("of hidden layer {zero} is 0")));
        }
        Ok(hidden)
    }

    fn activations(&self, hidden: usize) -> Result<Vec<Activation>, SpecError> {
        match &self.activation {
            Activations::Same(activation) => Ok(vec![*activation; hidden]),
            Activations::Each(list) if list.len() == hidden => Ok(list.clone()),
            Activations::Each(list) => Err(SpecError::value(
                "activation",
                format!("lists {} for {hidden} hidden layers (none after the last layer)", list.len()),
            )),
        }
    }
}

impl Spec<dyn AnyNetwork> for MlpSpec {
    const KIND: &'static str = "mlp";
    const DOC: &'static str =
        "Dense layers of any depth and widths, with an activation between them and none after the last.";
    const REFERENCE: &'static str = "arXiv:2510.15563";
    const EXAMPLE: &'static str =
        "depth = 3\nwidth = 20\nactivation = \"tanh\"\nbias = true\ninit = { kind = \"gaussian\", scale = 1.0 }\n";
    const PATHS: &'static [&'static str] = &["init.path"];

    fn check(&self) -> Result<(), SpecError> {
        let hidden = self.hidden()?;
        self.activations(hidden.len())?;
        self.init.check().and_then(|()| self.init.check_depth(hidden.len() + 1)).map_err(|error| error.under("init"))
    }

    fn build(&self, context: &Context<'_>) -> Result<Box<dyn AnyNetwork>, SpecError> {
        let hidden = self.hidden()?;
        let activations = self.activations(hidden.len())?;
        let mut widths = vec![context.inputs];
        widths.extend(hidden);
        widths.push(context.outputs);
        let layers = self.init.layers(&widths, &context.stream, context.stored).map_err(|error| error.under("init"))?;
        let options = (context.device, context.dtype);
        let (mut weights, mut biases) = (Vec::new(), Vec::new());
        for layer in layers {
            if layer.bias.is_some() && !self.bias {
                let message = format!("is false and the file has a bias beside {}; set bias = true", layer.name);
                return Err(SpecError::value("bias", message));
            }
            let Matrix { rows, cols, data } = layer.weight;
            weights.push(Tensor::from_data(TensorData::new(data, [rows, cols]), options));
            let bias = self.bias.then(|| layer.bias.unwrap_or_else(|| vec![0.0; rows]));
            biases.push(bias.map(|bias| Tensor::from_data(TensorData::new(bias, [rows]), options)));
        }
        Ok(Box::new(Mlp::new(weights, biases, activations)?))
    }
}
