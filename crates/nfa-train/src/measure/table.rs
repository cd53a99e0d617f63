//! The table for people: one row per layer and law.

use nfa_metrics::laws::quantity::Reading;
use nfa_metrics::laws::stationary::STATIONARITY;
use nfa_metrics::{Family, Finding, Judged, Verdict};

use crate::measure::measurement::{LayerMeasurement, Measurement};
use crate::measure::{columns, summary};

/// A row of the table: its cells, its verdict, and why in a word.
struct Line {
    name: String,
    shape: String,
    cells: Vec<String>,
    verdict: Verdict,
    cause: &'static str,
    reason: String,
}

/// Why a last map's law holds, in a word.
const DEFINITION: &str = "by definition";

/// Titles of a row's cells, behind the layer's name.
const HEAD: [&str; 13] = [
    "law", "alpha", "theory", "misfit", "cosine", "direct", "order", "shape", "random", "init", "since", "residual",
    "verdict",
];
/// The place of the verdict among them.
const VERDICT: usize = HEAD.len() - 1;
/// Cells that are left out where no row has any.
const OPTIONAL: [&str; 6] = ["theory", "cosine", "random", "init", "since", "residual"];
/// Columns of a terminal that the table fits, if names can be shortened to that.
const WIDTH: usize = 120;
/// What leaves first where a row would be longer: squares of parts add up, and --json has it all.
const SPARED: [&str; 5] = ["shape", "order", "random", "direct", "since"];
/// Names are not cut to fewer characters.
const NAME: usize = 16;

impl Line {
    fn new(layer: &LayerMeasurement, judged: &Judged) -> Self {
        let Judged { law, finding: found, .. } = judged;
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
        let first = layer.laws.first().is_some_and(|first| first.law.name == law.name);
        let since = layer.change.filter(|_| first);
        // What prior work reports: of a law with a free factor misfit and cosine say the same.
        let cosine = found.misfit.filter(|misfit| law.family != Family::Equal && *misfit <= 1.0);
        let cosine = cosine.map(|misfit| ((1.0 - misfit) * (1.0 + misfit)).sqrt());
        let cosine = cosine.or(judged.agreement.as_ref().and_then(|agreement| agreement.cosine));
        let cells = vec![
            law.name.to_string(),
            alpha,
            found.predicted.map_or("-".into(), |p| format!("{p:.4}{agrees}")),
            number(found.misfit),
            cosine.map_or("-".into(), |cosine| format!("{cosine:.3}")),
            number(parts.map(|p| p.directions)),
            number(parts.map(|p| p.order)),
            number(parts.map(|p| p.shape)),
            // A cosine's, with a factor free: no misfit where none is.
            number(found.null.haar.filter(|_| law.family != Family::Equal)),
            number(found.null.init),
            since.map_or("-".into(), |by| {
                let (low, high) = (by.misfit_interval.low, by.misfit_interval.high);
                // Short: it stands beside all else.
                format!("{:+.3}±{:.3}", by.misfit, (high - by.misfit).max(by.misfit - low)).replace("0.", ".")
            }),
            number(stationarity(judged)),
            found.verdict.name().to_string(),
        ];
        let at_end = layer.last && !matches!(found.verdict, Verdict::Undetermined | Verdict::NotApplicable);
        let (cause, reason) = match law.last {
            Some(why) if at_end => (DEFINITION, why.to_string()),
            _ => (summary::cause(judged), found.reason.clone()),
        };
        let shape = layer.d_out.map_or(String::new(), |out| format!(" {out}x{}", layer.d_in));
        Line { name: layer.name.clone(), shape, cells, verdict: found.verdict, cause, reason }
    }

