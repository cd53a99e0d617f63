//! An orthonormal basis of a sketch's rows: a step depends on nothing else of it.

use nfa_metrics::Mat;

/// A row whose part outside those before it is below this share of its length is no new direction.
const DEPENDENT: f64 = 1e-10;

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
