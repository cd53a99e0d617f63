//! What the colours of a curve stand for.

use crate::claim::plot::curve::Curve;
use crate::report::figures::selection::{Selection, axis_name, not_drawn, setting, values};
use crate::report::figures::view::{HUES, named, spread};
use crate::study::{StudyRun, layer_of};

/// What the colours stand for.
pub(super) struct Lines<'a> {
    of: Of<'a>,
    /// The places of those that are drawn, ascending; their order gives the colour.
    drawn: Vec<usize>,
}

enum Of<'a> {
    /// One colour.
    One,
    /// Values of a key.
    Values(&'a str, Vec<String>),
    /// Layers of the column, from 0.
    Layers(Vec<usize>),
    /// Laws.
    Laws(&'a [String]),
}

impl<'a> Lines<'a> {
    /// The lines of a curve of some runs, and which of them are drawn: with every verdict among them, else evenly
    /// spread, the first and the last among them.
    pub(super) fn of(curve: &'a Curve, selection: &Selection<'_>, notes: &mut Vec<String>) -> Self {
        let runs = selection.runs();
        let all = |n: usize| spread((0..n).collect(), HUES);
        if !curve.laws.is_empty() {
            return Lines { drawn: all(curve.laws.len()), of: Of::Laws(&curve.laws) };
        }
        if curve.y.contains("layer*") {
            let mut layers: Vec<usize> =
                runs.iter().flat_map(|run| run.columns(&curve.y)).filter_map(|column| layer_of(&column)).collect();
            layers.sort_unstable();
            layers.dedup();
            let lines = Lines { drawn: all(layers.len()), of: Of::Layers(layers) };
            lines.note("layers", &runs, notes);
            return lines;
        }
        let Some(key) = &curve.lines else { return Lines { of: Of::One, drawn: vec![0] } };
        let values = values(&runs, key);
        let shown = selection.drawn.iter().flat_map(|i| &selection.panels[*i].1);
        let shown: Vec<&StudyRun> = shown.copied().collect();
        let parts: Vec<Vec<&StudyRun>> = values
            .iter()
            .map(|value| shown.iter().copied().filter(|run| setting(run, key) == *value).collect())
            .collect();
        let drawn = selection.cover(&parts, all(values.len()), HUES);
        let what = format!("values of {}", axis_name(runs[0], key));
        let lines = Lines { drawn, of: Of::Values(key, values) };
        lines.note(&what, &runs, notes);
        lines
    }

    /// Says which are not drawn, where that are some.
    fn note(&self, what: &str, runs: &[&StudyRun], notes: &mut Vec<String>) {
        let left: Vec<String> = (0..self.len())
            .filter(|line| !self.drawn.contains(line))
            .filter_map(|line| match &self.of {
                Of::Values(key, values) => {
                    let run = runs.iter().find(|run| setting(run, key) == values[line])?;
                    Some(self.label(line, run))
                }
                _ => Some(self.label(line, runs[0])),
            })
            .collect();
        if !left.is_empty() {
            let left: Vec<&str> = left.iter().map(String::as_str).collect();
            notes.push(not_drawn(&format!("{} of {} {what}", self.drawn.len(), self.len()), &left));
        }
    }

    /// The colour of a line, where it is drawn.
    pub(super) fn hue(&self, line: usize) -> Option<usize> {
        self.drawn.iter().position(|drawn| *drawn == line)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match &self.of {
            Of::One => 1,
            Of::Values(_, values) => values.len(),
            Of::Layers(layers) => layers.len(),
            Of::Laws(laws) => laws.len(),
        }
    }

    /// What a colour stands for, of which this is a run.
    pub(super) fn label(&self, line: usize, run: &StudyRun) -> String {
        match &self.of {
            Of::One => String::new(),
            Of::Values(key, values) => named(run, key, &values[line]),
            Of::Layers(layers) => format!("layer {}", run.layer(layers[line])),
            Of::Laws(laws) => laws[line].clone(),
        }
    }

    /// Whether a run and a layer have a colour.
    pub(super) fn holds(&self, line: usize, run: &StudyRun, layer: Option<usize>) -> bool {
        match &self.of {
            Of::One | Of::Laws(_) => true,
            Of::Values(key, values) => setting(run, key) == values[line],
            Of::Layers(layers) => layer == Some(layers[line]),
        }
    }
}
