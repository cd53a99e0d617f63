//! Feature-learning laws of neural networks, measured exactly and judged honestly.
//!
//! A law says that one symmetric positive semidefinite matrix is a power of another, A ≈ κB^α; the
//! Neural Feature Ansatz is the row "W_lᵀW_l against the AGOP at layer l's input". One engine turns
//! every row into an exponent, a misfit split into its causes, certificates, nulls and a verdict.
//!
//! ```
//! use nfa_metrics::{Family, Pair, Psd, Thresholds, assess, mat};
//!
//! // Weights and AGOP of counterexample C: the AGOP sees how often a direction is sampled.
//! let pair = Pair::new(Psd::gram(mat(&[[1.0, 0.0], [0.0, 2.0]])), Psd::gram(mat(&[[0.9, 0.0], [0.0, 0.4]])));
//! let finding = assess(&pair, Family::Power, None, &Thresholds::default());
//! assert_eq!(finding.verdict.name(), "fails");
//! assert!(finding.reason.starts_with("order"), "{}", finding.reason);
//! ```
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | [`law`], [`family`], [`mod@laws`] | a law as a row, what it compares with; the registry, one file per law |
//! | [`finding`] | the engine that measures any row |
//! | [`psd`] | [`Psd`]: a PSD matrix as a Gram or as a factor, its spectrum and stable powers |
//! | [`misfit`] | exponent, misfit, directions + order + shape |
//! | [`certificate`] | lower bounds on the misfit that no exponent escapes |
//! | [`interval`], [`sensitivity`] | intervals and what they speak of; the jackknife over blocks and the infinitesimal one |
//! | [`verdict`] | holds, approximate, fails, undetermined, and why |
//! | [`details`] | everything else that is known to be asked for: cosines, correlations, ranks |
//! | [`capture`] | networks that never were in Burn, from a file |
//! | [`observation`] | what the laws look at: weights and AGOPs of one network, on the host |
//! | [`metric`], [`mod@metrics`] | what is no law: loss, accuracy, imbalance, recurrence residual |
//! | [`factor`] | stacked Jacobians compressed on the fly to a triangle |
//! | [`accumulator`] | what an AGOP is summed in, block by block and shard by shard |
//! | `jacobian`, `agop`, `tap` | Jacobians and AGOP of any model through Burn (feature `burn`) |
//!
//! Without the default feature `burn` this crate depends on `faer`, `safetensors` and `serde` alone.
//!
//! # Not here
//!
//! No files, no command line, no training. Everything is `f64` on the host, whatever computed it.

pub mod accumulator;
pub mod capture;
pub mod certificate;
pub mod columns;
pub mod details;
pub mod factor;
pub mod family;
pub mod finding;
pub mod interval;
mod isotonic;
pub mod law;
pub mod laws;
pub mod metric;
pub mod metrics;
pub mod misfit;
pub mod observation;
pub mod parallel;
pub mod product;
pub mod psd;
pub mod sensitivity;
mod symmetric;
mod tiles;
pub mod tolerance;
pub mod verdict;

#[cfg(feature = "burn")]
pub mod agop;
#[cfg(feature = "burn")]
mod host_sweep;
#[cfg(feature = "burn")]
pub mod inputs;
#[cfg(feature = "burn")]
pub mod jacobian;
#[cfg(feature = "burn")]
pub mod tap;

pub use accumulator::Accumulator;
pub use capture::{Capture, CaptureError, CapturedSite};
pub use certificate::{Certificate, CertificateKind};
pub use details::{AlphaDetails, Details};
pub use factor::Stack;
pub use family::Family;
pub use finding::{Direction, Finding, Null, assess, assess_with};
pub use interval::{Interval, IntervalSource, Jackknife, Spread};
pub use law::{Law, Laws, Pair};
pub use laws::laws;
pub use metric::{Better, Metric, MetricInfo, Metrics, Scores, Snapshot, Update};
pub use metrics::metrics;
pub use misfit::{Fit, Parts};
pub use observation::{Layer, Observation};
pub use product::{ProductPair, Protected};
pub use psd::{Psd, RankRule, Spectrum};
pub use sensitivity::Sensitivity;
pub use verdict::{Thresholds, Verdict};

#[cfg(feature = "burn")]
pub use agop::{AgopOptions, Path, agop, contributions, observe_network};
#[cfg(feature = "burn")]
pub use inputs::over_inputs;
#[cfg(feature = "burn")]
pub use tap::{Tap, TapError, observe};

/// The host matrix type: column-major `f64`.
pub type Mat = faer::Mat<f64>;

/// A matrix from its rows.
pub fn mat<const R: usize, const C: usize>(rows: &[[f64; C]; R]) -> Mat {
    Mat::from_fn(R, C, |i, j| rows[i][j])
}

/// |X|² (Frobenius).
pub(crate) fn squared_norm(x: &Mat) -> f64 {
    x.squared_norm_l2()
}
