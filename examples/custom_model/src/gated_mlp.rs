//! The model: layers whose units multiply a gate with a value.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use nfa_models::{Activation, AnyNetwork, Context, Init, Network, Sites, Spec, SpecError};
use serde::{Deserialize, Serialize};

/// h_{l+1} = φ(G_l h_l) ∘ U_l h_l, then one linear layer (with φ = silu: SwiGLU, arXiv:2002.05202).
#[derive(Module, Debug)]
pub struct GatedMlp {
    layers: Vec<Gated>,
    head: Param<Tensor<2>>, // [c, h]
    #[module(skip)]
    gate: Activation,
}

#[derive(Module, Debug)]
struct Gated {
    gate: Param<Tensor<2>>,  // [h, d]
    value: Param<Tensor<2>>, // [h, d]
}

impl Network for GatedMlp {
    fn forward(&self, x: Tensor<2>, at: &mut Sites) -> Tensor<2> {
        let mut h = x;
        for (l, layer) in self.layers.iter().enumerate() {
            let z = at.dense(format!("{l}.gate"), h.clone(), layer.gate.val(), None);
            let gate = at.activation(z, |z| self.gate.forward(z));
            h = gate * at.dense(format!("{l}.value"), h, layer.value.val(), None);
        }
        let y = at.dense("head", h, self.head.val(), None);
        // Who reads a layer's units: what `unit_balance` compares with the weights that write them.
        for l in 1..self.layers.len() {
            at.follows(format!("{}.value", l - 1), format!("{l}.gate"));
            at.follows(format!("{}.value", l - 1), format!("{l}.value"));
        }
        at.follows(format!("{}.value", self.layers.len() - 1), "head");
        y
    }
}

/// The keys of `[model]` beside `kind = "gated_mlp"`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatedMlpSpec {
    /// Units of each gated layer.
    pub widths: Vec<usize>,
    /// φ.
    #[serde(default = "silu")]
    pub gate: Activation,
    /// Of gates, values and head alike.
    #[serde(default)]
    pub init: Init,
}

fn silu() -> Activation {
    Activation::Silu
}

impl Spec<dyn AnyNetwork> for GatedMlpSpec {
    const KIND: &'static str = "gated_mlp";
    const DOC: &'static str = "Gated layers, each unit an activation times a linear value, and a linear head.";
    const REFERENCE: &'static str = "arXiv:2002.05202";
    const EXAMPLE: &'static str = "widths = [6, 4]\ngate = \"silu\"\n";
    const PATHS: &'static [&'static str] = &["init.path"];

    fn check(&self) -> Result<(), SpecError> {
        if self.widths.is_empty() || self.widths.contains(&0) {
            return Err(SpecError::value(
                "widths",
                format!("takes at least one layer of at least one unit, not {:?}", self.widths),
            ));
        }
        self.init.check().map_err(|error| error.under("init"))
    }

    fn build(&self, context: &Context<'_>) -> Result<Box<dyn AnyNetwork>, SpecError> {
        let weight = |name: &str, shape| {
            let drawn = context.weight(name, &self.init, shape).map_err(|error| error.under("init"))?;
            Ok(Param::from_tensor(drawn))
        };
        let mut d = context.inputs;
        let mut layers = Vec::new();
        for (l, &h) in self.widths.iter().enumerate() {
            let (gate, value) = (weight(&format!("gate.{l}"), [h, d])?, weight(&format!("value.{l}"), [h, d])?);
            layers.push(Gated { gate, value });
            d = h;
        }
        Ok(Box::new(GatedMlp { layers, head: weight("head", [context.outputs, d])?, gate: self.gate }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use nfa_models::{Registry, testing};

    #[test]
    fn conforms() {
        testing::conformance(&Registry::new("model").with::<GatedMlpSpec>(), &Device::flex());
    }
}
