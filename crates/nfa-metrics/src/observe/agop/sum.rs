//! Rows of numbers of a host's type, summed.

use nfa_models::host::gemm::{Into, View, mirror, symmetric};
use nfa_models::host::{Cores, Real};

use crate::matrix::Mat;
use crate::matrix::accumulator::Accumulator;
use crate::matrix::tiles::tiles;

/// An accumulator, and where Gram matrices are summed the lower triangle so far, row-major.
pub(crate) struct Sum<T> {
    total: Accumulator,
    lower: Vec<f64>,
    block: Vec<T>,
    dim: usize,
    rows: usize,
}

impl<T: Real> Sum<T> {
    pub(crate) fn new(total: Accumulator, dim: usize) -> Self {
        let size = if total.is_factor() { 0 } else { dim * dim };
        Sum { total, lower: vec![0.0; size], block: vec![T::from_f64(0.0); size], dim, rows: 0 }
    }

    /// Adds rows.
    ///
    /// # Shapes
    /// `[any, dim]`
    pub(crate) fn push(&mut self, rows: View<'_, T>, cores: Cores) {
        let Sum { total, lower, block, dim, rows: count } = self;
        if total.is_factor() {
            return total.push(&to_mat(rows));
        }
        symmetric(block, Into::Set, rows, rows, cores);
        // A block's sum is in its precision, all of them together in f64.
        for (i, (lower, block)) in lower.chunks_exact_mut(*dim).zip(block.chunks_exact(*dim)).enumerate() {
            lower[..=i].iter_mut().zip(block).for_each(|(sum, term)| *sum += term.to_f64());
        }
        *count += rows.size()[0];
    }

    /// Adds all rows of another.
    pub(crate) fn merge(&mut self, other: &Sum<T>) {
        if self.total.is_factor() {
            return self.total.merge(&other.total);
        }
        self.lower.iter_mut().zip(&other.lower).for_each(|(sum, term)| *sum += term);
        self.rows += other.rows;
    }

    /// All rows that came.
    pub(crate) fn finish(mut self) -> Accumulator {
        if !self.total.is_factor() {
            mirror(&mut self.lower, self.dim);
            self.total.push_gram(Mat::from_fn(self.dim, self.dim, |i, j| self.lower[j * self.dim + i]), self.rows);
        }
        self.total
    }
}

/// In host `f64`.
pub(crate) fn to_mat<T: Real>(rows: View<'_, T>) -> Mat {
    let [count, dim] = rows.size();
    let mut matrix = Mat::zeros(count, dim);
    tiles(count, dim, |i, j| matrix[(i, j)] = rows.at(i, j).to_f64());
    matrix
}
