//! Burn's layers as sites.

use std::fmt;

use burn::nn::conv::{Conv1d, Conv2d};
use burn::nn::{Embedding, Linear, PaddingConfig1d, PaddingConfig2d};
use burn::tensor::module::unfold4d;
use burn::tensor::ops::{ConvOptions, PadMode, UnfoldOptions};
use burn::tensor::{Int, Tensor};

use crate::sites::Sites;
use crate::sites::record::Site;
use crate::sites::recording::{Passing, Recording};
use crate::sites::used::Input;
use crate::tape;

impl Sites {
    /// [`Sites::dense`] of Burn's layer, which stores its weights transposed.
    ///
    /// # Shapes
    /// h: `[n, .., d]` → `[n, .., k]`
    pub fn linear<const D: usize>(&mut self, name: impl fmt::Display, h: Tensor<D>, layer: &Linear) -> Tensor<D> {
        let bias = layer.bias.as_ref().map(|bias| bias.val());
        self.dense(name, h, layer.weight.val().transpose(), bias)
    }

    /// A convolution over one axis. Its positions are the outputs' places, its weights those on unfolded patches;
    /// with groups each is a site of its own.
    ///
    /// # Shapes
    /// x: `[n, c_in, l]` → `[n, c_out, l']`
    pub fn conv1d(&mut self, name: impl fmt::Display, x: Tensor<3>, layer: &Conv1d) -> Tensor<3> {
        let (stride, dilation, [_, _, length]) = (layer.stride, layer.dilation, x.dims());
        let pads = match layer.padding {
            PaddingConfig1d::Valid => (0, 0),
            PaddingConfig1d::Same => same(length, layer.kernel_size, stride),
            PaddingConfig1d::Explicit(left, right) => (left, right),
        };
        let options = ConvOptions::new_with_padding([1, stride], [(0, 0), pads], [1, dilation], layer.groups);
        // A convolution over two axes, one of which has one place.
        let [c_out, c_in, kernel] = layer.weight.dims();
        let weight = layer.weight.val().reshape([c_out, c_in, 1, kernel]);
        let [n, c, l] = x.dims();
        let z = self.conv(name, x.reshape([n, c, 1, l]), weight, layer.bias.as_ref().map(|bias| bias.val()), options);
        let [n, c, _, l] = z.dims();
        z.reshape([n, c, l])
    }

