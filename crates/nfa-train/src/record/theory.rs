//! What theory may say of a run: told by its solver and its network, kept in `manifest.json`.

use serde::{Deserialize, Serialize};

/// What theory needs to know of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Theory {
    /// What t counts in formulas.
    pub clock: Clock,
    /// How weight decay shrinks the imbalance of neighbouring linear layers, where the solver says.
    pub decay: Option<DecayLaw>,
    /// Whether weight decay acts beside the step.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub decoupled: bool,
    /// L, the number of weight matrices in a row, where the network is such a chain.
    pub depth: Option<usize>,
    /// Whether the network is linear in its input, without biases.
    pub linear: bool,
    /// Why no exponent is predicted although every layer is linear, where none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unpredicted: Option<String>,
}

/// What t counts in formulas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// Steps.
    #[default]
    Step,
    /// Time: the sum of the steps' lengths.
    Time,
}

/// How weight decay λ shrinks the imbalance of a linear network (arXiv:2510.15563).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecayLaw {
    /// (1 - lr·λ)² a step: the update is W ← (1 - lr·λ) W - lr·gradient (`gd`, `sgd`).
    Discrete,
    /// e^(-2λt) in time (`flow`).
    Continuous,
}
