//! The answer in one sentence: what was claimed, what was checked, what failed.

use crate::claim::expectation::Basis;
use crate::report::draw::format::{count, list};
use crate::report::figures::view::value;
use crate::report::tables::runs::verdicts;
use crate::study::{Checked, Study, distinct};
use maud::{Markup, html};

/// How the checks came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Everything that was checked was met, and every run completed.
    Met,
    /// A check was missed or a run didn't complete.
    Missed,
    /// Nothing was checked.
    Unchecked,
}

/// The answer: its tone, and the sentence that the claim follows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    /// How the checks came out.
    pub(crate) tone: Tone,
    /// What was checked and what failed.
    pub(crate) evidence: String,
}

/// What may be said of a study, and no more: checks that were met, on the runs that they spoke of.
pub(crate) fn answer(study: &Study) -> Answer {
    let checked = study.checks();
    let checks = checked.len();
    let ended = ended(study);
    if checks == 0 {
        let without = if study.expectations.is_empty() { ", without expectations" } else { "" };
        let evidence = format!("Nothing was checked: {ended}{without}");
        return Answer { tone: Tone::Unchecked, evidence };
    }
    let missed: Vec<&str> = checked.iter().filter(|checked| !checked.met).map(|checked| checked.run.as_str()).collect();
    let runs = distinct(checked.iter().map(|checked| checked.run.as_str()));
    let unfinished = study.runs.iter().filter(|run| !run.completed()).count();
    let broken = study.runs.iter().filter(|run| !run.completed() && !run.planned()).count();
    let tone = if missed.is_empty() && broken == 0 { Tone::Met } else { Tone::Missed };
    let mut evidence = if missed.is_empty() {
        let all = if checks == 1 { "The one check is met".to_string() } else { format!("All {checks} checks are met") };
        format!("{all}, on {}", of_runs(runs.len(), study.runs.len()))
    } else {
        let failing = distinct(missed.iter().copied());
        format!(
            "Not as claimed: {} of {} missed, on {} ({})",
            missed.len(),
            count(checks, "check"),
            of_runs(failing.len(), study.runs.len()),
            list(&groups(study, &failing), 3)
        )
    };
    if unfinished > 0 {
        evidence.push_str(&format!("; {}", stopped(study)));
    }
    Answer { tone, evidence }
}

/// How many `[[expect]]` blocks some checks are of, and what those rest on:
/// `12 expectations (5 of theory, 7 looked)`.
pub(crate) fn expectations(checks: &[&Checked]) -> String {
    let mut blocks: Vec<(usize, Basis)> = checks.iter().map(|check| (check.block, check.basis)).collect();
    blocks.sort_unstable_by_key(|(block, _)| *block);
    blocks.dedup();
    let of = |basis: Basis| blocks.iter().filter(|(_, known)| *known == basis).count();
    let parts = [(of(Basis::Theory), "of theory"), (of(Basis::Looked), "looked")];
    let parts: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    format!("{} ({})", count(blocks.len(), "expectation"), parts.join(", "))
}

