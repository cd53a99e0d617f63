//! What a measurement amounts to: how much of the network it is of, and how its laws fared.

use nfa_metrics::{Judged, Verdict};
use serde_json::{Value, json};

use crate::measure::measurement::{Measurement, Sizes};

/// Kinds of reasons, and how often each was given.
type Causes = Vec<(&'static str, usize)>;

/// How the first law of each layer fared.
struct Counts {
    verdicts: Vec<(Verdict, usize, Causes)>,
    by_definition: usize,
    /// Of how many with a misfit at initialisation it is smaller now.
    nearer: (usize, usize),
}

/// The kind of an answer's reason; nothing where it holds, or nearly.
pub(super) fn cause(judged: &Judged) -> &'static str {
    let found = &judged.finding;
    if matches!(found.verdict, Verdict::Holds | Verdict::Approximate) {
        return "";
    }
    if found.verdict == Verdict::NotApplicable {
        let kinds = [("refused", "refused"), ("scale-invariant", "scale-invariant"), ("its weights", "shared weights")];
        return kinds.iter().find(|(start, _)| found.reason.starts_with(start)).map_or("other", |(_, cause)| cause);
    }
    let kinds = ["range", "order", "commutator", "traceless", "asymmetry", "indefinite", "tie"];
    if let Some(kind) = kinds.iter().find(|kind| found.reason.starts_with(**kind)) {
        return kind;
    }
    let reasons = [
        ("distinct row", "few rows"),
        ("fits alike", "one eigenvalue"),
        ("wider than half", "wide interval"),
        ("chance", "no closer than chance"),
        ("overflow", "overflow"),
        ("mostly directions", "directions"),
        ("mostly order", "order"),
        ("mostly shape", "shape"),
    ];
    reasons.iter().find(|(word, _)| found.reason.contains(word)).map_or("other", |(_, cause)| cause)
}

impl Counts {
    fn of(measurement: &Measurement) -> Self {
        let mut counts = Counts {
            verdicts: Verdict::ALL.map(|verdict| (verdict, 0, Vec::new())).to_vec(),
            by_definition: 0,
            nearer: (0, 0),
        };
        for layer in &measurement.layers {
            let Some(first) = layer.laws.first() else { continue };
            if layer.last && first.law.last.is_some() {
                counts.by_definition += 1;
                continue;
            }
            if let (Some(now), Some(before)) = (first.finding.misfit, first.finding.null.init) {
                counts.nearer.0 += usize::from(now < before);
                counts.nearer.1 += 1;
            }
            for (verdict, count, causes) in &mut counts.verdicts {
                if *verdict != first.finding.verdict {
                    continue;
                }
                *count += 1;
                if !matches!(verdict, Verdict::Holds | Verdict::Approximate) {
                    let cause = cause(first);
                    match causes.iter_mut().find(|(own, _)| *own == cause) {
                        Some((_, count)) => *count += 1,
                        None => causes.push((cause, 1)),
                    }
                }
            }
        }
        counts
    }
}

/// Whether nothing was measured but maps whose law holds by definition.
pub fn is_by_definition(measurement: &Measurement) -> bool {
    let counts = Counts::of(measurement);
    counts.by_definition > 0 && counts.verdicts.iter().all(|(_, count, _)| *count == 0)
}

/// Maps that were measured, and those that there are; parts of a map are not counted apart.
fn maps(measurement: &Measurement) -> (usize, usize) {
    let parts = measurement.layers.iter().filter(|layer| measurement.is_part(&layer.name)).count();
    let measured = measurement.layers.len() - parts;
    let skipped = measurement.capture.as_ref().map_or(0, |about| about.skipped.len());
    (measured, measured + skipped)
}

/// One line for people; nothing of matrices and pairs.
pub fn text(measurement: &Measurement) -> String {
    let counts = Counts::of(measurement);
    let mut parts = Vec::new();
    for (verdict, count, causes) in counts.verdicts.iter().filter(|(_, count, _)| *count > 0) {
        let causes: Vec<String> = causes.iter().map(|(cause, count)| format!("{count} {cause}")).collect();
        let why = if causes.is_empty() { String::new() } else { format!(" ({})", causes.join(", ")) };
        let word = match (verdict, count) {
            (Verdict::Holds, 2..) => "hold",
            (Verdict::Fails, 2..) => "fail",
            _ => verdict.name(),
        };
        parts.push(format!("{count} {word}{why}"));
    }
    if counts.by_definition > 0 {
        parts.push(format!("{} by definition", counts.by_definition));
    }
    let law = measurement.layers.iter().find_map(|layer| Some(layer.laws.first()?.law.name)).unwrap_or("");
    let mut line = format!("{law}: {}", parts.join(", "));
    if counts.nearer.1 > 0 {
        line.push_str(&format!("; {} of {} nearer than at initialisation", counts.nearer.0, counts.nearer.1));
    }
    if let Some(covered) = coverage_text(measurement) {
        line.push_str(&format!("; {covered}"));
    }
    line
}

fn coverage_text(measurement: &Measurement) -> Option<String> {
    let of_network = measurement.samples.is_some();
    let (measured, there) = maps(measurement);
    let share =
        |sizes: Sizes| 100.0 * (sizes.measured - sizes.last.min(sizes.measured)) as f64 / sizes.all.max(1) as f64;
    let parameters = measurement.sizes.map(|sizes| format!(", {:.0} % of the parameters", share(sizes)));
    of_network.then(|| format!("{measured} of {there} maps{}", parameters.unwrap_or_default()))
}

/// The same for programs.
pub fn json(measurement: &Measurement) -> Value {
    let counts = Counts::of(measurement);
    let mut value = json!({ "by_definition": counts.by_definition });
    for (verdict, count, causes) in &counts.verdicts {
        if *verdict == Verdict::NotApplicable && *count == 0 {
            continue;
        }
        value[verdict.name()] = (*count).into();
        if !causes.is_empty() {
            let causes = causes.iter().map(|(cause, count)| ((*cause).to_string(), Value::from(*count)));
            value["causes"][verdict.name()] = Value::Object(causes.collect());
        }
    }
    if counts.nearer.1 > 0 {
        value["nearer_than_init"] = counts.nearer.0.into();
    }
    value
}

/// How much of the network was measured, for programs.
pub fn coverage(measurement: &Measurement) -> Value {
    let (measured, there) = maps(measurement);
    let mut value = json!({ "maps": measured, "maps_there": there });
    if let Some(Sizes { measured, last, all }) = measurement.sizes {
        value["parameters"] = json!({ "measured": measured, "by_definition": last, "all": all });
    }
    value
}
