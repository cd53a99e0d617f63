//! Numbers that NumPy computed (`tests/oracle`), read.

use nfa_metrics::Mat;
use serde_json::Value;

/// A file of `tests/golden`.
#[track_caller]
pub fn read(name: &str) -> Value {
    let path = format!("{}/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A string.
#[track_caller]
pub fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

/// A list.
#[track_caller]
pub fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

/// A number.
#[track_caller]
pub fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

/// A count.
#[track_caller]
pub fn index(value: &Value) -> usize {
    value.as_u64().expect("a count") as usize
}

/// A list of numbers.
#[track_caller]
pub fn numbers(value: &Value) -> Vec<f64> {
    list(value).iter().map(number).collect()
}

/// A matrix from its rows.
#[track_caller]
pub fn matrix(value: &Value) -> Mat {
    let rows: Vec<Vec<f64>> = list(value).iter().map(numbers).collect();
    Mat::from_fn(rows.len(), rows.first().map_or(0, Vec::len), |i, j| rows[i][j])
}
