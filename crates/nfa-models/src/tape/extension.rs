//! The operations, for Burn's CPU backend `flex` and its tape.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::ModuleOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Element, Shape, Tensor, TensorData};
use burn_flex::FlexTensor;
use bytemuck::Pod;

use crate::host::convolution::Convolution;
use crate::host::{Real, vectorised};

/// What a backend does for us. What is written here is Burn's own way.
#[backend_extension(Flex, Autodiff)]
pub trait Ours: Backend {
    /// `z` as it is, and δ ↦ δ W on the way back to `h`.
    fn known_dense(h: FloatTensor<Self>, z: FloatTensor<Self>, w: FloatTensor<Self>) -> FloatTensor<Self> {
        let _ = (h, w);
        z
    }
    /// `z` as it is, and a convolution's way back to `x`.
    fn known_convolution(
        x: FloatTensor<Self>,
        z: FloatTensor<Self>,
        w: FloatTensor<Self>,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self> {
        let _ = (x, w, options);
        z
    }
    /// `z` as it is, and δ ↦ δ ∘ slope.
    fn known_entrywise(h: FloatTensor<Self>, z: FloatTensor<Self>, slope: FloatTensor<Self>) -> FloatTensor<Self> {
        let _ = (h, slope);
        z
    }
    /// `z` as it is, and a softmax's way back.
    fn known_softmax(h: FloatTensor<Self>, z: FloatTensor<Self>, one: FloatTensor<Self>) -> FloatTensor<Self> {
        let _ = (h, one);
        z
    }
    /// `z` as it is, and a product's way back to both factors.
    fn known_product(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        z: FloatTensor<Self>,
        one_a: FloatTensor<Self>,
        one_b: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let _ = (a, b, one_a, one_b);
        z
    }
    /// `z` as it is, and a layer norm's way back.
    fn known_norm(
        h: FloatTensor<Self>,
        z: FloatTensor<Self>,
        unit: FloatTensor<Self>,
        inverse: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let _ = (h, unit, inverse, gamma);
        z
    }
    /// δ ∘ slope, the slopes of one copy.
    fn entrywise_to_input(delta: FloatTensor<Self>, slope: FloatTensor<Self>) -> FloatTensor<Self> {
        let (shape, copies) = (delta.shape(), copies_of::<Self>(&delta, &slope));
        let through = Self::float_mul(folded::<Self>(delta, copies, 0), folded::<Self>(slope, 1, 0));
        Self::float_reshape(through, shape)
    }
    /// y ∘ (δ - Σ δ ∘ y) along the last axis, y of one copy.
    fn softmax_to_input(delta: FloatTensor<Self>, one: FloatTensor<Self>) -> FloatTensor<Self> {
        let (shape, copies) = (delta.shape(), copies_of::<Self>(&delta, &one));
        let one = folded::<Self>(one, 1, 1);
        let weighed = Self::float_mul(folded::<Self>(delta, copies, 1), one.clone());
        let sums = Self::float_sum_dim(weighed.clone(), 2);
        Self::float_reshape(Self::float_sub(weighed, Self::float_mul(sums, one)), shape)
    }
    /// (g - mean g - x̂ mean(g ∘ x̂)) / σ along the last axis with g = δ ∘ γ; x̂ and 1/σ of one copy.
    fn norm_to_input(
        delta: FloatTensor<Self>,
        unit: FloatTensor<Self>,
        inverse: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (shape, copies) = (delta.shape(), copies_of::<Self>(&delta, &unit));
        let (unit, inverse) = (folded::<Self>(unit, 1, 1), folded::<Self>(inverse, 1, 1));
        let g = Self::float_mul(folded::<Self>(delta, copies, 1), folded::<Self>(gamma, 1, 1));
        let along = Self::float_mean_dim(Self::float_mul(g.clone(), unit.clone()), 2);
        let mean = Self::float_mean_dim(g.clone(), 2);
        let through = Self::float_sub(Self::float_sub(g, mean), Self::float_mul(along, unit));
        Self::float_reshape(Self::float_mul(through, inverse), shape)
    }
    /// A convolution.
    fn convolution(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self> {
        Self::conv2d(x, w, Some(b), options)
    }
    /// Its way back to the input.
    fn convolution_to_input(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        dz: FloatTensor<Self>,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self> {
        Self::conv2d_x_backward(x, w, dz, options)
    }
    /// Its way back to the weights and the biases.
    fn convolution_to_weights(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
        dz: FloatTensor<Self>,
        options: ConvOptions<2>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let dw = Self::conv2d_weight_backward(x.clone(), w, dz.clone(), options);
        (dw, Self::conv2d_bias_backward(x, b, dz))
    }
}

/// A convolution that the host's code takes; `None` for others.
fn form(x: [usize; 4], w: [usize; 4], options: &ConvOptions<2>) -> Option<Convolution> {
    let ([_, c_in, height, width], [c_out, own, rows, cols]) = (x, w);
    let of = Convolution {
        channels: [c_in, c_out],
        image: [height, width],
        kernel: [rows, cols],
        stride: options.stride,
        dilation: options.dilation,
        padding: options.padding,
    };
    (options.groups == 1 && own == c_in && of.out().is_some()).then_some(of)
}

/// Whether the host's code takes a convolution.
pub(super) fn takes(x: &Tensor<4>, w: &Tensor<4>, options: &ConvOptions<2>) -> bool {
    form(x.dims(), w.dims(), options).is_some()
}

/// [`form`] of a backend's tensors.
fn form_of(x: &FlexTensor, w: &FlexTensor, options: &ConvOptions<2>) -> Option<Convolution> {
    form(x.shape().dims(), w.shape().dims(), options)
}

/// The numbers of a tensor that lies in one piece.
fn numbers<T: Real + Pod>(tensor: &FlexTensor) -> &[T] {
    let start = tensor.layout().start_offset();
    &tensor.storage()[start..start + tensor.layout().num_elements()]
}

fn tensor<T: Element>(values: Vec<T>, shape: impl core::convert::Into<Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

fn forward<T: Real + Pod>(of: &Convolution, x: &FlexTensor, w: &FlexTensor, b: &FlexTensor) -> FlexTensor {
    let z = of.forward::<T>(numbers(x), numbers(w), Some(numbers(b)));
    let ([n, ..], [high, across]) = (x.shape().dims::<4>(), of.out().unwrap_or_default());
    tensor(z, [n, of.channels[1], high, across])
}

fn to_input<T: Real + Pod>(of: &Convolution, x: &FlexTensor, w: &FlexTensor, dz: &FlexTensor) -> FlexTensor {
    tensor(of.back_to_input::<T>(numbers(w), numbers(dz)), x.shape())
}

fn to_weights<T: Real + Pod>(
    of: &Convolution,
    x: &FlexTensor,
    w: &FlexTensor,
    dz: &FlexTensor,
) -> (FlexTensor, FlexTensor) {
    let (dw, db) = of.back_to_weights::<T>(numbers(x), numbers(dz));
    (tensor(dw, w.shape()), tensor(db, [of.channels[1]]))
}

/// The numbers of a tensor, to be changed where nobody else holds them.
fn taken<T: Real>(tensor: FlexTensor) -> Vec<T> {
    let data = if tensor.is_contiguous() { tensor.into_data() } else { tensor.to_contiguous().into_data() };
    data.try_into_vec().unwrap_or_default()
}

fn entrywise<T: Real + Pod>(delta: FlexTensor, slope: &FlexTensor) -> FlexTensor {
    let (shape, slope) = (delta.shape(), slope.to_contiguous());
    let (mut values, slope) = (taken::<T>(delta), numbers::<T>(&slope));
    vectorised(|| {
        for copy in values.chunks_exact_mut(slope.len().max(1)) {
            copy.iter_mut().zip(slope).for_each(|(value, slope)| *value *= *slope);
        }
    });
    tensor(values, shape)
}

fn softmax<T: Real + Pod>(delta: FlexTensor, one: &FlexTensor) -> FlexTensor {
    let (shape, one) = (delta.shape(), one.to_contiguous());
    let t = shape.to_vec().last().copied().unwrap_or(1).max(1);
    let (mut values, one) = (taken::<T>(delta), numbers::<T>(&one));
    vectorised(|| {
        for (row, y) in values.chunks_exact_mut(t).zip(one.chunks_exact(t).cycle()) {
            let sum: T = row.iter().zip(y).map(|(value, y)| *value * *y).sum();
            row.iter_mut().zip(y).for_each(|(value, y)| *value = *y * (*value - sum));
        }
    });
    tensor(values, shape)
}

fn norm<T: Real + Pod>(delta: FlexTensor, unit: &FlexTensor, inverse: &FlexTensor, gamma: &FlexTensor) -> FlexTensor {
    let shape = delta.shape();
    let [unit, inverse, gamma] = [unit, inverse, gamma].map(|t| t.to_contiguous());
    let (mut values, gamma) = (taken::<T>(delta), numbers::<T>(&gamma));
    let d = gamma.len().max(1);
    let share = T::from_f64(1.0 / d as f64);
    vectorised(|| {
        let rows = numbers::<T>(&unit).chunks_exact(d).zip(numbers::<T>(&inverse)).cycle();
        for (row, (unit, inverse)) in values.chunks_exact_mut(d).zip(rows) {
            row.iter_mut().zip(gamma).for_each(|(value, gamma)| *value *= *gamma);
            let mean = row.iter().copied().sum::<T>() * share;
            let along = row.iter().zip(unit).map(|(value, unit)| *value * *unit).sum::<T>() * share;
            row.iter_mut().zip(unit).for_each(|(value, unit)| *value = (*value - mean - along * *unit) * *inverse);
        }
    });
    tensor(values, shape)
}

impl Ours for Flex {
    fn entrywise_to_input(delta: FlexTensor, slope: FlexTensor) -> FlexTensor {
        match delta.dtype() {
            DType::F64 => entrywise::<f64>(delta, &slope),
            _ => entrywise::<f32>(delta, &slope),
        }
    }

    fn softmax_to_input(delta: FlexTensor, one: FlexTensor) -> FlexTensor {
        match delta.dtype() {
            DType::F64 => softmax::<f64>(delta, &one),
            _ => softmax::<f32>(delta, &one),
        }
    }

    fn norm_to_input(delta: FlexTensor, unit: FlexTensor, inverse: FlexTensor, gamma: FlexTensor) -> FlexTensor {
        match delta.dtype() {
            DType::F64 => norm::<f64>(delta, &unit, &inverse, &gamma),
            _ => norm::<f32>(delta, &unit, &inverse, &gamma),
        }
    }

    fn convolution(x: FlexTensor, w: FlexTensor, b: FlexTensor, options: ConvOptions<2>) -> FlexTensor {
        let [x, w, b] = [x, w, b].map(|t| t.to_contiguous());
        match (form_of(&x, &w, &options), x.dtype()) {
            (Some(of), DType::F32) => forward::<f32>(&of, &x, &w, &b),
            (Some(of), DType::F64) => forward::<f64>(&of, &x, &w, &b),
            _ => Self::conv2d(x, w, Some(b), options),
        }
    }

    fn convolution_to_input(x: FlexTensor, w: FlexTensor, dz: FlexTensor, options: ConvOptions<2>) -> FlexTensor {
        let [w, dz] = [w, dz].map(|t| t.to_contiguous());
        match (form_of(&x, &w, &options), x.dtype()) {
            (Some(of), DType::F32) => to_input::<f32>(&of, &x, &w, &dz),
            (Some(of), DType::F64) => to_input::<f64>(&of, &x, &w, &dz),
            _ => Self::conv2d_x_backward(x, w, dz, options),
        }
    }

    fn convolution_to_weights(
        x: FlexTensor,
        w: FlexTensor,
        b: FlexTensor,
        dz: FlexTensor,
        options: ConvOptions<2>,
    ) -> (FlexTensor, FlexTensor) {
        let [x, dz] = [x, dz].map(|t| t.to_contiguous());
        match (form_of(&x, &w, &options), x.dtype()) {
            (Some(of), DType::F32) => to_weights::<f32>(&of, &x, &w, &dz),
            (Some(of), DType::F64) => to_weights::<f64>(&of, &x, &w, &dz),
            _ => {
                let dw = Self::conv2d_weight_backward(x.clone(), w, dz.clone(), options);
                (dw, Self::conv2d_bias_backward(x, b, dz))
            }
        }
    }
}

#[derive(Debug)]
struct KnownDense;
#[derive(Debug)]
struct KnownConvolution;
#[derive(Debug)]
struct ConvolutionStep;
#[derive(Debug)]
struct KnownEntrywise;
#[derive(Debug)]
struct KnownSoftmax;
#[derive(Debug)]
struct KnownProduct;
#[derive(Debug)]
struct KnownNorm;

/// Everything of a tensor in front of its last `kept` axes as one axis; with the copies' axis in front.
fn folded<B: Backend>(tensor: FloatTensor<B>, copies: usize, kept: usize) -> FloatTensor<B> {
    let shape = tensor.shape().to_vec();
    let (outer, inner) = shape.split_at(shape.len() - kept);
    let mut new = vec![copies, outer.iter().product::<usize>() / copies];
    new.extend(inner);
    B::float_reshape(tensor, Shape::from(new))
}

/// How many copies of one the other holds.
fn copies_of<B: Backend>(all: &FloatTensor<B>, one: &FloatTensor<B>) -> usize {
    all.shape().num_elements() / one.shape().num_elements().max(1)
}

impl<B: Ours> Backward<B, 1> for KnownEntrywise {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let ([to_h], slope) = (ops.parents, ops.state);
        let delta = grads.consume::<B>(&ops.node);
        if let Some(node) = to_h {
            grads.register::<B>(node.id, B::entrywise_to_input(delta, slope));
        }
    }
}

impl<B: Ours> Backward<B, 1> for KnownSoftmax {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let ([to_h], one) = (ops.parents, ops.state);
        let delta = grads.consume::<B>(&ops.node);
        if let Some(node) = to_h {
            grads.register::<B>(node.id, B::softmax_to_input(delta, one));
        }
    }
}

impl<B: Backend> Backward<B, 2> for KnownProduct {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let ([to_a, to_b], (one_a, one_b)) = (ops.parents, ops.state);
        let delta = grads.consume::<B>(&ops.node);
        let outer = |t: &FloatTensor<B>| {
            let shape = t.shape().to_vec();
            shape[..shape.len() - 2].iter().product::<usize>()
        };
        let copies = outer(&delta) / outer(&one_a).max(1);
        let all = |one: &FloatTensor<B>| {
            let mut shape = one.shape().to_vec();
            shape[0] *= copies;
            Shape::from(shape)
        };
        let (shape_a, shape_b) = (all(&one_a), all(&one_b));
        let delta = folded::<B>(delta, copies, 2);
        if let Some(node) = to_a {
            let turned = B::float_transpose(folded::<B>(one_b, 1, 2));
            let through = B::float_matmul(delta.clone(), turned);
            grads.register::<B>(node.id, B::float_reshape(through, shape_a));
        }
        if let Some(node) = to_b {
            let turned = B::float_transpose(folded::<B>(one_a, 1, 2));
            let through = B::float_matmul(turned, delta);
            grads.register::<B>(node.id, B::float_reshape(through, shape_b));
        }
    }
}

impl<B: Ours> Backward<B, 1> for KnownNorm {
    type State = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let ([to_h], (unit, inverse, gamma)) = (ops.parents, ops.state);
        let delta = grads.consume::<B>(&ops.node);
        if let Some(node) = to_h {
            grads.register::<B>(node.id, B::norm_to_input(delta, unit, inverse, gamma));
        }
    }
}

