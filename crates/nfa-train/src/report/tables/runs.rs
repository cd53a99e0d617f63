//! The table of runs: on the page, and on a terminal.

use crate::report::draw::format::{UNDEFINED, ascii, fixed, maybe, short, sig};
use crate::report::facts::{self, Task};
use crate::report::figures::view::{value, varying_keys};
use crate::study::{Study, StudyRun};
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
    /// Whether the imbalance ratio stands beside its law.
    imbalance: bool,
}

impl Shape {
    /// The number of columns.
    fn width(&self) -> usize {
        self.keys.len().max(1) + usize::from(self.layer) + 2 * usize::from(self.imbalance) + 11
    }
}

/// The table of runs over the layers asked for, grouped by arm.
pub(crate) fn html(study: &Study, law: &str, layers: &dyn Fn(usize) -> bool) -> Markup {
    let only_first = layers(0) && !layers(1);
    let shape = Shape {
        keys: columns(study),
        layer: !only_first,
        imbalance: only_first && study.runs.iter().any(|run| facts::imbalance(run).is_some()),
    };
    let arms = arms(study);
    html! {
        table.runs {
            thead { (head(&shape)) }
            @for arm in &arms {
                tbody {
                    @if arms.len() > 1 {
                        tr.group { th colspan=(shape.width()) scope="rowgroup" { span { (arm) } } }
                    }
                    @for run in study.runs.iter().filter(|run| value(run, "arm") == arm) {
                        @for layer in rows(run, law, layers) { (row(run, law, layer, &shape)) }
                    }
                }
            }
        }
    }
}

/// The layers of a run that a table shows; a run without records still has one row.
fn rows(run: &StudyRun, law: &str, layers: &dyn Fn(usize) -> bool) -> Vec<usize> {
    let measured = facts::layers(run, law);
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

/// The value of a run's key; where only other arms vary it, the resolved configuration's.
fn setting(run: &StudyRun, key: &str) -> String {
    let known = value(run, key);
    if !known.is_empty() || key == "arm" {
        return known.to_string();
    }
    let mut parts = key.split('.');
    let first = parts.next().and_then(|part| run.config.get(part));
    match parts.try_fold(first, |at, part| at.map(|at| at.get(part))) {
        Some(Some(toml::Value::String(text))) => text.clone(),
        Some(Some(value)) => value.to_string(),
        _ => String::new(),
    }
}

/// The verdicts of a layer over all completed runs, in the order of their first run.
pub(crate) fn verdicts<'a>(study: &'a Study, law: &str, layer: usize) -> Vec<(&'a str, usize)> {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for run in study.runs.iter().filter(|run| facts::completed(run)) {
        if let Some(word) = facts::word(run, law, "verdict", layer) {
            match counts.iter_mut().find(|(known, _)| *known == word) {
                Some((_, n)) => *n += 1,
                None => counts.push((word, 1)),
            }
        }
    }
    counts
}

/// The arms, in the plan's order; one empty name where there are none.
fn arms(study: &Study) -> Vec<String> {
    let mut arms: Vec<String> = Vec::new();
    for run in &study.runs {
        let arm = value(run, "arm").to_string();
        if !arms.contains(&arm) {
            arms.push(arm);
        }
    }
    arms
}

