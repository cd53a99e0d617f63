//! `[[expect]]` blocks, and records held against them.

use nfa_models::SpecError;
use toml::Value;

use crate::claim::at::At;
use crate::claim::formula::Formula;
use crate::claim::scope::{Mention, Need, Scope};
use crate::keys::number;
use crate::record::decimal;

/// One `[[expect]]`.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// A column; `layer*` stands for each layer.
    pub metric: String,
    /// Which runs it speaks of.
    pub scope: Scope,
    /// Which probes.
    pub at: At,
    /// What is expected there.
    pub relation: Relation,
    /// The key that the relation stands at, for messages.
    pub stands_at: String,
    /// How far off is still met.
    pub within: Tolerance,
    /// Where the number comes from.
    pub basis: Basis,
}

/// Where an expected number comes from: what it is worth that it was met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// From theory, before any run.
    Theory,
    /// A bound that was set after looking at runs; so is every one that doesn't say otherwise.
    #[default]
    Looked,
}

impl Basis {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Basis::Theory => "theory",
            Basis::Looked => "looked",
        }
    }

    fn parse(value: Option<&Value>) -> Result<Self, SpecError> {
        match value {
            None => Ok(Basis::default()),
            Some(Value::String(word)) => [Basis::Theory, Basis::Looked]
                .into_iter()
                .find(|basis| basis.name() == word)
                .ok_or_else(|| SpecError::unknown("basis", "basis", word, ["theory", "looked"])),
            Some(other) => Err(SpecError::value("basis", format!("is \"theory\" or \"looked\", not {other}"))),
        }
    }
}

/// What is expected.
#[derive(Clone, Debug)]
pub enum Relation {
    /// A number or a formula, within the tolerance.
    Equals(Formula),
    /// A word of a text column.
    Is(String),
    /// At least.
    Min(f64),
    /// At most.
    Max(f64),
    /// Least-squares slope of log(metric) on log(key) over runs that differ in that key alone.
    Slope {
        /// The slope.
        slope: f64,
        /// The key.
        over: String,
    },
}

/// `within`: a number is absolute, a percentage relative to the expected value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// None given: equal to the last digit.
    Exact,
    /// A distance.
    Absolute(f64),
    /// A share of the expected value.
    Relative(f64),
}

impl Tolerance {
    /// As it is written.
    pub(crate) fn text(self) -> Option<String> {
        match self {
            Tolerance::Exact => None,
            Tolerance::Absolute(value) => Some(decimal(value)),
            Tolerance::Relative(value) => Some(format!("{}%", decimal(value * 100.0))),
        }
    }

    pub(crate) fn allows(self, expected: f64) -> f64 {
        match self {
            Tolerance::Exact => 0.0,
            Tolerance::Absolute(value) => value,
            Tolerance::Relative(value) => value * expected.abs(),
        }
    }
}