    /// Its name within so many characters: without what all names begin with, `shared` bytes, and then without its middle.
    fn named(&self, most: usize, shared: usize) -> String {
        let most = most.saturating_sub(self.shape.chars().count()).max(NAME);
        let letters = |text: &str| text.chars().collect::<Vec<char>>();
        let whole = letters(&self.name);
        let short = match (whole.len() <= most, shared) {
            (true, _) => whole,
            (_, 0) => whole,
            (_, shared) => letters(&format!("..{}", &self.name[shared..])),
        };
        if short.len() <= most {
            return format!("{}{}", short.iter().collect::<String>(), self.shape);
        }
        // More of the end, where names differ.
        let front = (most - 2) / 3;
        let part = |range: &[char]| range.iter().collect::<String>();
        format!("{}..{}{}", part(&short[..front]), part(&short[short.len() - (most - 2 - front)..]), self.shape)
    }
}

/// How far a layer is from a stationary point, of a law that is exact there.
fn stationarity(judged: &Judged) -> Option<f64> {
    let mut beside = judged.law.beside.iter().zip(&judged.beside);
    beside.find(|(quantity, _)| quantity.name == STATIONARITY.name).and_then(|(_, reading)| match reading {
        Reading::Number(residual) => Some(*residual),
        _ => None,
    })
}

/// Laws that apply nowhere, for one reason, which is said once in the place of their rows.
fn nowhere(measurement: &Measurement) -> Vec<(&'static str, String)> {
    let found = || measurement.layers.iter().flat_map(|layer| &layer.laws);
    let mut laws: Vec<&'static str> = Vec::new();
    found().for_each(|judged| {
        if !laws.contains(&judged.law.name) {
            laws.push(judged.law.name);
        }
    });
    let why = |name: &'static str| {
        let mut own = found().filter(|judged| judged.law.name == name).map(|judged| &judged.finding);
        let first = own.next()?;
        let same = |finding: &Finding| finding.verdict == Verdict::NotApplicable && finding.reason == first.reason;
        (same(first) && own.all(same)).then(|| (name, first.reason.clone()))
    };
    laws.into_iter().filter_map(why).collect()
}

/// The parts that all names begin with, in bytes.
fn shared(rows: &[Line]) -> usize {
    let Some(first) = rows.first() else { return 0 };
    let ends = first.name.match_indices('.').map(|(at, _)| at + 1);
    ends.rev().find(|&end| rows.iter().all(|row| row.name.starts_with(&first.name[..end]))).unwrap_or(0)
}

/// The table, aligned; coloured on request. `legend`: whether the words are explained.
pub fn text(measurement: &Measurement, color: bool, legend: bool) -> String {
    let nowhere = nowhere(measurement);
    let is_somewhere = |judged: &&Judged| !nowhere.iter().any(|(name, _)| *name == judged.law.name);
    let layers = measurement.layers.iter();
    let laws = layers.flat_map(|layer| layer.laws.iter().filter(is_somewhere).map(move |judged| (layer, judged)));
    let rows: Vec<Line> = laws.map(|(layer, judged)| Line::new(layer, judged)).collect();
    let width = |i: usize| rows.iter().map(|row| row.cells[i].chars().count()).max().unwrap_or(0).max(HEAD[i].len());
    let is_there = |i: &usize| !OPTIONAL.contains(&HEAD[*i]) || rows.iter().any(|row| row.cells[*i] != "-");
    let mut kept: Vec<usize> = (0..HEAD.len()).filter(is_there).collect();
    let causes = rows.iter().map(|row| row.cause.len()).max().unwrap_or(0) + 2;
    let least = |row: &Line| row.name.chars().count().min(NAME) + row.shape.chars().count();
    let least = rows.iter().map(least).max().unwrap_or(0);
    let others = |kept: &[usize]| kept.iter().map(|&i| width(i) + 2).sum::<usize>() + causes;
    for spared in SPARED {
        if others(&kept) + least > WIDTH {
            kept.retain(|&i| HEAD[i] != spared);
        }
    }
    let others = others(&kept);
    let shared = shared(&rows);
    let names: Vec<String> = rows.iter().map(|row| row.named(WIDTH.saturating_sub(others), shared)).collect();
    let first = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(5);
    let line = |name: &str, cells: &dyn Fn(usize) -> String, last: &str, paint: &dyn Fn(&str) -> String| {
        let mut line = format!("{name}{}", " ".repeat(first - name.chars().count()));
        for &i in &kept {
            let cell = cells(i);
            let space = " ".repeat(width(i) - cell.chars().count());
            // Words to the left, numbers to the right.
            line.push_str(&match i {
                0 => format!("  {cell}{space}"),
                VERDICT => format!("  {}{space}", paint(&cell)),
                _ => format!("  {space}{cell}"),
            });
        }
        format!("{}\n", format!("{line}  {last}").trim_end())
    };
    let mut text = headline(measurement);
    text.push_str(&line("layer", &|i| HEAD[i].into(), "", &str::to_string));
    for (row, name) in rows.iter().zip(&names) {
        let paint = |word: &str| match color {
            true => format!("\x1b[{}m{word}\x1b[0m", code(row.verdict)),
            false => word.to_string(),
        };
        text.push_str(&line(name, &|i| row.cells[i].clone(), row.cause, &paint));
    }
    text.push_str(&reasons(&rows, &names));
    for (name, why) in &nowhere {
        text.push_str(&format!("{name}: not applicable: {why}\n"));
    }
    text.push_str(&format!("{}\n", summary::text(measurement)));
    if let Some(found) = &measurement.columns {
        text.push_str(&columns::text(found));
    }
    measurement.notes.iter().for_each(|note| text.push_str(&format!("note: {note}\n")));
    text.push_str(&skipped(measurement));
    if legend {
        text.push_str(&explained(measurement));
    }
    text
}

