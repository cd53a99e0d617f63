//! What the colours of a curve stand for.

use crate::claim::plot::curve::Curve;
use crate::report::figures::selection::{axis_name, setting, values};
use crate::report::figures::view::{HUES, named, spread};
use crate::study::{StudyRun, layer_of};

/// What the colours stand for.
pub(super) enum Lines<'a> {
    /// One colour.
    One,
    /// Values of a key.
    Values(&'a str, Vec<String>),
    /// Layers of the column, from 0.
    Layers(Vec<usize>),
}

impl<'a> Lines<'a> {
    /// The colours of a curve of some runs.
    pub(super) fn of(curve: &'a Curve, runs: &[&StudyRun], notes: &mut Vec<String>) -> Self {
        let mut chosen = |n: usize, what: &str| {
            if n > HUES {
                notes.push(format!("Drawn: {HUES} of {n} {what}, evenly spread, the first and the last among them."));
            }
        };
        if curve.y.contains("layer*") {
            let mut layers: Vec<usize> =
                runs.iter().flat_map(|run| run.columns(&curve.y)).filter_map(|column| layer_of(&column)).collect();
            layers.sort_unstable();
            layers.dedup();
            chosen(layers.len(), "layers");
            return Lines::Layers(spread(layers, HUES));
        }
        match &curve.lines {
            None => Lines::One,
            Some(key) => {
                let values = values(runs, key);
                chosen(values.len(), &format!("values of {}", axis_name(runs[0], key)));
                Lines::Values(key, spread(values, HUES))
            }
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Lines::One => 1,
            Lines::Values(_, values) => values.len(),
            Lines::Layers(layers) => layers.len(),
        }
    }

    /// What a colour stands for, of which this is a run.
    pub(super) fn label(&self, line: usize, run: &StudyRun) -> String {
        match self {
            Lines::One => String::new(),
            Lines::Values(key, values) if values[line].is_empty() => format!("no {key}"),
            Lines::Values(key, values) => named(run, key, &values[line]),
            Lines::Layers(layers) => format!("layer {}", layers[line]),
        }
    }

    /// Whether a run and a layer have a colour.
    pub(super) fn holds(&self, line: usize, run: &StudyRun, layer: Option<usize>) -> bool {
        match self {
            Lines::One => true,
            Lines::Values(key, values) => setting(run, key) == values[line],
            Lines::Layers(layers) => layer == Some(layers[line]),
        }
    }
}
