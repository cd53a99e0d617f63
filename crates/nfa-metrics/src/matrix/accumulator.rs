//! Σ rᵀr over rows that come block by block: what an AGOP is summed in.

use crate::matrix::Mat;
use crate::matrix::factor::Stack;
use crate::matrix::psd::Psd;
use crate::matrix::sandwich::sandwich;

/// Rows of a stacked Jacobian, of which Σ rᵀr is kept and no more: as a factor ([`Stack`]) while that
/// is affordable, so that small eigenvalues keep their digits, else as the sum of Gram matrices.
///
/// Memory: O(d² + block · d), however many rows come. Blocks may have any size and order, and two
/// accumulators merge, so that shards of the samples, in threads or in processes, add up.
///
/// # Precision
/// The factor is exact to the rounding of `f64`. A sum of Gram matrices is always held in `f64`; a
/// block's own is formed in the precision of its rows. With u = 2⁻²⁴ for `f32` rows (2⁻⁵³ for `f64`),
/// at most m rows a block and B blocks, every entry is within
/// (m u + B 2⁻⁵³) Σ |r_i| |r_j| of Σ r_i r_j: for `f32` blocks the first term rules, which doesn't grow
/// with the number of rows.
///
/// ```
/// use nfa_metrics::{Accumulator, mat};
///
/// let (mut left, mut right) = (Accumulator::factor(2), Accumulator::factor(2));
/// left.push(&mat(&[[1.0, 2.0], [0.0, 1.0]]));
/// right.push(&mat(&[[3.0, -1.0]]));
/// left.merge(&right);
/// assert_eq!(left.rows(), 3);
/// let agop = left.finish(3, None); // over three samples
/// assert!((agop.matrix()[(0, 0)] - 10.0 / 3.0).abs() < 1e-14);
/// ```
#[derive(Clone, Debug)]
pub struct Accumulator {
    rows: usize,
    kept: Kept,
}

#[derive(Clone, Debug)]
enum Kept {
    Factor(Stack),
    /// No matrix before there are rows: where many are added up at the end, most of them would be zeros.
    Gram {
        sum: Option<Mat>,
        dim: usize,
        eps: f64,
    },
}

impl Accumulator {
    /// For about `rows` rows of length `dim` with machine epsilon `eps`: a factor where the rows are
    /// `f64` and at most `work` multiply-adds triangulate them, else a Gram matrix.
    pub fn new(dim: usize, rows: usize, eps: f64, work: f64) -> Self {
        let needed = 2.0 * rows as f64 * (dim * dim) as f64;
        // In coarser rows the digits that a factor keeps are rounding.
        if eps <= f64::EPSILON && needed <= work { Accumulator::factor(dim) } else { Accumulator::gram(dim, eps) }
    }

    /// Kept as a factor.
    pub fn factor(dim: usize) -> Self {
        Accumulator { rows: 0, kept: Kept::Factor(Stack::new(dim)) }
    }

    /// Kept as a sum of Gram matrices of rows with machine epsilon `eps`.
    pub fn gram(dim: usize, eps: f64) -> Self {
        Accumulator { rows: 0, kept: Kept::Gram { sum: None, dim, eps } }
    }

    /// How many rows came.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds rows.
    ///
    /// # Shapes
    /// `[any, dim]`
    pub fn push(&mut self, block: &Mat) {
        self.rows += block.nrows();
        match &mut self.kept {
            Kept::Factor(stack) => stack.push(block),
            Kept::Gram { sum, .. } => add(sum, block.transpose() * block),
        }
    }

    /// Adds so many rows by their Gram matrix, which a factor becomes by that.
    ///
    /// # Shapes
    /// `[dim, dim]`
    pub(crate) fn push_gram(&mut self, gram: Mat, rows: usize) {
        self.rows += rows;
        match &mut self.kept {
            Kept::Gram { sum, .. } => add(sum, gram),
            Kept::Factor(_) => {
                let (dim, eps) = (gram.nrows(), self.kept.eps());
                self.kept = Kept::Gram { sum: Some(gram + &*self.kept.gram()), dim, eps };
            }
        }
    }

    /// Whether it is kept as a factor.
    pub(crate) fn is_factor(&self) -> bool {
        matches!(self.kept, Kept::Factor(_))
    }

