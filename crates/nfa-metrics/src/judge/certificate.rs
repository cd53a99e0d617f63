//! Lower bounds on the misfit that no choice of exponent escapes.

use crate::judge::misfit::{End, Fit, Seen};
use crate::matrix::tolerance;

/// Why no power fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateKind {
    /// A has mass where B is zero, and 0^α = 0: δ >= |ΠAΠ| / |A|.
    Range,
    /// A falls where B rises: δ >= distance to every increasing function of B.
    Order,
    /// A and B don't commute: δ >= |AB - BA| / ((g_max - g_min) |A|).
    Commutator,
    /// A and B are ordered against each other on the whole (Chebyshev's sum inequality):
    /// δ >= -<A0, B0> / (|B0| |A|), X0 = X - (tr X / d) I.
    Traceless,
    /// B is not symmetric and A is: δ >= |K| / |A|, K the antisymmetric part of B.
    Asymmetry,
    /// B has negative eigenvalues and A has none: δ >= |S₋| / |A|, S₋ the negative part of B's symmetric one.
    Indefinite,
    /// A is equal where B clearly differs, and the exponent ran to the lower end of its search:
    /// the misfit tends to 0 with the exponent, so there is no margin.
    Tie,
}

impl CertificateKind {
    /// Every kind, in the order in which they are named first when margins are equal.
    pub const ALL: [CertificateKind; 7] = [
        CertificateKind::Range,
        CertificateKind::Order,
        CertificateKind::Commutator,
        CertificateKind::Traceless,
        CertificateKind::Asymmetry,
        CertificateKind::Indefinite,
        CertificateKind::Tie,
    ];

    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            CertificateKind::Range => "range",
            CertificateKind::Order => "order",
            CertificateKind::Commutator => "commutator",
            CertificateKind::Traceless => "traceless",
            CertificateKind::Asymmetry => "asymmetry",
            CertificateKind::Indefinite => "indefinite",
            CertificateKind::Tie => "tie",
        }
    }

    /// What it says, for a reason.
    pub fn statement(self) -> &'static str {
        match self {
            CertificateKind::Range => "A has mass where B is zero",
            CertificateKind::Order => "A falls where B rises",
            CertificateKind::Commutator => "A and B don't commute",
            CertificateKind::Traceless => "A and B are ordered against each other",
            CertificateKind::Asymmetry => "B is not symmetric",
            CertificateKind::Indefinite => "B has negative eigenvalues",
            CertificateKind::Tie => "A is equal where B differs",
        }
    }
}

/// A certificate that stands, with its margin.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Certificate {
    /// Which bound.
    pub kind: CertificateKind,
    /// The misfit is at least this, for every exponent; `None` for a tie.
    pub margin: Option<f64>,
}

/// Two eigenvalues are clearly distinct from this ratio on.
pub const CLEARLY: f64 = 1.1;
/// Two weights are equal within this share of the largest.
const EQUAL: f64 = 0.01;

/// Every certificate whose margin is more than rounding, the largest margin first.
pub fn certificates(seen: &Seen, fit: &Fit) -> Vec<Certificate> {
    let noise = tolerance::rounding(seen.dim());
    let mut found: Vec<Certificate> = [
        (CertificateKind::Range, Some(range(seen))),
        (CertificateKind::Order, Some(fit.parts.order)),
        (CertificateKind::Commutator, commutator(seen)),
        (CertificateKind::Traceless, traceless(seen)),
        (CertificateKind::Asymmetry, Some(seen.skew / seen.norm)),
        (CertificateKind::Indefinite, Some(seen.negative() / seen.norm)),
    ]
    .into_iter()
    .filter_map(|(kind, margin)| margin.filter(|&m| m > noise).map(|m| Certificate { kind, margin: Some(m) }))
    .collect();
    // Stable, and equal up to rounding counts as equal, so that the order of `ALL` decides.
    found.sort_by(|a, b| {
        let (a, b) = (a.margin.unwrap_or(0.0), b.margin.unwrap_or(0.0));
        if (a - b).abs() <= noise { std::cmp::Ordering::Equal } else { b.total_cmp(&a) }
    });
    if fit.at_end == Some(End::Lower) && ties(seen) {
        found.push(Certificate { kind: CertificateKind::Tie, margin: None });
    }
    found
}

fn range(seen: &Seen) -> f64 {
    let rank: usize = seen.positive().map(|pool| pool.dim).sum();
    let beyond = seen.spectrum.values.iter().filter(|&&g| g == 0.0).count();
    seen.rotated.submatrix(rank, rank, beyond, beyond).norm_l2() / seen.norm
}

/// B's eigenvalues one by one, pools spelled out, in units of the largest.
fn eigenvalues(seen: &Seen) -> Vec<f64> {
    let top = seen.top();
    seen.pools.iter().flat_map(|pool| std::iter::repeat_n(pool.g / top, pool.dim)).collect()
}

/// `None` where B is a multiple of the identity up to rounding.
fn commutator(seen: &Seen) -> Option<f64> {
    let g = eigenvalues(seen);
    let d = g.len();
    let spread = g[0] - g[d - 1];
    if spread <= tolerance::rounding(d) {
        return None;
    }
    let mut sum = 0.0;
    for j in 0..seen.rotated.ncols() {
        for (entry, g_i) in seen.rotated.col_as_slice(j).iter().zip(&g) {
            sum += (entry * (g_i - g[j])).powi(2);
        }
    }
    Some(sum.sqrt() / (spread * seen.norm))
}

fn traceless(seen: &Seen) -> Option<f64> {
    let g = eigenvalues(seen);
    let d = g.len();
    let mean = g.iter().sum::<f64>() / d as f64;
    let b0 = g.iter().map(|g| (g - mean).powi(2)).sum::<f64>().sqrt();
    if b0 <= tolerance::rounding(d) {
        return None;
    }
    let product: f64 = (0..seen.rotated.nrows()).map(|i| seen.rotated[(i, i)] * (g[i] - mean)).sum();
    Some(-product / (b0 * seen.norm))
}

/// Pools that carry A.
pub(crate) fn carriers(seen: &Seen) -> Vec<(f64, f64)> {
    let largest = seen.positive().map(|pool| pool.m).fold(0.0, f64::max);
    seen.positive().filter(|pool| pool.m > EQUAL * largest).map(|pool| (pool.g, pool.m)).collect()
}

fn ties(seen: &Seen) -> bool {
    let carriers = carriers(seen);
    let largest = carriers.iter().map(|&(_, m)| m).fold(0.0, f64::max);
    carriers
        .iter()
        .any(|&(g, m)| carriers.iter().any(|&(other, n)| g > CLEARLY * other && (m - n).abs() <= EQUAL * largest))
}
