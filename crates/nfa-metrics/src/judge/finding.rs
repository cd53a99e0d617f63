//! The engine: any pair of matrices in, exponent, misfit, certificates, nulls and verdict out.

use crate::judge::certificate::{Certificate, certificates};
use crate::judge::details::traceless_cosine;
use crate::judge::family::Family;
use crate::judge::interval::{Interval, IntervalSource, Spread};
use crate::judge::misfit::{Fit, Parts, Seen};
use crate::judge::pair::Pair;
use crate::judge::verdict::{Evidence, Rows, Thresholds, Verdict, judge};

/// What a misfit is compared with.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Null {
    /// The misfit of a randomly rotated A: √(1 - haar(α)²).
    pub haar: Option<f64>,
    /// The misfit at initialisation, where known.
    pub init: Option<f64>,
}

/// One direction of the fan: A seen along one eigenvector of B.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Direction {
    /// Eigenvalue of B, descending; 0 beyond its rank.
    pub g: f64,
    /// vᵀAv.
    pub m: f64,
    /// Off-diagonal mass of A in this row of B's eigenbasis.
    pub leak: f64,
}

/// A law measured at a layer. What is undefined is `None`.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The exponent of the least misfit.
    pub alpha: Option<f64>,
    /// Its interval; `None` without a source of variation.
    pub alpha_interval: Option<Interval>,
    /// What varies in the intervals.
    pub interval_source: IntervalSource,
    /// The exponent that theory predicts.
    pub predicted: Option<f64>,
    /// Whether the two agree.
    pub exponent_agrees: Option<bool>,
    /// The factor of the best fit.
    pub kappa: Option<f64>,
    /// δ.
    pub misfit: Option<f64>,
    /// Its interval.
    pub misfit_interval: Option<Interval>,
    /// Why: the three parts.
    pub parts: Option<Parts>,
    /// Bounds that no exponent escapes, the largest margin first.
    pub certificates: Vec<Certificate>,
    /// What the misfit is compared with.
    pub null: Null,
    /// The verdict.
    pub verdict: Verdict,
    /// In words.
    pub reason: String,
    /// What the fan draws.
    pub directions: Vec<Direction>,
}

impl Finding {
    fn undetermined(predicted: Option<f64>, init: Option<f64>, reason: &str) -> Self {
        Finding { predicted, ..Finding::nothing(Verdict::Undetermined, init, reason) }
    }

    /// A verdict without measurements.
    pub(crate) fn nothing(verdict: Verdict, init: Option<f64>, reason: &str) -> Self {
        Finding {
            alpha: None,
            alpha_interval: None,
            interval_source: IntervalSource::None,
            predicted: None,
            exponent_agrees: None,
            kappa: None,
            misfit: None,
            misfit_interval: None,
            parts: None,
            certificates: Vec::new(),
            null: Null { haar: None, init },
            verdict,
            reason: reason.into(),
            directions: Vec::new(),
        }
    }
}

/// Measures a pair: exponent, misfit and its parts, certificates, nulls, verdict.
///
/// `init` is the misfit at initialisation, shown beside and no condition.
pub fn assess(pair: &Pair, family: Family, init: Option<f64>, thresholds: &Thresholds) -> Finding {
    assess_with(pair, family, thresholds, Known { init, ..Known::default() })
}

/// What is known of a pair beside its matrices.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    /// The misfit at initialisation, shown beside and no condition.
    pub init: Option<f64>,
    /// Intervals.
    pub spread: Option<Spread>,
    /// The rows that B is an average over, where it depends on them.
    pub rows: Option<Rows>,
}

/// [`assess`], with intervals and rows.
pub fn assess_with(pair: &Pair, family: Family, thresholds: &Thresholds, known: Known) -> Finding {
    let Known { init, spread, rows } = known;
    let predicted = pair.predicted.filter(|_| family == Family::Power);
    if !pair.a.is_finite() || !pair.b.is_finite() {
        return Finding::undetermined(predicted, init, "a matrix has entries that are not finite");
    }
    if pair.b.psd().is_none() && family != Family::Equal {
        let reason = "B is no symmetric positive semidefinite matrix: it can only be compared as it is";
        return Finding::undetermined(predicted, init, reason);
    }
    let Some(seen) = pair.seen() else {
        let reason = if pair.b.trace().is_finite() {
            "the decomposition of B did not converge"
        } else {
            "B is too large: its eigenvalues overflow"
        };
        return Finding::undetermined(predicted, init, reason);
    };
    let Some(fit) = Fit::new(seen, family) else {
        let reason = match seen.norm {
            0.0 => "A is zero",
            norm if !(norm * norm).is_normal() => "A is too large or too small to be squared",
            _ if seen.spectrum.rank == 0 && seen.skew > 0.0 => "B has no symmetric part",
            _ if seen.spectrum.rank == 0 => "B is zero",
            _ => "B is so large beside A that their distance overflows",
        };
        return Finding::undetermined(predicted, init, reason);
    };
    let certificates = certificates(seen, &fit);
    let exponent = fit.alpha.unwrap_or(1.0);
    let haar = haar_misfit(seen, exponent);
    let d = seen.dim() as f64;
    let z = traceless_cosine(seen, exponent).map(|cos| cos * ((d - 1.0) * (d + 2.0) / 2.0).sqrt());
    let alpha_interval = spread.filter(|_| family == Family::Power && fit.alpha.is_some()).map(|spread| spread.alpha);
    let misfit_interval = spread.map(|spread| spread.misfit);
    let evidence = Evidence {
        family,
        seen,
        fit: &fit,
        certificates: &certificates,
        alpha: fit.alpha.map(|alpha| alpha_interval.unwrap_or(Interval::exact(alpha))),
        misfit: misfit_interval.unwrap_or(Interval::exact(fit.misfit)),
        haar,
        z,
        rows,
    };
    let (verdict, reason) = judge(&evidence, thresholds);
    let r = seen.rotated.nrows();
    let directions = (0..r)
        .map(|i| Direction { g: seen.spectrum.values[i], m: seen.rotated[(i, i)], leak: seen.leaks[i].sqrt() })
        .collect();
    Finding {
        alpha: fit.alpha,
        alpha_interval,
        interval_source: spread.map_or(IntervalSource::None, |spread| spread.source),
        predicted,
        // An interval decides; an exact exponent agrees within the threshold.
        exponent_agrees: predicted.zip(fit.alpha).map(|(predicted, alpha)| {
            let near = (predicted - alpha).abs() <= thresholds.exponent;
            match alpha_interval {
                Some(interval) if interval.width() > 0.0 => interval.contains(predicted),
                _ => near,
            }
        }),
        kappa: fit.alpha.map(|_| fit.kappa).filter(|kappa| kappa.is_finite()),
        misfit: Some(fit.misfit),
        misfit_interval,
        parts: Some(fit.parts),
        certificates,
        null: Null { haar: Some(haar), init },
        verdict,
        reason,
        directions,
    }
}

/// √(1 - haar²) with haar = tr A tr B^α / (d |A| |B^α|), the mean cosine under random rotation.
fn haar_misfit(seen: &Seen, alpha: f64) -> f64 {
    (1.0 - crate::judge::details::haar(seen, alpha).powi(2)).max(0.0).sqrt()
}
