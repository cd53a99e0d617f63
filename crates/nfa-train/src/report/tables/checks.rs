//! Expectations: what was foretold, how often it was met, and the worst case.

use crate::report::answer::expectations;
use crate::report::draw::format::{UNDEFINED, count, short, sig};
use crate::report::tables::runs::scroll;
use crate::study::{Checked, Study};
use maud::{Markup, html};

/// One expectation over all the runs that it speaks of.
struct Group<'a> {
    /// The metric's column, with `layer*` where layers differ.
    metric: String,
    /// What is expected, without the value that differs between runs.
    expected: String,
    /// Its checks, one a run.
    checks: Vec<&'a Checked>,
}

/// The table of expectations, and every single check folded.
pub(crate) fn html(study: &Study) -> Markup {
    if study.expectations.is_empty() {
        return html! { p { "This experiment has no " code { "[[expect]]" } " blocks: nothing was foretold, so nothing was met or missed." } };
    }
    let checks = study.checks();
    if checks.is_empty() {
        return html! { p { "No run that an expectation speaks of has begun." } };
    }
    let groups = groups(&checks);
    let missed: Vec<&Checked> = checks.iter().copied().filter(|checked| !checked.met).collect();
    html! {
        p.finding { (finding(missed.len(), checks.len())) " " (of(&checks)) }
        (scroll("Expectations", groups.len(), html! {
            table {
                thead { tr {
                    th { "metric" } th { "of" } th { "at" } th { "expected" } th { "within" } th { "basis" }
                    th.right { "met" } th { "worst case: expected" } th.right { "measured" } th { "run" }
                } }
                tbody { @for group in &groups { (row(group)) } }
            }
        }))
        @if !missed.is_empty() {
            h3 { "Missed" }
            (scroll("Missed checks", missed.len(), every(&missed)))
        }
        details {
            summary { "Every check (" (checks.len()) ")" }
            (scroll("Every check", checks.len(), every(&checks)))
        }
    }
}

/// The same for a terminal: a line per expectation with its worst case, then each miss.
pub fn text(study: &Study, color: bool) -> String {
    let paint = |code: &str, word: &str| if color { format!("\x1b[{code}m{word}\x1b[0m") } else { word.to_string() };
    let checks = study.checks();
    let groups = groups(&checks);
    let cells: Vec<[String; 6]> = groups
        .iter()
        .map(|group| {
            let met = group.checks.iter().filter(|check| check.met).count();
            let worst = group.worst();
            let within =
                worst.and_then(|check| check.tolerance.as_deref()).map_or(String::new(), |t| format!(" ± {t}"));
            [
                format!("{met}/{}", group.checks.len()),
                group.metric.clone(),
                worst.map_or(String::new(), |check| check.at.clone()),
                format!("{}{within}", group.expected),
                worst.map_or("", |check| check.basis.name()).to_string(),
                worst.map_or(String::new(), |check| format!("{}  {}", measured(check), check.run)),
            ]
        })
        .collect();
    let widths: Vec<usize> =
        (0..5).map(|column| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for (group, row) in groups.iter().zip(&cells) {
        let all = group.checks.iter().all(|check| check.met);
        let mark = if all { paint("32", "met   ") } else { paint("31", "MISSED") };
        let pad = |column: usize| {
            let missing = widths[column] - row[column].chars().count();
            format!("{}{}", row[column], " ".repeat(missing))
        };
        let start = (0..5).map(pad).collect::<Vec<_>>().join("  ");
        text.push_str(&format!("{mark} {start}  worst {}\n", row[5]));
        for check in group.checks.iter().filter(|check| !check.met) {
            text.push_str(&format!(
                "       {}: {} is {}, expected {}\n",
                check.run,
                check.metric,
                measured(check),
                check.expected
            ));
        }
    }
    text
}

/// How many checks were missed.
fn finding(missed: usize, all: usize) -> String {
    match missed {
        0 if all == 1 => "The one check is met.".to_string(),
        0 => format!("All {all} checks are met."),
        _ => format!("{missed} of {} missed.", count(all, "check")),
    }
}

/// Of which expectations the checks are, and what those rest on.
fn of(checks: &[&Checked]) -> String {
    format!(
        "{}, each held against every run that it speaks of. Basis: theory, where the number is theory\u{2019}s; \
         looked, where the bound was set after looking at runs.",
        expectations(checks)
    )
}

/// The checks of each expectation together, in order.
fn groups<'a>(checks: &[&'a Checked]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for &check in checks {
        let (metric, expected) = (any_layer(&check.metric), formula(&check.expected));
        let same = |group: &&mut Group<'_>| {
            any_layer(&group.metric) == metric
                && group.expected == expected
                && group.checks.iter().all(|other| other.block == check.block)
        };
        match groups.iter_mut().find(same) {
            Some(group) => {
                if group.metric != check.metric {
                    group.metric = metric;
                }
                group.checks.push(check);
            }
            None => {
                groups.push(Group { metric: check.metric.clone(), expected, checks: vec![check] });
            }
        }
    }
    groups
}

