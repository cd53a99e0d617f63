//! AᵀSA of a symmetric S, at half the work.

use nfa_models::host::gemm::{Into, View, mirror, product, symmetric};
use nfa_models::host::{Cores, Real};

use crate::matrix::Mat;
use crate::matrix::tiles::tiles;

/// AᵀSA of a symmetric S in the precision T, at half the work and on all cores.
///
/// # Shapes
/// a: `[k, d]`, s: `[k, k]` → `[d, d]`
pub(crate) fn sandwich<T: Real>(a: &Mat, s: &Mat) -> Mat {
    let (k, d) = (a.nrows(), a.ncols());
    let (a, s) = (row_major::<T>(a), column_major::<T>(s));
    let mut sa = vec![T::from_f64(0.0); k * d];
    product(&mut sa, d, Into::Set, View::new(&s, k, k), View::new(&a, k, d), Cores::All);
    let mut full = vec![T::from_f64(0.0); d * d];
    symmetric(&mut full, Into::Set, View::new(&a, k, d), View::new(&sa, k, d), Cores::All);
    mirror(&mut full, d);
    Mat::from_fn(d, d, |i, j| full[j * d + i].to_f64())
}

pub(crate) fn row_major<T: Real>(matrix: &Mat) -> Vec<T> {
    let (rows, cols) = (matrix.nrows(), matrix.ncols());
    let mut values = vec![T::from_f64(0.0); rows * cols];
    tiles(rows, cols, |i, j| values[i * cols + j] = T::from_f64(matrix[(i, j)]));
    values
}

pub(crate) fn column_major<T: Real>(matrix: &Mat) -> Vec<T> {
    matrix.col_iter().flat_map(|column| column.iter()).map(|&value| T::from_f64(value)).collect()
}
