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
//! | [`matrix`] | [`Psd`], a PSD matrix as a Gram or as a factor, its spectrum and stable powers; what AGOPs are summed in |
//! | [`judge`] | a [`Pair`] of matrices in, a [`Finding`] out: misfit, certificates, intervals, verdict, details |
//! | [`observation`] | what the laws look at: weights and AGOPs of one network, on the host |
//! | [`mod@laws`] | a law as a row, one file each; what each of its columns means |
//! | [`mod@metrics`] | what is no law: loss, accuracy, imbalance, recurrence residual |
//! | [`mod@observe`] | networks on Burn (feature `burn`), chains on the host and captures of any network, as observations |
//! | [`mod@survey`] | laws by layers of one observation: what a probe and a measurement ask |
//! | [`testing`] | the suite that a law of one's own is held to |
//! | [`forecast`](mod@forecast) | when a linear network will have come to the ansatz |
//! | [`parallel`] | independent work on all cores, results in order |
//!
//! Without the default feature `burn` everything is there but networks on Burn: captures and chains of
//! dense layers are measured all the same, in a build of seconds.
//!
//! # Not here
//!
//! No files, no command line, no training. Everything is `f64` on the host, whatever computed it.

pub mod column;
pub mod forecast;
pub mod judge;
pub mod laws;
pub mod matrix;
pub mod metrics;
pub mod observation;
pub mod observe;
pub mod parallel;
pub mod survey;
pub mod testing;

pub use column::{Better, MetricInfo};
pub use forecast::{Forecast, forecast};
pub use judge::agreement::Agreement;
pub use judge::certificate::{Certificate, CertificateKind};
pub use judge::details::{AlphaDetails, Details};
pub use judge::family::Family;
pub use judge::finding::{Direction, Finding, Known, Null, assess, assess_with};
pub use judge::interval::{Change, Interval, IntervalSource, Jackknife, Spread};
pub use judge::misfit::{Fit, Parts};
pub use judge::pair::Pair;
pub use judge::right::{Right, Square};
pub use judge::sensitivity::Sensitivity;
pub use judge::verdict::{Rows, Thresholds, Verdict};
pub use laws::absent::Absent;
pub use laws::law::{Law, Laws, Over};
pub use laws::laws;
pub use laws::needs::Needs;
pub use laws::product::{ProductPair, Protected};
pub use matrix::accumulator::Accumulator;
pub use matrix::factor::Stack;
pub use matrix::psd::{Psd, RankRule, Spectrum};
pub use matrix::{Mat, mat};
pub use metrics::metric::{Metric, Metrics, Scores, Snapshot, Update};
pub use metrics::metrics;
pub use observation::averaged::Averaged;
pub use observation::moments::Moments;
pub use observation::penalty::Penalty;
pub use observation::{Layer, Observation};
pub use observe::agop::options::{AgopOptions, Path};
pub use observe::blocks::jackknife;
pub use observe::capture::{Capture, CaptureError, CapturedSite, Recording, TensorSource, Trained};
pub use observe::diagonal::{Diagonal, Share};
pub use observe::host_chain::HostChain;
pub use observe::host_moments::{HostLoss, OutputGradients};
pub use observe::inputs::{Inputs, OnHost, Sampled};

pub use survey::{Asked, Judged, Place, places, survey};

#[cfg(feature = "burn")]
pub use nfa_models::{Sites, SitesError};
#[cfg(feature = "burn")]
pub use observe::agop::network::{agop, contributions, observe_forward, observe_network, weights_of};
#[cfg(feature = "burn")]
pub use observe::capturing::{Capturing, capture};
#[cfg(feature = "burn")]
pub use observe::inputs::OnBurn;
#[cfg(feature = "burn")]
pub use observe::jacobian::{epsilon, to_host};
#[cfg(feature = "burn")]
pub use observe::layout::{Forward, Layout, Placed};
#[cfg(feature = "burn")]
pub use observe::moments::{LossOnRows, SampleLosses, moments};
#[cfg(feature = "burn")]
pub use observe::named::observe;
#[cfg(feature = "burn")]
pub use observe::of_network::{network_moments, output_gradients};
#[cfg(feature = "burn")]
pub use observe::sharing::{Sharing, join, sharing};