/// One reason of each kind, and of whom it is.
fn reasons(rows: &[Line], names: &[String]) -> String {
    let mut text = String::new();
    let mut said: Vec<(Verdict, &str)> = Vec::new();
    for (row, name) in rows.iter().zip(names) {
        if said.contains(&(row.verdict, row.cause)) {
            continue;
        }
        said.push((row.verdict, row.cause));
        let same = rows.iter().filter(|other| (other.verdict, other.cause) == (row.verdict, row.cause)).count();
        let more = if same > 1 { format!(" and {} more", same - 1) } else { String::new() };
        let what = if row.cause == DEFINITION { "by definition" } else { row.verdict.name() };
        text.push_str(&format!("{what}: {} ({name}{more})\n", row.reason));
    }
    text
}

/// What the table's words mean, of the laws that it has.
fn explained(measurement: &Measurement) -> String {
    let mut laws: Vec<String> = Vec::new();
    for Judged { law, .. } in measurement.layers.iter().flat_map(|layer| &layer.laws) {
        let sides = format!("{}: A = {}, B = {}", law.name, law.left, law.right);
        if !laws.contains(&sides) {
            laws.push(sides);
        }
    }
    let interval = if measurement.has_intervals() { INTERVALS } else { "" };
    let moved = measurement.layers.iter().any(|layer| layer.change.is_some());
    let exact = measurement.layers.iter().flat_map(|layer| &layer.laws).any(|judged| stationarity(judged).is_some());
    let (moved, exact) = (if moved { SINCE } else { "" }, if exact { RESIDUAL } else { "" });
    format!("{}\n{LEGEND}{moved}{exact}{interval}", laws.join("; "))
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

const LEGEND: &str = "misfit^2 = direct(ions)^2 + order^2 + shape^2; with a factor free misfit^2 = 1 - cosine^2 (0.2 is a cosine of 0.980);\n\
    random: what a random rotation of A would have; theory: = agrees, ! does not; more with --json\n";

const SINCE: &str =
    "since: the misfit less that at initialisation, with the interval of the difference over these rows\n";

const RESIDUAL: &str = "residual: |lambda W + dL/dW| / |lambda W| on these rows; 0 at a stationary point, where FACT is exact. Large, the network is at \
    none, or loss, lambda or rows are not those it was trained with\n";

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
        Verdict::Undetermined | Verdict::NotApplicable => "2",
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