/// A column with its layer's number as `*`.
fn any_layer(metric: &str) -> String {
    match metric.rsplit_once(".layer") {
        Some((stem, number)) if number.parse::<usize>().is_ok() => format!("{stem}.layer*"),
        _ => metric.to_string(),
    }
}

/// `1/L` of `1/L = 0.5`; a bound or a word as it is.
fn formula(expected: &str) -> String {
    match expected.split_once(" = ") {
        Some((formula, value)) if value.trim().parse::<f64>().is_ok() => formula.to_string(),
        _ => expected.to_string(),
    }
}

/// The number at the end of what is expected.
fn target(expected: &str) -> Option<f64> {
    expected.rsplit(|c: char| c.is_whitespace() || c == '=').next()?.parse().ok()
}

/// How bad a check came out, larger is worse; missed before met, undefined before numbers.
fn badness(check: &Checked) -> (bool, f64) {
    let measured = check.measured.as_f64();
    let off = match (measured, target(&check.expected)) {
        (Some(measured), Some(_)) if is_bound(&check.expected, ['<', '≤'], "max") => measured,
        (Some(measured), Some(_)) if is_bound(&check.expected, ['>', '≥'], "min") => -measured,
        (Some(measured), Some(target)) if is_relative(check) && target != 0.0 => (measured / target - 1.0).abs(),
        (Some(measured), Some(target)) => (measured - target).abs(),
        _ if check.measured.is_null() => f64::INFINITY,
        _ => 0.0,
    };
    (!check.met, off)
}

/// Whether what is expected is a bound, by its first character or word.
fn is_bound(expected: &str, signs: [char; 2], word: &str) -> bool {
    expected.starts_with(signs) || expected.starts_with(word)
}

/// Whether the tolerance is a percentage.
fn is_relative(check: &Checked) -> bool {
    check.tolerance.as_deref().is_some_and(|tolerance| tolerance.trim_end().ends_with('%'))
}

impl<'a> Group<'a> {
    /// The check that came out worst.
    fn worst(&self) -> Option<&'a Checked> {
        self.checks.iter().copied().max_by(|a, b| {
            let ((missed_a, off_a), (missed_b, off_b)) = (badness(a), badness(b));
            missed_a.cmp(&missed_b).then(off_a.total_cmp(&off_b))
        })
    }
}

