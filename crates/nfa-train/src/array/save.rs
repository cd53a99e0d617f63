//! Arrays into files.

use nfa_metrics::Mat;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::array::ArrayError;

/// An entry of [`serialize`]: a matrix in row-major `f64`.
pub fn matrix_entry(name: String, matrix: &Mat) -> (String, Vec<usize>, Vec<u8>) {
    let (rows, cols) = (matrix.nrows(), matrix.ncols());
    let bytes =
        (0..rows).flat_map(|i| (0..cols).map(move |j| (i, j))).flat_map(|at| matrix[at].to_le_bytes()).collect();
    (name, vec![rows, cols], bytes)
}

/// Serialises named `f64` tensors.
///
/// # Errors
/// Where a tensor's data doesn't fit its shape.
pub fn serialize(entries: &[(String, Vec<usize>, Vec<u8>)]) -> Result<Vec<u8>, ArrayError> {
    let wrong = |error: safetensors::SafeTensorError| ArrayError::new("", error.to_string());
    let views = entries
        .iter()
        .map(|(name, shape, bytes)| Ok((name.clone(), TensorView::new(Dtype::F64, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(wrong)?;
    safetensors::serialize(views, None).map_err(wrong)
}
