//! Two matrices as they are, without exponent or factor: the measures that prior work reports of an equality.

use faer::MatRef;

use crate::judge::pair::Pair;
use crate::judge::right::Right;
use crate::matrix::Mat;
use crate::matrix::tolerance;

/// A against any square B. What is undefined is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Agreement {
    /// <A, B> / (|A| |B|).
    pub cosine: Option<f64>,
    /// Pearson correlation of all d² entries.
    pub pearson: Option<f64>,
    /// Of the entries off the diagonal.
    pub pearson_offdiag: Option<f64>,
    /// Rank correlation of all d² entries, ties by their mean rank.
    pub spearman: Option<f64>,
    /// |A - B| / |A|.
    pub relative_error: Option<f64>,
    /// tr B / tr A.
    pub trace_ratio: Option<f64>,
    /// Cosine with (BBᵀ)^(1/2), the symmetric form of arXiv:2507.05644: B's sign is lost in it.
    pub rooted_cosine: Option<f64>,
    /// Pearson correlation with (BBᵀ)^(1/2).
    pub rooted_pearson: Option<f64>,
}

/// Ranks sort all d² entries; beyond this d they are left out.
const RANKS_UP_TO: usize = 1024;

impl Agreement {
    /// Measures it.
    pub fn new(pair: &Pair) -> Self {
        let (a, b) = (pair.a.matrix(), pair.b.matrix());
        if a.shape() != b.shape() || !a.is_all_finite() || !b.is_all_finite() {
            return Agreement::default();
        }
        let size = a.norm_l2();
        let trace = pair.a.trace();
        let over = |value: f64, by: f64| (by > 0.0).then(|| value / by).filter(|value| value.is_finite());
        let rooted = rooted(&pair.b);
        Agreement {
            cosine: cosine(a.as_ref(), b.as_ref()),
            pearson: correlation(a, b, true),
            pearson_offdiag: correlation(a, b, false),
            spearman: (a.nrows() <= RANKS_UP_TO).then(|| spearman(a, b)).flatten(),
            relative_error: over((a - b).norm_l2(), size),
            trace_ratio: over(pair.b.trace(), trace),
            rooted_cosine: rooted.as_ref().and_then(|root| cosine(a.as_ref(), root.as_ref())),
            rooted_pearson: rooted.as_ref().and_then(|root| correlation(a, root, true)),
        }
    }
}

fn cosine(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Option<f64> {
    let inner: f64 = a.col_iter().zip(b.col_iter()).map(|(a, b)| a.transpose() * b).sum();
    let size = a.norm_l2() * b.norm_l2();
    (size > 0.0).then(|| (inner / size).clamp(-1.0, 1.0)).filter(|cosine| cosine.is_finite())
}

/// (BBᵀ)^(1/2) = U S Uᵀ of B = U S Vᵀ.
fn rooted(b: &Right) -> Option<Mat> {
    let b = b.matrix();
    let found = b.svd().ok()?;
    let (u, s) = (found.U(), found.S().column_vector());
    let scaled = Mat::from_fn(u.nrows(), u.ncols(), |i, k| u[(i, k)] * s[k]);
    Some(scaled * u.transpose())
}

/// Of all entries, or of those off the diagonal; `None` where what remains of one side after its mean is rounding.
fn correlation(x: &Mat, y: &Mat, diagonal: bool) -> Option<f64> {
    let d = x.nrows();
    let pairs = || {
        let column = |j: usize| x.col_as_slice(j).iter().zip(y.col_as_slice(j)).enumerate();
        (0..d).flat_map(move |j| column(j).filter(move |(i, _)| diagonal || *i != j).map(|(_, (x, y))| (*x, *y)))
    };
    let noise = tolerance::rounding(d);
    pearson(pairs, noise * x.norm_l2(), noise * y.norm_l2())
}

/// In two passes: off a dominant diagonal entries are small.
fn pearson<I: Iterator<Item = (f64, f64)>>(pairs: impl Fn() -> I, least_x: f64, least_y: f64) -> Option<f64> {
    let (mut n, mut x_mean, mut y_mean) = (0.0, 0.0, 0.0);
    pairs().for_each(|(x, y)| (n, x_mean, y_mean) = (n + 1.0, x_mean + x, y_mean + y));
    let (x_mean, y_mean) = (x_mean / n, y_mean / n);
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (x, y) in pairs() {
        let (x, y) = (x - x_mean, y - y_mean);
        (xx, yy, xy) = (xx + x * x, yy + y * y, xy + x * y);
    }
    let (x, y) = (f64::sqrt(xx), f64::sqrt(yy));
    (n > 0.0 && x > least_x && y > least_y).then(|| (xy / (x * y)).clamp(-1.0, 1.0))
}

fn spearman(x: &Mat, y: &Mat) -> Option<f64> {
    let entries = |m: &Mat| -> Vec<f64> { (0..m.ncols()).flat_map(|j| m.col_as_slice(j).iter().copied()).collect() };
    let (x, y) = (ranks(&entries(x)), ranks(&entries(y)));
    pearson(|| x.iter().copied().zip(y.iter().copied()), 0.0, 0.0)
}

/// From 0; equal values share the mean of their places.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let mut end = start + 1;
        while end < order.len() && values[order[end]] == values[order[start]] {
            end += 1;
        }
        order[start..end].iter().for_each(|&at| ranks[at] = 0.5 * (start + end - 1) as f64);
        start = end;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::right::Square;
    use crate::mat;
    use crate::matrix::psd::Psd;

    #[test]
    fn a_sign_and_an_order_are_seen_and_the_rooted_form_loses_the_sign() {
        let a = mat(&[[2.0, 0.5], [0.5, 1.0]]);
        let of = |b: Mat| Agreement::new(&Pair::new(Psd::gram(a.clone()), Square::new(b, f64::EPSILON)));
        let same = of(a.clone());
        assert!(
            [same.cosine, same.pearson, same.spearman, same.trace_ratio, same.rooted_cosine, same.rooted_pearson]
                .into_iter()
                .all(|value| (value.expect("defined") - 1.0).abs() < 1e-14)
        );
        assert_eq!(same.relative_error, Some(0.0));
        let turned = of(&a * -1.0);
        assert!((turned.cosine.expect("defined") + 1.0).abs() < 1e-15);
        assert!((turned.relative_error.expect("defined") - 2.0).abs() < 1e-15);
        assert_eq!(turned.trace_ratio, Some(-1.0));
        assert!((turned.rooted_cosine.expect("defined") - 1.0).abs() < 1e-14, "its sign is lost");
        assert!((turned.spearman.expect("defined") + 1.0).abs() < 1e-14);
    }

    #[test]
    fn ties_share_a_rank_and_what_is_flat_has_no_correlation() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [2.5, 0.0, 2.5, 1.0]);
        let pair =
            Pair::new(Psd::gram(mat(&[[1.0, 1.0], [1.0, 1.0]])), Square::new(mat(&[[1.0, 2.0], [3.0, 4.0]]), 0.0));
        let found = Agreement::new(&pair);
        assert_eq!((found.pearson, found.pearson_offdiag, found.spearman), (None, None, None));
        assert!(found.cosine.is_some());
    }
}
