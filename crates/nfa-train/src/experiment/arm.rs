//! Arms and grids: what differs between the runs of an experiment.

use nfa_models::SpecError;
use toml::{Table, Value};

use crate::keys::RUN_KEYS;

/// Axes of a grid: dotted key, values.
pub type Grid = Vec<(String, Vec<Value>)>;

/// One `[[arm]]`.
#[derive(Clone, Debug, Default)]
pub struct Arm {
    /// Its name; `None` for the one that stands where there are no arms.
    pub name: Option<String>,
    /// Its place in the file.
    pub index: usize,
    /// Dotted keys that it overrides.
    pub overrides: Vec<(String, Value)>,
    /// Axes that it adds.
    pub grid: Grid,
}

pub(crate) fn axes(grid: &Table) -> std::result::Result<Grid, SpecError> {
    grid.iter()
        .map(|(key, values)| match values {
            Value::Array(values) if !values.is_empty() => Ok((key.clone(), values.clone())),
            _ => Err(SpecError::value(
                key,
                "must be a list with at least one value; quote dotted keys: \"model.depth\" = [2, 3]".into(),
            )),
        })
        .collect()
}

impl Arm {
    pub(crate) fn parse(index: usize, arm: &Value) -> std::result::Result<Self, SpecError> {
        let table = arm.as_table().ok_or_else(|| SpecError::value("", "must be a table".into()))?;
        let mut parsed = Arm { index, ..Arm::default() };
        for (key, value) in table {
            match (key.as_str(), value) {
                ("name", Value::String(name)) if !name.is_empty() => parsed.name = Some(name.clone()),
                ("name", other) => {
                    return Err(SpecError::value("name", format!("must be a non-empty string, not {other}")));
                }
                ("grid", Value::Table(grid)) => parsed.grid = axes(grid).map_err(|error| error.under("grid"))?,
                ("grid", other) => return Err(SpecError::value("grid", format!("must be a table, not {other}"))),
                // A whole section: another kind replaces it, else its keys override one by one.
                (section, Value::Table(keys)) if RUN_KEYS.contains(&section) && !keys.contains_key("kind") => {
                    parsed.overrides.extend(keys.iter().map(|(k, v)| (format!("{section}.{k}"), v.clone())));
                }
                (key, value) => {
                    let top = key.split('.').next().unwrap_or(key);
                    if !RUN_KEYS.contains(&top) {
                        return Err(SpecError::unknown(key, "key", top, ["name", "grid"].into_iter().chain(RUN_KEYS)));
                    }
                    parsed.overrides.push((key.to_string(), value.clone()));
                }
            }
        }
        if parsed.name.is_none() {
            return Err(SpecError::value("name", "is required and missing".into()));
        }
        Ok(parsed)
    }
}

/// Where a run key stands: in the arm that overrides it, or in the file's own table.
pub fn arm_path(arm: &Arm, path: &str) -> String {
    let overridden = arm.overrides.iter().any(|(key, _)| path == key || path.starts_with(&format!("{key}.")));
    let in_grid = arm.grid.iter().any(|(key, _)| path == key);
    match (overridden, in_grid) {
        (true, _) => format!("arm.{}.{path}", arm.index),
        (_, true) => format!("arm.{}.grid.{path}", arm.index),
        _ => path.to_string(),
    }
}
