//! How far A is from the family κB^α, and why.
//!
//! With eigenpairs (g, v) of B and m = vᵀAv, the squared misfit splits exactly:
//!
//! ```text
//! δ² = directions² + order² + shape²
//! directions²   A's mass outside B's eigenspaces: no function of B could repair it; of a B that is
//!               not symmetric also its antisymmetric part, and S takes B's place in the others
//! order²        m against its isotonic regression along g: no increasing function could
//! shape²        the rest: increasing, but not of the law's form
//! ```
//!
//! Equal eigenvalues (the null space among them) are pooled into one projector, on which A is
//! compared with a multiple of the identity.

use faer::ColRef;

use crate::judge::family::Family;
use crate::judge::isotonic::isotonic;
use crate::judge::right::Right;
use crate::matrix::Mat;
use crate::matrix::psd::{Psd, RankRule, Spectrum};
use crate::matrix::{symmetric, tolerance};

/// The exponents that are searched.
pub const ALPHA_RANGE: [f64; 2] = [0.001, 4.0];

/// A pool of equal eigenvalues of B, and what A is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// The eigenvalue of B (of its symmetric part); exactly 0 for the null space.
    pub g: f64,
    /// tr(ΠA) / dim.
    pub m: f64,
    /// Its dimension.
    pub dim: usize,
}

/// A in the eigenbasis of B.
#[derive(Clone, Debug)]
pub struct Seen {
    /// B's eigenpairs.
    pub spectrum: Spectrum,
    /// VᵀAV in the order of B's descending eigenvalues, `[d, d]`; in a frame `[r, r]`, outside of
    /// which A is 0.
    pub rotated: Mat,
    /// Σ_{j≠i} of its squared entries, by row.
    pub leaks: Vec<f64>,
    /// Equal eigenvalues pooled, descending.
    pub pools: Vec<Pool>,
    /// |A| (Frobenius).
    pub norm: f64,
    /// |K|: what of B is antisymmetric.
    pub skew: f64,
    /// directions² · |A|²: squared mass that no function of B has.
    pub outside: f64,
}

impl Seen {
    /// Rotates A into B's eigenbasis; `None` where B has none ([`Psd::spectrum`]).
    pub fn new(a: &Psd, b: &Psd) -> Option<Self> {
        let (a, b) = Psd::aligned(a, b);
        Some(Self::within(a.core(), b.spectrum()?.clone(), 0.0))
    }

    /// As [`Seen::new`], of any B: of a square one the symmetric part's eigenbasis.
    pub fn against(a: &Psd, b: &Right) -> Option<Self> {
        match b {
            Right::Psd(b) => Self::new(a, b),
            Right::Square(b) => Some(Self::within(a.matrix(), b.spectrum()?, b.skew())),
        }
    }

    /// Of A in the coordinates of B's frame, and |K|.
    fn within(a: &Mat, b: Spectrum, skew: f64) -> Self {
        let rotated = symmetric::product((b.vectors.transpose() * a).as_ref(), b.vectors.as_ref());
        let (r, d) = (b.values.len(), b.dim());
        let leaks: Vec<f64> = (0..r).map(|i| off_diagonal(rotated.col(i), i)).collect();
        let ends = [b.values.first(), b.values.last()];
        let top = ends.into_iter().flatten().map(|g| g.abs()).fold(0.0, f64::max);
        let mut pools: Vec<Pool> = Vec::new();
        let width = |g: f64| match b.rule {
            RankRule::Gram => tolerance::pool_of_gram(d, b.eps) * top,
            RankRule::Stacked | RankRule::Product | RankRule::StreamedQr => {
                tolerance::pool(d, b.eps) * (g * top).sqrt()
            }
        };
        let mut outside = skew * skew;
        let mut start = 0;
        while start < r {
            let mut end = start + 1;
            // From the pool's first, so that a chain of small steps is no pool; a zero is exact.
            let first = b.values[start];
            let of_one_sign = |g: f64| g != 0.0 && first != 0.0 && (g > 0.0) == (first > 0.0);
            let same = |g: f64| g == first || (of_one_sign(g) && first - g <= width(first));
            while end < r && same(b.values[end]) {
                end += 1;
            }
            // Outside the frame B is 0, and so is A.
            let padding = if first == 0.0 { b.padding() } else { 0 };
            let dim = end - start + padding;
            let m = (start..end).map(|i| rotated[(i, i)]).sum::<f64>() / dim as f64;
            outside += padding as f64 * m * m;
            // Within the pool what deviates from m·I, outside it every off-diagonal entry.
            outside += (start..end).map(|i| (rotated[(i, i)] - m).powi(2) + leaks[i]).sum::<f64>();
            let g = b.values[start..end].iter().sum::<f64>() / (end - start) as f64;
            pools.push(Pool { g, m, dim });
            start = end;
        }
        if b.padding() > 0 && pools.last().is_some_and(|pool| pool.g > 0.0) {
            pools.push(Pool { g: 0.0, m: 0.0, dim: b.padding() });
        }
        let norm = crate::matrix::squared_norm(a).sqrt();
        Seen { spectrum: b, rotated, leaks, pools, norm, skew, outside }
    }