impl<B: Backend> Backward<B, 2> for KnownDense {
    type State = B::FloatTensorPrimitive;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [to_h, to_z] = ops.parents;
        let delta = grads.consume::<B>(&ops.node);
        if let Some(node) = to_h {
            grads.register::<B>(node.id, B::float_matmul(delta.clone(), ops.state));
        }
        if let Some(node) = to_z {
            grads.register::<B>(node.id, delta);
        }
    }
}

impl<B: Ours> Backward<B, 2> for KnownConvolution {
    type State = (B::FloatTensorPrimitive, B::FloatTensorPrimitive, ConvOptions<2>);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [to_x, to_z] = ops.parents;
        let delta = grads.consume::<B>(&ops.node);
        let (x, w, options) = ops.state;
        if let Some(node) = to_x {
            grads.register::<B>(node.id, B::convolution_to_input(x, w, delta.clone(), options));
        }
        if let Some(node) = to_z {
            grads.register::<B>(node.id, delta);
        }
    }
}

impl<B: Ours> Backward<B, 3> for ConvolutionStep {
    type State = (B::FloatTensorPrimitive, B::FloatTensorPrimitive, B::FloatTensorPrimitive, ConvOptions<2>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [to_x, to_w, to_b] = ops.parents;
        let delta = grads.consume::<B>(&ops.node);
        let (x, w, b, options) = ops.state;
        if let Some(node) = to_x {
            let dx = B::convolution_to_input(x.clone(), w.clone(), delta.clone(), options.clone());
            grads.register::<B>(node.id, dx);
        }
        if to_w.is_none() && to_b.is_none() {
            return;
        }
        let (dw, db) = B::convolution_to_weights(x, w, b, delta, options);
        if let Some(node) = to_w {
            grads.register::<B>(node.id, dw);
        }
        if let Some(node) = to_b {
            grads.register::<B>(node.id, db);
        }
    }
}

