//! TOML as people write it: dotted keys set and found, and every complaint with its line.

use nfa_models::SpecError;
use toml::{Table, Value};

/// Puts a value at a dotted key, making tables on the way.
///
/// # Errors
/// Where something on the way is no table.
pub fn set(table: &mut Table, path: &str, value: Value) -> Result<(), SpecError> {
    let (parents, last) = path.rsplit_once('.').unwrap_or(("", path));
    let mut here = table;
    for key in parents.split('.').filter(|key| !key.is_empty()) {
        let entry = here.entry(key).or_insert_with(|| Value::Table(Table::new()));
        here = entry.as_table_mut().ok_or_else(|| SpecError::value(path, format!("`{key}` is no table")))?;
    }
    here.insert(last.to_string(), value);
    Ok(())
}

/// Keys that stand instead of one another: setting the first drops the others.
const INSTEAD: [(&str, &[&str]); 5] = [
    ("solver.time", &["solver.steps"]),
    ("solver.steps", &["solver.time"]),
    ("model.widths", &["model.depth", "model.width"]),
    ("model.depth", &["model.widths"]),
    ("model.width", &["model.widths"]),
];

/// How a dotted key stands to another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// They set different things.
    Apart,
    /// They are one key.
    Same,
    /// It is a part of the table that the other one is.
    Part,
    /// The other one is a part of it, under this key.
    Whole(String),
    /// One gives way where the other is set.
    Instead,
}

/// How a key stands to another one.
pub fn standing(key: &str, other: &str) -> Standing {
    let within =
        |inner: &str, outer: &str| inner.strip_prefix(outer).and_then(|rest| rest.strip_prefix('.')).map(String::from);
    if key == other {
        Standing::Same
    } else if within(key, other).is_some() {
        Standing::Part
    } else if let Some(rest) = within(other, key) {
        Standing::Whole(rest)
    } else if INSTEAD.iter().any(|(one, others)| *one == key && others.contains(&other)) {
        Standing::Instead
    } else {
        Standing::Apart
    }
}

/// [`set`], as an override of what a file says: alternatives of the key give way.
///
/// # Errors
/// As [`set`].
pub fn override_with(table: &mut Table, path: &str, value: Value) -> Result<(), SpecError> {
    for other in INSTEAD.iter().filter(|(key, _)| *key == path).flat_map(|(_, others)| *others) {
        if let Some((parent, key)) = other.split_once('.')
            && let Some(Value::Table(parent)) = table.get_mut(parent)
        {
            parent.remove(key);
        }
    }
    set(table, path, value)
}

/// The value at a dotted key.
pub fn get<'a>(table: &'a Table, path: &str) -> Option<&'a Value> {
    let mut keys = path.split('.');
    let first = table.get(keys.next()?)?;
    keys.try_fold(first, |value, key| value.get(key))
}

/// As [`get`], to change it.
pub fn get_mut<'a>(table: &'a mut Table, path: &str) -> Option<&'a mut Value> {
    let mut keys = path.split('.');
    let first = table.get_mut(keys.next()?)?;
    keys.try_fold(first, |value, key| value.get_mut(key))
}

/// The dotted keys of a table's values, or of its numbers alone.
pub fn keys(table: &Table, numbers: bool) -> Vec<String> {
    let each = table.iter().flat_map(|(key, value)| match value {
        Value::Table(inner) => keys(inner, numbers).into_iter().map(|rest| format!("{key}.{rest}")).collect(),
        value if numbers && number(value).is_none() => Vec::new(),
        _ => vec![key.clone()],
    });
    each.collect()
}

/// A value as a person types it after `key=`: TOML, or a bare word as a string.
pub fn parse_value(text: &str) -> Value {
    match format!("v = {text}").parse::<Table>() {
        Ok(mut table) if table.len() == 1 => table.remove("v").unwrap_or_else(|| Value::String(text.into())),
        _ => Value::String(text.to_string()),
    }
}

/// A value as it stands in a run's id, a table, a list of keys.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Float(number) => crate::record::decimal(*number),
        other => other.to_string(),
    }
}

