//! The virtual covariance: one curve between FACT and the eNFA.
//!
//! If what a map reads could itself take a step of size η down the loss, its second moment would change by
//! Σ(h - η∂ℓ/∂h) - Σ(h) = -η(WᵀG + GᵀW) + η² mean (∂ℓ/∂h)(∂ℓ/∂h)ᵀ, exactly for uncentred moments (for covariances it
//! isn't). Up to a factor that is 2λ sym FACT for small η and the eNFA's matrix for large: a curve in η, here in the
//! angle between the two ends, 0 at FACT and 1 at the eNFA.

use faer::Side;

use crate::judge::family::Family;
use crate::judge::pair::Pair;
use crate::laws::absent::Absent;
use crate::laws::law::Law;
use crate::laws::needs::Needs;
use crate::laws::quantity::{Quantity, Reading, number};
use crate::matrix::Mat;
use crate::matrix::psd::Psd;
use crate::observation::{Layer, Observation};

/// WᵀW ∝ (Σ(h - η∂ℓ/∂h) - Σ(h))^α at the η that is nearest to WᵀW.
pub const LAW: Law = Law {
    name: "virtual",
    left: "W^T W",
    right: "positive part of S(h - eta dl/dh) - S(h), S the uncentred second moment, at the best eta",
    family: Family::Power,
    doc: "The virtual covariance: the Gram matrix of a layer's weights is a power of what one step of its inputs down \
          the loss does to their second moment. At the step size that is nearest, one more free number than other laws \
          have; `share` says where that is between FACT (0) and eNFA (1), `curve@share` the cosine at fixed places.",
    reference: "arXiv:2605.06258",
    needs: Needs::LOSS_GRADIENT.and(Needs::GRADIENT_MOMENTS),
    axes: ["virtual covariance", "weights"],
    asked: true,
    beside: &[SHARE, NEGATIVE, AT_FACT, NEAR_FACT, BETWEEN, NEAR_ENFA, AT_ENFA],
    unless,
    pair,
    ..Law::OF_WEIGHTS
};

const SHARE: Quantity<Layer> = number(
    "share",
    "2/pi atan(eta |E|/|S|)",
    "Where the nearest is between FACT (0) and eNFA (1).",
    |layer: &Layer| Curve::new(layer).and_then(|curve| curve.nearest()).into(),
);
const NEGATIVE: Quantity<Layer> = number(
    "negative",
    "|B_-|/|B|",
    "Share of what is negative in it where it is nearest, and left out.",
    |layer: &Layer| Nearest::new(layer).map(|nearest| nearest.negative).into(),
);
const AT_FACT: Quantity<Layer> = at("curve@0", "Cosine of W^T W and the symmetric part of FACT.", |l| cosine(l, 0.0));
const NEAR_FACT: Quantity<Layer> =
    at("curve@0.25", "The same a quarter of the way to the eNFA's matrix.", |l| cosine(l, 0.25));
const BETWEEN: Quantity<Layer> = at("curve@0.5", "The same where both ends have the same norm.", |l| cosine(l, 0.5));
const NEAR_ENFA: Quantity<Layer> = at("curve@0.75", "The same three quarters of the way.", |l| cosine(l, 0.75));
const AT_ENFA: Quantity<Layer> =
    at("curve@1", "Cosine of W^T W and the second moment of the loss gradients.", |l| cosine(l, 1.0));

const fn at(name: &'static str, doc: &'static str, of: fn(&Layer) -> Reading) -> Quantity<Layer> {
    number(name, "cos(W^T W, B(eta))", doc, of).range(|_| "[-1, 1]").higher()
}

fn cosine(layer: &Layer, share: f64) -> Reading {
    Curve::new(layer).and_then(|curve| curve.cosine(share)).into()
}

/// B at an angle θ = share · π/2: cos θ S/|S| + sin θ E/|E|.
struct Curve {
    /// WᵀW.
    nfm: Mat,
    /// -(WᵀG + GᵀW), that is 2λ sym FACT.
    start: Mat,
    /// Second moment of the loss gradients.
    end: Mat,
}

