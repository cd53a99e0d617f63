//! `kind = "map"`: a column over two keys, as cells; theory as boundaries.

use nfa_models::SpecError;
use toml::{Table, Value};

use crate::claim::columns::Columns;
use crate::claim::formula::Formula;
use crate::claim::plot::block::required;
use crate::claim::variables::key_of;
use crate::keys::number;
use crate::record::decimal;

/// `kind = "map"`.
#[derive(Clone, Debug)]
pub struct Map {
    /// The key on the x axis.
    pub x: String,
    /// The key on the y axis.
    pub y: String,
    /// The column that colours the cells; `None` for the verdict of the report's law, layer 0.
    pub value: Option<String>,
    /// Where theory sees a border.
    pub boundary: Option<Boundary>,
}

/// Where theory sees a border in a map.
#[derive(Clone, Debug)]
pub enum Boundary {
    /// Where a formula changes sign.
    Zero(Formula),
    /// Formulas of x that give y.
    Lines(Vec<Formula>),
}

impl Map {
    /// Reads its keys of a block.
    pub(super) fn parse(table: &Table, columns: &Columns) -> Result<Self, SpecError> {
        let (x, y) = (required(table, "x")?, required(table, "y")?);
        if x == y {
            return Err(SpecError::value("y", format!("must be another key than x, `{x}`")));
        }
        let value = match required(table, "value")? {
            "verdict" => None,
            column if column.contains("layer*") => {
                return Err(SpecError::value("value", "names one layer, as nfa.misfit.layer0".into()));
            }
            column => match columns.unit("value", column)? {
                "text" if !column.contains(".verdict.") => {
                    let message = format!("`{column}` is words; a map draws numbers and verdicts");
                    return Err(SpecError::value("value", message));
                }
                _ => Some(column.to_string()),
            },
        };
        let read = |text: &str, more: &[&str]| {
            Formula::parse_with(text, more).map_err(|why| SpecError::value("boundary", why.to_string()))
        };
        let boundary = match table.get("boundary") {
            None => None,
            Some(Value::String(text)) => Some(Boundary::Zero(read(text, &["x", "y"])?)),
            Some(Value::Array(list)) => {
                let formula = |item: &Value| {
                    let text = match (item, number(item)) {
                        (Value::String(text), _) => text.clone(),
                        (_, Some(constant)) => decimal(constant),
                        _ => return Err(wrong_boundary(item)),
                    };
                    let formula = read(&text, &["x"])?;
                    if formula.names().into_iter().any(|name| key_of(name) == y) {
                        let message = format!(
                            "a formula of a list gives `{y}`, so that it can't name it; one that should be zero is no list"
                        );
                        return Err(SpecError::value("boundary", message));
                    }
                    Ok(formula)
                };
                Some(Boundary::Lines(list.iter().map(formula).collect::<Result<_, _>>()?))
            }
            Some(other) => return Err(wrong_boundary(other)),
        };
        Ok(Map { x: x.to_string(), y: y.to_string(), value, boundary })
    }
}

fn wrong_boundary(value: &Value) -> SpecError {
    SpecError::value("boundary", format!("must be a formula or a list of formulas, not {value}"))
}

impl Boundary {
    /// Its formulas.
    pub fn formulas(&self) -> &[Formula] {
        match self {
            Boundary::Zero(formula) => std::slice::from_ref(formula),
            Boundary::Lines(formulas) => formulas,
        }
    }
}
