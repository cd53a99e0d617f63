//! The worst error of every operation, by dtype and device, forward and backward.
//!
//! The reference is computed on the host from the definition. Errors are in units in the last place
//! of the dtype at the exact result; where a result is a sum, or a difference of larger terms, at the
//! size of its terms, and the row's `unit` says so: an implementation can't do better than round
//! those.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::bench::Bench;
use crate::bench::args::Common;
use crate::bench::fidelity::table::{summary, word};
use crate::bench::fidelity::worst::{Finding, Place, Unit, Worst};
use crate::bench::row::Row;
use crate::error::{Error, Result};
use crate::machine::devices::{self, Dtype};

mod entrywise;
mod networks;
mod operations;
pub mod table;
pub mod twofold;
pub mod worst;

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
                let mut worst = Worst::default();
                worst.trouble(format!("panics: {}", words.unwrap_or_default()));
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