    /// A convolution over two axes. Its positions are the outputs' places, its weights those on unfolded patches, in
    /// the order channel, row, column; with groups each is a site of its own.
    ///
    /// # Shapes
    /// x: `[n, c_in, h, w]` → `[n, c_out, h', w']`
    pub fn conv2d(&mut self, name: impl fmt::Display, x: Tensor<4>, layer: &Conv2d) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let (kernel, stride) = (layer.kernel_size, layer.stride);
        let (rows, cols) = match layer.padding {
            PaddingConfig2d::Valid => ((0, 0), (0, 0)),
            PaddingConfig2d::Same => (same(height, kernel[0], stride[0]), same(width, kernel[1], stride[1])),
            PaddingConfig2d::Explicit(top, left, bottom, right) => ((top, bottom), (left, right)),
        };
        let options = ConvOptions::new_with_padding(layer.stride, [rows, cols], layer.dilation, layer.groups);
        self.conv(name, x, layer.weight.val(), layer.bias.as_ref().map(|bias| bias.val()), options)
    }

    fn conv(
        &mut self,
        name: impl fmt::Display,
        x: Tensor<4>,
        weight: Tensor<4>,
        bias: Option<Tensor<1>>,
        options: ConvOptions<2>,
    ) -> Tensor<4> {
        let Some(recording) = &mut self.0 else { return tape::conv2d(x, weight, bias, options) };
        let (name, [c_out, c_in, rows, cols]) = (name.to_string(), weight.dims());
        let (groups, own) = (options.groups, c_out / options.groups);
        if groups > 1 && own == 1 {
            recording.skip(name, format!("depthwise: {groups} groups with one output each, every matrix has rank 1"));
            return tape::conv2d(x, weight, bias, options);
        }
        for group in (0..groups).filter(|_| groups > 1) {
            let rows = group * own..(group + 1) * own;
            recording.part(Site { name: format!("{name}.group{group}"), map: name.clone(), rows, group });
        }
        let matrix = weight.clone().reshape([c_out, c_in * rows * cols]);
        let passing = Passing { name, weight: Some(matrix), groups, channels: 1 };
        let forward = |x| tape::conv2d(x, weight.clone(), bias, options.clone());
        let back = |x, z| tape::known_conv2d(x, z, weight.clone(), options.clone());
        let known = tape::is_ours(&x);
        recording.map(passing, x, forward, known.then_some(&back), |x| Some(patches(x, [rows, cols], &options)))
    }

    /// Rows of a table: a map of one-hot rows, with the table transposed for weights. Where the table is used again
    /// the other way round, as the last layer, that is a site of another name ([`Sites::dense`]).
    ///
    /// # Shapes
    /// ids: `[n, tokens]` → `[n, tokens, d_model]`
    pub fn embedding(&mut self, name: impl fmt::Display, ids: Tensor<2, Int>, layer: &Embedding) -> Tensor<3> {
        let Some(recording) = &mut self.0 else { return layer.forward(ids) };
        let (name, [n, _]) = (name.to_string(), ids.dims());
        let shared = recording.copies > 1 && n.is_multiple_of(recording.copies);
        let ids = if shared { ids.slice([0..n / recording.copies]) } else { ids };
        let input = recording.inputs.then(|| {
            let [n, tokens] = ids.dims();
            Input::Ids(ids.clone().reshape([n * tokens]).inner())
        });
        let passing = Passing { name, weight: Some(layer.weight.val().transpose()), groups: 1, channels: 2 };
        let rows = recording.keep(|| layer.forward(ids));
        recording.leave(passing, rows, shared, input)
    }
}

/// Zeros before and after an axis so that stride 1 keeps its length, as Burn's layers count them: with an odd number
/// one more behind.
fn same(size: usize, kernel: usize, stride: usize) -> (usize, usize) {
    let all = ((size.div_ceil(stride).max(1) - 1) * stride + kernel).saturating_sub(size);
    (all / 2, all - all / 2)
}

/// h Wᵀ + b as one product of matrices, whatever axes lie between.
pub(super) fn dense<const D: usize>(h: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    let mut shape = h.dims();
    let [out, into] = weight.dims();
    let count: usize = shape[..D - 1].iter().product();
    let mut z = h.reshape([count, into]).matmul(weight.transpose());
    if let Some(bias) = bias {
        z = z + bias.unsqueeze();
    }
    shape[D - 1] = out;
    z.reshape(shape)
}

pub(super) fn recorded_dense<const D: usize>(
    recording: &mut Recording,
    name: String,
    h: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    let passing = Passing { name, weight: Some(weight.clone()), groups: 1, channels: D - 1 };
    let back = |h, z| tape::known_dense(h, z, weight.clone());
    let known = tape::is_ours(&h);
    let rows = |h: Tensor<D>| {
        let shape = h.dims();
        let count: usize = shape[..D - 1].iter().product();
        Some(Input::Rows(h.inner().reshape([count, shape[D - 1]])))
    };
    recording.map(passing, h, |h| dense(h, weight.clone(), bias), known.then_some(&back), rows)
}

/// What each place of a convolution's outputs reads, `[n * places, c_in * kernel]`.
fn patches(x: Tensor<4>, kernel: [usize; 2], options: &ConvOptions<2>) -> Input {
    let [(top, bottom), (left, right)] = options.padding;
    let x = x.inner().pad((left, right, top, bottom), PadMode::Constant(0.0));
    let unfold = UnfoldOptions { stride: options.stride, padding: [0, 0], dilation: options.dilation };
    let patches = unfold4d(x, kernel, unfold);
    let [n, size, places] = patches.dims();
    Input::Rows(patches.swap_dims(1, 2).reshape([n * places, size]))
}
