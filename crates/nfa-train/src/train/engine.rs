//! What the gradients of training come from.

use serde::{Deserialize, Serialize};

/// What the gradients of training come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// The host engine where it can, else Burn.
    #[default]
    Auto,
    /// The host's own: chains of dense layers on a CPU under first-order solvers.
    Host,
    /// Burn's autodiff, on any device.
    Autodiff,
}

impl Engine {
    /// Its word in files.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Auto => "auto",
            Engine::Host => "host",
            Engine::Autodiff => "autodiff",
        }
    }
}