/// The head of the table.
fn head(shape: &Shape) -> Markup {
    html! {
        tr {
            @if shape.keys.is_empty() { th { "run" } }
            @for key in &shape.keys { th.right title=(key) { (short(key)) } }
            @if shape.layer { th.right { "layer" } }
            th.right { "α measured" }
            th.right { "α theory" }
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
    let number = |quantity: &str| facts::measured(run, law, quantity, layer);
    let done = facts::completed(run);
    html! {
        tr.broken[!done] {
            @if shape.keys.is_empty() { th scope="row" { (run.id) } }
            @for key in &shape.keys { th.right scope="row" { (setting(run, key)) } }
            @if shape.layer { td.right { (layer) } }
            td.right.strong { (alpha(number("alpha"))) }
            td.right.theory { (fixed(number("predicted"), 4)) }
            td { (verdict(run, law, layer)) }
            td.right.strong { (maybe(number("misfit"))) }
            @for part in ["directions", "order", "shape"] {
                td.right { (maybe(number(&format!("parts.{part}")))) }
            }
            td.right.null { (maybe(number("null.haar"))) }
            td.right.null { (maybe(number("null.init"))) }
            @if shape.imbalance {
                @let imbalance = facts::imbalance(run);
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
    if !facts::completed(run) {
        return html! { span.chip.undetermined { "! " (run.outcome) } };
    }
    match facts::word(run, law, "verdict", layer) {
        Some(word) => html! { span class={"chip " (class(word))} { (glyph(word)) " " (word) } },
        None => html! { (UNDEFINED) },
    }
}

/// The class of a verdict.
fn class(word: &str) -> &'static str {
    match word {
        "holds" => "holds",
        "approximate" => "approximate",
        "fails" => "fails",
        _ => "undetermined",
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
    let reason = facts::word(run, law, "reason", layer).unwrap_or_default();
    if facts::completed(run) {
        return reason.to_string();
    }
    let end = run.reason.as_deref().unwrap_or_default();
    format!("stopped at step {}{}{end}", run.step, if end.is_empty() { "" } else { ": " })
}

/// The test error with its unit.
fn task(run: &StudyRun) -> Markup {
    match facts::task(run) {
        Some(Task::Wrong(share)) => html! { (format!("{:.1}", 100.0 * share)) " %" small { " wrong" } },
        Some(Task::Loss(loss)) => html! { (sig(loss, 3)) small { " loss" } },
        None => html! { (UNDEFINED) },
    }
}

/// One line of the terminal's table: cells, and the colour of the verdict's.
struct Line {
    cells: Vec<String>,
    verdict: String,
}

/// A column of the terminal's table.
struct Column {
    name: String,
    right: bool,
    /// Columns with a larger number leave first where the terminal is narrow.
    rank: u8,
}

/// The summary that a terminal shows: one row a run, measured beside theory, then the checks.
///
/// Columns that don't fit into `width` characters are left out, the least important first. With
/// `color`, verdicts and checks carry ANSI colours; words and marks say the same without.
pub fn text(study: &Study, width: usize, color: bool) -> String {
    let law = facts::main_law(study).unwrap_or_else(|| "nfa".to_string());
    let names: Vec<String> = keys_of(study);
    let mut columns: Vec<Column> = names
        .iter()
        .map(|name| Column { name: short(name).to_string(), right: name != "arm" && name != "run", rank: 0 })
        .collect();
    for (name, right, rank) in [
        ("alpha", true, 0),
        ("theory", true, 0),
        ("1-cos", true, 3),
        ("imbal.", true, 2),
        ("its law", true, 2),
        ("misfit", true, 4),
        ("test", true, 5),
        ("verdict", false, 1),
        ("met", true, 1),
    ] {
        columns.push(Column { name: name.to_string(), right, rank });
    }
    let lines: Vec<Line> = study.runs.iter().map(|run| line(study, run, &law, &names)).collect();
    let kept = fit(&columns, &lines, width);
    let mut out = String::new();
    out.push_str(&paint(&header(&columns, &lines, &kept), "1", color));
    out.push('\n');
    for line in &lines {
        out.push_str(&render(line, &columns, &lines, &kept, color));
        out.push('\n');
    }
    out.push_str(&crate::report::tables::seeds::text(study, &law));
    out.push_str(&total(study, color));
    out
}

/// α, or that there is none: the lower end of the search is no measurement.
fn alpha(value: Option<f64>) -> String {
    match value {
        Some(alpha) if alpha <= nfa_metrics::judge::misfit::ALPHA_RANGE[0] => "→ 0".to_string(),
        value => fixed(value, 4),
    }
}

/// The keys that the terminal shows, or the run's id.
fn keys_of(study: &Study) -> Vec<String> {
    let keys: Vec<String> = varying_keys(study).into_iter().map(|(key, _)| key).collect();
    if keys.is_empty() { vec!["run".to_string()] } else { keys }
}

/// The cells of one run.
fn line(study: &Study, run: &StudyRun, law: &str, names: &[String]) -> Line {
    let mut cells: Vec<String> =
        names.iter().map(|name| if name == "run" { run.id.clone() } else { setting(run, name) }).collect();
    let number = |quantity: &str| facts::measured(run, law, quantity, 0);
    let plain = |value: Option<f64>, digits| value.map_or("-".to_string(), |v| ascii(v, digits));
    let decimals = |value: Option<f64>| value.map_or("-".to_string(), |v| format!("{v:.4}"));
    // The lower end of the search is no measurement of an exponent.
    let lowest = nfa_metrics::judge::misfit::ALPHA_RANGE[0];
    cells.push(match number("alpha") {
        Some(alpha) if alpha <= lowest => "-> 0".to_string(),
        alpha => decimals(alpha),
    });
    cells.push(decimals(number("predicted")));
    cells.push(plain(number("one_minus_cosine"), 2));
    let imbalance = facts::imbalance(run);
    cells.push(plain(imbalance.map(|imbalance| imbalance.ratio), 3));
    cells.push(plain(imbalance.and_then(|imbalance| imbalance.law), 3));
    cells.push(plain(number("misfit"), 2));
    cells.push(match facts::task(run) {
        Some(Task::Wrong(share)) => format!("{:.1}%", 100.0 * share),
        Some(Task::Loss(loss)) => ascii(loss, 3),
        None => "-".to_string(),
    });
    let verdict = if facts::completed(run) {
        facts::word(run, law, "verdict", 0).unwrap_or("-").to_string()
    } else {
        run.outcome.clone()
    };
    cells.push(verdict.clone());
    let checks: Vec<bool> =
        study.expectations.iter().filter(|checked| checked.run == run.id).map(|checked| checked.met).collect();
    cells.push(if checks.is_empty() {
        "-".to_string()
    } else {
        format!("{}/{}", checks.iter().filter(|met| **met).count(), checks.len())
    });
    Line { cells, verdict }
}

/// The width of a column.
fn column_width(columns: &[Column], lines: &[Line], i: usize) -> usize {
    let cells = lines.iter().filter_map(|line| line.cells.get(i)).map(|cell| cell.chars().count());
    cells.max().unwrap_or(0).max(columns[i].name.chars().count())
}

/// The columns that are kept: without a value anywhere, none; then by rank until the line fits.
fn fit(columns: &[Column], lines: &[Line], width: usize) -> Vec<usize> {
    let used = |i: &usize| columns[*i].rank == 0 || lines.iter().any(|line| line.cells[*i] != "-");
    let mut kept: Vec<usize> = (0..columns.len()).filter(used).collect();
    let length = |kept: &[usize]| -> usize {
        kept.iter().map(|i| column_width(columns, lines, *i) + 2).sum::<usize>().saturating_sub(2)
    };
    while length(&kept) > width {
        let Some(worst) = kept.iter().map(|i| columns[*i].rank).max().filter(|rank| *rank > 0) else {
            break;
        };
        kept.retain(|i| columns[*i].rank != worst);
    }
    kept
}

/// The head line.
fn header(columns: &[Column], lines: &[Line], kept: &[usize]) -> String {
    let cells = kept.iter().map(|i| pad(&columns[*i].name, column_width(columns, lines, *i), columns[*i].right));
    cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
}

/// One run's line.
fn render(line: &Line, columns: &[Column], lines: &[Line], kept: &[usize], color: bool) -> String {
    let cells = kept.iter().map(|i| {
        let cell = pad(&line.cells[*i], column_width(columns, lines, *i), columns[*i].right);
        match columns[*i].name.as_str() {
            "verdict" => paint(&cell, ansi(&line.verdict), color),
            "theory" | "its law" => paint(&cell, "2", color),
            "met" if missed(&line.cells[*i]) => paint(&cell, "31", color),
            _ => cell,
        }
    });
    cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
}

/// Whether `n/m` says that a check was missed.
fn missed(met: &str) -> bool {
    met.split_once('/').is_some_and(|(met, all)| met != all)
}

/// The ANSI colour of a verdict.
fn ansi(verdict: &str) -> &'static str {
    match class(verdict) {
        "holds" => "32",
        "approximate" => "33",
        "fails" => "31",
        _ => "2",
    }
}

/// Text in a colour.
fn paint(text: &str, code: &str, color: bool) -> String {
    if color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_string() }
}

/// Text filled up with spaces.
fn pad(text: &str, width: usize, right: bool) -> String {
    let fill = " ".repeat(width.saturating_sub(text.chars().count()));
    if right { format!("{fill}{text}") } else { format!("{text}{fill}") }
}

/// The last line: how many checks were met.
fn total(study: &Study, color: bool) -> String {
    let answer = crate::report::answer::answer(study);
    let code = match answer.tone {
        crate::report::answer::Tone::Met => "32",
        crate::report::answer::Tone::Missed => "31",
        crate::report::answer::Tone::Unchecked => "2",
    };
    format!("\n{}\n", paint(&format!("{}.", answer.evidence), code, color))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_terminal_shows_one_aligned_row_a_run() {
        let text = text(&sample::study(), 200, false);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("arm       depth   alpha  theory"), "{}", lines[0]);
        assert!(lines[2].starts_with("balanced      3  0.3333  0.3333"), "{}", lines[2]);
        assert!(lines[2].ends_with("holds    1/1"), "{}", lines[2]);
        assert_eq!(lines[1].len(), lines[2].len());
        assert!(text.ends_with("All 4 checks are met, on all 4 runs.\n"));
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn a_narrow_terminal_gets_fewer_columns() {
        let narrow = text(&sample::study(), 50, false);
        assert!(narrow.lines().take(5).all(|line| line.chars().count() <= 50), "{narrow}");
        assert!(narrow.contains("verdict") && !narrow.contains("1-cos"));
    }

    #[test]
    fn colour_only_where_asked_for() {
        assert!(text(&sample::study(), 200, true).contains("\u{1b}[32mholds"));
    }

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
