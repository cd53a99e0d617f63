//! Networks whose features are measured, with initialisations and randomness of their own.
//!
//! A model author implements [`Network`] (two required methods); everything else in the workspace
//! holds a `Box<dyn` [`AnyNetwork`]`>`, made for every `Network` by a blanket implementation.
//!
//! ```
//! use burn::tensor::{DType, Device, Tensor};
//! use nfa_models::{Context, Site, Stream, models};
//!
//! let table = toml::from_str(r#"kind = "mlp"
//!     depth = 3
//!     width = 20
//!     init = { kind = "balanced", spectrum = [0.9, 0.5] }"#)?;
//! let device = Device::flex();
//! let context = Context { inputs: 16, outputs: 6, device: &device, dtype: DType::F64, stream: Stream::root(0).fork("init"), stored: None };
//! let network = models().build(table, &context)?;
//! let x = Tensor::<2>::ones([5, 16], (&device, DType::F64));
//! assert_eq!(network.forward(x).dims(), [5, 6]);
//! assert_eq!(network.weight(Site::INPUT).expect("a dense layer").dims(), [20, 16]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | [`network`] | [`Network`], [`AnyNetwork`], [`Site`] |
//! | [`mlp`] | dense networks of any depth and widths |
//! | [`activation`] | the functions between layers |
//! | [`host`] | the same on slices of a CPU, without Burn |
//! | [`init`] | balanced, Gaussian, orthogonal and other starts, from a file too |
//! | [`rng`] | keyed streams: a seed gives the same numbers on every device and thread count |
//! | [`spec`] | how a TOML table becomes a network (or a dataset, a solver): one mechanism |
//! | [`registry`] | the models that the command line knows: one line each |
//! | `testing` | the conformance suite for one's own models (feature `testing`) |
//!
//! # Not here
//!
//! Nothing measures (`nfa-metrics`) and nothing trains (`nfa-train`): a network knows no loss,
//! no solver and no file.

pub mod activation;
pub mod host;
pub mod init;
pub mod mlp;
pub mod network;
pub mod registry;
pub mod rng;
pub mod spec;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use activation::Activation;
pub use init::{Init, StoredLayer};
pub use mlp::{Mlp, MlpSpec};
pub use network::{AnyNetwork, Chain, Network, ParameterError, Parameters, Site};
pub use registry::models;
pub use rng::Stream;
pub use spec::{Context, Registry, Spec, SpecError};
