//! The file form of dense networks.

use serde::{Deserialize, Serialize};

use crate::activation::Activation;
use crate::init::Init;
use crate::network::AnyNetwork;
use crate::spec::Spec;
use crate::spec_error::SpecError;

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

/// Dense layers of any depth and widths.
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

    #[cfg(feature = "burn")]
    fn build(&self, context: &crate::context::Context<'_>) -> Result<Box<dyn AnyNetwork>, SpecError> {
        let hidden = self.hidden()?;
        let activations = self.activations(hidden.len())?;
        let mut widths = vec![context.inputs];
        widths.extend(hidden);
        widths.push(context.outputs);
        let layers = self.init.layers(&widths, &context.stream, context.stored).map_err(|error| error.under("init"))?;
        let (mut weights, mut biases) = (Vec::new(), Vec::new());
        for layer in layers {
            if layer.bias.is_some() && !self.bias {
                let message = format!("is false and the file has a bias beside {}; set bias = true", layer.name);
                return Err(SpecError::value("bias", message));
            }
            let bias = self.bias.then(|| layer.bias.unwrap_or_else(|| vec![0.0; layer.weight.rows]));
            biases.push(bias.map(|bias| context.vector(bias)));
            weights.push(context.tensor(layer.weight));
        }
        Ok(Box::new(crate::mlp::Mlp::new(weights, biases, activations)?))
    }
}