impl<B: Ours, C: CheckpointStrategy> Ours for Autodiff<B, C> {
    fn known_dense(h: FloatTensor<Self>, z: FloatTensor<Self>, w: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [h.node(), z.node()];
        let (z, w) = (z.into_primitive(), w.into_primitive());
        match KnownDense.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(w, z),
            OpsKind::UnTracked(step) => step.finish(z),
        }
    }

    fn known_convolution(
        x: FloatTensor<Self>,
        z: FloatTensor<Self>,
        w: FloatTensor<Self>,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), z.node()];
        let (z, w) = (z.into_primitive(), w.into_primitive());
        match KnownConvolution.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish((x.into_primitive(), w, options), z),
            OpsKind::UnTracked(step) => step.finish(z),
        }
    }

    fn known_entrywise(h: FloatTensor<Self>, z: FloatTensor<Self>, slope: FloatTensor<Self>) -> FloatTensor<Self> {
        let (z, slope) = (z.into_primitive(), slope.into_primitive());
        match KnownEntrywise.prepare::<C>([h.node()]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(slope, z),
            OpsKind::UnTracked(step) => step.finish(z),
        }
    }

    fn known_softmax(h: FloatTensor<Self>, z: FloatTensor<Self>, one: FloatTensor<Self>) -> FloatTensor<Self> {
        let (z, one) = (z.into_primitive(), one.into_primitive());
        match KnownSoftmax.prepare::<C>([h.node()]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(one, z),
            OpsKind::UnTracked(step) => step.finish(z),
        }
    }

    fn known_product(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        z: FloatTensor<Self>,
        one_a: FloatTensor<Self>,
        one_b: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (z, ones) = (z.into_primitive(), (one_a.into_primitive(), one_b.into_primitive()));
        match KnownProduct.prepare::<C>([a.node(), b.node()]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(ones, z),
            OpsKind::UnTracked(step) => step.finish(z),
        }
    }

    fn known_norm(
        h: FloatTensor<Self>,
        z: FloatTensor<Self>,
        unit: FloatTensor<Self>,
        inverse: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (z, state) =
            (z.into_primitive(), (unit.into_primitive(), inverse.into_primitive(), gamma.into_primitive()));
        match KnownNorm.prepare::<C>([h.node()]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(state, z),
            OpsKind::UnTracked(step) => step.finish(z),
        }
    }

    fn convolution(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), w.node(), b.node()];
        let (x, w, b) = (x.into_primitive(), w.into_primitive(), b.into_primitive());
        let z = B::convolution(x.clone(), w.clone(), b.clone(), options.clone());
        match ConvolutionStep.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish((x, w, b, options), z),
            OpsKind::UnTracked(step) => step.finish(z),
        }
    }
}

