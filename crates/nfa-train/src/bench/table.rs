//! The tables for people: ASCII, units in the headings.

use crate::bench::columns::{aligned, number};
use crate::bench::fidelity;
use crate::bench::row::Row;

/// A table of rows of one kind, with what its columns mean.
pub fn text(rows: &[Row]) -> String {
    match rows.first().map(|row| row.kind) {
        Some("fidelity") => fidelity::table::text(rows),
        Some("scale") => scale(rows),
        Some("spectra") => spectra(rows),
        Some("sites") => sites(rows),
        Some(kind) => timed(rows, kind),
        None => String::new(),
    }
}

/// A column: its heading and what it says of a row.
type Column = (&'static str, fn(&Row) -> String);

const COMMON: [Column; 4] = [
    ("device", |row| row.device.clone()),
    ("dtype", |row| row.dtype.to_string()),
    ("median [ms]", |row| milliseconds(row.median_s)),
    ("min [ms]", |row| milliseconds(row.min_s)),
];

const REST: [Column; 7] = [
    ("max [ms]", |row| milliseconds(row.max_s)),
    ("first [ms]", |row| milliseconds(row.first_call_s)),
    ("GFLOP/s", |row| number(row.gflops)),
    ("peak", |row| number(row.peak_gflops)),
    ("of peak [%]", |row| row.share_of_peak.map_or("-".into(), |share| format!("{:.0}", 100.0 * share))),
    ("memory [MiB]", |row| row.peak_memory_bytes.map_or("-".into(), |bytes| format!("{}", bytes >> 20))),
    ("error", |row| error(row.max_relative_error)),
];

fn timed(rows: &[Row], kind: &str) -> String {
    let (what, rate): (Column, &str) = match kind {
        "agop" => (("path", |row| marked(row, row.path)), "samples/s"),
        _ => (("engine", |row| marked(row, row.engine)), "steps/s"),
    };
    let rate: Column = (rate, |row| number(row.rate_per_s));
    let mut columns = vec![COMMON[0], COMMON[1], what, COMMON[2], COMMON[3]];
    columns.push(REST[0]);
    columns.push(REST[1]);
    columns.push(rate);
    columns.extend(&REST[2..]);
    let legend = match kind {
        "agop" => {
            "* the automatic choice; times of one AGOP; GFLOP: the matrix products of the way that ran; peak: GFLOP/s of the best\n\
             product of two 2048 x 2048 matrices here; error: max|G - G64|/max|G64|; memory: the process's most\n"
        }
        _ => {
            "* what runs take; times of one step; GFLOP: its matrix products; peak: GFLOP/s of the best product of two\n\
             2048 x 2048 matrices here; error: that of the parameters after 10 steps against f64; memory: the process's most\n"
        }
    };
    format!("{}\n{}{legend}", headline(&rows[0]), by(&columns, 3, rows))
}

fn spectra(rows: &[Row]) -> String {
    let columns: [Column; 8] = [
        ("engine", |row| marked(row, row.engine)),
        ("d", |row| row.more.get("dim").map_or("-".into(), ToString::to_string)),
        COMMON[2],
        COMMON[3],
        REST[0],
        REST[1],
        REST[5],
        REST[6],
    ];
    let jobs = rows[0].more.get("jobs").filter(|jobs| **jobs != 1);
    let together = jobs.map_or(String::new(), |jobs| format!(", {jobs} at a time (times of each)"));
    format!(
        "spectra of d x d Gram matrices, f64, on the host{together}\n{}error: max|V diag(g) V' - G|/max|G|\n",
        by(&columns, 1, rows)
    )
}

fn sites(rows: &[Row]) -> String {
    let columns: [Column; 9] = [
        ("network", |row| row.path.unwrap_or("-").to_string()),
        COMMON[0],
        COMMON[1],
        COMMON[2],
        COMMON[3],
        REST[0],
        REST[1],
        REST[5],
        REST[6],
    ];
    format!(
        "all sites of a network in one sweep; step*: forward and backward\n{}error: max|G - G64|/max|G64| over all sites\n",
        by(&columns, 3, rows)
    )
}

fn scale(rows: &[Row]) -> String {
    let noted = |row: &Row, name: &str| row.more.get(name).and_then(serde_json::Value::as_f64);
    let list = |row: &Row, name: &str, factor: f64| {
        let values = row.more.get(name).and_then(serde_json::Value::as_array).cloned().unwrap_or_default();
        values.iter().map(|v| number(v.as_f64().map(|v| factor * v))).collect::<Vec<_>>().join(" ")
    };
    let head = ["device", "dtype", "path", "grows", "over", "took [ms]", "slope", "model", "slope at the end", "model"];
    let cells = rows.iter().map(|row| {
        let slope = |name: &str| noted(row, name).map_or("-".into(), |slope| format!("{slope:.2}"));
        let grows = row.more.get("sweep").and_then(|sweep| sweep.as_str()).unwrap_or("-").to_string();
        vec![
            row.device.clone(),
            row.dtype.to_string(),
            marked(row, row.path),
            grows,
            list(row, "values", 1.0),
            list(row, "seconds", 1e3),
            slope("slope"),
            slope("model_slope"),
            slope("end_slope"),
            slope("end_model_slope"),
        ]
    });
    let legend = "slopes of log time and of log multiply-adds (model) over the log of what grows; the others stay\n";
    format!("AGOP at the input as sizes grow\n{}{legend}", aligned(&head, &cells.collect::<Vec<_>>(), 6))
}

/// What the rows of a table share.
fn headline(row: &Row) -> String {
    let text = |name: &str| row.more.get(name).map(|value| value.as_str().map_or(value.to_string(), str::to_string));
    let widths: Vec<String> = row.widths.iter().flatten().map(usize::to_string).collect();
    let name = row.problem.map_or(String::new(), |name| format!(" {name}"));
    let bias = if row.more.get("bias").is_some_and(|bias| bias == true) { " with biases" } else { "" };
    let activation = row.activation.as_deref().unwrap_or("");
    let shape = format!("{} {activation}{bias}, n = {}", widths.join("-"), row.samples.unwrap_or(0));
    match row.kind {
        "agop" => format!("AGOP{name}: {shape}, layers {}", text("layers").unwrap_or_default().replace(',', ", ")),
        _ => {
            let mut line = format!("training{name}: {shape}, all rows a step, ");
            line.push_str(&format!("{} on {}", text("solver").unwrap_or_default(), text("loss").unwrap_or_default()));
            match (text("runs").as_deref(), text("jobs")) {
                (Some("1") | None, _) | (_, None) => {}
                (Some(runs), Some(jobs)) => line.push_str(&format!(", {runs} runs, {jobs} at a time (steps of all)")),
            }
            line
        }
    }
}

fn by(columns: &[Column], left: usize, rows: &[Row]) -> String {
    let head: Vec<&str> = columns.iter().map(|(title, _)| *title).collect();
    let cells: Vec<Vec<String>> = rows.iter().map(|row| columns.iter().map(|(_, cell)| cell(row)).collect()).collect();
    aligned(&head, &cells, left)
}

fn marked(row: &Row, name: Option<&str>) -> String {
    format!("{}{}", name.unwrap_or("-"), if row.auto { " *" } else { "" })
}

fn milliseconds(seconds: Option<f64>) -> String {
    number(seconds.map(|s| 1e3 * s))
}

fn error(value: Option<f64>) -> String {
    match value {
        None => "-".into(),
        Some(0.0) => "0".into(),
        Some(value) => format!("{value:.1e}"),
    }
}