    /// d.
    pub fn dim(&self) -> usize {
        self.spectrum.dim()
    }

    /// Pools with a positive eigenvalue.
    pub fn positive(&self) -> impl Iterator<Item = &Pool> {
        self.pools.iter().filter(|pool| pool.g > 0.0)
    }

    /// The largest |g| of the pools.
    pub(crate) fn top(&self) -> f64 {
        self.pools.iter().map(|pool| pool.g.abs()).fold(0.0, f64::max)
    }

    /// |S₋|: what of B is negative.
    pub(crate) fn negative(&self) -> f64 {
        self.pools.iter().map(|pool| pool.dim as f64 * pool.g.min(0.0).powi(2)).sum::<f64>().sqrt()
    }

    /// Σ (m - value(g))² over the pools, by dimension.
    fn distance(&self, value: impl Fn(f64) -> f64) -> f64 {
        self.pools.iter().map(|pool| pool.dim as f64 * (pool.m - value(pool.g)).powi(2)).sum()
    }

    /// The isotonic part: Σ (m - iso(m))² over the pools along increasing g.
    fn disorder(&self) -> f64 {
        let m: Vec<f64> = self.pools.iter().rev().map(|pool| pool.m).collect();
        let dims: Vec<f64> = self.pools.iter().rev().map(|pool| pool.dim as f64).collect();
        isotonic(&m, &dims).iter().zip(&m).zip(&dims).map(|((iso, m), dim)| dim * (m - iso).powi(2)).sum()
    }
}

/// (g/top)^α with the sign of g, so that no power overflows; 0^α = 0.
pub(crate) fn power(g: f64, top: f64, alpha: f64) -> f64 {
    if g == 0.0 { 0.0 } else { (g.abs() / top).powf(alpha).copysign(g) }
}

/// Σ_{j≠i} x_j².
fn off_diagonal(column: ColRef<'_, f64>, i: usize) -> f64 {
    let rows = column.nrows();
    column.get(..i).squared_norm_l2() + column.get(i + 1..rows).squared_norm_l2()
}

/// The three causes of a misfit; their squares add to its square.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Parts {
    /// No function of B could repair this.
    pub directions: f64,
    /// No increasing function of B could.
    pub order: f64,
    /// Increasing, but not of the law's form.
    pub shape: f64,
}

/// The best member of the family, and what is left.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The exponent of the least misfit; `None` where B has fewer than two distinct positive
    /// eigenvalues, so that every exponent fits alike; 1 where the family fixes it.
    pub alpha: Option<f64>,
    /// The factor that goes with it.
    pub kappa: f64,
    /// δ = |A - κB^α| / |A|.
    pub misfit: f64,
    /// Why.
    pub parts: Parts,
    /// Whether the exponent ran to the search's lower or upper end.
    pub at_end: Option<End>,
}

/// An end of the search for the exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// [`ALPHA_RANGE`]`[0]`: B^α becomes a projector; there is no positive exponent.
    Lower,
    /// [`ALPHA_RANGE`]`[1]`.
    Upper,
}

impl Fit {
    /// Fits a family; `None` where A is zero or B is, or where |A|² or δ² is no number.
    pub fn new(seen: &Seen, family: Family) -> Option<Fit> {
        let top = Some(seen.top()).filter(|&top| top > 0.0)?;
        let norm2 = seen.norm * seen.norm;
        // Also where it over- or underflows: no share of it would mean anything.
        if !norm2.is_normal() {
            return None;
        }
        let distinct = seen.positive().count() >= 2;
        let alpha = match family {
            Family::Power if distinct => Some(best_exponent(seen, top)),
            Family::Power => None,
            Family::Proportional | Family::Equal => Some(1.0),
        };
        // With one distinct eigenvalue every exponent gives the same projector.
        let exponent = alpha.unwrap_or(1.0);
        // κg_1^α, so that no power overflows.
        let (unit, kappa) = match family {
            Family::Equal => (top, 1.0),
            Family::Power | Family::Proportional => {
                let unit = scale(seen, top, exponent);
                (unit, unit / top.powf(exponent))
            }
        };
        let left = seen.distance(|g| unit * power(g, top, exponent));
        let misfit2 = (seen.outside + left) / norm2;
        if !misfit2.is_finite() {
            return None;
        }
        let disorder = seen.disorder();
        let at_end = match (family, alpha) {
            (Family::Power, Some(a)) if a <= ALPHA_RANGE[0] => Some(End::Lower),
            (Family::Power, Some(a)) if a >= ALPHA_RANGE[1] => Some(End::Upper),
            _ => None,
        };
        Some(Fit {
            alpha,
            kappa,
            misfit: misfit2.sqrt(),
            parts: Parts {
                directions: (seen.outside / norm2).sqrt(),
                order: (disorder / norm2).sqrt(),
                // m that rises already is its own regression to the bit, so a small shape is not
                // a difference of large numbers.
                shape: ((left - disorder).max(0.0) / norm2).sqrt(),
            },
            at_end,
        })
    }
}

