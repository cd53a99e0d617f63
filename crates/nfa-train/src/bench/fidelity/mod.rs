//! The worst error of every operation, by dtype and device, forward and backward.
//!
//! The reference is computed on the host from the definition. Errors are in units in the last place
//! of the dtype at the exact result; where a result is a sum, or a difference of larger terms, at the
//! size of its terms, and the row's `unit` says so: an implementation can't do better than round
//! those.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::{Device, Tensor};
use serde_json::json;

use crate::bench::args::Common;
use crate::bench::fidelity::twofold::Twofold;
use crate::bench::row::{Row, finite};
use crate::bench::{Bench, problem, table};
use crate::error::{Error, Result};
use crate::machine::devices::{self, Dtype};

mod networks;
pub mod operations;
pub mod twofold;

/// More units than this are no rounding.
pub const WRONG: f64 = 1e3;

/// A device and a dtype.
pub struct Place<'a> {
    /// The device.
    pub device: &'a Device,
    /// The dtype.
    pub dtype: Dtype,
}

impl Place<'_> {
    /// Numbers in this place.
    fn vector(&self, data: &[f64]) -> Tensor<1> {
        self.matrix(data, data.len()).flatten(0, 1)
    }

    /// Row-major numbers in this place.
    fn matrix(&self, data: &[f64], rows: usize) -> Tensor<2> {
        problem::matrix(data.to_vec(), rows, self.device, self.dtype.burn())
    }
}

/// What errors are counted in: the spacing of the dtype's numbers at the larger of the exact result
/// and a magnitude.
pub struct Unit {
    words: &'static str,
    magnitude: fn(&[f64]) -> f64,
}

impl Unit {
    const RESULT: Unit = Unit { words: "ulp", magnitude: |_| 0.0 };
    const ONE: Unit = Unit { words: "ulp of max(|result|, 1)", magnitude: |_| 1.0 };
    const ARGUMENT: Unit = Unit { words: "ulp of max(|result|, |z|)", magnitude: |z| z[0].abs() };
    const VALUE_OF_SIGMOID: Unit = Unit { words: "ulp of sigmoid(z)", magnitude: |z| 1.0 / (1.0 + libm::exp(-z[0])) };
    const SILU_TERMS: Unit =
        Unit { words: "ulp of sigmoid(z) (1 + |z|)", magnitude: |z| (1.0 + z[0].abs()) / (1.0 + libm::exp(-z[0])) };
    const TERMS: Unit = Unit { words: "ulp of the sum of the terms' sizes", magnitude: |_| 0.0 };
    const LARGEST: Unit = Unit { words: "ulp of the largest entry", magnitude: |_| 0.0 };

    fn magnitude(&self, point: &[f64]) -> f64 {
        (self.magnitude)(point)
    }
}

/// The worst of many results.
#[derive(Clone, Debug, Default)]
pub struct Worst {
    ulp: f64,
    at: String,
    /// How many were held against the reference.
    points: u64,
    /// What is no rounding: numbers that are none, shapes and dtypes that are others.
    trouble: Option<String>,
}

impl Worst {
    /// A tensor's numbers; another dtype than the place's is a trouble.
    fn read<const D: usize>(&mut self, place: &Place<'_>, tensor: Tensor<D>) -> Vec<f64> {
        if tensor.dtype() != place.dtype.burn() {
            self.trouble(format!("the result is {:?}", tensor.dtype()));
        }
        tensor.inner().try_into_vec_as::<f64>().unwrap_or_else(|error| {
            self.trouble(format!("not handed out: {error}"));
            Vec::new()
        })
    }

    fn trouble(&mut self, what: String) {
        self.trouble.get_or_insert(what);
    }

    /// Holds a result against the exact one.
    fn hold(&mut self, got: f64, exact: Twofold, magnitude: f64, dtype: Dtype, at: impl FnOnce() -> String) {
        self.points += 1;
        let limit = match dtype {
            Dtype::F32 => f64::from(exact.high as f32),
            Dtype::F64 => exact.high,
        };
        if !limit.is_finite() || !got.is_finite() {
            if !(got == limit || got.is_nan() && limit.is_nan()) {
                self.trouble(format!("{got} instead of {limit} at {}", at()));
            }
            return;
        }
        let ulp = ((got - exact.high) - exact.low).abs() / spacing(exact.high.abs().max(magnitude), dtype);
        if ulp > self.ulp {
            (self.ulp, self.at) = (ulp, at());
        }
    }

