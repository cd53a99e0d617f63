//! `kind = "profile"`: the share of runs that are done, against what they took (a data profile).

use nfa_models::SpecError;
use toml::{Table, Value};

use crate::claim::columns::Columns;
use crate::claim::plot::block::{required, text};
use crate::keys::number;

/// `kind = "profile"` (Moré, Wild 2009, doi:10.1137/080724083).
#[derive(Clone, Debug)]
pub struct Profile {
    /// The column that is spent: `work`.
    pub x: String,
    /// The column that falls: `gap`.
    pub y: String,
    /// What it must fall to: a panel each.
    pub tau: Vec<f64>,
    /// The key of its colours.
    pub lines: Option<String>,
}

/// Panels at most.
const TAUS: usize = 3;

impl Profile {
    /// Reads its keys of a block.
    pub(super) fn parse(table: &Table, columns: &Columns) -> Result<Self, SpecError> {
        let (x, y) = (required(table, "x")?, required(table, "y")?);
        for (key, column) in [("x", x), ("y", y)] {
            if columns.unit(key, column)? == "text" {
                return Err(SpecError::value(key, format!("a profile counts numbers and `{column}` is words")));
            }
        }
        let wrong =
            || SpecError::value("tau", format!("is a list of up to {TAUS} positive numbers, as [1e-1, 1e-3, 1e-5]"));
        let tau: Vec<f64> = match table.get("tau") {
            Some(Value::Array(list)) => {
                list.iter().map(|tau| number(tau).ok_or_else(wrong)).collect::<Result<_, _>>()?
            }
            _ => return Err(wrong()),
        };
        if tau.is_empty() || tau.len() > TAUS || tau.iter().any(|tau| !(*tau > 0.0 && tau.is_finite())) {
            return Err(wrong());
        }
        if table.contains_key("panels") {
            return Err(SpecError::value("panels", "a profile has a panel for each tau".into()));
        }
        Ok(Profile { x: x.into(), y: y.into(), tau, lines: text(table, "lines")?.map(str::to_string) })
    }
}
