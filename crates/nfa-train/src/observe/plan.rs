//! `[probe]`: what is measured, and when.

use nfa_metrics::laws::{balance, nfa};
use serde::{Deserialize, Serialize};
use toml::Value;

use crate::observe::schedule::ProbeSchedule;

/// `[probe]`: what is measured, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProbePlan {
    /// Which steps.
    pub at: ProbeSchedule,
    /// Which layers, from 0.
    pub layers: Layers,
    /// Names of laws and metrics.
    pub metrics: Vec<String>,
    /// More exponents for the cosines.
    pub alpha: Vec<f64>,
    /// What the exponent's interval speaks of.
    pub interval: ProbeInterval,
    /// On which rows AGOPs are taken. Unsaid, the held-out ones where there are any and intervals are asked for:
    /// on rows that were trained on these are too narrow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<ProbeRows>,
    /// How many of these rows AGOPs are taken on, drawn by the seed; unsaid, all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<usize>,
    /// Whether NFM and AGOP are written too.
    pub matrices: bool,
}

impl Default for ProbePlan {
    fn default() -> Self {
        ProbePlan {
            at: ProbeSchedule::Log(60),
            layers: Layers::All,
            metrics: ["loss", "accuracy", nfa::LAW.name, balance::LAW.name].map(String::from).to_vec(),
            alpha: Vec::new(),
            interval: ProbeInterval::None,
            rows: None,
            samples: None,
            matrices: false,
        }
    }
}

/// Where the exponent's interval comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeInterval {
    /// No interval: exact for the rows given.
    None,
    /// The rows as draws from a distribution: two more sweeps a layer.
    Inputs,
}

/// The rows that AGOPs are taken on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeRows {
    /// Those trained on, with their weights.
    Train,
    /// Those held out.
    Test,
}

/// `"all"` or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layers {
    /// Every one.
    All,
    /// These, from 0.
    List(Vec<usize>),
}

impl Layers {
    /// Whether a layer is among them.
    pub fn contains(&self, layer: usize) -> bool {
        match self {
            Layers::All => true,
            Layers::List(list) => list.contains(&layer),
        }
    }
}

impl Serialize for Layers {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Layers::All => serializer.serialize_str("all"),
            Layers::List(list) => list.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Layers {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        match Value::deserialize(deserializer)? {
            Value::String(word) if word == "all" => Ok(Layers::All),
            list @ Value::Array(_) => list.try_into().map(Layers::List).map_err(D::Error::custom),
            other => Err(D::Error::custom(format!("must be \"all\" or a list of layers from 0, not {other}"))),
        }
    }
}
