//! The table of runs on the page.

use crate::report::draw::format::{UNDEFINED, fixed, maybe, short, sig};
use crate::report::figures::view::{value, varying_keys};
use crate::report::tables::words::{Task, alpha, class, setting};
use crate::study::decay::Imbalance;
use crate::study::{Study, StudyRun, distinct, tally};
use maud::{Markup, html};

/// A box in which a wide table scrolls by itself, reachable by keyboard.
///
/// A table of more than [`TALL`] rows scrolls in height too, under its head.
pub(crate) fn scroll(name: &str, rows: usize, table: Markup) -> Markup {
    html! { div.scroll.tall[rows > TALL] tabindex="0" role="region" aria-label=(name) { (table) } }
}

/// Rows of a table that stand open on the page.
const TALL: usize = 60;

/// Which columns a table of runs has beside those that every table has.
struct Shape {
    /// The keys that tell runs of one arm apart.
    keys: Vec<String>,
    /// Whether rows differ in their layer.
    layer: bool,
    /// Whether the law has an exponent to measure.
    exponent: bool,
    /// Whether the imbalance ratio stands beside its law.
    imbalance: bool,
}

impl Shape {
    /// The number of columns.
    fn width(&self) -> usize {
        self.keys.len().max(1)
            + usize::from(self.layer)
            + 2 * (usize::from(self.imbalance) + usize::from(self.exponent))
            + 9
    }
}

/// The table of runs over the layers asked for, grouped by arm.
pub(crate) fn html(study: &Study, law: &str, layers: &dyn Fn(usize) -> bool) -> Markup {
    let only_first = layers(0) && !layers(1);
    let shape = Shape {
        keys: columns(study),
        layer: !only_first,
        exponent: study.has_exponent(law),
        imbalance: only_first && study.runs.iter().any(|run| Imbalance::of(run).is_some()),
    };
    let arms = distinct(study.runs.iter().map(|run| value(run, "arm")));
    html! {
        table.runs {
            thead { (head(&shape)) }
            @for arm in &arms {
                tbody {
                    @if arms.len() > 1 {
                        tr.group { th colspan=(shape.width()) scope="rowgroup" { span { (arm) } } }
                    }
                    @for run in study.runs.iter().filter(|run| value(run, "arm") == *arm) {
                        @for layer in rows(run, law, layers) { (row(run, law, layer, &shape)) }
                    }
                }
            }
        }
    }
}

/// The layers of a run that a table shows; a run without records still has one row.
fn rows(run: &StudyRun, law: &str, layers: &dyn Fn(usize) -> bool) -> Vec<usize> {
    let measured = run.layers(law);
    if measured.is_empty() && layers(0) {
        return vec![0];
    }
    measured.into_iter().filter(|layer| layers(*layer)).collect()
}

/// How many rows a table over these layers has.
pub(crate) fn length(study: &Study, law: &str, layers: &dyn Fn(usize) -> bool) -> usize {
    study.runs.iter().map(|run| rows(run, law, layers).len()).sum()
}

/// The keys that tell runs of one arm apart.
fn columns(study: &Study) -> Vec<String> {
    let varying = varying_keys(study).into_iter().map(|(key, _)| key);
    varying.filter(|key| key != "arm").collect()
}

/// The verdicts of a layer over all completed runs, in the order of their first run.
pub(crate) fn verdicts<'a>(study: &'a Study, law: &str, layer: usize) -> Vec<(&'a str, usize)> {
    let completed = study.runs.iter().filter(|run| run.completed());
    tally(completed.filter_map(|run| run.word(law, "verdict", layer)))
}

/// The head of the table.
fn head(shape: &Shape) -> Markup {
    html! {
        tr {
            @if shape.keys.is_empty() { th { "run" } }
            @for key in &shape.keys { th.right title=(key) { (short(key)) } }
            @if shape.layer { th.right { "layer" } }
            @if shape.exponent {
                th.right { "α measured" }
                th.right { "α theory" }
            }
            th { "verdict" }
            th.right { "misfit δ" }
            th.right { "directions" }
            th.right { "order" }
            th.right { "shape" }
            th.right title="misfit of a randomly rotated matrix" { "null: random" }
            th.right title="misfit before training" { "null: at start" }
            @if shape.imbalance {
                th.right title="|D| over its value at step 0, of the pair of layers furthest from the law" { "imbalance ratio" }
                th.right { "its law" }
            }
            th.right { "test error" }
            th { "why" }
        }
    }
}

