//! Which runs a block of an experiment file speaks of, and the keys that it names.

use nfa_models::SpecError;
use toml::{Table, Value};

use crate::keys::{get, keys, number, same};

/// `where = { arm or dotted key = value or list }`; empty speaks of every run.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
#[serde(transparent)]
pub struct Scope(Table);

impl Scope {
    /// Reads `where` of a block.
    ///
    /// # Errors
    /// Where it is no table.
    pub fn parse(block: &Table) -> Result<Self, SpecError> {
        Ok(Self::at(block, "where")?.unwrap_or_default())
    }

    /// Reads the same under another key; `None` where there is none.
    ///
    /// # Errors
    /// Where it is no table.
    pub fn at(table: &Table, key: &str) -> Result<Option<Self>, SpecError> {
        match table.get(key) {
            None => Ok(None),
            Some(Value::Table(scope)) => Ok(Some(Scope(scope.clone()))),
            Some(other) => Err(SpecError::value(key, format!("must be a table of keys and values, not {other}"))),
        }
    }

    /// Whether it speaks of a run of this arm and this resolved configuration.
    pub fn holds(&self, arm: Option<&str>, config: &Table) -> bool {
        self.0.iter().all(|(key, wanted)| {
            let value = match key.as_str() {
                "arm" => arm.map(|arm| Value::String(arm.into())),
                key => get(config, key).cloned(),
            };
            value.is_some_and(|value| match wanted {
                Value::Array(list) => list.iter().any(|item| same(item, &value)),
                single => same(single, &value),
            })
        })
    }

    /// Its keys, which some run of the plan must have.
    pub fn mentions(&self) -> Vec<Mention<'_>> {
        self.0.keys().map(|key| Mention::new(&format!("where.{key}"), key, Need::Anywhere)).collect()
    }
}

/// A key that a block names.
#[derive(Clone, Debug, PartialEq)]
pub struct Mention<'a> {
    path: String,
    key: &'a str,
    need: Need,
}

/// Which runs must have a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Some run of the plan: a selection may well be of nothing here.
    Anywhere,
    /// Some run that the block speaks of.
    Here,
    /// The same, as a number.
    Number,
    /// As a number, every run that the block speaks of.
    Numbers,
}

impl<'a> Mention<'a> {
    /// A key named at `path` of a block.
    pub fn new(path: &str, key: &'a str, need: Need) -> Self {
        Mention { path: path.to_string(), key, need }
    }

    /// Holds the key against the resolved configurations of the plan's runs, and of those among
    /// them that the block speaks of.
    ///
    /// # Errors
    /// Where it is in none of them, with the key that may have been meant; where it is no number.
    pub fn check(&self, all: &[&Table], here: &[&Table]) -> Result<(), SpecError> {
        let numeric = matches!(self.need, Need::Number | Need::Numbers);
        let runs = if self.need == Need::Anywhere { all } else { here };
        if runs.is_empty() || (self.key == "arm" && !numeric) {
            return Ok(());
        }
        let is_number = |table: &&Table| get(table, self.key).and_then(number).is_some();
        let numbers = runs.iter().copied().filter(is_number).count();
        let found = runs.iter().find_map(|table| get(table, self.key));
        match found {
            None => {
                let mut known: Vec<String> = runs.iter().flat_map(|table| keys(table, numeric)).collect();
                known.sort();
                known.dedup();
                Err(SpecError::unknown(&self.path, "key", self.key, known.iter().map(String::as_str)))
            }
            Some(value) if numeric && numbers == 0 => {
                Err(SpecError::value(&self.path, format!("`{}` is {value}, where a number is needed", self.key)))
            }
            Some(_) if self.need == Need::Numbers && numbers < runs.len() => {
                let message = "is a number in some of the runs only; `where` chooses them";
                Err(SpecError::value(&self.path, format!("`{}` {message}", self.key)))
            }
            Some(_) => Ok(()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        text.parse().unwrap()
    }

    #[test]
    fn runs_are_chosen_by_arm_and_values() {
        let scope = Scope::parse(&table("where = { arm = \"a\", \"model.depth\" = [2, 3] }")).unwrap();
        let config = |depth: u32| table(&format!("[model]\ndepth = {depth}"));
        assert!(scope.holds(Some("a"), &config(3)));
        assert!(!scope.holds(Some("b"), &config(3)) && !scope.holds(None, &config(3)));
        assert!(!scope.holds(Some("a"), &config(4)));
        assert!(Scope::default().holds(None, &Table::new()));
    }

    #[test]
    fn keys_are_looked_up_where_they_are_needed() {
        let (one, other) = (table("[model]\ndepth = 2\nkind = \"mlp\""), table("[data]\nshare = 0.5"));
        let check = |key: &str, need| Mention::new("x", key, need).check(&[&one, &other], &[&one]);
        assert_eq!(check("data.share", Need::Anywhere), Ok(()));
        let error = check("data.shar", Need::Anywhere).unwrap_err();
        assert_eq!(error.suggestion.as_deref(), Some("data.share"));
        assert_eq!(check("model.kind", Need::Here), Ok(()));
        assert!(check("model.kind", Need::Number).unwrap_err().message.contains("where a number is needed"));
        assert_eq!(check("model.depht", Need::Number).unwrap_err().known, ["model.depth"]);
        let some = Mention::new("x", "data.share", Need::Numbers).check(&[], &[&one, &other]);
        assert!(some.unwrap_err().message.contains("some of the runs only"));
        assert_eq!(check("arm", Need::Here), Ok(()));
    }
}
