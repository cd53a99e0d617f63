//! Everything else that is known to be asked for, at each exponent.
//!
//! With M = A (the NFM), G = B (the AGOP), eigenpairs g, V of G, m_i = v_iᵀMv_i and r the rank.
//! A quantity that is undefined is `None`.

use crate::judge::misfit::{Seen, power};
use crate::judge::pair::Pair;
use crate::matrix::Mat;
use crate::matrix::psd::{Psd, RankRule, Spectrum};
use crate::matrix::tolerance;

/// Quantities that depend on an exponent α.
#[derive(Clone, Debug, PartialEq)]
pub struct AlphaDetails {
    /// The exponent.
    pub alpha: f64,
    /// <M, G^α> / (|M| |G^α|).
    pub cosine: Option<f64>,
    /// |M/|M| - G^α/|G^α||² / 2, never by subtraction.
    pub one_minus_cosine: Option<f64>,
    /// The cosine after subtracting (tr / d) I from both.
    pub traceless_cosine: Option<f64>,
    /// Pearson correlation of all d² entries.
    pub pearson: Option<f64>,
    /// Of the entries off the diagonal.
    pub pearson_offdiag: Option<f64>,
    /// |M - κG^α| / |M|.
    pub relative_error: Option<f64>,
    /// <M, G^α> / |G^α|².
    pub kappa: Option<f64>,
    /// Products of the sorted spectra of M and G^α over their norms: the best any rotation reaches.
    pub cosine_sorted: Option<f64>,
    /// tr M tr G^α / (d |M| |G^α|): the mean cosine under random rotation.
    pub haar: Option<f64>,
}

/// The `details` of a layer.
#[derive(Clone, Debug)]
pub struct Details {
    /// tr M.
    pub nfm_trace: f64,
    /// tr G.
    pub agop_trace: f64,
    /// How many eigenvalues of G count.
    pub agop_rank: usize,
    /// By which rule.
    pub rank_rule: RankRule,
    /// (tr M)² / |M|².
    pub nfm_effective_rank: Option<f64>,
    /// Least squares of log m_i on log g_i.
    pub loglog_slope: Option<f64>,
    /// Its R².
    pub loglog_r2: Option<f64>,
    /// tau-b of (g_i, m_i), i <= r.
    pub kendall_tau: Option<f64>,
    /// (k, |U_kᵀV_k|² / k) of the leading eigenvectors of M and G, k <= r among 1, 3, 10.
    pub top_k_overlap: Vec<(usize, f64)>,
    /// At each exponent.
    pub at: Vec<AlphaDetails>,
}

/// Which k the overlap is taken at.
pub const OVERLAPS: [usize; 3] = [1, 3, 10];

impl Details {
    /// Measures them; `None` where a spectrum does not exist, or B is more than symmetric PSD.
    pub fn new(pair: &Pair, alphas: &[f64]) -> Option<Self> {
        let seen = pair.seen()?;
        let (m, g) = Psd::aligned(&pair.a, pair.b.psd()?);
        let spectrum = &seen.spectrum;
        let own = m.spectrum()?;
        let norm2 = seen.norm * seen.norm;
        let pairs: Vec<(f64, f64)> = (0..spectrum.rank).map(|i| (spectrum.values[i], seen.rotated[(i, i)])).collect();
        let (loglog_slope, loglog_r2) = loglog(&pairs);
        let top_k_overlap = OVERLAPS
            .into_iter()
            .filter(|&k| k <= spectrum.rank)
            .map(|k| {
                let overlap = own.vectors.subcols(0, k).transpose() * spectrum.vectors.subcols(0, k);
                (k, crate::matrix::squared_norm(&overlap) / k as f64)
            })
            .collect();
        Some(Details {
            nfm_trace: m.trace(),
            agop_trace: g.trace(),
            agop_rank: spectrum.rank,
            rank_rule: spectrum.rule,
            nfm_effective_rank: (norm2 > 0.0).then(|| m.trace().powi(2) / norm2),
            loglog_slope,
            loglog_r2,
            kendall_tau: kendall(&pairs),
            top_k_overlap,
            at: alphas.iter().map(|&alpha| at(seen, own, &m, alpha)).collect(),
        })
    }
}