/// The κ of the least squares for (g/g_1)^α.
fn scale(seen: &Seen, top: f64, alpha: f64) -> f64 {
    let (mut cross, mut square) = (0.0, 0.0);
    for pool in seen.positive() {
        let power = (pool.g / top).powf(alpha);
        cross += pool.dim as f64 * pool.m * power;
        square += pool.dim as f64 * power * power;
    }
    cross / square
}

/// The exponent of the least misfit in [`ALPHA_RANGE`].
///
/// A grid of 12 octaves finds the sign changes of the cosine's derivative (two within one of its 3 to 5 %
/// steps would hide each other); bisection takes each to
/// rounding; the least residual (a sum of squares, where cosines would all round to 1) wins.
fn best_exponent(seen: &Seen, top: f64) -> f64 {
    let pools: Vec<(f64, f64, f64)> =
        seen.positive().map(|pool| ((pool.g / top).ln(), pool.m, pool.dim as f64)).collect();
    // d log cos / d alpha, up to a positive factor: Σ w m p (ln g - mean of ln g under w p²), p = g^α.
    let slope = |powers: &[f64]| {
        let (mut square, mut mean) = (0.0, 0.0);
        for (&(log, _, dim), p) in pools.iter().zip(powers) {
            let weight = dim * p * p;
            square += weight;
            mean += weight * log;
        }
        mean /= square;
        pools.iter().zip(powers).map(|(&(log, m, dim), p)| dim * m * p * (log - mean)).sum::<f64>()
    };
    let powers = |alpha: f64| pools.iter().map(|(log, ..)| (alpha * log).exp()).collect::<Vec<f64>>();
    let residual = |alpha: f64| {
        let kappa = scale(seen, top, alpha);
        pools.iter().map(|&(log, m, dim)| dim * (m - kappa * (alpha * log).exp()).powi(2)).sum::<f64>()
    };
    // Octave by octave, each in steps of equal size: within one the powers at the next place are those here
    // times those of the step, so that an exponential is taken per octave and not per place.
    const OCTAVES: u32 = 12;
    const STEPS: u32 = 21;
    let [low, high] = ALPHA_RANGE;
    let mut candidates = vec![low, high];
    let mut before = (low, slope(&powers(low)));
    for octave in (1..=OCTAVES).rev() {
        // The first starts a little below `low`; its first step is above.
        let start = high / f64::from(1 << octave);
        let (mut here, step) = (powers(start), powers(start / f64::from(STEPS)));
        for k in 1..=STEPS {
            here.iter_mut().zip(&step).for_each(|(power, step)| *power *= step);
            let alpha = start * (1.0 + f64::from(k) / f64::from(STEPS));
            let after = (alpha, slope(&here));
            if before.1 > 0.0 && after.1 <= 0.0 {
                candidates.push(bisect(before.0, after.0, |alpha| slope(&powers(alpha))));
            }
            before = after;
        }
    }
    candidates.into_iter().min_by(|a, b| residual(*a).total_cmp(&residual(*b))).unwrap_or(low)
}

/// The root between a positive and a non-positive value of a function.
fn bisect(mut low: f64, mut high: f64, f: impl Fn(f64) -> f64) -> f64 {
    loop {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            return middle;
        }
        if f(middle) > 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mat;

    fn fit(a: Mat, b: Mat, family: Family) -> Fit {
        let seen = Seen::new(&Psd::gram(a), &Psd::gram(b)).expect("finite");
        Fit::new(&seen, family).expect("neither is zero")
    }

    #[test]
    fn recovers_an_exact_power() {
        let b = Psd::gram(mat(&[[2.0, 0.5, 0.0], [0.5, 1.0, 0.2], [0.0, 0.2, 3.0]]));
        for alpha in [0.2, 1.0 / 3.0, 0.5, 1.0, 2.5] {
            let a = b.spectrum().expect("finite").power(alpha);
            let fit = fit(&a * 7.0, b.matrix().clone(), Family::Power);
            assert!((fit.alpha.expect("distinct") - alpha).abs() < 1e-12);
            assert!((fit.kappa - 7.0).abs() < 1e-12);
            assert!(fit.misfit < 1e-14);
        }
    }

    #[test]
    fn equal_is_scored_by_distance_and_may_exceed_one() {
        let fit = fit(mat(&[[1.0, 0.0], [0.0, 1.0]]), mat(&[[4.0, 0.0], [0.0, 4.0]]), Family::Equal);
        assert!((fit.misfit - 3.0).abs() < 1e-15);
        assert_eq!((fit.parts.directions, fit.parts.order), (0.0, 0.0));
    }

    #[test]
    fn a_flat_spectrum_has_no_exponent() {
        let fit = fit(mat(&[[1.0, 0.0], [0.0, 2.0]]), mat(&[[3.0, 0.0], [0.0, 3.0]]), Family::Power);
        assert_eq!(fit.alpha, None);
        assert!((fit.misfit - (0.5f64 / 5.0).sqrt()).abs() < 1e-15);
    }
}