    /// Holds many against their largest.
    fn hold_all(&mut self, got: &[f64], exact: &[f64], dtype: Dtype, at: &str) {
        if got.len() != exact.len() {
            self.trouble(format!("{} numbers instead of {} at {at}", got.len(), exact.len()));
        }
        let largest = exact.iter().fold(0.0f64, |most, v| most.max(v.abs()));
        for (&got, &exact) in got.iter().zip(exact) {
            self.hold(got, Twofold::new(exact), largest, dtype, || at.to_string());
        }
    }
}

/// The distance from a number to the next in a dtype. Below the smallest normal number it is that
/// number: a device that flushes to zero what is smaller makes no error.
fn spacing(size: f64, dtype: Dtype) -> f64 {
    match dtype {
        Dtype::F32 if size < f64::from(f32::MIN_POSITIVE) => f64::from(f32::MIN_POSITIVE),
        Dtype::F32 => {
            let size = (size as f32).min(f32::MAX / 2.0);
            f64::from(size.next_up()) - f64::from(size)
        }
        Dtype::F64 if size < f64::MIN_POSITIVE => f64::MIN_POSITIVE,
        Dtype::F64 => {
            let size = size.min(f64::MAX / 2.0);
            size.next_up() - size
        }
    }
}

/// What one direction of an operation came to.
pub struct Finding {
    direction: &'static str,
    worst: Worst,
    unit: &'static str,
    reference: &'static str,
}

impl Finding {
    fn new(direction: &'static str, worst: Worst, unit: &Unit, reference: &'static str) -> Self {
        Finding { direction, worst, unit: unit.words, reference }
    }

    /// More than rounding.
    fn wrong(&self) -> bool {
        self.worst.trouble.is_some() || self.worst.ulp > WRONG
    }

    fn row(self, operation: &str, device: &str, dtype: Dtype) -> Row {
        let wrong = self.wrong();
        let mut row = Row { kind: "fidelity", device: device.into(), dtype: dtype.name(), ..Row::default() };
        let ulp = if self.worst.trouble.is_some() { None } else { finite(self.worst.ulp) };
        row.note("operation", operation);
        row.note("direction", self.direction);
        row.note("ulp", json!(ulp));
        row.note("unit", self.unit);
        row.note("wrong", wrong);
        row.note("worst_at", json!((!self.worst.at.is_empty()).then_some(self.worst.at)));
        row.note("trouble", json!(self.worst.trouble));
        row.note("points", self.worst.points);
        row.note("reference", self.reference);
        row
    }
}

/// Checks every operation whose name begins so on every device and dtype; one row per direction.
///
/// # Errors
/// Unknown names; devices that are not there; an interruption.
pub fn run(bench: &Bench<'_>, only: Option<&str>, common: &Common) -> Result<()> {
    let mut places = Vec::new();
    for name in &common.device {
        let dtypes: Vec<Dtype> = match common.dtype.as_slice() {
            // Both, where the device has both.
            [] => [Dtype::F32, Dtype::F64].into_iter().filter(|&dtype| devices::check(name, dtype).is_ok()).collect(),
            given => given.to_vec(),
        };
        for dtype in dtypes {
            devices::check(name, dtype)?;
            if !places.contains(&(name.clone(), dtype)) {
                places.push((name.clone(), dtype));
            }
        }
    }
    let mut operations = operations::all();
    operations.extend(networks::all());
    if let Some(start) = only {
        let names: Vec<String> = operations.iter().map(|operation| operation.name.clone()).collect();
        operations.retain(|operation| operation.name.starts_with(start));
        if operations.is_empty() {
            let known = names.join(", ");
            return Err(Error::input(format!("--operation {start}: no operation begins so; there are {known}")));
        }
    }
    bench.begin((operations.len() * places.len()) as u64, "fidelity");
    let mut rows: Vec<Row> = Vec::new();
    for (name, dtype) in &places {
        let device = devices::open(name, *dtype)?;
        let place = Place { device: &device, dtype: *dtype };
        for operation in &operations {
            bench.pulse(&format!("{} {name} {}", operation.name, dtype.name()))?;
            let own = |row: &Row| Some(row.device.as_str()) == operation.device && row.dtype == dtype.name();
            if rows.iter().any(|row| own(row) && word(row, "operation") == operation.name) {
                continue;
            }
            // Burn panics at what a backend can't do; here that is a result.
            let found = catch_unwind(AssertUnwindSafe(|| (operation.check)(&place))).unwrap_or_else(|panic| {
                let words = panic.downcast_ref::<String>().cloned();
                let words = words.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
                let trouble = Some(format!("panics: {}", words.unwrap_or_default()));
                let worst = Worst { trouble, ..Worst::default() };
                vec![Finding::new("forward", worst, &Unit::RESULT, "none")]
            });
            for finding in found {
                let row = finding.row(&operation.name, operation.device.unwrap_or(name), *dtype);
                rows.push(row.clone());
                bench.emit(row);
            }
        }
    }
    if bench.json() {
        bench.say(&summary(&rows));
    }
    Ok(())
}