/// Correlations look at all d² entries; beyond this d they are left out.
const ENTRIES_UP_TO: usize = 8192;

fn at(seen: &Seen, own: &Spectrum, m: &Psd, alpha: f64) -> AlphaDetails {
    let spectrum = &seen.spectrum;
    let r = spectrum.values.len();
    let rank = spectrum.rank;
    let top = spectrum.values.first().copied().unwrap_or(0.0);
    if seen.norm == 0.0 || rank == 0 {
        return AlphaDetails {
            alpha,
            cosine: None,
            one_minus_cosine: None,
            traceless_cosine: None,
            pearson: None,
            pearson_offdiag: None,
            relative_error: None,
            kappa: None,
            cosine_sorted: None,
            haar: None,
        };
    }
    // (G/g_1)^α: scale-free, so no power over- or underflows.
    let power: Vec<f64> = spectrum.values.iter().map(|&g| power(g, top, alpha)).collect();
    let size = power.iter().map(|p| p * p).sum::<f64>().sqrt();
    let inner: f64 = (0..rank).map(|i| seen.rotated[(i, i)] * power[i]).sum();
    let kappa = inner / (size * size);
    // Both distances are sums of squares over M in G's eigenbasis.
    let leaked: f64 = seen.leaks.iter().sum();
    let along = |f: &dyn Fn(f64, f64) -> f64| (0..r).map(|i| f(seen.rotated[(i, i)], power[i]).powi(2)).sum::<f64>();
    let unit_distance = leaked / (seen.norm * seen.norm) + along(&|m, p| m / seen.norm - p / size);
    let error = leaked + along(&|m, p| m - kappa * p);
    let [pearson, pearson_offdiag] = if seen.dim() <= ENTRIES_UP_TO {
        correlations(m.matrix(), &spectrum.map(|g| (g / top).powf(alpha)), (seen.norm, size))
    } else {
        [None, None]
    };
    let sorted: f64 = own.values.iter().zip(&power).map(|(m, p)| m * p).sum();
    let own_norm = own.values.iter().map(|m| m * m).sum::<f64>().sqrt();
    AlphaDetails {
        alpha,
        cosine: Some(inner / (seen.norm * size)),
        one_minus_cosine: Some(0.5 * unit_distance),
        traceless_cosine: traceless_cosine(seen, alpha),
        pearson,
        pearson_offdiag,
        relative_error: Some(error.sqrt() / seen.norm),
        kappa: Some(kappa / top.powf(alpha)).filter(|k| k.is_finite()),
        cosine_sorted: Some(sorted / (own_norm * size)),
        haar: Some(haar(seen, alpha)),
    }
}

/// Correlations of all entries of symmetric matrices, and of those off the diagonal. `None` where what
/// remains of one side after its mean is rounding of the whole matrix, whose norms are given.
fn correlations(x: &Mat, y: &Mat, norms: (f64, f64)) -> [Option<f64>; 2] {
    let d = x.nrows();
    let noise = tolerance::rounding(d);
    // In two passes over the entries: off a dominant diagonal they are small, and differences of
    // sums over all entries would be rounding.
    [true, false].map(|diagonal| {
        let n = (d * d - if diagonal { 0 } else { d }) as f64;
        let [x_mean, y_mean, _] = sums(x, y, diagonal, |x, y| [x, y, 0.0]).map(|sum| sum / n);
        let [xx, yy, xy] = sums(x, y, diagonal, |x, y| {
            let (x, y) = (x - x_mean, y - y_mean);
            [x * x, y * y, x * y]
        });
        let (x, y) = (xx.sqrt(), yy.sqrt());
        (n > 0.0 && x > noise * norms.0 && y > noise * norms.1).then(|| xy / (x * y))
    })
}

/// Σ f(x_ij, y_ij) of symmetric matrices, with or without their diagonals.
fn sums(x: &Mat, y: &Mat, diagonal: bool, f: impl Fn(f64, f64) -> [f64; 3]) -> [f64; 3] {
    let mut total = [0.0; 3];
    for j in 0..x.ncols() {
        let (x, y) = (&x.col_as_slice(j)[j..], &y.col_as_slice(j)[j..]);
        let mut below = [0.0; 3];
        for (x, y) in x.iter().zip(y).skip(1) {
            let terms = f(*x, *y);
            (0..3).for_each(|k| below[k] += terms[k]);
        }
        let own = if diagonal { f(x[0], y[0]) } else { [0.0; 3] };
        (0..3).for_each(|k| total[k] += 2.0 * below[k] + own[k]);
    }
    total
}

