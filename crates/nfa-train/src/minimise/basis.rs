//! An orthonormal basis of a sketch's rows: a step depends on nothing else of it.

use std::cmp::Ordering;

use nfa_metrics::Mat;
use nfa_models::host::Cores;
use nfa_models::host::gemm::{Into, View, product};

/// A row whose part outside those before it is below this share of its length is no new direction.
const DEPENDENT: f64 = 1e-10;

/// Squared lengths that are left of rows, as a share: above it Cholesky's second pass leaves rounding.
const FAR: f64 = 1e-4;

/// Orthonormal rows.
#[derive(Clone, Debug)]
pub(super) struct Basis {
    /// `[l, D]`, row-major.
    pub(super) rows: Vec<f64>,
    /// How many there are.
    pub(super) count: usize,
    /// How many of them span the first rows that were given.
    pub(super) own: usize,
}

impl Basis {
    /// Spans rows `[l, D]`, in their order; those that depend on others leave nothing. `first` of them are told
    /// apart from the rest.
    pub(super) fn of(rows: Vec<f64>, d: usize, first: usize) -> Self {
        let l = rows.len() / d.max(1);
        // Twice by Cholesky, which is matrix products; by reflections where rows are nearly dependent.
        if 4 * l <= d
            && let Some(once) = by_cholesky(&rows, d)
            && let Some(rows) = by_cholesky(&once, d)
        {
            return Basis { rows, count: l, own: first };
        }
        if l <= d {
            let tall = Mat::from_fn(d, l, |i, k| rows[k * d + i]);
            let length = |k: usize| (0..d).map(|i| tall[(i, k)] * tall[(i, k)]).sum::<f64>().sqrt();
            let qr = tall.qr();
            let r = qr.thin_R();
            if (0..l).all(|k| r[(k, k)].abs() > DEPENDENT * length(k)) {
                let q = qr.compute_thin_Q();
                let rows = (0..l).flat_map(|k| (0..d).map(move |i| (i, k))).map(|at| q[at]).collect();
                return Basis { rows, count: l, own: first };
            }
        }
        Basis::one_by_one(&rows, d, first)
    }

    /// Gram-Schmidt, twice for each row, which is enough.
    fn one_by_one(rows: &[f64], d: usize, first: usize) -> Self {
        let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
        let mut basis = Basis { rows: Vec::new(), count: 0, own: 0 };
        for (k, row) in rows.chunks_exact(d.max(1)).enumerate() {
            let (mut rest, length) = (row.to_vec(), norm(row));
            for _ in 0..2 {
                for known in basis.rows.chunks_exact(d) {
                    let along: f64 = known.iter().zip(&rest).map(|(a, b)| a * b).sum();
                    rest.iter_mut().zip(known).for_each(|(v, known)| *v -= along * known);
                }
            }
            let left = norm(&rest);
            if left > DEPENDENT * length && basis.count < d {
                basis.rows.extend(rest.iter().map(|v| v / left));
                basis.count += 1;
                basis.own += usize::from(k < first);
            }
        }
        basis
    }
}

/// L⁻¹R of rows R with RRᵀ = LLᵀ: of one rounding less than the square of their condition; `None` where that is too
/// little.
///
/// # Shapes
/// rows: `[l, D]`
fn by_cholesky(rows: &[f64], d: usize) -> Option<Vec<f64>> {
    let l = rows.len() / d.max(1);
    let view = View::new(rows, l, d);
    let mut gram = vec![0.0; l * l];
    product(&mut gram, l, Into::Set, view, view.t(), Cores::All);
    let mut lower = vec![0.0; l * l];
    for i in 0..l {
        for j in 0..=i {
            let rest: f64 = (0..j).map(|k| lower[i * l + k] * lower[j * l + k]).sum();
            let left = gram[i * l + j] - rest;
            lower[i * l + j] = if i > j { left / lower[j * l + j] } else { left.sqrt() };
            if i == j && left.partial_cmp(&(FAR * gram[i * l + i])) != Some(Ordering::Greater) {
                return None;
            }
        }
    }
    let mut inverse = vec![0.0; l * l];
    for j in 0..l {
        inverse[j * l + j] = 1.0 / lower[j * l + j];
        for i in j + 1..l {
            let sum: f64 = (j..i).map(|k| lower[i * l + k] * inverse[k * l + j]).sum();
            inverse[i * l + j] = -sum / lower[i * l + i];
        }
    }
    let mut unit = vec![0.0; l * d];
    product(&mut unit, d, Into::Set, View::new(&inverse, l, l), view, Cores::All);
    Some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nfa_models::Stream;

    /// BᵀB, which is all that a step depends on.
    fn projector(basis: &Basis, d: usize) -> Mat {
        let b = Mat::from_fn(basis.count, d, |k, i| basis.rows[k * d + i]);
        b.transpose() * &b
    }

    #[test]
    fn a_space_is_the_same_whatever_its_rows() {
        let (l, d) = (5, 40);
        let rows = Stream::root(1).normals(l * d);
        let mix = Stream::root(2).normals(l * l);
        let mixed: Vec<f64> =
            (0..l * d).map(|at| (0..l).map(|k| mix[at / d * l + k] * rows[k * d + at % d]).sum()).collect();
        let (a, b) = (Basis::of(rows.clone(), d, l), Basis::of(mixed, d, l));
        assert!((projector(&a, d) - projector(&b, d)).norm_max() <= 1e-12, "S -> TS changes the space");
        let unit = Mat::from_fn(a.count, d, |k, i| a.rows[k * d + i]);
        assert!((&unit * unit.transpose() - Mat::identity(l, l)).norm_max() <= 1e-14);
        // Rows that depend on others, and a row of zeros, add nothing; the first two are told apart.
        let mut more = vec![0.0; d];
        more.extend_from_slice(&rows[..2 * d]);
        more.extend(rows[..d].iter().zip(&rows[d..2 * d]).map(|(a, b)| a - 3.0 * b));
        more.extend_from_slice(&rows[2 * d..]);
        let c = Basis::of(more, d, 3);
        assert_eq!((c.count, c.own), (5, 2));
        assert!((projector(&a, d) - projector(&c, d)).norm_max() <= 1e-12);
        let unit = Mat::from_fn(5, d, |k, i| c.rows[k * d + i]);
        assert!((&unit * unit.transpose() - Mat::identity(5, 5)).norm_max() <= 1e-14);
    }
}
