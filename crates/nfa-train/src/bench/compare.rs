//! Today's rows beside an earlier file's.

use std::path::Path;

use serde_json::{Value, json};

use crate::bench::{columns, machine, row};
use crate::error::{Error, Result};
use crate::machine::disk::Store;

/// Rows that agree in these are of the same thing; a field that is missing is as good as null.
const KEYS: [&str; 21] = [
    "kind",
    "device",
    "path",
    "engine",
    "dtype",
    "widths",
    "activation",
    "samples",
    "bias",
    "seed",
    "layers",
    "solver",
    "loss",
    "runs",
    "jobs",
    "dim",
    "operation",
    "direction",
    "sweep",
    "values",
    "stay",
];

/// An earlier file.
pub struct Old {
    name: String,
    machine: Option<Value>,
    rows: Vec<Value>,
}

/// What to do about a file that is none.
const NEXT: &str = "give a file that bench --save wrote";

/// Reads a file that `--save` wrote.
///
/// # Errors
/// The line that is not what it should be, and why.
pub fn read(store: &dyn Store, path: &Path) -> Result<Old> {
    let name = path.display().to_string();
    let refused = |why: &str| Error::input(format!("--compare {name}: {why}; {NEXT}"));
    let bytes = store.read(path).map_err(|error| refused(&error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| refused("is not UTF-8 text"))?;
    let mut old = Old { name, machine: None, rows: Vec::new() };
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |why: String| {
            let place = format!("--compare {}, line {}", old.name, number + 1);
            Error::input(format!("{place}: {why}; {NEXT}"))
        };
        let value: Value = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
        match value["schema"].as_str() {
            Some(machine::SCHEMA) => old.machine = Some(value),
            Some(row::SCHEMA) => old.rows.push(value),
            other => return Err(wrong(format!("has schema {}", other.unwrap_or("none")))),
        }
    }
    if old.rows.is_empty() {
        return Err(Error::input(format!("--compare {}: has no {} rows; {NEXT}", old.name, row::SCHEMA)));
    }
    Ok(old)
}

/// A row that both have.
struct Pair {
    new: Value,
    was: Option<f64>,
    is: Option<f64>,
}

/// What both have in common.
pub struct Comparison {
    name: String,
    /// What differs between the machines; unknown without a line about the old one.
    differences: Option<Vec<String>>,
    pairs: Vec<Pair>,
    unmatched: usize,
}

/// Pairs rows that are about the same thing.
pub fn compare(old: &Old, new: &[Value], here: &Value) -> Comparison {
    let null = Value::Null;
    let field = |row: &Value, key: &str| row.get(key).unwrap_or(&null).clone();
    let same = |a: &Value, b: &Value| KEYS.iter().all(|key| field(a, key) == field(b, key));
    let mut found = Comparison {
        name: old.name.clone(),
        differences: old.machine.as_ref().map(|machine| machine::differences(machine, here)),
        pairs: Vec::new(),
        unmatched: 0,
    };
    for new in new {
        match old.rows.iter().find(|old| same(old, new)) {
            Some(old) => found.pairs.push(Pair { new: new.clone(), was: figure(old).1, is: figure(new).1 }),
            None => found.unmatched += 1,
        }
    }
    found
}

/// What a row is compared by, and its name: an error, a time, of a sweep the time at its end.
fn figure(row: &Value) -> (&'static str, Option<f64>) {
    match row["kind"].as_str() {
        Some("fidelity") => ("ulp", row["ulp"].as_f64()),
        Some("scale") => ("end_s", row["seconds"].as_array().and_then(|seconds| seconds.last()?.as_f64())),
        _ => ("median_s", row["median_s"].as_f64()),
    }
}

impl Pair {
    /// What was over what is: above 1 where it got better.
    fn ratio(&self) -> Option<f64> {
        self.was.zip(self.is).and_then(|(was, is)| row::finite(was / is))
    }
}

impl Comparison {
    fn comparable(&self) -> bool {
        self.differences.as_ref().is_some_and(Vec::is_empty)
    }

    /// Why the ratios mean nothing, if they do.
    pub fn warning(&self) -> Option<String> {
        match &self.differences {
            None => Some(format!("{} does not say which machine it is of; its ratios may compare machines", self.name)),
            Some(list) if list.is_empty() => None,
            Some(list) => {
                let what = list.join("; ");
                Some(format!(
                    "{} is of another machine, or of this one used otherwise: {what}; ratios compare machines",
                    self.name
                ))
            }
        }
    }

    /// One `nfa.bench_ratio/1` per pair.
    pub fn json(&self) -> Vec<Value> {
        let line = |pair: &Pair| {
            let mut line = json!({ "schema": "nfa.bench_ratio/1" });
            for key in KEYS {
                if let Some(value) = pair.new.get(key) {
                    line[key] = value.clone();
                }
            }
            let (figure, _) = figure(&pair.new);
            line["old"] = json!({ figure: pair.was });
            line["new"] = json!({ figure: pair.is });
            line["ratio"] = json!(pair.ratio());
            line["comparable"] = self.comparable().into();
            line
        };
        self.pairs.iter().map(line).collect()
    }

    /// A table.
    pub fn text(&self) -> String {
        let ratio = if self.comparable() { "then/now" } else { "then/now (not comparable)" };
        let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
        let cells = self.pairs.iter().map(|pair| {
            let fidelity = pair.new["kind"] == "fidelity";
            let about = |key: &&str| pair.new.get(*key).filter(|value| !value.is_null()).map(&word);
            let keys = [
                "problem",
                "widths",
                "activation",
                "samples",
                "layers",
                "solver",
                "runs",
                "dim",
                "operation",
                "direction",
                "sweep",
            ];
            let what: Vec<String> = keys.iter().filter_map(about).collect();
            let way = ["path", "engine"].iter().find_map(about).unwrap_or_default();
            let shown = |figure: Option<f64>| match fidelity {
                true => figure.map_or("-".into(), |ulp| format!("{} ulp", columns::number(Some(ulp)))),
                false => figure.map_or("-".into(), |s| format!("{} ms", columns::number(Some(1e3 * s)))),
            };
            vec![
                word(&pair.new["kind"]),
                what.join(" "),
                word(&pair.new["device"]),
                word(&pair.new["dtype"]),
                way,
                shown(pair.was),
                shown(pair.is),
                pair.ratio().map_or("-".into(), |ratio| format!("{ratio:.2}")),
            ]
        });
        let head = ["kind", "of", "device", "dtype", "way", "then", "now", ratio];
        if self.pairs.is_empty() {
            return format!("nothing of today is in {}\n", self.name);
        }
        let mut text = format!("beside {}\n", self.name);
        text.push_str(&columns::aligned(&head, &cells.collect::<Vec<_>>(), 5));
        if self.unmatched > 0 {
            let rows = if self.unmatched == 1 { "row of today is" } else { "rows of today are" };
            text.push_str(&format!("{} {rows} not in {}\n", self.unmatched, self.name));
        }
        text
    }
}
