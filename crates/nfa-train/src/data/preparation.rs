//! What is done to rows before they are trained on: the keys of `[data]` that every kind has.

use nfa_models::SpecError;
use serde::{Deserialize, Serialize};

/// `test`: a share below 1, or a number of rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Holdout(pub f64);

impl Holdout {
    /// Rows held out of `rows`.
    pub fn of(self, rows: usize) -> usize {
        let Holdout(value) = self;
        if value < 1.0 { (value * rows as f64).round() as usize } else { value as usize }
    }
}

/// How integer targets are presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetForm {
    /// Classes become one-hot rows under losses that want them.
    Auto,
    /// One-hot rows.
    OneHot,
    /// One number.
    Float,
}

/// Sample weights in a file: a list, or the path of a text file with one number per line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum WeightSource {
    /// One per training row.
    List(Vec<f64>),
    /// Relative to the experiment file.
    File(String),
}

/// The keys of `[data]` that every kind has; a kind may have defaults of its own
/// ([`nfa_models::Spec::DEFAULTS`]).
///
/// | key | default | meaning |
/// |---|---|---|
/// | `scale` | 1 | multiplies the inputs |
/// | `center` | false | subtracts the training rows' column means |
/// | `standardize` | false | also divides by the training rows' column deviations |
/// | `targets` | `"auto"` | `"one_hot"` or `"float"` for integer targets |
/// | `test` | 0 | share below 1, or number of rows, held out by the seed |
/// | `limit` | | the first rows only |
/// | `permute_targets` | false | deals the training targets out anew over their rows, by the seed: a control without anything to learn |
/// | `weights` | | sample weights of the training rows, scaled to mean 1 |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preparation {
    /// Multiplies the inputs.
    #[serde(default = "unscaled")]
    pub scale: f64,
    /// Subtract column means.
    #[serde(default)]
    pub center: bool,
    /// Divide by column deviations too.
    #[serde(default)]
    pub standardize: bool,
    /// Integer targets.
    #[serde(default = "auto")]
    pub targets: TargetForm,
    /// Held-out rows.
    #[serde(default = "none_held_out")]
    pub test: Holdout,
    /// The first rows only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Whether training targets are dealt out anew.
    #[serde(default, skip_serializing_if = "is_false")]
    pub permute_targets: bool,
    /// Sample weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<WeightSource>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
fn is_false(value: &bool) -> bool {
    !value
}

fn unscaled() -> f64 {
    1.0
}

fn auto() -> TargetForm {
    TargetForm::Auto
}

fn none_held_out() -> Holdout {
    Holdout(0.0)
}

impl Preparation {
    /// The keys that belong here; all others are the kind's own.
    pub const KEYS: [&'static str; 8] =
        ["scale", "center", "standardize", "targets", "test", "limit", "permute_targets", "weights"];

    /// Checks the values.
    ///
    /// # Errors
    /// The key at fault and why.
    pub fn check(&self) -> Result<(), SpecError> {
        let Holdout(test) = self.test;
        if !(test.is_finite() && test >= 0.0 && (test < 1.0 || test.fract() == 0.0)) {
            return Err(SpecError::value("test", format!("is a share below 1 or a whole number of rows, not {test}")));
        }
        if !(self.scale.is_finite() && self.scale != 0.0) {
            return Err(SpecError::value("scale", format!("must be finite and not 0, not {}", self.scale)));
        }
        if self.limit == Some(0) {
            return Err(SpecError::value("limit", "must be at least 1".into()));
        }
        if let Some(WeightSource::List(list)) = &self.weights {
            check_weights(list)?;
        }
        Ok(())
    }
}

pub(crate) fn check_weights(list: &[f64]) -> Result<(), SpecError> {
    match list.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
        Some(row) => Err(SpecError::value(
            "weights",
            format!("of row {row} is {}; weights are finite and not negative", list[row]),
        )),
        None if list.iter().sum::<f64>() > 0.0 => Ok(()),
        None => Err(SpecError::value("weights", "are all 0".into())),
    }
}