    /// Adds all rows of another; a factor and a Gram matrix make a Gram matrix.
    ///
    /// # Shapes
    /// the same `dim`
    pub fn merge(&mut self, other: &Accumulator) {
        self.rows += other.rows;
        match (&mut self.kept, &other.kept) {
            (Kept::Factor(stack), Kept::Factor(other)) => stack.merge(other),
            (Kept::Gram { sum, eps, .. }, other) => {
                add(sum, other.gram().into_owned());
                *eps = eps.max(other.eps());
            }
            (Kept::Factor(_), Kept::Gram { dim, eps, .. }) => {
                let sum = Some(&*other.kept.gram() + &*self.kept.gram());
                self.kept = Kept::Gram { sum, dim: *dim, eps: *eps };
            }
        }
    }

    /// (1/samples) Mᵀ (Σ rᵀr) M.
    ///
    /// # Shapes
    /// map: `[dim, d]`, or `None` for the identity
    pub fn finish(self, samples: usize, map: Option<&Mat>) -> Psd {
        match self.kept {
            Kept::Factor(stack) => stack.finish(samples as f64, map),
            Kept::Gram { sum, dim, eps } => {
                let mean = sum.unwrap_or_else(|| Mat::zeros(dim, dim)) * (1.0 / samples as f64);
                match map {
                    Some(map) => Psd::symmetric(in_precision(map, &mean, eps), eps),
                    None => Psd::gram_of(mean, eps),
                }
            }
        }
    }
}

impl Kept {
    fn gram(&self) -> std::borrow::Cow<'_, Mat> {
        use std::borrow::Cow;
        match self {
            Kept::Factor(stack) => Cow::Owned(stack.kept().transpose() * stack.kept()),
            Kept::Gram { sum: Some(sum), .. } => Cow::Borrowed(sum),
            Kept::Gram { sum: None, dim, .. } => Cow::Owned(Mat::zeros(*dim, *dim)),
        }
    }

    fn eps(&self) -> f64 {
        match self {
            Kept::Factor(_) => f64::EPSILON,
            Kept::Gram { eps, .. } => *eps,
        }
    }
}

/// Adds to what may not be there yet.
fn add(sum: &mut Option<Mat>, more: Mat) {
    match sum {
        Some(sum) => *sum += more,
        None => *sum = Some(more),
    }
}

/// MᵀSM, in the precision that S has; symmetric to the bit.
fn in_precision(map: &Mat, sum: &Mat, eps: f64) -> Mat {
    match eps <= f64::EPSILON {
        true => sandwich::<f64>(map, sum),
        false => sandwich::<f32>(map, sum),
    }
}

