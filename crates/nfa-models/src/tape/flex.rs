//! The operations on Burn's CPU backend `flex`, by host code.

use burn::backend::ops::{FloatTensorOps, ModuleOps};
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Element, Shape, Tensor, TensorData};
use burn_flex::FlexTensor;
use bytemuck::Pod;

use crate::host::convolution::Convolution;
use crate::host::{Real, vectorised};
use crate::tape::ours::{Ours, to_first, to_second};
use crate::tape::product;

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

    fn product(a: FlexTensor, b: FlexTensor) -> FlexTensor {
        product::forward(&a, &b).unwrap_or_else(|| Self::float_matmul(a, b))
    }

    fn product_to_first(delta: FlexTensor, b: FlexTensor, like: FlexTensor) -> FlexTensor {
        product::to_first(&delta, &b, &like).unwrap_or_else(|| to_first::<Self>(delta, b, &like))
    }

    fn product_to_second(delta: FlexTensor, a: FlexTensor, like: FlexTensor) -> FlexTensor {
        product::to_second(&delta, &a, &like).unwrap_or_else(|| to_second::<Self>(delta, a, &like))
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
