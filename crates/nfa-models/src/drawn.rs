//! Weights of a chain of dense layers, drawn from a keyed stream.
//!
//! # Shapes
//! `widths` = [d_0, ..., d_L] → L matrices `[d_l, d_{l-1}]`

use crate::matrix::Matrix;
use crate::rng::Stream;

/// U_l S U_{l-1}ᵀ with Haar-random orthonormal U_l and one geometric S of the smallest width's rank.
pub(crate) fn balanced(widths: &[usize], [high, low]: [f64; 2], stream: &Stream) -> Vec<Matrix> {
    let rank = widths.iter().copied().min().unwrap_or(0);
    let singular = geometric(high, low, rank);
    let frame = |(l, &d): (usize, &usize)| orthonormal_columns(d, rank, &stream.fork(&format!("frame.{l}")));
    let frames: Vec<Matrix> = widths.iter().enumerate().map(frame).collect();
    let product = |pair: &[Matrix]| {
        let (left, right) = (&pair[1], &pair[0]);
        Matrix::from_fn(left.rows, right.rows, |i, j| {
            (0..rank).map(|k| left.data[i * rank + k] * singular[k] * right.data[j * rank + k]).sum()
        })
    };
    frames.windows(2).map(product).collect()
}

/// Haar-random matrices with orthonormal rows or columns, each times its layer's gain.
pub(crate) fn orthogonal(widths: &[usize], stream: &Stream, gain: impl Fn(usize) -> f64) -> Vec<Matrix> {
    (0..widths.len() - 1)
        .map(|l| {
            let (rows, cols) = (widths[l + 1], widths[l]);
            let rank = rows.min(cols);
            let frame = orthonormal_columns(rows.max(cols), rank, &stream.fork(&format!("layers.{l}")));
            Matrix::from_fn(rows, cols, |i, j| {
                gain(l) * if rows >= cols { frame.data[i * rank + j] } else { frame.data[j * rank + i] }
            })
        })
        .collect()
}

/// Independent normals with a standard deviation of layer, fan-in and fan-out.
pub(crate) fn normals(widths: &[usize], stream: &Stream, deviation: impl Fn(usize, f64, f64) -> f64) -> Vec<Matrix> {
    (0..widths.len() - 1)
        .map(|l| {
            let (rows, cols) = (widths[l + 1], widths[l]);
            let mut draws = stream.fork(&format!("layers.{l}")).draws();
            let std = deviation(l, cols as f64, rows as f64);
            Matrix::from_fn(rows, cols, |_, _| std * draws.normal())
        })
        .collect()
}

/// From the free end on, squared singular values grow by |c| a layer, the null directions' too.
pub(crate) fn lambda_balanced(widths: &[usize], c: f64, spectrum: [f64; 2], stream: &Stream) -> Vec<Matrix> {
    // For c < 0 the transposed chain, read from the outputs, is the case c > 0.
    let chain: Vec<usize> = if c > 0.0 { widths.to_vec() } else { widths.iter().rev().copied().collect() };
    let frames: Vec<Matrix> = chain
        .iter()
        .enumerate()
        .map(|(l, &d)| orthonormal_columns(d, d, &stream.fork(&format!("frame.{l}"))))
        .collect();
    let first = chain[0].min(chain[1]);
    let mut squares: Vec<f64> = geometric(spectrum[0], spectrum[1], first).iter().map(|s| s * s).collect();
    let mut weights = Vec::with_capacity(chain.len() - 1);
    for l in 0..chain.len() - 1 {
        if l > 0 {
            squares.resize(chain[l], 0.0);
            squares.iter_mut().for_each(|s| *s += c.abs());
        }
        let (left, right) = (&frames[l + 1], &frames[l]);
        weights.push(Matrix::from_fn(chain[l + 1], chain[l], |i, j| {
            let term = |k: usize| left.data[i * left.cols + k] * squares[k].sqrt() * right.data[j * right.cols + k];
            (0..squares.len()).map(term).sum()
        }));
    }
    if c < 0.0 {
        weights.reverse();
        for w in &mut weights {
            *w = Matrix::from_fn(w.cols, w.rows, |i, j| w.data[j * w.cols + i]);
        }
    }
    weights
}