fn inner(a: &Mat, b: &Mat) -> f64 {
    a.col_iter().zip(b.col_iter()).map(|(a, b)| a.transpose() * b).sum()
}

impl Curve {
    fn new(layer: &Layer) -> Option<Self> {
        let loss = layer.loss.as_ref()?;
        let through = layer.weight.transpose() * &loss.gradient;
        let start = (&through + through.transpose()) * -1.0;
        let end = loss.gradients.as_ref()?;
        let (of_start, of_end) = (start.norm_l2(), end.norm_l2());
        (of_start.is_normal() && of_end.is_normal()).then(|| Curve {
            nfm: layer.weight.transpose() * &layer.weight,
            start: start * (1.0 / of_start),
            end: end * (1.0 / of_end),
        })
    }

    fn at(&self, share: f64) -> Mat {
        let (sin, cos) = (share * std::f64::consts::FRAC_PI_2).sin_cos();
        &self.start * cos + &self.end * sin
    }

    fn cosine(&self, share: f64) -> Option<f64> {
        let here = self.at(share);
        let size = here.norm_l2() * self.nfm.norm_l2();
        (size > 0.0).then(|| inner(&here, &self.nfm) / size)
    }

    /// Where the cosine is largest.
    fn nearest(&self) -> Option<f64> {
        let (a, b, c) = (inner(&self.nfm, &self.start), inner(&self.nfm, &self.end), inner(&self.start, &self.end));
        // Of (a cos + b sin)/|S cos + E sin| with unit ends of product c: tan = (b - ac)/(a - bc).
        let angle = (b - a * c).atan2(a - b * c) / std::f64::consts::FRAC_PI_2;
        let between = Some(angle).filter(|angle| (0.0..=1.0).contains(angle));
        let tried = between.into_iter().chain([0.0, 1.0]);
        let found: Vec<(f64, f64)> = tried.filter_map(|share| Some((share, self.cosine(share)?))).collect();
        found.into_iter().max_by(|x, y| x.1.total_cmp(&y.1)).map(|(share, _)| share)
    }
}

/// The curve where it is nearest to WᵀW.
struct Nearest {
    /// B without what is negative of it.
    positive: Mat,
    /// |B₋|/|B|.
    negative: f64,
}

impl Nearest {
    fn new(layer: &Layer) -> Option<Self> {
        let curve = Curve::new(layer)?;
        let whole = curve.at(curve.nearest()?);
        let eigen = whole.self_adjoint_eigen(Side::Lower).ok()?;
        let (values, vectors) = (eigen.S().column_vector(), eigen.U());
        let d = whole.nrows();
        let kept = Mat::from_fn(d, d, |i, k| vectors[(i, k)] * values[k].max(0.0));
        let below: f64 = values.iter().map(|g| g.min(0.0).powi(2)).sum();
        Some(Nearest { positive: kept * vectors.transpose(), negative: below.sqrt() / whole.norm_l2() })
    }
}

/// More of it than this may not be negative: there is no power of what is left out.
const MOST: f64 = 0.2;

fn unless(observation: &Observation, layer: usize) -> Option<Absent> {
    let seen = observation.layers.get(layer)?;
    seen.loss.as_ref()?.gradients.as_ref()?;
    match Nearest::new(seen) {
        None => Some(Absent::Unknown("the loss has no gradient here: there is no curve".into())),
        Some(nearest) if nearest.negative > MOST => Some(Absent::Unknown(format!(
            "{:.0} % of the virtual covariance is negative where it is nearest: it has no powers",
            100.0 * nearest.negative
        ))),
        Some(_) => None,
    }
}

fn pair(observation: &Observation, layer: usize) -> Option<Pair> {
    let layer = observation.layers.get(layer)?;
    let right = Psd::gram_of(Nearest::new(layer)?.positive, observation.eps);
    Some(Pair::new(Psd::nfm(&layer.weight).rounded(), right))
}
