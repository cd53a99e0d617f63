//! The Hessian as a whole.

use nfa_metrics::Mat;

use crate::minimise::function::Function;

/// Rows of the identity that are multiplied together.
const CHUNK: usize = 64;

/// Products of a function's Hessian with rows.
pub(super) type Products = fn(&mut dyn Function, &[f64], &[f64]) -> Vec<f64>;

/// A Hessian by its products, without the penalty's; symmetric to the bit.
///
/// # Shapes
/// `[D, D]`
pub(super) fn dense(f: &mut dyn Function, x: &[f64], products: Products) -> Mat {
    let d = x.len();
    let mut hessian = Mat::zeros(d, d);
    for start in (0..d).step_by(CHUNK) {
        let count = CHUNK.min(d - start);
        let mut rows = vec![0.0; count * d];
        (0..count).for_each(|k| rows[k * d + start + k] = 1.0);
        for (k, column) in products(f, x, &rows).chunks_exact(d).enumerate() {
            hessian.col_mut(start + k).iter_mut().zip(column).for_each(|(to, from)| *to = *from);
        }
    }
    for j in 0..d {
        for i in 0..j {
            let mean = 0.5 * (hessian[(i, j)] + hessian[(j, i)]);
            (hessian[(i, j)], hessian[(j, i)]) = (mean, mean);
        }
    }
    hessian
}

/// Adds the Hessian of a penalty, along orthonormal rows or all.
///
/// # Shapes
/// hessian: `[l, l]`; decay: `[D]` or none; rows: `[l, D]`
pub(super) fn add_decay(hessian: &mut Mat, decay: &[f64], rows: Option<&[f64]>) {
    let Some(&first) = decay.first() else { return };
    let (l, d) = (hessian.nrows(), decay.len());
    let is_uniform = decay.iter().all(|other| *other == first);
    match rows {
        Some(rows) if !is_uniform => {
            for i in 0..l {
                for j in 0..=i {
                    let both = rows[i * d..(i + 1) * d].iter().zip(&rows[j * d..(j + 1) * d]);
                    let sum: f64 = both.zip(decay).map(|((a, b), decay)| a * b * decay).sum();
                    hessian[(i, j)] += sum;
                    if i != j {
                        hessian[(j, i)] += sum;
                    }
                }
            }
        }
        Some(_) => (0..l).for_each(|i| hessian[(i, i)] += first),
        None => (0..l).for_each(|i| hessian[(i, i)] += decay[i]),
    }
}
