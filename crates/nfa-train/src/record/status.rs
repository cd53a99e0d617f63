//! How a run ended: data, not an error.

use serde::{Deserialize, Serialize};

/// `status.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Where it stands.
    pub outcome: Outcome,
    /// The last step reached.
    pub step: u64,
    /// In words, where that needs any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many gradients its steps evaluated, once it is completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluations: Option<u64>,
    /// What the solver knows of its end, where it knows more: of cubic regularisation a
    /// [`Certificate`](crate::minimise::Certificate).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<serde_json::Value>,
}

impl Status {
    /// Where a run stands, and why if that needs words.
    pub fn new(outcome: Outcome, step: u64, reason: Option<String>) -> Self {
        Status { outcome, step, reason, evaluations: None, certificate: None }
    }
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Not started.
    Planned,
    /// Started and not ended: at work, or killed; the next call continues it.
    Running,
    /// Every step done.
    Completed,
    /// A number stopped being finite, or the loss exploded; the rows so far are kept.
    Diverged,
    /// The user asked to stop; the next call continues it.
    Interrupted,
    /// It could not be built or its files could not be written.
    Failed,
}

impl Outcome {
    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Planned => "planned",
            Outcome::Running => "running",
            Outcome::Completed => "completed",
            Outcome::Diverged => "diverged",
            Outcome::Interrupted => "interrupted",
            Outcome::Failed => "failed",
        }
    }

    /// Whether nothing is left to do.
    pub fn is_final(self) -> bool {
        matches!(self, Outcome::Completed | Outcome::Diverged)
    }
}
