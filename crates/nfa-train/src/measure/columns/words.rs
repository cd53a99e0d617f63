//! The columns as a table for people, and for programs.

use nfa_metrics::Interval;
use serde_json::{Value, json};

use crate::measure::columns::column::{Column, Columns, Part};

/// Columns that the table shows at most.
const SHOWN: usize = 24;

fn number(value: Option<f64>) -> String {
    match value {
        None => "-".into(),
        Some(0.0) => "0".into(),
        Some(value) if value < 1e-3 => format!("{value:.0e}"),
        Some(value) => format!("{value:.3}"),
    }
}

fn share(of: Option<Part>) -> String {
    let ends = of.and_then(|part| part.own.interval);
    let ends = ends.map(|Interval { low, high }| format!(" [{}, {}]", number(Some(low)), number(Some(high))));
    format!("{}{}", number(of.map(|part| part.own.share)), ends.unwrap_or_default())
}

/// For people: the largest first.
pub fn text(columns: &Columns) -> String {
    let cells = |row: &&Column| {
        let word = match row.is_above() {
            Some(true) => "above",
            Some(false) => "as chance",
            None => "",
        };
        let chance = number(row.deviation.and_then(|part| part.shuffled));
        [row.label(), format!("{:.3e}", row.value), share(row.unit), share(row.deviation), chance, word.into()]
    };
    let mut lines = vec![["column", "diag(AGOP)", "share", "per sd", "shuffled", ""].map(String::from)];
    lines.extend(columns.sorted(|row| row.value).iter().take(SHOWN).map(cells));
    let there = |i: usize| lines.iter().skip(1).any(|line| !matches!(line[i].as_str(), "-" | ""));
    let kept: Vec<usize> = (0..lines[0].len()).filter(|&i| i < 3 || there(i)).collect();
    let width = |i: usize| lines.iter().map(|line| line[i].chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for line in &lines {
        let mut row = String::new();
        for &i in &kept {
            let space = " ".repeat(width(i) - line[i].chars().count());
            // Words to the left, numbers to the right.
            let words = matches!(i, 0 | 5);
            row.push_str(&if words { format!("{}{space}  ", line[i]) } else { format!("{space}{}  ", line[i]) });
        }
        text.push_str(&format!("{}\n", row.trim_end()));
    }
    if columns.rows.len() > SHOWN {
        text.push_str(&format!("and {} more columns (--json)\n", columns.rows.len() - SHOWN));
    }
    text.push_str(&format!(
        "columns: {}\nshare: of tr(AGOP), per unit of each column; per sd: per standard deviation of each, which units don't \
         change\n",
        columns.finding()
    ));
    text
}

/// For programs: a list in the order of the columns.
pub fn json(columns: &Columns) -> Value {
    let part = |of: Option<Part>| {
        of.map(|part| {
            let interval = part.own.interval.map(|interval| [interval.low, interval.high]);
            json!({ "share": part.own.share, "interval": interval, "shuffled": part.shuffled })
        })
    };
    let row = |row: &Column| {
        json!({
            "column": row.column,
            "name": row.name,
            "value": row.value,
            "unit": part(row.unit),
            "deviation": part(row.deviation),
            "above_shuffled": row.is_above(),
        })
    };
    columns.rows.iter().map(row).collect()
}
