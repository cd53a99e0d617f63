//! The operations on Burn's tape: forward, and the ways back.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch};
use burn::tensor::Tensor;
use burn::tensor::ops::ConvOptions;

use crate::tape::ours::Ours;

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

impl<B: Ours> Backward<B, 2> for KnownProduct {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let ([to_a, to_b], (a, b)) = (ops.parents, ops.state);
        let delta = grads.consume::<B>(&ops.node);
        if let Some(node) = to_a {
            grads.register::<B>(node.id, B::product_to_first(delta.clone(), b.clone(), a.clone()));
        }
        if let Some(node) = to_b {
            grads.register::<B>(node.id, B::product_to_second(delta, a, b));
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

/// z with the Jacobian of h ↦ h Wᵀ.
///
/// # Shapes
/// h: `[.., d]`, z: `[.., k]`, weight: `[k, d]` → z's
pub(crate) fn known_dense<const D: usize>(h: Tensor<D>, z: Tensor<D>, weight: Tensor<2>) -> Tensor<D> {
    let (shape, [k, d]) = (z.dims(), weight.dims());
    let rows: usize = shape[..D - 1].iter().product();
    let [h, z, w] = [h.reshape([rows, d]), z.reshape([rows, k]), weight].map(|t| t.autodiff().into_dispatch());
    Tensor::<2>::from_dispatch(<Dispatch as Ours>::known_dense(h, z, w)).reshape(shape)
}

/// z with the Jacobian of a convolution in x.
///
/// # Shapes
/// As of [`super::conv2d`]
pub(crate) fn known_conv2d(x: Tensor<4>, z: Tensor<4>, w: Tensor<4>, options: ConvOptions<2>) -> Tensor<4> {
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

/// z, of all copies, with the Jacobian of a function of single numbers whose slopes are those of one copy.
///
/// # Shapes
/// h, z: `[copies * n, ..]`, slope: `[n, ..]` → z's
pub(crate) fn known_entrywise<const D: usize>(h: Tensor<D>, z: Tensor<D>, slope: Tensor<D>) -> Tensor<D> {
    let [h, z, slope] = [h, z, slope].map(|t| t.autodiff().into_dispatch());
    Tensor::from_dispatch(<Dispatch as Ours>::known_entrywise(h, z, slope))
}

/// z, of all copies, with the Jacobian of a softmax over the last axis; `one` is that of one copy.
///
/// # Shapes
/// h, z: `[copies * n, .., t]`, one: `[n, .., t]` → z's
pub(crate) fn known_softmax<const D: usize>(h: Tensor<D>, z: Tensor<D>, one: Tensor<D>) -> Tensor<D> {
    let [h, z, one] = [h, z, one].map(|t| t.autodiff().into_dispatch());
    Tensor::from_dispatch(<Dispatch as Ours>::known_softmax(h, z, one))
}

/// ab off the tape.
///
/// # Shapes
/// a: `[n, .., m, k]`, b: `[n, .., k, l]` → `[n, .., m, l]`
pub(crate) fn product<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    let [a, b] = [a, b].map(|t| t.inner().into_dispatch());
    Tensor::from_dispatch(<Dispatch as Ours>::product(a, b))
}

/// z = ab, of all copies, with the Jacobian of the product; its factors are those of one copy.
///
/// # Shapes
/// a: `[copies * n, .., m, k]`, b: `[copies * n, .., k, l]` → `[copies * n, .., m, l]`
pub(crate) fn known_product<const D: usize>(
    a: Tensor<D>,
    b: Tensor<D>,
    z: Tensor<D>,
    one_a: Tensor<D>,
    one_b: Tensor<D>,
) -> Tensor<D> {
    let [a, b, z, one_a, one_b] = [a, b, z, one_a, one_b].map(|t| t.autodiff().into_dispatch());
    Tensor::from_dispatch(<Dispatch as Ours>::known_product(a, b, z, one_a, one_b))
}

/// z, of all copies, with the Jacobian of a layer norm: `unit` are the normalised values of one copy, `inverse` what
/// they were multiplied by.
///
/// # Shapes
/// h, z: `[copies * n, .., d]`, unit: `[n, .., d]`, inverse: `[n, .., 1]`, gamma: `[d]` → z's
pub(crate) fn known_norm<const D: usize>(
    h: Tensor<D>,
    z: Tensor<D>,
    unit: Tensor<D>,
    inverse: Tensor<D>,
    gamma: Tensor<1>,
) -> Tensor<D> {
    let [h, z, unit, inverse] = [h, z, unit, inverse].map(|t| t.autodiff().into_dispatch());
    Tensor::from_dispatch(<Dispatch as Ours>::known_norm(h, z, unit, inverse, gamma.autodiff().into_dispatch()))
}