fn word<'a>(row: &'a Row, name: &str) -> &'a str {
    row.more.get(name).and_then(serde_json::Value::as_str).unwrap_or("")
}

fn is_wrong(row: &Row) -> bool {
    row.more.get("wrong").is_some_and(|wrong| wrong == true)
}

fn ulp(row: &Row) -> Option<f64> {
    row.more.get("ulp").and_then(serde_json::Value::as_f64)
}

/// Operation by operation in rows, device and dtype in columns.
pub fn matrix(rows: &[Row]) -> String {
    let mut places: Vec<String> = Vec::new();
    let mut lines: Vec<(&str, &str, &str)> = Vec::new();
    let place = |row: &Row| format!("{} {}", row.device, row.dtype);
    for row in rows {
        let line = (word(row, "operation"), word(row, "direction"), word(row, "unit"));
        if !lines.contains(&line) {
            lines.push(line);
        }
        if !places.contains(&place(row)) {
            places.push(place(row));
        }
    }
    let cell = |line: &(&str, &str, &str), wanted: &String| {
        let of =
            |row: &&Row| (word(row, "operation"), word(row, "direction")) == (line.0, line.1) && place(row) == *wanted;
        let Some(row) = rows.iter().find(of) else { return "-".to_string() };
        let shown = match ulp(row) {
            None => word(row, "trouble").split(':').next().unwrap_or("").chars().take(24).collect(),
            Some(ulp) if ulp >= 1e4 => format!("{ulp:.1e}"),
            Some(ulp) => format!("{ulp:.1}"),
        };
        if is_wrong(row) { format!("WRONG {shown}") } else { shown }
    };
    let mut head = vec!["operation", "direction"];
    head.extend(places.iter().map(String::as_str));
    head.push("unit");
    let cells = lines.iter().map(|line| {
        let mut cells = vec![line.0.to_string(), line.1.to_string()];
        cells.extend(places.iter().map(|place| cell(line, place)));
        // Flush left behind columns that are flush right.
        cells.push(format!("{:<1$}", line.2, lines.iter().map(|line| line.2.len()).max().unwrap_or(0)));
        cells
    });
    let table = table::aligned(&head, &cells.collect::<Vec<_>>(), 2);
    format!("worst error over the points of each operation\n{table}{}\n", summary(rows))
}

/// What is wrong, in a sentence.
fn summary(rows: &[Row]) -> String {
    let named = |row: &Row| {
        let place = format!("{} {} on {} {}", word(row, "operation"), word(row, "direction"), row.device, row.dtype);
        match ulp(row) {
            Some(ulp) => format!("{place} ({ulp:.0e} ulp)"),
            None => format!("{place} ({})", word(row, "trouble")),
        }
    };
    let wrong: Vec<String> = rows.iter().filter(|row| is_wrong(row)).map(named).collect();
    match wrong.len() {
        0 => format!("All {} results are within {WRONG:.0} units of the definition.", rows.len()),
        count => format!(
            "{count} of {} results are wrong, by over {WRONG:.0} units or by not being the number that they should be: {}.",
            rows.len(),
            wrong.join("; ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_in_the_last_place() {
        let mut worst = Worst::default();
        worst.hold(1.0 + f64::EPSILON, Twofold::new(1.0), 0.0, Dtype::F64, || "one".into());
        assert_eq!((worst.ulp, worst.at.as_str()), (1.0, "one"));
        worst.hold(f64::from(f32::MAX), Twofold::new(1e300), 0.0, Dtype::F32, || "large".into());
        assert!(worst.trouble.as_ref().is_some_and(|trouble| trouble.contains("instead of inf at large")));
        let mut worst = Worst::default();
        worst.hold(0.0, Twofold::new(1e-44), 0.0, Dtype::F32, String::new);
        worst.hold(f64::NAN, Twofold::new(f64::NAN), 0.0, Dtype::F32, String::new);
        assert!(worst.ulp < 1e-5 && worst.trouble.is_none());
        worst.hold(f64::NAN, Twofold::new(0.0), 0.0, Dtype::F32, String::new);
        assert!(worst.trouble.is_some());
    }
}
