//! A stacked Jacobian, compressed on the fly to a triangle with the same Gram matrix.

use crate::matrix::Mat;
use crate::matrix::psd::{Psd, RankRule};

/// Rows are kept as they are up to this many entries, and compressed beyond.
const KEPT_ENTRIES: usize = 1 << 16;

/// An accumulator of rows r with Gram matrix Σ rᵀr, exact to the last digit of the smallest
/// singular value: QR factors of blocks are merged, never Gram matrices.
///
/// Memory: O(d² + block · d). Blocks may come in any order and two stacks may be merged.
#[derive(Clone, Debug)]
pub struct Stack {
    dim: usize,
    kept: Mat,
    rows: usize,
    compressed: bool,
}

impl Stack {
    /// An empty stack of rows of length `dim`.
    pub fn new(dim: usize) -> Self {
        Stack { dim, kept: Mat::zeros(0, dim), rows: 0, compressed: false }
    }

    /// Adds rows.
    ///
    /// # Shapes
    /// `[any, dim]`
    pub fn push(&mut self, block: &Mat) {
        debug_assert_eq!(block.ncols(), self.dim);
        self.rows += block.nrows();
        let above = self.kept.nrows();
        let stacked = Mat::from_fn(above + block.nrows(), self.dim, |i, j| {
            if i < above { self.kept[(i, j)] } else { block[(i - above, j)] }
        });
        if stacked.nrows() > self.dim && stacked.nrows() * self.dim > KEPT_ENTRIES.max(2 * self.dim * self.dim) {
            self.kept = triangle(&stacked);
            self.compressed = true;
        } else {
            self.kept = stacked;
        }
    }

    /// Adds all rows of another stack.
    pub fn merge(&mut self, other: &Stack) {
        self.push(&other.kept);
        self.rows += other.rows - other.kept.nrows();
        self.compressed |= other.compressed;
    }

    /// Rows with the Gram matrix of all that came.
    pub(crate) fn kept(&self) -> &Mat {
        &self.kept
    }

    /// (Σ rᵀr) / count mapped by a last linear map: (1/count) MᵀRᵀRM.
    ///
    /// # Shapes
    /// map: `[dim, d]`, or `None` for the identity
    pub fn finish(self, count: f64, map: Option<&Mat>) -> Psd {
        let rule = if self.compressed { RankRule::StreamedQr } else { RankRule::Stacked };
        let scale = 1.0 / count.sqrt();
        let factor = match map {
            Some(map) => &self.kept * map * scale,
            None => &self.kept * scale,
        };
        Psd::factor(factor, self.rows, rule, f64::EPSILON)
    }
}

/// The triangle R of X = QR: a matrix of at most `cols` rows with the same Gram matrix as X.
///
/// # Shapes
/// `[rows, cols]` → `[min(rows, cols), cols]`
pub fn triangle(x: &Mat) -> Mat {
    x.qr().thin_R().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_split_gives_the_same_matrix() {
        let all = Mat::from_fn(3000, 40, |i, j| ((i * 7 + j * 13) as f64).sin() * (j as f64 + 1.0));
        let expected = all.transpose() * &all;
        let mut whole = Stack::new(40);
        whole.push(&all);
        let (mut left, mut right) = (Stack::new(40), Stack::new(40));
        for start in (0..3000).step_by(300) {
            let block = all.subrows(start, 300).to_owned();
            if start % 600 == 0 { left.push(&block) } else { right.push(&block) }
        }
        right.merge(&left);
        for stack in [whole, right] {
            assert_eq!(stack.rows, 3000);
            assert!(stack.compressed);
            let got = stack.finish(1.0, None);
            let error = crate::matrix::squared_norm(&(got.matrix() - &expected)).sqrt()
                / crate::matrix::squared_norm(&expected).sqrt();
            assert!(error < 1e-14, "{error:e}");
        }
    }
}
