//! What is drawn of a study and what is not, in words.

use crate::report::draw::format::{count, list, short};
use crate::report::figures::view::{Group, Varying, named, value};
use crate::study::{Study, StudyRun, distinct, tally};

/// What is not drawn: groups and colours, with the keys that tell them apart.
pub(super) struct Left<'v, 'a> {
    pub(super) groups: Vec<&'v Group<'a>>,
    pub(super) panel: Option<&'v str>,
    pub(super) hues: Vec<&'v (String, Vec<&'a StudyRun>)>,
    pub(super) hue: Option<&'v str>,
}

/// Says what is drawn and what is not, where that is not everything.
pub(super) fn choice<'a>(
    study: &'a Study,
    drawn: &[&'a StudyRun],
    left: &Left<'_, 'a>,
    varying: &Varying,
    verdict: impl Fn(&'a StudyRun) -> Option<&'a str>,
) -> String {
    let total = study.runs.len();
    if drawn.len() == total {
        return String::new();
    }
    let what = |runs: &[&'a StudyRun]| {
        let words: Vec<String> = tally(runs.iter().filter_map(|run| verdict(run)))
            .into_iter()
            .map(|(word, n)| format!("{word} {n}"))
            .collect();
        let words = if words.is_empty() { String::new() } else { format!(": {}", words.join(", ")) };
        format!("{}{words}", count(runs.len(), "run"))
    };
    let mut parts = Vec::new();
    let mut named_runs = 0;
    if !left.groups.is_empty() {
        let titles: Vec<&str> = left.groups.iter().map(|group| group.title.as_str()).collect();
        let runs: Vec<&StudyRun> = left.groups.iter().flat_map(|group| group.runs.iter().copied()).collect();
        named_runs += runs.len();
        parts.push(format!("{}{} ({})", arms(left.panel, titles.len()), list(&titles, NAMED), what(&runs)));
    }
    if let Some(key) = left.hue.filter(|_| !left.hues.is_empty()) {
        let titles: Vec<String> = left.hues.iter().map(|(value, runs)| named(runs[0], key, value)).collect();
        let runs: Vec<&StudyRun> = left.hues.iter().flat_map(|(_, runs)| runs.iter().copied()).collect();
        named_runs += runs.len();
        parts.push(format!("{}{} ({})", arms(Some(key), titles.len()), list(&titles, NAMED), what(&runs)));
    }
    let alike = total - named_runs.min(total) - drawn.len();
    if alike > 0 {
        let used = [left.panel, left.hue];
        let others = varying.iter().filter(|(key, _)| !used.contains(&Some(key.as_str())));
        let (names, held): (Vec<&str>, Vec<String>) =
            others.filter_map(|(key, _)| Some((short(key), held(drawn, key)?))).unzip();
        let held = if held.is_empty() { String::new() } else { format!(" ({})", held.join("; ")) };
        let runs = count(alike, "run");
        parts.push(match (names.is_empty(), alike) {
            (true, _) => format!("{runs} with the settings of one that is drawn"),
            (_, 1) => format!("{runs} that differs from one that is drawn in {} alone{held}", list(&names, NAMED)),
            _ => format!("{runs} that differ from one that is drawn in {} alone{held}", list(&names, NAMED)),
        });
    }
    let seen: Vec<&str> = drawn.iter().filter_map(|run| verdict(run)).collect();
    let all = tally(study.runs.iter().filter_map(&verdict));
    let unseen: Vec<String> =
        all.iter().filter(|(word, _)| !seen.contains(word)).map(|(word, n)| format!("{word} {n}")).collect();
    let verdicts = match (all.is_empty(), unseen.is_empty()) {
        (true, _) => String::new(),
        (_, true) => " Every verdict that occurs is among those drawn.".to_string(),
        _ => format!(" Verdicts that none of those drawn has: {}.", unseen.join(", ")),
    };
    format!(
        "Drawn: {} of {}; not drawn: {}.{verdicts} What is said above the figure, and the table below, are of all runs.",
        drawn.len(),
        count(total, "run"),
        parts.join("; ")
    )
}

/// `arm `, `arms ` in front of their names.
fn arms(key: Option<&str>, n: usize) -> &'static str {
    match (key, n) {
        (Some("arm"), 1) => "arm ",
        (Some("arm"), _) => "arms ",
        _ => "",
    }
}

/// Names in a list of what is not drawn; what is beyond is counted.
const NAMED: usize = 30;

/// `lr = 0.02, 0.2`: the values of a key among the runs drawn.
fn held(drawn: &[&StudyRun], key: &str) -> Option<String> {
    let values = distinct(drawn.iter().map(|run| value(run, key)).filter(|value| !value.is_empty()));
    (!values.is_empty()).then(|| format!("{} = {}", short(key), list(&values, 4)))
}
