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
//! | [`network`], [`parameters`] | [`Network`], [`AnyNetwork`], [`Site`]; its parameters by name |
//! | [`mlp`] | dense networks of any depth and widths |
//! | [`activation`] | the functions between layers; on tensors, and in [`host`] on slices of a CPU, without Burn |
//! | [`init`], [`matrix`] | balanced, Gaussian, orthogonal and other starts, from a file too |
//! | [`rng`] | keyed streams: a seed gives the same numbers on every device and thread count |
//! | [`spec`], [`spec_error`] | how a TOML table becomes a network (or a dataset, a solver): one mechanism |
//! | [`context`], [`place`] | what a model is built from; where tensors live |
//! | [`registry`] | the models that the command line knows: one line each |
//! | `testing` | the conformance suite for one's own models (feature `testing`) |
//!
//! # Not here
//!
//! Nothing measures (`nfa-metrics`) and nothing trains (`nfa-train`): a network knows no loss,
//! no solver and no file.

mod activate;
pub mod activation;
pub mod context;
pub mod host;
pub mod init;
pub mod matrix;
pub mod mlp;
pub mod network;
pub mod parameters;
pub mod place;
pub mod registry;
pub mod rng;
pub mod spec;
pub mod spec_error;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod visit;

pub use activation::Activation;
pub use context::Context;
pub use init::{Init, StoredLayer};
pub use mlp::{Mlp, MlpSpec};
pub use network::{AnyNetwork, Chain, Network, Site};
pub use parameters::{ParameterError, Parameters};
pub use registry::models;
pub use rng::Stream;
pub use spec::{Registry, Spec};
pub use spec_error::SpecError;