#[cfg(all(test, feature = "burn"))]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device, Tensor, TensorData};

    const DIM: usize = 12;
    const ROWS: usize = 7 * 240;

    /// Rows of very different sizes along the columns, so that small eigenvalues are there to be lost.
    fn rows(from: usize, count: usize) -> Mat {
        Mat::from_fn(count, DIM, |i, j| {
            (((from + i) * 7 + j * 13 + (from + i) * j) as f64).sin() * 10f64.powi(-(j as i32) / 2)
        })
    }

    fn tensor(block: &Mat, dtype: DType) -> Tensor<2> {
        let (n, d) = (block.nrows(), block.ncols());
        let data = (0..n * d).map(|k| block[(k / d, k % d)]).collect::<Vec<f64>>();
        Tensor::from_data(TensorData::new(data, [n, d]), (&Device::flex(), dtype))
    }

    /// Rows as `f32` holds them.
    fn rounded(block: &Mat) -> Mat {
        Mat::from_fn(block.nrows(), block.ncols(), |i, j| f64::from(block[(i, j)] as f32))
    }

    /// Σ |r_i| |r_j|.
    fn sizes(block: &Mat) -> Mat {
        let sizes = Mat::from_fn(block.nrows(), block.ncols(), |i, j| block[(i, j)].abs());
        sizes.transpose() * &sizes
    }

    /// Seven shards of the rows, each in blocks of at most 60.
    fn shards(new: impl Fn() -> Accumulator, push: impl Fn(&mut Accumulator, &Mat)) -> Vec<Accumulator> {
        (0..7)
            .map(|shard| {
                let mut sum = new();
                for start in (0..ROWS / 7).step_by(60) {
                    push(&mut sum, &rows(shard * (ROWS / 7) + start, 60));
                }
                sum
            })
            .collect()
    }

    fn merged(shards: &[Accumulator], order: [usize; 7]) -> Accumulator {
        let mut all = shards[order[0]].clone();
        order[1..].iter().for_each(|&shard| all.merge(&shards[shard]));
        all
    }

    const ORDERS: [[usize; 7]; 3] = [[0, 1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1, 0], [3, 0, 6, 1, 5, 2, 4]];

    #[test]
    fn f32_blocks_add_up_within_the_stated_bound_whatever_the_number_of_rows() {
        let all = rounded(&rows(0, ROWS));
        let (exact, sizes) = (all.transpose() * &all, sizes(&all));
        let push = |sum: &mut Accumulator, block: &Mat| sum.push_tensor(tensor(block, DType::F32));
        let shards = shards(|| Accumulator::gram(DIM, f64::from(f32::EPSILON)), push);
        let bound = 60.0 * 2f64.powi(-24) + 28.0 * 2f64.powi(-53);
        for order in ORDERS {
            let sum = merged(&shards, order);
            assert_eq!(sum.rows(), ROWS);
            let got = sum.finish(1, None);
            let mut worst: f64 = 0.0;
            for i in 0..DIM {
                for j in 0..DIM {
                    worst = worst.max((got.matrix()[(i, j)] - exact[(i, j)]).abs() / sizes[(i, j)]);
                }
            }
            assert!(0.0 < worst && worst <= bound, "{worst:e} against {bound:e}");
        }
    }

    #[test]
    fn shards_in_any_order_are_the_whole() {
        let all = rows(0, ROWS);
        let expected = all.transpose() * &all;
        for (new, how) in [
            ((|| Accumulator::factor(DIM)) as fn() -> Accumulator, "factor"),
            (|| Accumulator::gram(DIM, f64::EPSILON), "gram"),
        ] {
            let mut whole = new();
            whole.push(&all);
            let whole = whole.finish(ROWS, None);
            let host = shards(new, |sum, block| sum.push(block));
            let device = shards(new, |sum, block| sum.push_tensor(tensor(block, DType::F64)));
            for (shards, order) in [&host, &device].into_iter().flat_map(|s| ORDERS.map(|order| (s, order))) {
                let got = merged(shards, order).finish(ROWS, None);
                let scaled = got.matrix() * ROWS as f64;
                let error = (&scaled - &expected).norm_l2() / expected.norm_l2();
                assert!(error <= 1e-14, "{how}: {error:e}");
                // Relative to itself even the smallest eigenvalue, 1e-10 of the largest, keeps its digits in a factor.
                let least = |psd: &Psd| psd.spectrum().and_then(|s| s.values.last().copied()).expect("finite");
                let (a, b) = (least(&got), least(&whole));
                if how == "factor" {
                    assert!((a / b - 1.0).abs() <= 1e-9, "{a:e} against {b:e}");
                }
            }
        }
    }

    #[test]
    fn a_factor_and_a_gram_matrix_make_a_gram_matrix() {
        let (first, second) = (rows(0, 30), rows(30, 50));
        let expected = first.transpose() * &first + second.transpose() * &second;
        let factor = || {
            let mut sum = Accumulator::new(DIM, 30, f64::EPSILON, f64::INFINITY);
            sum.push(&first);
            sum
        };
        let gram = || {
            let mut sum = Accumulator::new(DIM, 50, f64::EPSILON, 0.0);
            sum.push(&second);
            sum
        };
        for (mut sum, other) in [(factor(), gram()), (gram(), factor())] {
            sum.merge(&other);
            assert_eq!(sum.rows(), 80);
            assert!(matches!(sum.kept, Kept::Gram { .. }));
            let map = rows(80, DIM);
            let got = sum.finish(2, Some(&map));
            let expected = map.transpose() * &expected * &map * 0.5;
            assert!((got.matrix() - &expected).norm_l2() <= 1e-14 * expected.norm_l2());
        }
    }
}
