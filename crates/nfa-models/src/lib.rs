//! Networks whose features are measured, with initialisations and randomness of their own.
//!
//! A model author implements [`Network`] (one required method); everything else in the workspace
//! holds a `Box<dyn` [`AnyNetwork`]`>`, made for every `Network` by a blanket implementation.
//!
//! ```
//! # #[cfg(not(feature = "burn"))]
//! # fn main() {}
//! # #[cfg(feature = "burn")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use burn::tensor::{DType, Device, Tensor};
//! use nfa_models::{Context, Sites, Stream, models};
//!
//! let table = toml::from_str(r#"kind = "mlp"
//!     depth = 3
//!     width = 20
//!     init = { kind = "balanced", spectrum = [0.9, 0.5] }"#)?;
//! let device = Device::flex();
//! let context = Context { inputs: 16, outputs: 6, device: &device, dtype: DType::F64, stream: Stream::root(0).fork("init"), stored: None };
//! let network = models().build(table, &context)?;
//! let x = Tensor::<2>::ones([5, 16], (&device, DType::F64));
//! let mut at = Sites::recording(1);
//! assert_eq!(network.forward(x, &mut at).dims(), [5, 6]);
//! assert_eq!(at.finish()?.sites[2].name, "layers.2");
//! # Ok(())
//! # }
//! ```
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | [`network`], [`parameters`] | [`Network`], [`AnyNetwork`]; its parameters by name |
//! | [`sites`] | what a forward pass hands its linear maps to: every layer of any network by name |
//! | [`mlp`], [`mlp_spec`] | dense networks of any depth and widths, and their table in a file |
//! | [`activation`] | the functions between layers; on tensors, and in [`host`] on slices of a CPU, without Burn |
//! | [`init`], [`matrix`] | balanced, Gaussian, orthogonal and other starts, from a file too |
//! | [`rng`] | keyed streams: a seed gives the same numbers on every device and thread count |
//! | [`spec`], [`spec_error`] | how a TOML table becomes a network (or a dataset, a solver): one mechanism |
//! | [`context`], [`place`] | what a model is built from; where tensors live |
//! | [`registry`] | the models that the command line knows: one line each |
//! | `testing` | the conformance suite for one's own models (feature `testing`) |
//!
//! Without the default feature `burn` no network can be built; all else is there, the words of the
//! kinds too.
//!
//! # Not here
//!
//! Nothing measures (`nfa-metrics`) and nothing trains (`nfa-train`): a network knows no loss,
//! no solver and no file.

#[cfg(feature = "burn")]
mod activate;
pub mod activation;
#[cfg(feature = "burn")]
pub mod context;
mod drawn;
pub mod host;
pub mod init;
pub mod matrix;
#[cfg(feature = "burn")]
pub mod mlp;
pub mod mlp_spec;
#[cfg(feature = "burn")]
pub mod network;
#[cfg(feature = "burn")]
pub mod parameters;
#[cfg(feature = "burn")]
pub mod place;
pub mod registry;
pub mod rng;
#[cfg(feature = "burn")]
pub mod sites;
pub mod spec;
pub mod spec_error;
#[cfg(feature = "burn")]
mod tape;
#[cfg(all(feature = "burn", any(test, feature = "testing")))]
pub mod testing;
#[cfg(feature = "burn")]
mod visit;

/// Without Burn: networks by name alone.
#[cfg(not(feature = "burn"))]
pub mod network {
    /// What a registry of models would build.
    pub trait AnyNetwork {}

    impl crate::spec::Component for dyn AnyNetwork {
        type Context<'a> = ();
    }
}

pub use activation::Activation;
pub use init::{Init, StoredLayer};
pub use mlp_spec::MlpSpec;
pub use network::AnyNetwork;
pub use registry::models;
pub use rng::Stream;
pub use spec::{Registry, Spec};
pub use spec_error::SpecError;

#[cfg(feature = "burn")]
pub use context::Context;
#[cfg(feature = "burn")]
pub use mlp::Mlp;
#[cfg(feature = "burn")]
pub use network::{Chain, Network};
#[cfg(feature = "burn")]
pub use parameters::{ParameterError, Parameters};
#[cfg(feature = "burn")]
pub use sites::{Site, Sites, SitesError};

/// The page's example, compiled.
#[cfg(all(doctest, feature = "burn"))]
#[doc = include_str!("../../../docs/sites.md")]
mod page {}