/// See [`super::known_dense`]; of matrices.
pub(super) fn known_dense(h: Tensor<2>, z: Tensor<2>, w: Tensor<2>) -> Tensor<2> {
    let [h, z, w] = [h, z, w].map(|t| t.autodiff().into_dispatch());
    Tensor::from_dispatch(<Dispatch as Ours>::known_dense(h, z, w))
}

/// See [`super::known_conv2d`].
pub(super) fn known_conv2d(x: Tensor<4>, z: Tensor<4>, w: Tensor<4>, options: ConvOptions<2>) -> Tensor<4> {
    let [x, z, w] = [x, z, w].map(|t| t.autodiff().into_dispatch());
    Tensor::from_dispatch(<Dispatch as Ours>::known_convolution(x, z, w, options))
}

/// See [`super::conv2d`].
pub(super) fn conv2d(x: Tensor<4>, w: Tensor<4>, b: Option<Tensor<1>>, options: ConvOptions<2>) -> Tensor<4> {
    let b = b.unwrap_or_else(|| Tensor::zeros([w.dims()[0]], (&x.device(), x.dtype())));
    let tracked = x.is_autodiff() || w.is_autodiff() || b.is_autodiff();
    let [x, w] = [x, w].map(|t| if tracked { t.autodiff() } else { t }.into_dispatch());
    let b = if tracked { b.autodiff() } else { b }.into_dispatch();
    Tensor::from_dispatch(<Dispatch as Ours>::convolution(x, w, b, options))
}

