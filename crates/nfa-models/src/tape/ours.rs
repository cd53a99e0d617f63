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

/// How many copies of one the other holds.
pub(super) fn copies_of<B: Backend>(all: &FloatTensor<B>, one: &FloatTensor<B>) -> usize {
    all.shape().num_elements() / one.shape().num_elements().max(1)
}
