//! Rows of Jacobians on a device, several per sample and grouped by sample.

use std::ops::Range;

use burn::tensor::{Tensor, TensorData};

use crate::observe::agop::rows::sign_rows;
use crate::observe::jacobian::beside;

/// [`sign_rows`] beside a tensor.
pub(crate) fn signs<const D: usize>(samples: &Range<usize>, draws: usize, c: usize, like: &Tensor<D>) -> Tensor<3> {
    let data = TensorData::new(sign_rows(samples, draws, c), [samples.len(), draws, c]);
    Tensor::from_data(data, (&like.device().inner(), like.dtype()))
}

/// The rows of a sample range, several per sample and grouped by sample: `[b * rows, dim]`.
pub(crate) type Sink<'a> = dyn FnMut(Range<usize>, Tensor<2>) + 'a;

/// (1/n) Σ_i w_i J_i from rows √w_i J_i, `[rows per sample, dim]`; `None` without samples.
pub(crate) fn mean_rows(n: usize, weights: Option<&[f64]>, visit: impl Fn(&mut Sink<'_>)) -> Option<Tensor<2>> {
    let mut sum: Option<Tensor<2>> = None;
    visit(&mut |samples, block| {
        let [rows, dim] = block.dims();
        let (b, each) = (samples.len(), rows / samples.len());
        let mut part = block.reshape([b, each, dim]);
        if let Some(weights) = weights {
            part = part.clone() * roots(weights, &samples, &part);
        }
        let part = part.sum_dim(0).reshape([each, dim]);
        sum = Some(match sum.take() {
            Some(sum) => sum + part,
            None => part,
        });
    });
    sum.map(|sum| sum.mul_scalar(1.0 / n as f64))
}

/// √w of a sample range, `[b, 1, 1]`.
pub(crate) fn roots<const D: usize>(weights: &[f64], samples: &Range<usize>, like: &Tensor<D>) -> Tensor<3> {
    let roots = weights[samples.clone()].iter().map(|w| w.sqrt()).collect();
    beside(roots, like).reshape([samples.len(), 1, 1])
}

pub(crate) fn centered(
    block: Tensor<2>,
    mean: Option<&Tensor<2>>,
    weights: Option<&[f64]>,
    samples: &Range<usize>,
) -> Tensor<2> {
    let Some(mean) = mean else { return block };
    let [rows, dim] = block.dims();
    let (b, each) = (samples.len(), rows / samples.len());
    let mut mean = mean.clone().reshape([1, each, dim]).expand([b, each, dim]);
    if let Some(weights) = weights {
        mean = mean * roots(weights, samples, &block);
    }
    block - mean.reshape([rows, dim])
}
