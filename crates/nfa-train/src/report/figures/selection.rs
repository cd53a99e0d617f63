//! The runs that a `[[plot]]` draws, and the words that curves and maps share.

use std::fmt;

use nfa_metrics::laws::law::Law;

use crate::claim::at::At;
use crate::claim::formula::Formula;
use crate::claim::plot::Plot;
use crate::keys::{get, plain};
use crate::record::Record;
use crate::report::draw::format::{count, list, short, sig, superscript};
use crate::report::figures::view::{PANELS, cover, named, verdict};
use crate::study::{Study, StudyRun, distinct};

/// Why there is nothing to draw.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Nothing {
    /// The study has no run.
    NoRun,
    /// No run fits the plot's `where`.
    NoneFits,
    /// Of so many runs none has completed.
    NoneCompleted(usize),
    /// No law was measured.
    NoLaw,
    /// A column that no run has.
    Unrecorded(String),
    /// Columns of a curve, y and x, without values that the axes can show.
    OffAxes(String, String),
    /// A column of a map, x and y, that no run with numbers at both keys has.
    NoCells(String, String, String),
}

impl fmt::Display for Nothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRun => f.write_str("No run yet."),
            Self::NoneFits => f.write_str("No run fits its `where`."),
            Self::NoneCompleted(runs) => write!(f, "None of its {} has completed.", count(*runs, "run")),
            Self::NoLaw => f.write_str("No law was measured, so there is no verdict."),
            Self::Unrecorded(column) => write!(f, "No run recorded {column}; is it among the [probe] metrics?"),
            Self::OffAxes(y, x) => write!(f, "No run has values of {y} against {x} that can be drawn."),
            Self::NoCells(column, x, y) => write!(f, "No run recorded {column} at two numbers {x} and {y}."),
        }
    }
}

/// The runs that a plot speaks of, and which of its panels are drawn.
pub(crate) struct Selection<'a> {
    /// In the plan's order: title and runs of each panel; one panel without a title where the plot has none.
    pub(crate) panels: Vec<(String, Vec<&'a StudyRun>)>,
    /// The places of the panels that are drawn, ascending.
    pub(crate) drawn: Vec<usize>,
    /// The law that the page is about.
    law: Option<&'a Law>,
    /// What was left out, and by which rule: sentences.
    pub(crate) notes: Vec<String>,
}

impl<'a> Selection<'a> {
    pub(crate) fn of(plot: &Plot, study: &'a Study) -> Result<Self, Nothing> {
        let spoken: Vec<&StudyRun> = study.runs.iter().filter(|run| plot.scope.holds(run.arm(), &run.config)).collect();
        if spoken.is_empty() {
            return Err(if study.runs.is_empty() { Nothing::NoRun } else { Nothing::NoneFits });
        }
        let (runs, others): (Vec<&StudyRun>, Vec<&StudyRun>) = spoken.iter().copied().partition(|run| run.completed());
        if runs.is_empty() {
            return Err(Nothing::NoneCompleted(spoken.len()));
        }
        let mut notes = Vec::new();
        if !others.is_empty() {
            notes.push(format!("Left out: {} that did not complete ({}).", count(others.len(), "run"), ids(&others)));
        }
        let law = study.law();
        let Some(key) = &plot.panels else {
            return Ok(Selection { panels: vec![(String::new(), runs)], drawn: vec![0], law, notes });
        };
        let panel = |value: &String| {
            let inside: Vec<&StudyRun> = runs.iter().copied().filter(|run| setting(run, key) == *value).collect();
            (or_none(named(inside[0], key, value)), inside)
        };
        let panels: Vec<(String, Vec<&StudyRun>)> = values(&runs, key).iter().map(panel).collect();
        let mut selection = Selection { panels, drawn: Vec::new(), law, notes };
        let parts: Vec<Vec<&StudyRun>> = selection.panels.iter().map(|(_, runs)| runs.clone()).collect();
        selection.drawn = selection.cover(&parts, (0..parts.len()).collect(), PANELS);
        if selection.drawn.len() < parts.len() {
            let left: Vec<&str> = (0..parts.len())
                .filter(|i| !selection.drawn.contains(i))
                .map(|i| selection.panels[i].0.as_str())
                .collect();
            let note = not_drawn(&format!("{PANELS} of {} values of {}", parts.len(), short(key)), &left);
            selection.notes.push(note);
        }
        Ok(selection)
    }

    /// Every run that it speaks of.
    pub(crate) fn runs(&self) -> Vec<&'a StudyRun> {
        self.panels.iter().flat_map(|(_, runs)| runs.iter().copied()).collect()
    }

    /// At most `most` of some sets of runs, so that every verdict is among them: else the preferred ones.
    pub(crate) fn cover(&self, sets: &[Vec<&'a StudyRun>], preferred: Vec<usize>, most: usize) -> Vec<usize> {
        let word = |run: &&'a StudyRun| self.law.and_then(|law| verdict(run, law));
        let words: Vec<Vec<&str>> = sets.iter().map(|runs| runs.iter().filter_map(word).collect()).collect();
        cover(&words, preferred, most)
    }
}