/// See [`super::known_entrywise`].
pub(super) fn known_entrywise<const D: usize>(h: Tensor<D>, z: Tensor<D>, slope: Tensor<D>) -> Tensor<D> {
    let [h, z, slope] = [h, z, slope].map(|t| t.autodiff().into_dispatch());
    Tensor::from_dispatch(<Dispatch as Ours>::known_entrywise(h, z, slope))
}

/// See [`super::known_softmax`].
pub(super) fn known_softmax<const D: usize>(h: Tensor<D>, z: Tensor<D>, one: Tensor<D>) -> Tensor<D> {
    let [h, z, one] = [h, z, one].map(|t| t.autodiff().into_dispatch());
    Tensor::from_dispatch(<Dispatch as Ours>::known_softmax(h, z, one))
}

/// See [`super::known_product`].
pub(super) fn known_product<const D: usize>(
    a: Tensor<D>,
    b: Tensor<D>,
    z: Tensor<D>,
    one_a: Tensor<D>,
    one_b: Tensor<D>,
) -> Tensor<D> {
    let [a, b, z, one_a, one_b] = [a, b, z, one_a, one_b].map(|t| t.autodiff().into_dispatch());
    Tensor::from_dispatch(<Dispatch as Ours>::known_product(a, b, z, one_a, one_b))
}

/// See [`super::known_norm`].
pub(super) fn known_norm<const D: usize>(
    h: Tensor<D>,
    z: Tensor<D>,
    unit: Tensor<D>,
    inverse: Tensor<D>,
    gamma: Tensor<1>,
) -> Tensor<D> {
    let [h, z, unit, inverse] = [h, z, unit, inverse].map(|t| t.autodiff().into_dispatch());
    Tensor::from_dispatch(<Dispatch as Ours>::known_norm(h, z, unit, inverse, gamma.autodiff().into_dispatch()))
}
