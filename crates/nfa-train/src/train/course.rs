//! How long, how fast and on which rows: the keys of `[solver]` that every kind has.

use nfa_models::SpecError;
use serde::{Deserialize, Serialize};
use toml::Value;

use crate::train::rate::Rate;

/// The keys of `[solver]` that every kind has.
///
/// | key | default | meaning |
/// |---|---|---|
/// | `lr` | required | learning rate, or pieces `[[from step, value], ...]`; the time that a step of `flow` takes |
/// | `steps` or `time` | required | how long; `time` = lr · steps, constant lr only |
/// | `batch` | `"full"` | rows per step, reshuffled every epoch |
/// | `diverged_above` | 1e6 | loss over its first value from which a run counts as diverged |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Course {
    /// Learning rate.
    pub lr: Rate,
    /// Number of steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// lr · steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<f64>,
    /// Rows per step.
    #[serde(default)]
    pub batch: Batch,
    /// Loss over its first value.
    #[serde(default = "million")]
    pub diverged_above: f64,
}

fn million() -> f64 {
    1e6
}

/// `"full"` or a number of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Batch {
    /// All rows.
    #[default]
    Full,
    /// So many, reshuffled every epoch.
    Rows(usize),
}

impl Serialize for Batch {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Batch::Full => serializer.serialize_str("full"),
            Batch::Rows(rows) => serializer.serialize_u64(*rows as u64),
        }
    }
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        match Value::deserialize(deserializer)? {
            Value::String(word) if word == "full" => Ok(Batch::Full),
            Value::Integer(rows) if rows > 0 => Ok(Batch::Rows(usize::try_from(rows).map_err(D::Error::custom)?)),
            other => Err(D::Error::custom(format!("must be \"full\" or a positive number of rows, not {other}"))),
        }
    }
}

impl Course {
    pub(crate) const KEYS: [&'static str; 5] = ["lr", "steps", "time", "batch", "diverged_above"];

    pub(crate) fn check(&self) -> Result<(), SpecError> {
        self.lr.check().map_err(|why| SpecError::value("lr", why.to_string()))?;
        match (self.steps, self.time, self.lr.constant()) {
            (Some(_), None, _) => {}
            (None, Some(_), None) => {
                return Err(SpecError::value("time", "goes with a constant lr; give `steps` instead".into()));
            }
            (None, Some(time), Some(_)) if !(time.is_finite() && time > 0.0) => {
                return Err(SpecError::value("time", format!("must be positive and finite, not {time}")));
            }
            (None, Some(_), Some(_)) => {}
            (None, None, _) => {
                return Err(SpecError::value("steps", "is required and missing (or `time` = lr * steps)".into()));
            }
            (Some(_), Some(_), _) => {
                return Err(SpecError::value("time", "stands instead of `steps`; keep one of the two".into()));
            }
        }
        if self.diverged_above.is_nan() || self.diverged_above <= 1.0 {
            return Err(SpecError::value("diverged_above", format!("must be above 1, not {}", self.diverged_above)));
        }
        Ok(())
    }

    /// The number of steps.
    pub fn steps(&self) -> u64 {
        match (self.steps, self.time, self.lr.constant()) {
            (Some(steps), ..) => steps,
            (None, Some(time), Some(lr)) => (time / lr).round() as u64,
            _ => 0,
        }
    }

    /// Rows per step, if not all.
    pub fn batch(&self) -> Option<usize> {
        match self.batch {
            Batch::Full => None,
            Batch::Rows(rows) => Some(rows),
        }
    }
}
