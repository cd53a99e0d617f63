//! `[probe]`: what is measured, and when.

use nfa_metrics::laws::{balance, nfa};
use serde::{Deserialize, Serialize};

use crate::observe::layers::Layers;
use crate::observe::schedule::ProbeSchedule;

/// `[probe]`: what is measured, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProbePlan {
    /// Which steps.
    pub at: ProbeSchedule,
    /// Which layers, by number from 0 or by name.
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
    /// Over which of the last steps `fact.averaged` is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average: Option<AveragePlan>,
    /// Whether NFM and AGOP are written too.
    pub matrices: bool,
    /// Whether the end is written as a capture file, which `measure --capture` reads.
    pub capture: bool,
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
            average: None,
            matrices: false,
            capture: false,
        }
    }
}

/// Running averages: of every `every`-th of the `last` steps before a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AveragePlan {
    /// K, the steps that are averaged over.
    pub last: u64,
    /// Of which every so many-th is looked at.
    #[serde(default = "one")]
    pub every: u64,
}

fn one() -> u64 {
    1
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
