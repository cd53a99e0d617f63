//! The table for people: one row per layer and law.

use nfa_metrics::{Family, Judged, Verdict};

use crate::measure::measurement::Measurement;

/// The table, aligned; coloured on request.
pub fn text(measurement: &Measurement, color: bool) -> String {
    let head =
        ["layer", "law", "alpha", "theory", "misfit", "directions", "order", "shape", "random", "init", "verdict"];
    let mut rows: Vec<(Vec<String>, Verdict, String)> = Vec::new();
    for layer in &measurement.layers {
        let shape = layer.d_out.map_or(String::new(), |out| format!(" {out}x{}", layer.d_in));
        for Judged { law, finding: found, .. } in &layer.laws {
            let alpha = match (found.alpha, found.alpha_interval) {
                (None, _) => "-".to_string(),
                _ if law.family != Family::Power => "-".to_string(),
                (Some(alpha), _) if alpha <= nfa_metrics::judge::misfit::ALPHA_RANGE[0] => "-> 0".to_string(),
                (Some(alpha), Some(interval)) if interval.width() > 0.0 => {
                    format!("{alpha:.3} [{:.3}, {:.3}]", interval.low, interval.high)
                }
                (Some(alpha), _) => format!("{alpha:.4}"),
            };
            let agrees = match found.exponent_agrees {
                Some(true) => " =",
                Some(false) => " !",
                None => "",
            };
            let parts = found.parts;
            let cells = vec![
                format!("{}{shape}", layer.name),
                law.name.to_string(),
                alpha,
                found.predicted.map_or("-".into(), |p| format!("{p:.4}{agrees}")),
                number(found.misfit),
                number(parts.map(|p| p.directions)),
                number(parts.map(|p| p.order)),
                number(parts.map(|p| p.shape)),
                // A cosine's, with a factor free: no misfit where none is.
                number(found.null.haar.filter(|_| law.family != Family::Equal)),
                number(found.null.init),
                found.verdict.name().to_string(),
            ];
            let at_end = layer.last && found.verdict != Verdict::Undetermined;
            let reason = match law.last {
                Some(why) if at_end => format!("by definition: {why}"),
                _ => found.reason.clone(),
            };
            rows.push((cells, found.verdict, reason));
        }
    }
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            rows.iter().map(|(cells, ..)| cells[column].chars().count()).chain([head[column].len()]).max().unwrap_or(0)
        })
        .collect();
    let line = |cells: &[String], paint: &dyn Fn(&str) -> String| -> String {
        let padded: Vec<String> = cells
            .iter()
            .enumerate()
            .map(|(column, cell)| {
                let space = " ".repeat(widths[column] - cell.chars().count());
                match column {
                    0 | 1 => format!("{cell}{space}"),
                    10 => format!("{}{space}", paint(cell)),
                    _ => format!("{space}{cell}"),
                }
            })
            .collect();
        padded.join("  ")
    };
    let mut text = headline(measurement);
    let titles: Vec<String> = head.iter().map(|title| (*title).to_string()).collect();
    text.push_str(&line(&titles, &|cell| cell.to_string()));
    text.push_str("  reason\n");
    for (cells, verdict, reason) in &rows {
        let paint =
            |cell: &str| if color { format!("\x1b[{}m{cell}\x1b[0m", code(*verdict)) } else { cell.to_string() };
        text.push_str(&line(cells, &paint));
        text.push_str(&format!("  {reason}\n"));
    }
    measurement.notes.iter().for_each(|note| text.push_str(&format!("note: {note}\n")));
    text.push_str(&skipped(measurement));
    text.push_str(&legend(measurement));
    text
}

/// What the table's words mean, of the laws that it has.
fn legend(measurement: &Measurement) -> String {
    let mut laws: Vec<String> = Vec::new();
    for Judged { law, .. } in measurement.layers.iter().flat_map(|layer| &layer.laws) {
        let sides = format!("{}: A = {}, B = {}", law.name, law.left, law.right);
        if !laws.contains(&sides) {
            laws.push(sides);
        }
    }
    let interval = if measurement.has_intervals() { INTERVALS } else { "" };
    format!("{}\n{LEGEND}{interval}", laws.join("; "))
}

/// How many of the maps without a row are named.
const SHOWN: usize = 8;

/// What a capture left out, and why: a table without it would look complete.
fn skipped(measurement: &Measurement) -> String {
    let Some(about) = measurement.capture.as_ref().filter(|about| !about.skipped.is_empty()) else {
        return String::new();
    };
    let mut parts: Vec<String> = about.skipped.iter().take(SHOWN).cloned().collect();
    if about.skipped.len() > SHOWN {
        parts.push(format!("{} more (--json)", about.skipped.len() - SHOWN));
    }
    format!("not recorded: {}\n", parts.join("; "))
}

const LEGEND: &str = "misfit^2 = directions^2 + order^2 + shape^2;\n\
    random: what a random rotation of A would have; theory: = agrees, ! does not; more with --json\n";

const INTERVALS: &str = "[low, high]: 95 %, of these weights over fresh inputs; of rows that the network was trained \
    on it is too narrow, so give held-out ones\n";

fn headline(measurement: &Measurement) -> String {
    let mut text = measurement.title.clone();
    if let Some(n) = measurement.samples {
        text.push_str(&format!("  n = {n}"));
    }
    text.push_str(&format!("  {} {}", measurement.dtype, measurement.device));
    if let Some(about) = &measurement.capture {
        if about.mode == "train" {
            text.push_str("  in training mode");
        }
        match (about.estimator.as_str(), about.outputs) {
            ("", _) => {}
            (estimator, None) => text.push_str(&format!("  {estimator}")),
            (estimator, Some(outputs)) => text.push_str(&format!("  {estimator} over {outputs} outputs")),
        }
    }
    match measurement.task.loss {
        None => {}
        Some(loss) if loss.is_finite() => text.push_str(&format!("  loss {loss:.4}")),
        Some(_) => text.push_str("  loss overflows"),
    }
    let what = if measurement.task.classes { "wrong" } else { "unexplained" };
    match measurement.task.error {
        None => {}
        Some(error) if error.is_finite() => text.push_str(&format!("  {what} {:.2} %", 100.0 * error)),
        Some(_) => text.push_str(&format!("  {what} overflows")),
    }
    // Whether this is the network that was trained, weights and rows alone don't say.
    if measurement.source == "weights" && measurement.samples.is_some() && !measurement.task.checked {
        text.push_str("  (this reading was not checked against a loss: --targets)");
    }
    text.push('\n');
    measurement.task.doubts.iter().for_each(|doubt| text.push_str(&format!("warning: {doubt}\n")));
    text
}

fn code(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "32",
        Verdict::Approximate => "33",
        Verdict::Fails => "31",
        Verdict::Undetermined => "2",
    }
}

fn number(value: Option<f64>) -> String {
    match value {
        None => "-".into(),
        Some(0.0) => "0".into(),
        Some(value) if value.abs() < 1e-3 => format!("{value:.0e}"),
        Some(value) => format!("{value:.3}"),
    }
}
