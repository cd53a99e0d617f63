//! Matrices on the host.

/// A dense host matrix in row-major order: paper layout `[d_out, d_in]` for weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
    /// Entries, row by row.
    pub data: Vec<f64>,
}

impl Matrix {
    /// From its entries.
    pub fn from_fn(rows: usize, cols: usize, mut entry: impl FnMut(usize, usize) -> f64) -> Self {
        let data = (0..rows * cols).map(|k| entry(k / cols, k % cols)).collect();
        Matrix { rows, cols, data }
    }
}