/// What is drawn of what, the names of what is not, and that it is counted all the same.
pub(crate) fn not_drawn(drawn: &str, left: &[&str]) -> String {
    format!("Drawn: {drawn}; not drawn, but counted in what was measured: {}.", list(left, 30))
}

/// The ids of some runs.
pub(crate) fn ids(runs: &[&StudyRun]) -> String {
    list(&runs.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), 6)
}

/// A label that is not empty.
fn or_none(label: String) -> String {
    if label.is_empty() { "(none)".to_string() } else { label }
}

/// A run's arm, or the value at a dotted key of its configuration; empty where it has none.
pub(crate) fn setting(run: &StudyRun, key: &str) -> String {
    match key {
        "arm" => run.arm().unwrap_or_default().to_string(),
        key => get(&run.config, key).map(plain).unwrap_or_default(),
    }
}

/// The distinct values of a key, in the plan's order.
pub(crate) fn values(runs: &[&StudyRun], key: &str) -> Vec<String> {
    let all: Vec<String> = runs.iter().map(|run| setting(run, key)).collect();
    distinct(all.iter().map(String::as_str)).into_iter().map(String::from).collect()
}

/// A run's arm and grid values but for those of some keys: what makes it another curve or cell.
pub(crate) fn others<'a>(run: &'a StudyRun, but: &[&str]) -> Vec<(&'a str, &'a str)> {
    let keys = run.keys.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    keys.filter(|(key, _)| !but.contains(key)).collect()
}

/// The keys that differ among such settings, for a sentence.
pub(crate) fn differing(settings: &[Vec<(&str, &str)>]) -> String {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    let mut keys: Vec<&str> = Vec::new();
    for &(key, value) in settings.iter().flatten() {
        match seen.iter().find(|(known, _)| *known == key) {
            None => seen.push((key, value)),
            Some((_, first)) if *first != value && !keys.contains(&short(key)) => keys.push(short(key)),
            Some(_) => {}
        }
    }
    if keys.is_empty() { "their settings".to_string() } else { list(&keys, 4) }
}

/// The row of the probe that a plot speaks of.
pub(crate) fn row(record: &Record, at: Option<At>) -> Option<isize> {
    match at {
        Some(At::First) => (!record.is_empty()).then_some(0),
        Some(At::Step(step)) => {
            (0..record.len().cast_signed()).find(|&row| record.number(row, "step") == Some(step as f64))
        }
        _ => (!record.is_empty()).then_some(-1),
    }
}

/// ` at step 100`; empty at the last probe.
pub(crate) fn when(at: Option<At>) -> String {
    match at {
        Some(At::First) => " before training".to_string(),
        Some(At::Step(step)) => format!(" at step {step}"),
        _ => String::new(),
    }
}

/// A key of a run as the name of an axis.
pub(crate) fn axis_name(run: &StudyRun, key: &str) -> String {
    match key {
        "model.depth" if run.variables().follows("L", key) => "depth L".to_string(),
        "solver.lr" => "learning rate η".to_string(),
        "solver.weight_decay" => "weight decay λ".to_string(),
        key => short(key).to_string(),
    }
}

/// Numbers as `0.0012`, or as `0.0012 to 0.4` where they differ.
pub(crate) fn span(values: &[f64]) -> String {
    let (lo, hi) = ends(values.iter().copied()).unwrap_or((f64::NAN, f64::NAN));
    // What is below a millionth of the largest is rounding and is not spelled out.
    let text = |value: f64| if value.abs() < 1e-6 * hi.abs().max(lo.abs()) { "0".to_string() } else { sig(value, 2) };
    let (lo, hi) = (text(lo), text(hi));
    if lo == hi { lo } else { format!("{lo} to {hi}") }
}

/// The smallest and the largest value.
pub(crate) fn ends(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |ends, v| Some(ends.map_or((v, v), |(lo, hi): (f64, f64)| (lo.min(v), hi.max(v)))))
}

/// A formula for a picture or a sentence: signs and small powers as they are set.
pub(crate) fn pretty(formula: &Formula) -> String {
    let chars: Vec<char> = formula.to_string().chars().collect();
    let mut pretty = String::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let ends = |at: usize| chars.get(at).is_none_or(|c| !c.is_alphanumeric() && *c != '.');
        match (c, chars.get(at + 1).and_then(|next| next.to_digit(10))) {
            ('^', Some(digit)) if ends(at + 2) => {
                pretty.push_str(&superscript(digit.cast_signed()));
                at += 1;
            }
            ('*', _) => pretty.push('·'),
            ('-', _) => pretty.push('\u{2212}'),
            (c, _) => pretty.push(c),
        }
        at += 1;
    }
    pretty.replace("lambda", "λ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_set() {
        let set = |text: &str| pretty(&Formula::parse(text).unwrap());
        assert_eq!(set("-lr^2 * lambda^(2*t)"), "−lr² · λ^(2·t)");
        assert_eq!(set("2^10 + 2^0.5 + t^3"), "2^10 + 2^0.5 + t³");
    }

    #[test]
    fn spans_of_numbers() {
        assert_eq!(span(&[0.5, 1e-9]), "0 to 0.50");
        assert_eq!(span(&[2e-7, 2e-7]), "2.0×10⁻⁷");
        assert_eq!(span(&[-1.0, 3.0]), "-1.0 to 3.0");
    }
}
