//! Everything that tables, plots and checks are made from: one experiment's records, read back.

use crate::record::Record;

/// One experiment folder, read back from its records.
#[derive(Clone, Debug)]
pub struct Study {
    /// The experiment's name.
    pub name: String,
    /// Its stable claim id, if it has one.
    pub id: Option<String>,
    /// What it claims, in a sentence.
    pub claim: Option<String>,
    /// Where the claim comes from.
    pub reference: Option<String>,
    /// The text of `experiment.toml` as it ran.
    pub experiment: String,
    /// Its runs, in the plan's order.
    pub runs: Vec<StudyRun>,
    /// Each expectation held against each run that it speaks of.
    pub expectations: Vec<Checked>,
}

/// One run of a study.
#[derive(Clone, Debug)]
pub struct StudyRun {
    /// The run's id, the name of its folder.
    pub id: String,
    /// Arm (key `arm`, where the experiment has arms) and grid values, in order.
    pub keys: Vec<(String, String)>,
    /// `completed`, `diverged`, `interrupted`, `failed`, ...
    pub outcome: String,
    /// The last step reached.
    pub step: u64,
    /// Why it ended, where that needs words.
    pub reason: Option<String>,
    /// The resolved configuration (`config.toml`).
    pub config: toml::Table,
    /// Versions, device, data hash (`manifest.json`).
    pub manifest: serde_json::Value,
    /// Its rows.
    pub record: Record,
    /// What the fan draws, at the first and the last probe.
    pub directions: Vec<Direction>,
}

/// One disc of the fan: a law's left matrix A seen in the eigenbasis of its right matrix B.
#[derive(Clone, Debug, PartialEq)]
pub struct Direction {
    /// The probe's step.
    pub step: u64,
    /// The law's name.
    pub law: String,
    /// The layer, from 0.
    pub layer: usize,
    /// Eigenvalue of B, descending; 0 beyond its rank.
    pub g: f64,
    /// vᵀAv.
    pub m: f64,
    /// Off-diagonal mass of A in that row of B's eigenbasis (Frobenius).
    pub leak: f64,
}

/// One expectation held against one run: the worst probe.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Checked {
    /// The metric's column.
    pub metric: String,
    /// Which runs the expectation speaks of.
    #[serde(rename = "where")]
    pub scope: serde_json::Value,
    /// The probe: `last`, `first`, `every` or a step.
    pub at: String,
    /// The run's id.
    pub run: String,
    /// What was expected, as written (with its value where a formula).
    pub expected: String,
    /// What was measured: a number or a word, null where undefined.
    pub measured: serde_json::Value,
    /// The tolerance, as written.
    pub tolerance: Option<String>,
    /// Whether it was met.
    pub met: bool,
}