impl Expectation {
    /// Reads a block.
    ///
    /// # Errors
    /// The key at fault and why.
    pub fn parse(value: &Value) -> Result<Self, SpecError> {
        const KEYS: [&str; 11] =
            ["metric", "where", "at", "equals", "min", "max", "law", "slope", "over", "within", "basis"];
        let table = value.as_table().ok_or_else(|| SpecError::value("", "must be a table".into()))?;
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(SpecError::unknown(key, "key", key, KEYS));
        }
        let metric = match table.get("metric") {
            Some(Value::String(metric)) => metric.clone(),
            Some(other) => return Err(SpecError::value("metric", format!("must be a column's name, not {other}"))),
            None => return Err(SpecError::value("metric", "is required and missing".into())),
        };
        let scope = Scope::parse(table)?;
        let at = match table.get("at") {
            None => At::Last,
            Some(value) => {
                At::parse(value).ok_or_else(|| At::wrong("\"last\", \"first\", \"every\" or a step", value))?
            }
        };
        let numeric = |key: &str, value: &Value| {
            number(value).ok_or_else(|| SpecError::value(key, format!("must be a number, not {value}")))
        };
        let formula =
            |key: &str, text: &str| Formula::parse(text).map_err(|why| SpecError::value(key, why.to_string()));
        let given: Vec<(&str, &Value)> = ["equals", "min", "max", "law", "slope"]
            .into_iter()
            .filter_map(|key| Some((key, table.get(key)?)))
            .collect();
        let [(key, value)] = given[..] else {
            let message = "one of `equals`, `min`, `max`, `law`, `slope` is needed, and only one";
            return Err(SpecError::value(given.get(1).map_or("metric", |(key, _)| key), message.into()));
        };
        let text_column = metric == "outcome"
            || metric.contains(".verdict")
            || metric.contains(".reason")
            || metric.contains(".rank_rule")
            || metric.contains(".certificates.tie");
        let relation = match (key, value) {
            ("equals", Value::String(word)) if text_column => Relation::Is(word.clone()),
            ("equals", Value::Boolean(flag)) => Relation::Is(flag.to_string()),
            ("equals" | "law", Value::String(text)) => Relation::Equals(formula(key, text)?),
            ("equals" | "law", value) => Relation::Equals(formula(key, &decimal(numeric(key, value)?))?),
            ("min", value) => Relation::Min(numeric(key, value)?),
            ("max", value) => Relation::Max(numeric(key, value)?),
            (_, value) => match table.get("over") {
                Some(Value::String(over)) => Relation::Slope { slope: numeric(key, value)?, over: over.clone() },
                _ => {
                    return Err(SpecError::value(
                        "over",
                        "is needed beside `slope`: the key that varies, as \"solver.lr\"".into(),
                    ));
                }
            },
        };
        if matches!(relation, Relation::Slope { .. }) && at != At::Last {
            return Err(SpecError::value("at", "a slope is taken at \"last\"".into()));
        }
        let within = match table.get("within") {
            None => Tolerance::Exact,
            Some(Value::String(text)) => {
                match text.strip_suffix('%').and_then(|share| share.trim().parse::<f64>().ok()) {
                    Some(share) if share >= 0.0 => Tolerance::Relative(share / 100.0),
                    _ => {
                        return Err(SpecError::value(
                            "within",
                            format!("is a number or a percentage like \"1%\", not \"{text}\""),
                        ));
                    }
                }
            }
            Some(value) => Tolerance::Absolute(numeric("within", value)?),
        };
        let basis = Basis::parse(table.get("basis"))?;
        Ok(Expectation { metric, scope, at, relation, stands_at: key.to_string(), within, basis })
    }

    /// The keys that it names, to be held against the runs of the plan.
    pub fn mentions(&self) -> Vec<Mention<'_>> {
        let mut mentions = self.scope.mentions();
        match &self.relation {
            Relation::Equals(formula) => {
                mentions
                    .extend(formula.keys().into_iter().map(|key| Mention::new(&self.stands_at, key, Need::Numbers)));
            }
            Relation::Slope { over, .. } => mentions.push(Mention::new("over", over, Need::Numbers)),
            Relation::Is(_) | Relation::Min(_) | Relation::Max(_) => {}
        }
        mentions
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_theory_without_saying_so() {
        let parse = |basis: &str| {
            let block = format!("metric = \"loss\"\nmax = 1\n{basis}");
            Expectation::parse(&Value::Table(block.parse().unwrap()))
        };
        assert_eq!(parse("").unwrap().basis, Basis::Looked);
        assert_eq!(parse("basis = \"looked\"").unwrap().basis, Basis::Looked);
        assert_eq!(parse("basis = \"theory\"").unwrap().basis, Basis::Theory);
        let error = parse("basis = \"teory\"").unwrap_err();
        assert_eq!((error.path.as_str(), error.suggestion.as_deref()), ("basis", Some("theory")));
        assert!(parse("basis = true").unwrap_err().message.contains("\"theory\" or \"looked\""));
    }
}
