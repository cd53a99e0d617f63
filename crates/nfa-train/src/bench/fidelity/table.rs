//! Fidelity for people: operations in rows, devices and dtypes in columns.

use crate::bench::columns::aligned;
use crate::bench::fidelity::worst::WRONG;
use crate::bench::row::Row;

pub(super) fn word<'a>(row: &'a Row, name: &str) -> &'a str {
    row.more.get(name).and_then(serde_json::Value::as_str).unwrap_or("")
}

fn is_wrong(row: &Row) -> bool {
    row.more.get("wrong").is_some_and(|wrong| wrong == true)
}

fn ulp(row: &Row) -> Option<f64> {
    row.more.get("ulp").and_then(serde_json::Value::as_f64)
}

/// Operation by operation in rows, device and dtype in columns.
pub fn text(rows: &[Row]) -> String {
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
    let table = aligned(&head, &cells.collect::<Vec<_>>(), 2);
    format!("worst error over the points of each operation\n{table}{}\n", summary(rows))
}

/// What is wrong, in a sentence.
pub(super) fn summary(rows: &[Row]) -> String {
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
