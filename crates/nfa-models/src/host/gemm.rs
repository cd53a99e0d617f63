//! Matrix products of slices, through the `gemm` crate.
//!
//! An entry of a product is summed over k in one order, whatever the number of threads and however
//! rows and columns of the result are split among calls; a test holds that. So results don't depend
//! on how many cores there are.

use std::ops::Range;

use ::gemm::{Parallelism, gemm};

use crate::host::{Cores, Real};

/// A matrix in a slice, row-major or transposed.
#[derive(Clone, Copy, Debug)]
pub struct View<'a, T> {
    data: &'a [T],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a, T: Real> View<'a, T> {
    /// The first `rows * cols` numbers of a slice, row-major.
    ///
    /// # Panics
    /// Where there are fewer.
    pub fn new(data: &'a [T], rows: usize, cols: usize) -> Self {
        View { data: &data[..rows * cols], rows, cols, row_stride: cols, col_stride: 1 }
    }

    /// The transpose.
    #[must_use]
    pub fn t(self) -> Self {
        View {
            data: self.data,
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }

    /// Its rows, of a matrix that is not transposed.
    pub fn row_slices(self) -> impl Iterator<Item = &'a [T]> {
        debug_assert!(self.col_stride == 1, "numbers of a row side by side");
        let View { data, rows, cols, row_stride, .. } = self;
        data.chunks(row_stride.max(1)).take(rows).map(move |row| &row[..cols])
    }

    /// Its size, rows first.
    pub fn size(self) -> [usize; 2] {
        [self.rows, self.cols]
    }

    /// One of its numbers.
    ///
    /// # Panics
    /// Where there is none.
    pub fn at(self, row: usize, col: usize) -> T {
        self.data[row * self.row_stride + col * self.col_stride]
    }

    /// Some of its columns.
    ///
    /// # Panics
    /// Where there are fewer.
    #[must_use]
    pub fn columns(self, columns: Range<usize>) -> Self {
        assert!(columns.start <= columns.end && columns.end <= self.cols, "columns {columns:?} of {}", self.cols);
        let start = (columns.start * self.col_stride).min(self.data.len());
        View { data: &self.data[start..], cols: columns.len(), ..self }
    }
}

/// Whether a product starts from nothing or from what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Into {
    /// C ← AB
    Set,
    /// C ← C + AB
    Add,
}

/// C ← AB or C + AB, C in rows of `stride` numbers of which the first are written.
///
/// # Shapes
/// a: `[m, k]`, b: `[k, n]`, c: `[m, n]` within `[m, stride]`
///
/// # Panics
/// Where shapes don't fit.
pub fn product<T: Real>(c: &mut [T], stride: usize, how: Into, a: View<'_, T>, b: View<'_, T>, cores: Cores) {
    let (m, n, k) = (a.rows, b.cols, a.cols);
    assert_eq!(k, b.rows, "the inner sizes of a product");
    if m == 0 || n == 0 {
        return;
    }
    let last = |view: View<'_, T>| (view.rows - 1) * view.row_stride + (view.cols - 1) * view.col_stride;
    assert!(k == 0 || (last(a) < a.data.len() && last(b) < b.data.len()), "a view reaches beyond its slice");
    assert!(stride >= n && (m - 1) * stride + n <= c.len(), "the result of a product reaches beyond its slice");
    let (one, add) = (T::from_f64(1.0), how == Into::Add);
    let strides = |view: View<'_, T>| (view.col_stride as isize, view.row_stride as isize);
    let ((a_cols, a_rows), (b_cols, b_rows)) = (strides(a), strides(b));
    let threads = match cores.count() {
        1 => Parallelism::None,
        threads => Parallelism::Rayon(threads),
    };
    // SAFETY: all entries that are read or written were seen to lie within their slices, `c` is borrowed
    // for writing alone, and T is f32 or f64, which `gemm` has kernels for.
    unsafe {
        gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            stride as isize,
            add,
            a.data.as_ptr(),
            a_cols,
            a_rows,
            b.data.as_ptr(),
            b_cols,
            b_rows,
            one,
            one,
            false,
            false,
            false,
            threads,
        );
    }
}

/// Columns that a panel of a Gram matrix has: narrower ones save more of the upper triangle and pack X
/// more often.
const PANEL: usize = 128;