/// One run and layer.
fn row(run: &StudyRun, law: &str, layer: usize, shape: &Shape) -> Markup {
    let number = |quantity: &str| run.measured(law, quantity, layer);
    let done = run.completed();
    html! {
        tr.broken[!done] {
            @if shape.keys.is_empty() { th scope="row" { (run.id) } }
            @for key in &shape.keys { th.right scope="row" { (setting(run, key)) } }
            @if shape.layer { td.right { (run.layer(layer)) } }
            @if shape.exponent {
                td.right.strong { (alpha(number("alpha"))) }
                td.right.theory { (fixed(number("predicted"), 4)) }
            }
            td { (verdict(run, law, layer)) }
            td.right.strong { (maybe(number("misfit"))) }
            @for part in ["directions", "order", "shape"] {
                td.right { (maybe(number(&format!("parts.{part}")))) }
            }
            td.right.null { (maybe(number("null.haar"))) }
            td.right.null { (maybe(number("null.init"))) }
            @if shape.imbalance {
                @let imbalance = Imbalance::of(run);
                td.right { (number_or_dash(imbalance.map(|imbalance| imbalance.ratio))) }
                td.right.theory { (number_or_dash(imbalance.and_then(|imbalance| imbalance.law))) }
            }
            td.right { (task(run)) }
            td.why { (why(run, law, layer)) }
        }
    }
}

/// A ratio to three digits, or the mark of an undefined one.
fn number_or_dash(value: Option<f64>) -> String {
    value.map_or_else(|| UNDEFINED.to_string(), |value| sig(value, 3))
}

/// The verdict as a chip, told apart by mark and word as well as colour; how a run ended, where it
/// didn't complete.
fn verdict(run: &StudyRun, law: &str, layer: usize) -> Markup {
    if !run.completed() {
        return html! { span.chip.undetermined { "! " (run.outcome) } };
    }
    match run.word(law, "verdict", layer) {
        Some(word) => html! { span class={"chip " (class(word))} { (glyph(word)) " " (word) } },
        None => html! { (UNDEFINED) },
    }
}

/// The mark of a verdict.
fn glyph(word: &str) -> &'static str {
    match word {
        "holds" => "✓",
        "approximate" => "≈",
        "fails" => "✗",
        _ => "?",
    }
}

/// The reason of a verdict, or of an end.
fn why(run: &StudyRun, law: &str, layer: usize) -> String {
    let reason = run.word(law, "reason", layer).unwrap_or_default();
    if run.completed() {
        let unpredicted = run.theory.unpredicted.as_ref();
        return match unpredicted {
            Some(why) => format!("{reason}; theory predicts no exponent: {why}"),
            None => reason.to_string(),
        };
    }
    let end = run.reason.as_deref().unwrap_or_default();
    format!("stopped at step {}{}{end}", run.step, if end.is_empty() { "" } else { ": " })
}

/// The test error with its unit.
fn task(run: &StudyRun) -> Markup {
    match Task::of(run) {
        Some(Task::Wrong(share)) => html! { (format!("{:.1}", 100.0 * share)) " %" small { " wrong" } },
        Some(Task::Loss(loss)) => html! { (sig(loss, 3)) small { " loss" } },
        None => html! { (UNDEFINED) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::sample;

    #[test]
    fn a_table_has_a_row_for_each_run_and_layer() {
        let study = sample::study();
        assert_eq!(length(&study, "nfa", &|layer| layer == 0), 4);
        assert_eq!(length(&study, "nfa", &|layer| layer > 0), 6);
        let page = html(&study, "nfa", &|layer| layer == 0).into_string();
        assert_eq!(page.matches("✓ holds").count(), 4);
        assert!(page.contains("0.3333"));
    }
}