/// Whether two values are the same, numbers by value.
pub fn same(a: &Value, b: &Value) -> bool {
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

/// An integer or a float as a number.
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(value) => Some(*value as f64),
        Value::Float(value) => Some(*value),
        _ => None,
    }
}

/// Line and column (from 1) of a dotted key in a TOML text; of the deepest part of it that is there.
///
/// A part may itself hold dots, as quoted keys of arms do, and a number selects from a list.
pub fn position(text: &str, path: &str) -> Option<(usize, usize)> {
    let document = toml::de::DeTable::parse(text).ok()?;
    let offset = find(document.get_ref(), path)?;
    Some(line_column(text, offset))
}

fn find(table: &toml::de::DeTable<'_>, path: &str) -> Option<usize> {
    use toml::de::DeValue;
    let fits = |key: &str| path == key || path.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
    let (key, value) =
        table.iter().filter(|(key, _)| fits(key.get_ref())).max_by_key(|(key, _)| key.get_ref().len())?;
    let here = key.span().start;
    let Some(rest) = path.strip_prefix(key.get_ref().as_ref()).and_then(|rest| rest.strip_prefix('.')) else {
        return Some(here);
    };
    match value.get_ref() {
        DeValue::Table(inner) => find(inner, rest).or(Some(here)),
        DeValue::Array(list) => {
            let (index, rest) = rest.split_once('.').unwrap_or((rest, ""));
            let item = index.parse::<usize>().ok().and_then(|index| list.get(index));
            match item.map(|item| (item.get_ref(), item.span().start)) {
                Some((DeValue::Table(inner), start)) => find(inner, rest).or(Some(start)),
                Some((_, start)) => Some(start),
                None => Some(here),
            }
        }
        _ => Some(here),
    }
}

/// Line and column (from 1) of a byte.
pub fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
    (line, column)
}

/// The tables and keys that describe a run, as opposed to an experiment around it.
pub const RUN_KEYS: [&str; 11] =
    ["seed", "dtype", "device", "engine", "model", "data", "loss", "solver", "probe", "checkpoint", "verdict"];

/// Checks a lower bound.
pub(crate) fn at_least(low: f64, key: &str, value: f64) -> Result<(), SpecError> {
    if value.is_finite() && value >= low {
        Ok(())
    } else {
        Err(SpecError::value(key, format!("must be finite and at least {low}, not {value}")))
    }
}

/// Checks 0 <= value < 1.
pub(crate) fn below_one(key: &str, value: f64) -> Result<(), SpecError> {
    if (0.0..1.0).contains(&value) {
        Ok(())
    } else {
        Err(SpecError::value(key, format!("must lie in [0, 1), not {value}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_where_they_stand() {
        let text = "a = 1\n[model]\nkind = \"mlp\"\n  depht = 3\n[[arm]]\nname = \"x\"\n\"solver.lr\" = 2\n";
        assert_eq!(position(text, "a"), Some((1, 1)));
        assert_eq!(position(text, "model.depht"), Some((4, 3)));
        assert_eq!(position(text, "model.absent"), Some((2, 2)));
        assert_eq!(position(text, "arm.0.solver.lr"), Some((7, 1)));
        assert_eq!(position(text, "nothing"), None);
    }

    #[test]
    fn typed_values_are_toml_or_words() {
        assert_eq!(parse_value("3"), Value::Integer(3));
        assert_eq!(parse_value("[1, 2]").as_array().map(Vec::len), Some(2));
        assert_eq!(parse_value("relu"), Value::String("relu".into()));
        assert_eq!(parse_value("1\nx = 2"), Value::String("1\nx = 2".into()));
    }

    #[test]
    fn dotted_keys_are_set_and_read() {
        let mut table = Table::new();
        set(&mut table, "model.init.scale", Value::Float(2.0)).expect("tables all the way");
        assert_eq!(get(&table, "model.init.scale"), Some(&Value::Float(2.0)));
        assert!(set(&mut table, "model.init.scale.x", Value::Float(1.0)).is_err());
    }
}