/// The lower triangle of AᵀB, where that is known to be symmetric, at about half the work: panels of
/// rows, each up to its diagonal block, whose upper triangles are written too.
///
/// # Shapes
/// a, b: `[k, n]`; c: `[n, n]`
///
/// # Panics
/// Where shapes don't fit.
pub fn symmetric<T: Real>(c: &mut [T], how: Into, a: View<'_, T>, b: View<'_, T>, cores: Cores) {
    let n = a.cols;
    for start in (0..n).step_by(PANEL) {
        let end = (start + PANEL).min(n);
        product(&mut c[start * n..end * n], n, how, a.columns(start..end).t(), b.columns(0..end), cores);
    }
}

/// Writes the lower triangle onto the upper one.
///
/// # Shapes
/// c: `[n, n]`
pub fn mirror<T: Copy>(c: &mut [T], n: usize) {
    // Rows a power of two apart share the cache's lines: so few of them stay.
    const TILE: usize = 8;
    for top in (0..n).step_by(TILE) {
        for left in (0..=top).step_by(TILE) {
            for j in left..(left + TILE).min(n) {
                for i in top.max(j + 1)..(top + TILE).min(n) {
                    c[j * n + i] = c[i * n + j];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, salt: usize) -> Vec<f64> {
        (0..count).map(|i| (((i + salt) * 7919 % 1013) as f64 / 1013.0) - 0.5).collect()
    }

    /// From the definition.
    fn naive(a: View<'_, f64>, b: View<'_, f64>) -> Vec<f64> {
        let at = |view: View<'_, f64>, i: usize, j: usize| view.data[i * view.row_stride + j * view.col_stride];
        let entries = (0..a.rows).flat_map(|i| (0..b.cols).map(move |j| (i, j)));
        entries.map(|(i, j)| (0..a.cols).map(|k| at(a, i, k) * at(b, k, j)).sum()).collect()
    }

    #[test]
    fn products_of_every_layout_are_what_their_definition_says() {
        for (m, n, k) in [(1, 1, 1), (3, 5, 2), (17, 1, 9), (1, 40, 33), (70, 65, 130), (4, 4, 0)] {
            let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
            for a in [View::new(&a, m, k), View::new(&a, k, m).t()] {
                for b in [View::new(&b, k, n), View::new(&b, n, k).t()] {
                    let expected = naive(a, b);
                    let mut c = vec![0.25; m * (n + 3)];
                    product(&mut c, n + 3, Into::Add, a, b, Cores::One);
                    product(&mut c, n + 3, Into::Add, a, b, Cores::All);
                    for (i, row) in c.chunks(n + 3).enumerate() {
                        for (j, value) in row.iter().enumerate() {
                            let expected = 0.25 + if j < n { 2.0 * expected[i * n + j] } else { 0.0 };
                            assert!((value - expected).abs() <= 1e-14 * (1.0 + k as f64), "{m}x{n}x{k}: {i} {j}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_symmetric_product_equals_the_full_one() {
        for (n, k) in [(1, 3), (130, 40), (300, 7)] {
            let x = numbers(n * k, 3);
            let x = View::new(&x, k, n);
            let expected = naive(x.t(), x);
            for cores in [Cores::One, Cores::All] {
                let mut c = vec![0.0; n * n];
                symmetric(&mut c, Into::Set, x, x, cores);
                mirror(&mut c, n);
                assert!(c.iter().zip(&expected).all(|(c, e)| (c - e).abs() <= 1e-14 * k as f64));
            }
        }
    }

    #[test]
    fn threads_and_splits_leave_every_bit() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(5).build().expect("threads");
        for (m, n, k) in [(512, 512, 300), (64, 512, 1500), (333, 257, 1025), (250, 64, 10), (17, 900, 77)] {
            let narrow = |values: Vec<f64>| values.into_iter().map(|v| v as f32).collect::<Vec<f32>>();
            let (a, b) = (narrow(numbers(m * k, 4)), narrow(numbers(k * n, 5)));
            for a in [View::new(&a, m, k), View::new(&a, k, m).t()] {
                for b in [View::new(&b, k, n), View::new(&b, n, k).t()] {
                    let mut whole = vec![0.0; m * n];
                    product(&mut whole, n, Into::Set, a, b, Cores::One);
                    let mut many = vec![0.0; m * n];
                    pool.install(|| product(&mut many, n, Into::Set, a, b, Cores::All));
                    assert!(whole == many, "five threads, {m}x{n}x{k}");
                    let mut parts = vec![0.0; m * n];
                    for rows in [0..m / 3, m / 3..m] {
                        let part = a.t().columns(rows.clone()).t();
                        product(&mut parts[rows.start * n..rows.end * n], n, Into::Set, part, b, Cores::One);
                    }
                    assert!(whole == parts, "in two parts, {m}x{n}x{k}");
                }
            }
        }
    }
}