/// The arms of some runs, or the runs themselves where there are no arms.
fn groups<'a>(study: &'a Study, runs: &[&'a str]) -> Vec<&'a str> {
    let names = runs.iter().map(|&id| {
        let run = study.runs.iter().find(|run| run.id == id);
        run.map(|run| value(run, "arm")).filter(|arm| !arm.is_empty()).unwrap_or(id)
    });
    distinct(names)
}

/// The runs that didn't complete: `1 run diverged`, `2 runs failed, 1 diverged`; empty where all did.
pub(crate) fn stopped(study: &Study) -> String {
    study.endings(|run| !run.completed())
}

/// `all 4 runs`, `the one run`, `3 of 4 runs`.
fn of_runs(n: usize, total: usize) -> String {
    match (n, total) {
        (1, 1) => "the one run".to_string(),
        _ if n >= total => format!("all {n} runs"),
        _ => format!("{n} of {total} runs"),
    }
}

/// How the runs ended: `40 runs completed`, `38 runs completed, 2 diverged`.
pub(crate) fn ended(study: &Study) -> String {
    let text = study.endings(|_| true);
    if text.is_empty() { "no run yet".to_string() } else { text }
}

/// The head of the page: name, answer, claim, a few counts.
pub(crate) fn html(study: &Study, law: &str) -> Markup {
    let answer = answer(study);
    let (class, mark) = match answer.tone {
        Tone::Met => ("met", "✓"),
        Tone::Missed => ("missed", "✗"),
        Tone::Unchecked => ("unchecked", "?"),
    };
    let claim = study.claim.as_deref().map(str::trim).filter(|claim| !claim.is_empty());
    html! {
        header {
            p.over {
                span.study { (study.name) }
                @if let Some(id) = &study.id { span { (id) } }
                @if let Some(reference) = &study.reference { span { (reference) } }
            }
            h1 {
                span class={"evidence " (class)} {
                    span.glyph aria-hidden="true" { (mark) }
                    " " (answer.evidence) @if claim.is_some() { ":" } @else { "." }
                }
                @if let Some(claim) = claim { " " span.claim { "\u{201c}" (claim) "\u{201d}" } }
            }
            (counts(study, law))
        }
    }
}

/// A few numbers under the answer.
fn counts(study: &Study, law: &str) -> Markup {
    let checks = study.checks();
    let met = checks.iter().filter(|checked| checked.met).count();
    let words: Vec<String> = verdicts(study, law, 0).into_iter().map(|(word, n)| format!("{word} {n}")).collect();
    html! {
        dl.counts {
            div {
                dt { "Runs" }
                dd {
                    (ended(study))
                    @if study.repeats > 0 { "; " (count(study.repeats, "repeat")) " of a configuration left out" }
                }
            }
            div {
                dt { "Checks" }
                dd { @if checks.is_empty() { "none" } @else { (met) " of " (checks.len()) " met" } }
            }
            @if !checks.is_empty() {
                div { dt { "Of" } dd { (expectations(&checks)) } }
            }
            @if !words.is_empty() {
                div { dt { "Verdicts on layer 0" } dd { (words.join(" · ")) } }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::study::sample;

    #[test]
    fn met_everywhere() {
        let answer = answer(&sample::study());
        assert_eq!(answer.tone, Tone::Met);
        assert_eq!(answer.evidence, "All 4 checks are met, on all 4 runs");
    }

    #[test]
    fn blocks_are_counted_beside_checks_and_by_their_basis() {
        let mut study = sample::study();
        for check in &mut study.expectations[2..] {
            (check.block, check.basis) = (1, Basis::Looked);
        }
        assert_eq!(expectations(&study.checks()), "2 expectations (1 of theory, 1 looked)");
        assert_eq!(expectations(&study.checks()[..2]), "1 expectation (1 of theory)");
        let page = html(&study, "nfa").into_string();
        assert!(page.contains("4 of 4 met") && page.contains("2 expectations (1 of theory, 1 looked)"), "{page}");
    }

    #[test]
    fn a_miss_names_its_run() {
        let mut study = sample::study();
        study.expectations[1].met = false;
        let answer = answer(&study);
        assert_eq!(answer.tone, Tone::Missed);
        assert_eq!(answer.evidence, "Not as claimed: 1 of 4 checks missed, on 1 of 4 runs (balanced)");
    }

    #[test]
    fn a_diverged_run_is_said_and_no_check_is_no_claim() {
        let mut study = sample::study();
        study.runs[0].outcome = "diverged".to_string();
        assert_eq!(answer(&study).tone, Tone::Missed);
        assert!(answer(&study).evidence.ends_with("on all 4 runs; 1 run diverged"));
        study.expectations.clear();
        assert_eq!(answer(&study).tone, Tone::Unchecked);
    }

    #[test]
    fn what_is_only_planned_is_not_missed() {
        let mut study = sample::study();
        let waiting = study.runs[0].id.clone();
        study.runs[0].outcome = "planned".to_string();
        let checks = study.expectations.iter_mut().filter(|checked| checked.run == waiting);
        let left_out = checks.map(|checked| checked.met = false).count();
        assert!(left_out > 0 && left_out < study.expectations.len());
        let answer = answer(&study);
        assert_eq!(answer.tone, Tone::Met);
        let rest = study.expectations.len() - left_out;
        assert_eq!(answer.evidence, format!("All {rest} checks are met, on 3 of 4 runs; 1 run planned"));
    }

    #[test]
    fn checks_on_some_runs_do_not_speak_for_all() {
        let mut study = sample::study();
        study.expectations.truncate(2);
        assert_eq!(answer(&study).evidence, "All 2 checks are met, on 2 of 4 runs");
    }
}
