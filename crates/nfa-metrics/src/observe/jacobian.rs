//! Input Jacobians of any network through Burn's autodiff.

use burn::tensor::{DType, Tensor, TensorData};

use crate::matrix::Mat;
use crate::matrix::accumulator::Accumulator;
use crate::matrix::tiles::tiles;

/// The rows of the Jacobian of a row-wise map, one tensor per output: entry k is
/// ∂f_k(sample i)/∂h(sample i, position p).
///
/// One backward pass per output gives the exact rows of the whole batch, because output row i
/// depends on input row i alone. (A backward consumes Burn's tape, so each output has a forward of
/// its own.)
///
/// # Shapes
/// h: `[n, p, d]`, f: `[n, p, d]` → `[n, c]`; returns c tensors `[n * p, d]`
pub fn jacobian(f: impl Fn(Tensor<3>) -> Tensor<2>, h: &Tensor<3>) -> Vec<Tensor<2>> {
    let [n, p, d] = h.dims();
    let plain = h.clone().inner();
    let row = |output: usize| {
        let leaf = plain.clone().autodiff().require_grad();
        let y = f(leaf.clone());
        let outputs = y.dims()[1];
        let selected = y.slice([0..n, output..output + 1]).sum();
        // A map that does not read its input has no tape and Jacobian 0.
        let gradient = selected
            .is_tracked()
            .then(|| leaf.grad_remove(&mut selected.backward()))
            .flatten()
            .unwrap_or_else(|| plain.zeros_like());
        (gradient.reshape([n * p, d]), outputs)
    };
    let (first, outputs) = row(0);
    let mut rows = vec![first];
    rows.extend((1..outputs).map(|output| row(output).0));
    rows
}

/// A device tensor as a host matrix, in `f64`.
///
/// # Panics
/// Where the device fails to hand out its data.
pub fn to_host(tensor: Tensor<2>) -> Mat {
    let [rows, cols] = tensor.dims();
    let data = numbers(tensor);
    let mut matrix = Mat::zeros(rows, cols);
    tiles(rows, cols, |i, j| matrix[(i, j)] = data[i * cols + j]);
    matrix
}

/// The numbers of a device tensor, in `f64`.
///
/// # Panics
/// Where the device fails to hand out its data.
pub(crate) fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    match tensor.inner().try_into_vec_as::<f64>() {
        Ok(data) => data,
        Err(error) => panic!("the device did not hand out a tensor: {error}"),
    }
}

impl Accumulator {
    /// Adds rows that lie on a device; a Gram matrix is formed there, and only it is read.
    ///
    /// # Shapes
    /// `[any, dim]`
    ///
    /// # Panics
    /// Where the device fails to hand out its data.
    pub fn push_tensor(&mut self, block: Tensor<2>) {
        if self.is_factor() {
            return self.push(&to_host(block));
        }
        let rows = block.dims()[0];
        self.push_gram(to_host(block.clone().transpose().matmul(block)), rows);
    }
}

/// A host vector beside a tensor: same device, same dtype.
pub(crate) fn beside<const D: usize>(values: Vec<f64>, like: &Tensor<D>) -> Tensor<1> {
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), (&like.device().inner(), like.dtype()))
}

/// The machine epsilon of what a tensor holds.
pub fn epsilon(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::EPSILON,
        DType::F16 => 2f64.powi(-10),
        DType::BF16 => 2f64.powi(-7),
        _ => f64::from(f32::EPSILON),
    }
}
