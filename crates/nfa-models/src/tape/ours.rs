//! What a backend does for us, and Burn's own way to do it.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata, backend_extension};
use burn::tensor::Shape;
use burn::tensor::ops::ConvOptions;

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
    /// The product of two stacks of matrices.
    fn product(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::float_matmul(a, b)
    }
    /// δ bᵀ, of all copies; b of one.
    ///
    /// # Shapes
    /// delta: `[copies * n, .., m, l]`, b: `[n, .., k, l]` → `[copies * n, .., m, k]`; `like` lies as that should
    fn product_to_first(delta: FloatTensor<Self>, b: FloatTensor<Self>, like: FloatTensor<Self>) -> FloatTensor<Self> {
        to_first::<Self>(delta, b, &like)
    }
    /// aᵀ δ, of all copies; a of one.
    ///
    /// # Shapes
    /// delta: `[copies * n, .., m, l]`, a: `[n, .., m, k]` → `[copies * n, .., k, l]`; `like` lies as that should
    fn product_to_second(delta: FloatTensor<Self>, a: FloatTensor<Self>, like: FloatTensor<Self>) -> FloatTensor<Self> {
        to_second::<Self>(delta, a, &like)
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

/// Everything of a tensor in front of its last `kept` axes as one axis; with the copies' axis in front.
pub(super) fn folded<B: Backend>(tensor: FloatTensor<B>, copies: usize, kept: usize) -> FloatTensor<B> {
    let shape = tensor.shape().to_vec();
    let (outer, inner) = shape.split_at(shape.len() - kept);
    let mut new = vec![copies, outer.iter().product::<usize>() / copies];
    new.extend(inner);
    B::float_reshape(tensor, Shape::from(new))
}

/// δ bᵀ by Burn's product.
pub(super) fn to_first<B: Backend>(delta: FloatTensor<B>, b: FloatTensor<B>, like: &FloatTensor<B>) -> FloatTensor<B> {
    let (shape, copies) = stacked::<B>(&delta, like);
    let turned = B::float_transpose(folded::<B>(b, 1, 2));
    B::float_reshape(B::float_matmul(folded::<B>(delta, copies, 2), turned), shape)
}

/// aᵀ δ by Burn's product.
pub(super) fn to_second<B: Backend>(delta: FloatTensor<B>, a: FloatTensor<B>, like: &FloatTensor<B>) -> FloatTensor<B> {
    let (shape, copies) = stacked::<B>(&delta, like);
    let turned = B::float_transpose(folded::<B>(a, 1, 2));
    B::float_reshape(B::float_matmul(turned, folded::<B>(delta, copies, 2)), shape)
}

/// The shape of as many copies of a factor as δ holds, and how many.
fn stacked<B: Backend>(delta: &FloatTensor<B>, factor: &FloatTensor<B>) -> (Shape, usize) {
    let mut shape = factor.shape().to_vec();
    let copies = delta.shape().to_vec()[0] / shape[0].max(1);
    shape[0] *= copies;
    (Shape::from(shape), copies)
}

/// How many copies of one the other holds.
pub(super) fn copies_of<B: Backend>(all: &FloatTensor<B>, one: &FloatTensor<B>) -> usize {
    all.shape().num_elements() / one.shape().num_elements().max(1)
}
