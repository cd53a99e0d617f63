//! The model: a small convolutional network of square images, with a residual block.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, PaddingConfig2d};
use burn::tensor::{Tensor, activation::relu};
use nfa_models::{AnyNetwork, Context, Init, Network, Sites, Spec, SpecError};
use serde::{Deserialize, Serialize};

/// h = relu(A * x), h + relu(B * h), and a linear head over all places.
#[derive(Module, Debug)]
pub struct ConvNet {
    stem: Conv2d,
    block: Conv2d,
    head: Linear,
}

impl Network for ConvNet {
    fn forward(&self, x: Tensor<2>, at: &mut Sites) -> Tensor<2> {
        let [n, d] = x.dims();
        let side = d.isqrt();
        let z = at.conv2d("stem", x.reshape([n, 1, side, side]), &self.stem);
        let h = at.activation(z, relu);
        let z = at.conv2d("block", h.clone(), &self.block);
        let h = h + at.activation(z, relu);
        at.linear("head", h.flatten(1, 3), &self.head)
    }
}

/// The keys of `[model]` beside `kind = "conv_net"`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvNetSpec {
    /// Channels of both convolutions.
    pub channels: usize,
    /// Of all three maps.
    #[serde(default)]
    pub init: Init,
}

impl Spec<dyn AnyNetwork> for ConvNetSpec {
    const KIND: &'static str = "conv_net";
    const DOC: &'static str =
        "Square images: a 3 x 3 convolution with stride 2, one in a residual block, a linear head.";
    const REFERENCE: &'static str = "arXiv:1512.03385";
    const EXAMPLE: &'static str = "channels = 3\n";
    const SHAPE: [usize; 2] = [25, 3];

    fn check(&self) -> Result<(), SpecError> {
        if self.channels == 0 {
            return Err(SpecError::value("channels", "is at least 1".into()));
        }
        self.init.check().map_err(|error| error.under("init"))
    }

    fn build(&self, context: &Context<'_>) -> Result<Box<dyn AnyNetwork>, SpecError> {
        let (c, side) = (self.channels, context.inputs.isqrt());
        if side * side != context.inputs {
            return Err(SpecError::value("", format!("{} inputs are no square image", context.inputs)));
        }
        let conv = |channels| Conv2dConfig::new(channels, [3, 3]).with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1));
        let places = side.div_ceil(2).pow(2);
        Ok(Box::new(ConvNet {
            stem: context.conv2d("stem", &self.init, &conv([1, c]).with_stride([2, 2]))?,
            block: context.conv2d("block", &self.init, &conv([c, c]))?,
            head: context.linear("head", &self.init, [context.outputs, c * places])?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use nfa_models::{Registry, testing};

    #[test]
    fn conforms() {
        testing::conformance(&Registry::new("model").with::<ConvNetSpec>(), &Device::flex());
    }
}
