//! Strings of a `[[plot]]` block.

use nfa_models::SpecError;
use toml::{Table, Value};

/// The string at a key, if there is one.
pub(super) fn text<'a>(table: &'a Table, key: &str) -> Result<Option<&'a str>, SpecError> {
    match table.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(SpecError::value(key, format!("must be a string, not {other}"))),
    }
}

/// The string at a key that must be there.
pub(super) fn required<'a>(table: &'a Table, key: &str) -> Result<&'a str, SpecError> {
    text(table, key)?.ok_or_else(|| SpecError::value(key, "is required and missing".into()))
}
