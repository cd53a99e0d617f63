//! Products that are known to be symmetric, at half the work.

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, MatMut, MatRef, Par};

use crate::matrix::Mat;
use crate::matrix::tiles::tiles;

/// XY, symmetric to the bit.
///
/// # Shapes
/// x: `[d, k]`, y: `[k, d]` → `[d, d]`
pub(crate) fn product(x: MatRef<'_, f64>, y: MatRef<'_, f64>) -> Mat {
    let mut sum = Mat::zeros(x.nrows(), x.nrows());
    add(sum.as_mut(), 1.0, x, y);
    mirror(&mut sum);
    sum
}

/// XXᵀ - YYᵀ, symmetric to the bit.
///
/// # Shapes
/// x: `[d, _]`, y: `[d, _]` → `[d, d]`
pub(crate) fn difference(x: MatRef<'_, f64>, y: MatRef<'_, f64>) -> Mat {
    let mut sum = Mat::zeros(x.nrows(), x.nrows());
    add(sum.as_mut(), 1.0, x, x.transpose());
    add(sum.as_mut(), -1.0, y, y.transpose());
    mirror(&mut sum);
    sum
}

/// Adds a multiple of XY to the lower triangle.
fn add(sum: MatMut<'_, f64>, factor: f64, x: MatRef<'_, f64>, y: MatRef<'_, f64>) {
    let (lower, whole) = (BlockStructure::TriangularLower, BlockStructure::Rectangular);
    matmul(sum, lower, Accum::Add, x, whole, y, whole, factor, Par::Seq);
}

/// Copies the lower triangle to the upper.
fn mirror(matrix: &mut Mat) {
    let d = matrix.nrows();
    tiles(d, d, |i, j| {
        if i < j {
            matrix[(i, j)] = matrix[(j, i)];
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_the_work_gives_the_whole_product() {
        for (d, k) in [(1, 1), (5, 3), (40, 70), (131, 64)] {
            let x = Mat::from_fn(d, k, |i, j| ((i * k + 3 * j) as f64).sin());
            let y = Mat::from_fn(d, k + 2, |i, j| ((i + 7 * j) as f64).cos());
            let expected = &x * x.transpose();
            let gram = product(x.as_ref(), x.transpose());
            assert!((&gram - &expected).norm_max() <= 1e-14 * expected.norm_max());
            let apart = difference(x.as_ref(), y.as_ref());
            assert!((&apart - (expected - &y * y.transpose())).norm_max() <= 1e-14 * gram.norm_max().max(k as f64));
            assert!((0..d).all(|i| (0..d).all(|j| gram[(i, j)] == gram[(j, i)] && apart[(i, j)] == apart[(j, i)])));
        }
    }
}