/// tr A tr B^α / (d |A| |B^α|).
pub(crate) fn haar(seen: &Seen, alpha: f64) -> f64 {
    let top = seen.top();
    let (mut trace_a, mut trace_b, mut square) = (0.0, 0.0, (seen.skew / top).powi(2));
    let mut d = 0;
    for pool in &seen.pools {
        let dim = pool.dim as f64;
        trace_a += dim * pool.m;
        d += pool.dim;
        let power = power(pool.g, top, alpha);
        trace_b += dim * power;
        square += dim * power * power;
    }
    trace_a * trace_b / (d as f64 * seen.norm * square.sqrt())
}

/// Cosine of the traceless parts of A and B^α; `None` where one of them is rounding.
pub(crate) fn traceless_cosine(seen: &Seen, alpha: f64) -> Option<f64> {
    let (r, d) = (seen.rotated.nrows(), seen.dim());
    let top = seen.top();
    let powers = seen.pools.iter().flat_map(|pool| std::iter::repeat_n(power(pool.g, top, alpha), pool.dim));
    let power: Vec<f64> = powers.collect();
    let mean = power.iter().sum::<f64>() / d as f64;
    let trace = (0..r).map(|i| seen.rotated[(i, i)]).sum::<f64>() / d as f64;
    let (mut inner, mut a2, mut b2) = (0.0, 0.0, 0.0);
    for (i, power) in power.iter().enumerate() {
        let diagonal = if i < r { seen.rotated[(i, i)] } else { 0.0 } - trace;
        inner += diagonal * (power - mean);
        a2 += diagonal * diagonal;
        b2 += (power - mean).powi(2);
    }
    a2 += seen.leaks.iter().sum::<f64>();
    let size2: f64 = power.iter().map(|p| p * p).sum();
    let noise = tolerance::rounding(d).powi(2);
    (a2 > noise * seen.norm * seen.norm && b2 > noise * size2).then(|| inner / (a2.sqrt() * b2.sqrt()))
}

/// Slope and R² of log m on log g over g > 1e-10 g_1, m > 0; `None` below two distinct points.
fn loglog(pairs: &[(f64, f64)]) -> (Option<f64>, Option<f64>) {
    let top = pairs.first().map_or(0.0, |p| p.0);
    let points: Vec<(f64, f64)> =
        pairs.iter().filter(|&&(g, m)| g > 1e-10 * top && m > 0.0).map(|&(g, m)| (g.ln(), m.ln())).collect();
    let n = points.len() as f64;
    let mean = |f: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(f).sum::<f64>() / n;
    let (mx, my) = (mean(&|p| p.0), mean(&|p| p.1));
    let xx: f64 = points.iter().map(|p| (p.0 - mx).powi(2)).sum();
    let yy: f64 = points.iter().map(|p| (p.1 - my).powi(2)).sum();
    let xy: f64 = points.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum();
    if points.len() < 2 || xx <= (tolerance::pool(points.len(), f64::EPSILON)).powi(2) * n {
        return (None, None);
    }
    (Some(xy / xx), (yy > 0.0).then(|| xy * xy / (xx * yy)))
}

/// Kendall's tau-b; `None` below two points or where one side is all ties.
fn kendall(pairs: &[(f64, f64)]) -> Option<f64> {
    let (mut score, mut x_pairs, mut y_pairs) = (0.0, 0.0, 0.0);
    for (i, a) in pairs.iter().enumerate() {
        for b in &pairs[..i] {
            let sign = |d: f64| if d == 0.0 { 0.0 } else { d.signum() };
            let (x, y) = (sign(a.0 - b.0), sign(a.1 - b.1));
            score += x * y;
            x_pairs += x.abs();
            y_pairs += y.abs();
        }
    }
    (x_pairs > 0.0 && y_pairs > 0.0).then(|| score / (f64::sqrt(x_pairs) * f64::sqrt(y_pairs)))
}
