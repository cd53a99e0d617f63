//! A map and its bias as one matrix.

use nfa_metrics::Mat;

/// [W b]: a bias reads the constant 1.
pub(super) fn with_column(weight: &Mat, bias: Option<&[f64]>) -> Mat {
    let (rows, cols) = (weight.nrows(), weight.ncols());
    match bias {
        None => weight.clone(),
        Some(bias) => Mat::from_fn(rows, cols + 1, |i, j| if j < cols { weight[(i, j)] } else { bias[i] }),
    }
}
