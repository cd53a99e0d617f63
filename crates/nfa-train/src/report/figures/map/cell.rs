//! The cells of a map.

use crate::claim::at::At;
use crate::claim::plot::Plot;
use crate::claim::plot::map::Map;
use crate::keys::{self, get};
use crate::report::draw::format::{count, list};
use crate::report::figures::selection::{Selection, differing, ids, others, row, span};
use crate::study::{StudyRun, tally};

/// One cell: the runs of one setting, which differ in their seed alone.
pub(super) struct Cell<'a> {
    pub(super) panel: usize,
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) runs: Vec<&'a StudyRun>,
    pub(super) value: Value,
}

/// What a cell shows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// A number, the mean over seeds.
    Number(f64),
    /// The most frequent word, and whether all seeds have it.
    Word(String, bool),
    /// Nothing was measured.
    None,
}

impl Value {
    /// Its number, if it is one.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Value::Number(value) => Some(*value),
            _ => None,
        }
    }

    /// Its word, if it is one.
    pub(super) fn word(&self) -> Option<&str> {
        match self {
            Value::Word(word, _) => Some(word),
            _ => None,
        }
    }

    /// What some runs measured, each by itself: ` (fails in 3, holds in 1)`; empty where nothing was.
    fn each(runs: &[&StudyRun], column: &str, at: Option<At>) -> String {
        let values: Vec<Value> = runs.iter().map(|run| Value::of(&[run], column, at)).collect();
        let numbers: Vec<f64> = values.iter().filter_map(Value::number).collect();
        let words = tally(values.iter().filter_map(Value::word));
        match (numbers.is_empty(), words.is_empty()) {
            (false, _) => format!(" ({column} {})", span(&numbers)),
            (_, false) => {
                let words: Vec<String> = words.iter().map(|(word, n)| format!("{word} in {n}")).collect();
                format!(" ({})", list(&words, 9))
            }
            _ => String::new(),
        }
    }

    /// What the runs of a cell measured.
    fn of(runs: &[&StudyRun], column: &str, at: Option<At>) -> Self {
        let cell = |run: &&StudyRun| run.record.cell(row(&run.record, at)?, column).cloned();
        let found: Vec<_> = runs.iter().filter_map(cell).collect();
        let numbers: Vec<f64> = found.iter().filter_map(|cell| cell.as_number()).collect();
        if !numbers.is_empty() {
            return Value::Number(numbers.iter().sum::<f64>() / numbers.len() as f64);
        }
        let words: Vec<&str> = found.iter().filter_map(|cell| cell.as_text()).collect();
        let times = |word: &str| words.iter().filter(|other| **other == word).count();
        // The first of the most frequent.
        let most = words.iter().rev().max_by_key(|word| times(word));
        most.map_or(Value::None, |word| Value::Word(word.to_string(), times(word) == words.len()))
    }
}

/// The cells of every panel; of runs that share one but differ in more than the seed, the first setting in the plan.
pub(super) fn cells<'a>(
    plot: &Plot,
    map: &Map,
    column: &str,
    selection: &Selection<'a>,
    notes: &mut Vec<String>,
) -> Vec<Cell<'a>> {
    let apart = [map.x.as_str(), map.y.as_str(), "seed", "solver.steps", "solver.time"];
    let mut cells: Vec<Cell<'a>> = Vec::new();
    let mut left_out: Vec<Vec<(&str, &str)>> = Vec::new();
    let (mut other, mut off): (Vec<&StudyRun>, Vec<&StudyRun>) = (Vec::new(), Vec::new());
    for (panel, (_, runs)) in selection.panels.iter().enumerate() {
        for run in runs {
            let at = |key: &str| get(&run.config, key).and_then(keys::number);
            let (Some(x), Some(y)) = (at(&map.x), at(&map.y)) else {
                off.push(run);
                continue;
            };
            match cells.iter_mut().find(|cell| cell.panel == panel && cell.x == x && cell.y == y) {
                Some(cell) if others(cell.runs[0], &apart) == others(run, &apart) => cell.runs.push(run),
                Some(cell) => {
                    left_out.extend([others(cell.runs[0], &apart), others(run, &apart)]);
                    other.push(run);
                }
                None => cells.push(Cell { panel, x, y, runs: vec![run], value: Value::None }),
            }
        }
    }
    if !left_out.is_empty() {
        let keys = differing(&left_out);
        let n = count(other.len(), "run");
        let measured = Value::each(&other, column, plot.at);
        notes.push(format!(
            "Left out: {n} that differ in {keys} from the first in the plan{measured}; `where` or `panels` tells them apart."
        ));
    }
    if !off.is_empty() {
        let keys = format!("{} and {}", map.x, map.y);
        notes.push(format!("Left out: {} ({}) without numbers at {keys}.", count(off.len(), "run"), ids(&off)));
    }
    for cell in &mut cells {
        cell.value = match Value::of(&cell.runs, column, plot.at) {
            // A logarithm has no colour for these.
            Value::Number(value) if plot.log.value && value <= 0.0 => Value::None,
            value => value,
        };
    }
    cells
}