/// `count` numbers in geometric progression from `high` to `low`.
pub fn geometric(high: f64, low: f64, count: usize) -> Vec<f64> {
    let steps = count.saturating_sub(1).max(1) as f64;
    (0..count).map(|k| high * libm::pow(low / high, k as f64 / steps)).collect()
}

/// A Haar-random `[rows, cols]` matrix with orthonormal columns, cols <= rows.
///
/// Gram-Schmidt with one reorthogonalisation ("twice is enough") in plain sequential arithmetic:
/// orthonormal to rounding, and the same bits on every machine, which a blocked or vectorised QR
/// does not promise. The R factor has a positive diagonal, so Gaussian columns give Haar measure.
pub fn orthonormal_columns(rows: usize, cols: usize, stream: &Stream) -> Matrix {
    debug_assert!(cols <= rows);
    let mut draws = stream.draws();
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(cols);
    while basis.len() < cols {
        let mut column: Vec<f64> = (0..rows).map(|_| draws.normal()).collect();
        let drawn = norm(&column);
        for _ in 0..2 {
            for other in &basis {
                let overlap: f64 = column.iter().zip(other).map(|(a, b)| a * b).sum();
                for (a, b) in column.iter_mut().zip(other) {
                    *a -= overlap * b;
                }
            }
        }
        let length = norm(&column);
        // A draw inside the span so far (probability zero) is drawn again.
        if length > 1e-10 * drawn {
            basis.push(column.into_iter().map(|a| a / length).collect());
        }
    }
    Matrix::from_fn(rows, cols, |i, j| basis[j][i])
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|a| a * a).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WᵀW and WWᵀ, row-major.
    fn grams(w: &Matrix) -> (Vec<f64>, Vec<f64>) {
        let at = |i: usize, j: usize| w.data[i * w.cols + j];
        let nfm =
            (0..w.cols * w.cols).map(|k| (0..w.rows).map(|i| at(i, k / w.cols) * at(i, k % w.cols)).sum()).collect();
        let outer =
            (0..w.rows * w.rows).map(|k| (0..w.cols).map(|j| at(k / w.rows, j) * at(k % w.rows, j)).sum()).collect();
        (nfm, outer)
    }

    #[test]
    fn balanced_weights_are_balanced_for_unequal_widths() {
        for widths in [vec![16, 20, 20, 6], vec![64, 32, 32, 32, 32, 10], vec![5, 3, 9, 4], vec![4, 4]] {
            let weights = balanced(&widths, [0.9, 0.5], &Stream::root(1));
            for pair in weights.windows(2) {
                let (next, _) = grams(&pair[1]);
                let (_, this) = grams(&pair[0]);
                let worst = next.iter().zip(&this).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(worst <= 1e-14, "{widths:?}: {worst:e}");
            }
        }
    }

    #[test]
    fn lambda_balanced_weights_differ_by_a_multiple_of_the_identity() {
        for (c, widths) in
            [(0.3, vec![7, 4, 5, 5]), (-0.2, vec![6, 6, 4, 3]), (0.1, vec![3, 5, 9]), (-0.4, vec![9, 5, 7])]
        {
            for pair in lambda_balanced(&widths, c, [0.9, 0.4], &Stream::root(4)).windows(2) {
                let (next, _) = grams(&pair[1]);
                let (_, this) = grams(&pair[0]);
                let d = pair[0].rows;
                for k in 0..d * d {
                    let identity = if k / d == k % d { c } else { 0.0 };
                    assert!((next[k] - this[k] - identity).abs() <= 1e-14, "{c} {widths:?}");
                }
            }
        }
    }

    #[test]
    fn orthogonal_weights_are_isometries_either_way_round() {
        for widths in [[7, 4], [4, 7], [5, 5]] {
            let w = &orthogonal(&widths, &Stream::root(3), |_| 1.5)[0];
            let (nfm, outer) = grams(w);
            let (gram, d) = if w.rows >= w.cols { (nfm, w.cols) } else { (outer, w.rows) };
            for i in 0..d {
                for j in 0..d {
                    let expected = if i == j { 2.25 } else { 0.0 };
                    assert!((gram[i * d + j] - expected).abs() < 1e-14);
                }
            }
        }
    }
}
