//! Which probe of a run is spoken of.

use std::fmt;

use nfa_models::SpecError;
use toml::Value;

/// Which probes an expectation speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The last.
    Last,
    /// The first.
    First,
    /// Each one; the worst is reported.
    Every,
    /// The one at this step.
    Step(u64),
}

impl At {
    /// Reads a word or a step.
    pub fn parse(value: &Value) -> Option<Self> {
        match value {
            Value::String(word) => [At::Last, At::First, At::Every].into_iter().find(|at| at.to_string() == *word),
            Value::Integer(step) if *step >= 0 => Some(At::Step(step.unsigned_abs())),
            _ => None,
        }
    }

    /// The complaint about a value that is none of what may stand there.
    pub fn wrong(may: &str, value: &Value) -> SpecError {
        SpecError::value("at", format!("must be {may}, not {value}"))
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Last => f.write_str("last"),
            At::First => f.write_str("first"),
            At::Every => f.write_str("every"),
            At::Step(step) => write!(f, "{step}"),
        }
    }
}
