//! What a model is built from, beside its own table.

use burn::module::Param;
use burn::nn::Linear;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::init::{Init, StoredLayer};
use crate::matrix::Matrix;
use crate::network::AnyNetwork;
use crate::rng::Stream;
use crate::spec::Component;
use crate::spec_error::SpecError;

/// What a model needs to be built.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// Input size d, from the data.
    pub inputs: usize,
    /// Output size c, from the data.
    pub outputs: usize,
    /// Where its tensors live.
    pub device: &'a Device,
    /// Their dtype.
    pub dtype: DType,
    /// Where its weights are drawn from.
    pub stream: Stream,
    /// The layers of the file that its `init` names, if it names one.
    pub stored: Option<&'a [StoredLayer]>,
}

impl Context<'_> {
    /// A matrix drawn on the host, as a tensor in its place.
    ///
    /// # Shapes
    /// `[rows, cols]`
    pub fn tensor(&self, matrix: Matrix) -> Tensor<2> {
        Tensor::from_data(TensorData::new(matrix.data, [matrix.rows, matrix.cols]), (self.device, self.dtype))
    }

    /// A vector from the host, as a tensor in its place.
    ///
    /// # Shapes
    /// `[n]`
    pub fn vector(&self, values: Vec<f64>) -> Tensor<1> {
        let shape = [values.len()];
        Tensor::from_data(TensorData::new(values, shape), (self.device, self.dtype))
    }

    /// The weights of one linear map, drawn from the stream of this name.
    ///
    /// # Shapes
    /// `[d_out, d_in]`, paper layout
    pub fn weight(&self, name: &str, init: &Init, [d_out, d_in]: [usize; 2]) -> Result<Tensor<2>, SpecError> {
        Ok(self.tensor(init.weight([d_out, d_in], &self.stream.fork(name))?))
    }

    /// A linear layer with weights drawn from the stream of this name, and biases 0.
    ///
    /// # Errors
    /// An initialisation that this shape can't have, at `init`.
    pub fn linear(&self, name: &str, init: &Init, [d_out, d_in]: [usize; 2]) -> Result<Linear, SpecError> {
        let weight = self.weight(name, init, [d_out, d_in]).map_err(|error| error.under("init"))?;
        Ok(Linear {
            weight: Param::from_tensor(weight.transpose()),
            bias: Some(Param::from_tensor(self.vector(vec![0.0; d_out]))),
        })
    }

    /// A convolution with weights on unfolded patches drawn from the stream of this name, and biases 0.
    ///
    /// # Errors
    /// An initialisation that this shape can't have, at `init`.
    pub fn conv2d(&self, name: &str, init: &Init, config: &Conv2dConfig) -> Result<Conv2d, SpecError> {
        let ([c_in, c_out], [rows, cols]) = (config.channels, config.kernel_size);
        let into = c_in / config.groups;
        let weight = self.weight(name, init, [c_out, into * rows * cols]).map_err(|error| error.under("init"))?;
        let mut layer = config.init(self.device);
        layer.weight = Param::from_tensor(weight.reshape([c_out, into, rows, cols]));
        layer.bias = config.bias.then(|| Param::from_tensor(self.vector(vec![0.0; c_out])));
        Ok(layer)
    }
}

impl Component for dyn AnyNetwork {
    type Context<'a> = Context<'a>;
}
