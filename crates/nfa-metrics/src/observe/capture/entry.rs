//! The entries of a capture file, in `f64`.

use safetensors::Dtype;

use crate::matrix::Mat;
use crate::observe::capture::error::{CaptureError, wrong};
use crate::observe::capture::source::TensorSource;

/// A tensor in `f64`.
pub(super) struct Found {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f64>,
    pub(super) eps: f64,
}

impl Found {
    pub(super) fn matrix(&self, key: &str) -> Result<Mat, CaptureError> {
        let [rows, cols] = self.shape[..] else {
            return Err(wrong(key, format!("has shape {:?}, expected a matrix", self.shape)));
        };
        // Before it is made: 10^18 rows of nothing are more than a matrix can have.
        if self.values.is_empty() {
            return Err(wrong(key, format!("has shape {:?} and is empty", self.shape)));
        }
        Ok(Mat::from_fn(rows, cols, |i, j| self.values[i * cols + j]))
    }
}

pub(super) fn entry(tensors: &dyn TensorSource, key: &str) -> Result<Option<Found>, CaptureError> {
    part(tensors, key, 0, 1)
}

/// The `index`-th of `parts` equal parts of a tensor's entries, with the shape of the whole.
pub(super) fn part(
    tensors: &dyn TensorSource,
    key: &str,
    index: usize,
    parts: usize,
) -> Result<Option<Found>, CaptureError> {
    let Some((dtype, shape)) = tensors.entry(key) else { return Ok(None) };
    let (size, eps) = match dtype {
        Dtype::F64 | Dtype::I64 => (8, f64::EPSILON),
        Dtype::F32 => (4, f64::from(f32::EPSILON)),
        Dtype::I32 => (4, f64::EPSILON),
        other => return Err(wrong(key, format!("has dtype {other:?}; write F64 or F32"))),
    };
    // The header was checked: as many bytes are there.
    let length = size * shape.iter().product::<usize>() / parts;
    let data = tensors.bytes(key, index * length..(index + 1) * length);
    let data = data.map_err(|error| wrong(key, error.to_string()))?;
    let values: Vec<f64> = match dtype {
        Dtype::F64 => data.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
        Dtype::I64 => data.as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b) as f64).collect(),
        Dtype::F32 => data.as_chunks::<4>().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect(),
        _ => data.as_chunks::<4>().0.iter().map(|b| f64::from(i32::from_le_bytes(*b))).collect(),
    };
    if let Some(at) = values.iter().position(|v| !v.is_finite()) {
        return Err(wrong(key, format!("entry {} is not finite", index * values.len() + at)));
    }
    Ok(Some(Found { shape, values, eps }))
}
