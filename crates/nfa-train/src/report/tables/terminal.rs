//! The table of runs on a terminal.

use crate::report::answer::{Tone, answer, expectations};
use crate::report::draw::format::{ascii, short};
use crate::report::figures::view::varying_keys;
use crate::report::tables::seeds;
use crate::report::tables::words::{Task, class, is_lowest, setting};
use crate::study::decay::Imbalance;
use crate::study::{Study, StudyRun};

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
    let law = study.law().map_or("", |law| law.name);
    let names: Vec<String> = keys_of(study);
    let mut columns: Vec<Column> = names
        .iter()
        .map(|name| Column { name: short(name).to_string(), right: name != "arm" && name != "run", rank: 0 })
        .collect();
    // Columns without any value go, but for those of rank 0.
    let of_alpha = u8::from(!study.has_exponent(law));
    for (name, right, rank) in [
        ("alpha", true, of_alpha),
        ("theory", true, of_alpha),
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
    let lines: Vec<Line> = study.runs.iter().map(|run| line(study, run, law, &names)).collect();
    let kept = fit(&columns, &lines, width);
    let mut out = String::new();
    out.push_str(&paint(&header(&columns, &lines, &kept), "1", color));
    out.push('\n');
    for line in &lines {
        out.push_str(&render(line, &columns, &lines, &kept, color));
        out.push('\n');
    }
    if study.has_exponent(law) {
        out.push_str(&unpredicted(study));
    }
    out.push_str(&seeds::text(study, law));
    out.push_str(&total(study, color));
    out
}

/// Why the column of theory is empty where it would be expected not to be.
fn unpredicted(study: &Study) -> String {
    let mut reasons: Vec<&str> = study.runs.iter().filter_map(|run| run.theory.unpredicted.as_deref()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    reasons.iter().map(|why| format!("theory -: no exponent is predicted where {why}\n")).collect()
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
    let number = |quantity: &str| run.measured(law, quantity, 0);
    let plain = |value: Option<f64>, digits| value.map_or("-".to_string(), |v| ascii(v, digits));
    let decimals = |value: Option<f64>| value.map_or("-".to_string(), |v| format!("{v:.4}"));
    let alpha = number("alpha").filter(|_| study.has_exponent(law));
    cells.push(if alpha.is_some_and(is_lowest) { "-> 0".to_string() } else { decimals(alpha) });
    cells.push(decimals(number("predicted")));
    cells.push(plain(number("one_minus_cosine"), 2));
    let imbalance = Imbalance::of(run);
    cells.push(plain(imbalance.map(|imbalance| imbalance.ratio), 3));
    cells.push(plain(imbalance.and_then(|imbalance| imbalance.law), 3));
    cells.push(plain(number("misfit"), 2));
    cells.push(match Task::of(run) {
        Some(Task::Wrong(share)) => format!("{:.1}%", 100.0 * share),
        Some(Task::Loss(loss)) => ascii(loss, 3),
        None => "-".to_string(),
    });
    let verdict =
        if run.completed() { run.word(law, "verdict", 0).unwrap_or("-").to_string() } else { run.outcome.clone() };
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

/// The last line: how many checks were met, of how many expectations.
fn total(study: &Study, color: bool) -> String {
    let answer = answer(study);
    let code = match answer.tone {
        Tone::Met => "32",
        Tone::Missed => "31",
        Tone::Unchecked => "2",
    };
    let checks = study.checks();
    let of = if checks.is_empty() { String::new() } else { format!("; {}", expectations(&checks)) };
    format!("\n{}\n", paint(&format!("{}{of}.", answer.evidence), code, color))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::sample;

    #[test]
    fn the_terminal_shows_one_aligned_row_a_run() {
        let text = text(&sample::study(), 200, false);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("arm       depth   alpha  theory"), "{}", lines[0]);
        assert!(lines[2].starts_with("balanced      3  0.3333  0.3333"), "{}", lines[2]);
        assert!(lines[2].ends_with("holds    1/1"), "{}", lines[2]);
        assert_eq!(lines[1].len(), lines[2].len());
        assert!(text.ends_with("All 4 checks are met, on all 4 runs; 1 expectation (1 of theory).\n"));
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
}
