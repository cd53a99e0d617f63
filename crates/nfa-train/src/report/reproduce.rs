//! How to get the same numbers again: commands, versions, data, configurations.

use crate::report::tables::runs::scroll;
use crate::study::{Study, StudyRun};
use maud::{Markup, html};
use serde_json::Value;

/// Runs whose configuration and manifest are folded into the page; the others' are in their folders.
const RUNS: usize = 100;

/// Commands, the environment that all runs share, and the files folded.
pub(crate) fn html(study: &Study) -> Markup {
    html! {
        pre.commands { code { (commands(study)) } }
        p {
            "The records beside this page: " a href="summary.csv" { "summary.csv" } ", "
            a href="expectations.json" { "expectations.json" } ", the figures in " a href="plots/" { "plots" }
            " and every run in " a href="runs/" { "runs" } "."
        }
        (environment(study))
        details {
            summary { code { "experiment.toml" } " as it ran" }
            pre { code { (study.experiment) } }
        }
        @if !study.runs.is_empty() {
            details.raw {
                summary { "Configuration and manifest of each run" }
                @if study.runs.len() > RUNS {
                    p { "The first " (RUNS) " of " (study.runs.len()) " runs; the others\u{2019} are in their folders." }
                }
                @for run in study.runs.iter().take(RUNS) { (files(run)) }
            }
        }
    }
}

/// What to type in this folder; results go beside the ones here.
fn commands(study: &Study) -> String {
    // A user's own program knows kinds that nfa-train doesn't.
    let program = study.runs.iter().find_map(|run| run.manifest["program"].as_str()).unwrap_or("nfa-train");
    let claim = study.id.as_ref().map_or(String::new(), |id| format!(" --claim {id}"));
    let one = study.runs.first().map_or(String::new(), |run| {
        format!("\n# one run, every default spelled out\n{program} run runs/{}/config.toml --out again\n", run.id)
    });
    format!(
        "# all runs, held against the expectations\n{program} check experiment.toml{claim} --out again\n{one}\n\
         # this page again, from the records alone\n{program} report ."
    )
}

/// What the manifests say: a value where all runs agree, else how many values there are.
fn environment(study: &Study) -> Markup {
    let rows = shared(study);
    html! {
        @if !rows.is_empty() {
            (scroll("Versions, device and data", rows.len(), html! {
                table.facts {
                    tbody { @for (key, value) in &rows { tr { th scope="row" { (key) } td { (value) } } } }
                }
            }))
        }
    }
}

/// The leaves of the manifests by their dotted keys, in order.
fn shared(study: &Study) -> Vec<(String, String)> {
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    for run in &study.runs {
        let mut leaves = Vec::new();
        flatten("", &run.manifest, &mut leaves);
        for (key, value) in leaves {
            match rows.iter_mut().find(|(known, _)| *known == key) {
                Some((_, values)) if values.contains(&value) => {}
                Some((_, values)) => values.push(value),
                None => rows.push((key, vec![value])),
            }
        }
    }
    rows.into_iter()
        .map(|(key, values)| match values.as_slice() {
            few if few.len() <= 3 => (key, few.join(" · ")),
            many => (key, format!("{} different values, see each run", many.len())),
        })
        .collect()
}

/// The leaves of a JSON value; a list of plain values is one leaf.
fn flatten(prefix: &str, value: &Value, leaves: &mut Vec<(String, String)>) {
    let join = |key: &str| if prefix.is_empty() { key.to_string() } else { format!("{prefix}.{key}") };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| flatten(&join(key), value, leaves)),
        Value::Null => {}
        Value::String(text) => leaves.push((prefix.to_string(), text.clone())),
        Value::Array(items) if items.iter().all(|item| !item.is_object()) => {
            let words: Vec<String> =
                items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_string)).collect();
            leaves.push((prefix.to_string(), words.join(" ")));
        }
        other => leaves.push((prefix.to_string(), other.to_string())),
    }
}

/// One run's configuration and manifest.
fn files(run: &StudyRun) -> Markup {
    let config = toml::to_string(&run.config).unwrap_or_default();
    let manifest = serde_json::to_string_pretty(&run.manifest).unwrap_or_default();
    html! {
        details {
            summary {
                code { (run.id) }
                @if !run.completed() { " " (run.outcome) " at step " (run.step) }
            }
            @if let Some(reason) = &run.reason { p { (reason) } }
            h4 { "config.toml" }
            pre { code { (config) } }
            h4 { "manifest.json" }
            pre { code { (manifest) } }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::study::sample;

    #[test]
    fn manifests_that_agree_are_one_line() {
        let mut study = sample::study();
        study.runs[0].manifest["argv"] = serde_json::json!(["a", "b"]);
        let rows = shared(&study);
        assert!(rows.contains(&("device".to_string(), "flex".to_string())));
        assert!(rows.contains(&("argv".to_string(), "a b".to_string())));
    }

    #[test]
    fn the_commands_name_the_claim_and_the_program() {
        let mut study = sample::study();
        assert!(commands(&study).contains("nfa-train check experiment.toml --claim NFA-0 --out again\n"));
        study.runs[0].manifest["program"] = "mine".into();
        assert_eq!(commands(&study).matches("mine ").count(), 3);
    }
}