/// One expectation with its worst case.
fn row(group: &Group<'_>) -> Markup {
    let met = group.checks.iter().filter(|check| check.met).count();
    let all = group.checks.len();
    let worst = group.worst();
    html! {
        tr {
            th scope="row" { code { (group.metric) } }
            @if let Some(worst) = worst {
                td { (scope(&worst.scope)) }
                td { (worst.at) }
                td { code { (group.expected) } }
                td { (worst.tolerance.as_deref().unwrap_or(UNDEFINED)) }
                td { (worst.basis.name()) }
                td.right { span class={"chip " (if met == all { "holds" } else { "fails" })} { (if met == all { "✓" } else { "✗" }) " " (met) "/" (all) } }
                td { (value(&worst.expected)) }
                td.right { (measured(worst)) }
                td { code { (worst.run) } }
            }
        }
    }
}

/// Each check on a line.
fn every(checks: &[&Checked]) -> Markup {
    html! {
        table {
            thead { tr { th { "" } th { "run" } th { "metric" } th { "at" } th { "expected" } th.right { "measured" } th { "within" } } }
            tbody {
                @for check in checks {
                    tr {
                        td { span class={"chip " (if check.met { "holds" } else { "fails" })} { (if check.met { "✓ met" } else { "✗ missed" }) } }
                        td { code { (check.run) } }
                        td { code { (check.metric) } }
                        td { (check.at) }
                        td { (check.expected) }
                        td.right { (measured(check)) }
                        td { (check.tolerance.as_deref().unwrap_or(UNDEFINED)) }
                    }
                }
            }
        }
    }
}

/// The expected value alone, where it is a formula with its value.
fn value(expected: &str) -> String {
    match expected.split_once(" = ") {
        Some((_, value)) => value.trim().parse().map_or(value.to_string(), |value| sig(value, 4)),
        None => expected.to_string(),
    }
}

/// What was measured: a number, a word, or `undefined`.
fn measured(check: &Checked) -> String {
    match &check.measured {
        serde_json::Value::Null => "undefined".to_string(),
        serde_json::Value::String(word) => word.clone(),
        value => value.as_f64().map_or_else(|| value.to_string(), |value| sig(value, 4)),
    }
}

/// Which runs an expectation speaks of: `arm = a, b; depth = 2, 3`.
fn scope(scope: &serde_json::Value) -> String {
    let Some(map) = scope.as_object().filter(|map| !map.is_empty()) else {
        return "every run".to_string();
    };
    let word = |value: &serde_json::Value| match value {
        serde_json::Value::String(word) => word.clone(),
        value => value.to_string(),
    };
    let parts: Vec<String> = map
        .iter()
        .map(|(key, value)| {
            let values = value
                .as_array()
                .map_or_else(|| word(value), |values| values.iter().map(word).collect::<Vec<_>>().join(", "));
            format!("{} = {values}", short(key))
        })
        .collect();
    parts.join("; ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::study::sample;

    #[test]
    fn checks_of_one_expectation_are_one_row() {
        let mut checks = [sample::checked("a", true), sample::checked("b", true)];
        checks[1].metric = "nfa.alpha.layer1".to_string();
        checks[1].expected = "1/L = 0.25".to_string();
        let groups = groups(&checks.iter().collect::<Vec<_>>());
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0].metric, "nfa.alpha.layer*");
        assert_eq!(groups[0].expected, "1/L");
    }

    #[test]
    fn the_worst_is_a_miss_before_a_large_distance() {
        let mut near = sample::checked("near", false);
        near.measured = serde_json::json!(0.51);
        let mut far = sample::checked("far", true);
        far.measured = serde_json::json!(0.9);
        assert!(badness(&near).0 && !badness(&far).0);
        assert!((badness(&far).1 - 0.4).abs() < 1e-12);
        near.measured = serde_json::Value::Null;
        assert!(badness(&near).1.is_infinite());
        assert_eq!(measured(&near), "undefined");
    }

    #[test]
    fn scopes_read_as_words() {
        let json = serde_json::json!({ "arm": "a", "model.depth": [2, 3] });
        assert_eq!(scope(&json), "arm = a; depth = 2, 3");
        assert_eq!(scope(&serde_json::json!({})), "every run");
    }
}
