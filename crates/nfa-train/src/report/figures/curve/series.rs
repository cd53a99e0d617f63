//! The measurements of a curve, in series.

use std::collections::HashMap;

use crate::claim::plot::curve::{Axis, Curve};
use crate::claim::plot::{Log, Plot};
use crate::keys::{get, number};
use crate::report::draw::format::count;
use crate::report::figures::curve::lines::Lines;
use crate::report::figures::selection::{Selection, differing, others, row};
use crate::study::decay::Decay;
use crate::study::{StudyRun, layer_of};

/// The measurements of one setting, and what theory says of it.
pub(super) struct Series<'a> {
    pub(super) panel: usize,
    /// Its colour and shape.
    pub(super) line: usize,
    /// Whether it is drawn: what was measured is told of all.
    pub(super) drawn: bool,
    /// What the colour stands for.
    pub(super) label: String,
    /// Its runs, which differ in x and seed; theory's names stand for the first one's settings.
    pub(super) runs: Vec<&'a StudyRun>,
    /// The layer, from 1.
    pub(super) layer: Option<f64>,
    /// Ascending in x, but for another column on that axis.
    pub(super) points: Vec<Point>,
    /// The factor of theory that was fitted to these points.
    pub(super) c: Option<f64>,
}

/// A measurement: of one run, or of several that differ in their seed alone.
pub(super) struct Point {
    pub(super) x: f64,
    /// One a seed.
    pub(super) values: Vec<f64>,
    /// Their mean.
    pub(super) y: f64,
    pub(super) step: f64,
    /// Before training, or a null.
    pub(super) hollow: bool,
    /// What was said of the law there, by all runs of the point alike, where it is a law's misfit.
    pub(super) verdict: Option<String>,
}

/// Runs that make one series: what tells them from others, their layer from 0.
struct Group<'a> {
    settings: Vec<(&'a str, &'a str)>,
    layer: Option<usize>,
    runs: Vec<&'a StudyRun>,
}

/// Every series with its points, as they were recorded.
pub(super) fn measured<'a>(
    plot: &Plot,
    curve: &Curve,
    selection: &Selection<'a>,
    lines: &Lines<'_>,
    notes: &mut Vec<String>,
) -> Vec<Series<'a>> {
    let mut all = Vec::new();
    let columns = curve.columns();
    let mut pooled: Option<String> = None;
    for (panel, (_, runs)) in selection.panels.iter().enumerate() {
        for line in 0..lines.len() {
            // Of a curve of laws each line has a column of its own.
            let column = &columns[if curve.laws.is_empty() { 0 } else { line }];
            let mut groups: Vec<Group<'a>> = Vec::new();
            for &run in runs {
                let layers = run.columns(column).into_iter().map(|column| layer_of(&column));
                for layer in layers.filter(|layer| lines.holds(line, run, *layer)) {
                    let settings = others(run, &apart_from(curve, run));
                    match groups.iter_mut().find(|group| group.settings == settings && group.layer == layer) {
                        Some(group) => group.runs.push(run),
                        None => groups.push(Group { settings, layer, runs: vec![run] }),
                    }
                }
            }
            let hue = lines.hue(line).filter(|_| selection.drawn.contains(&panel));
            if groups.len() > 1 && pooled.is_none() && hue.is_some() {
                let settings: Vec<_> = groups.iter().map(|group| group.settings.clone()).collect();
                pooled = Some(format!("Curves of one colour differ in {}.", differing(&settings)));
            }
            all.extend(groups.into_iter().map(|Group { layer, runs, .. }| Series {
                panel,
                line: hue.unwrap_or_default(),
                drawn: hue.is_some(),
                label: lines.label(line, runs[0]),
                layer: layer.map(|layer| layer as f64 + 1.0),
                points: points(plot, curve, column, &runs, layer),
                c: None,
                runs,
            }));
        }
    }
    notes.extend(pooled);
    all
}

/// The keys that may differ among the runs of one series.
fn apart_from<'a>(curve: &'a Curve, run: &StudyRun) -> Vec<&'a str> {
    match &curve.x {
        // Another column differs between seeds as y does: each run is a curve of its own.
        Axis::Column(_) => Vec::new(),
        Axis::Key(key) => {
            let mut keys = vec![key.as_str(), "seed", "solver.steps", "solver.time"];
            // Where arms and no grid set the key, they are what a curve runs through.
            if run.keys.iter().all(|(known, _)| known != key) {
                keys.push("arm");
            }
            keys
        }
        _ => vec!["seed"],
    }
}

/// The points of runs that belong together, ascending in x where that is no column.
fn points(plot: &Plot, curve: &Curve, y: &str, runs: &[&StudyRun], layer: Option<usize>) -> Vec<Point> {
    // (what belongs together, x, y, step)
    let mut found: Vec<(f64, f64, f64, f64)> = Vec::new();
    for run in runs {
        let column = match layer {
            Some(layer) => y.replace("layer*", &format!("layer{layer}")),
            None => y.to_string(),
        };
        let at = row(&run.record, plot.at);
        let step = at.and_then(|row| run.record.number(row, "step")).unwrap_or(0.0);
        match &curve.x {
            Axis::Step | Axis::Time | Axis::LambdaT => {
                let decay = Decay::of(run);
                for (step, y) in run.record.series(&column) {
                    found.extend(clock_at(&curve.x, decay.as_ref(), step).map(|x| (step, x, y, step)));
                }
            }
            Axis::Column(other) => {
                let rows = 0..run.record.len().cast_signed();
                let wanted = |row: &isize| plot.at.is_none() || run.record.number(*row, "step") == Some(step);
                for row in rows.filter(wanted) {
                    let cell = |column: &str| run.record.number(row, column);
                    if let (Some(step), Some(x), Some(y)) = (cell("step"), cell(other), cell(&column)) {
                        found.push((step, x, y, step));
                    }
                }
            }
            Axis::Key(key) => {
                let x = get(&run.config, key).and_then(number);
                let y = at.and_then(|row| run.record.number(row, &column));
                found.extend(x.zip(y).map(|(x, y)| (x, x, y, step)));
            }
            Axis::Alpha => {
                for (x, column) in exponents(run, &column, layer) {
                    found.extend(at.and_then(|row| run.record.number(row, &column)).map(|y| (x, x, y, step)));
                }
            }
        }
    }
    let null = curve.y.contains(".null.");
    let is_misfit = !curve.laws.is_empty() && y.contains(".misfit.");
    let verdict_column = is_misfit.then(|| y.replace(".misfit.", ".verdict."));
    let mut places: HashMap<u64, usize> = HashMap::new();
    let mut points: Vec<Point> = Vec::new();
    for (together, x, y, step) in found {
        match places.get(&together.to_bits()) {
            Some(&place) => points[place].values.push(y),
            None => {
                places.insert(together.to_bits(), points.len());
                let verdict = verdict_column.as_ref().and_then(|column| said(runs, column, step));
                points.push(Point { x, values: vec![y], y, step, hollow: null || step == 0.0, verdict });
            }
        }
    }
    if !matches!(curve.x, Axis::Column(_)) {
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
    }
    points
}

/// The text that all runs have in a column at a step.
fn said(runs: &[&StudyRun], column: &str, step: f64) -> Option<String> {
    let of = |run: &StudyRun| {
        let row = (0..run.record.len().cast_signed()).find(|&row| run.record.number(row, "step") == Some(step))?;
        run.record.text(row, column).map(str::to_string)
    };
    let first = of(runs.first()?)?;
    runs.iter().all(|run| of(run).as_ref() == Some(&first)).then_some(first)
}

/// What a clock shows at a step.
fn clock_at(axis: &Axis, decay: Option<&Decay>, step: f64) -> Option<f64> {
    match axis {
        Axis::Step => Some(step),
        Axis::Time => Some(decay?.time(step)),
        Axis::LambdaT => decay.filter(|decay| decay.lambda > 0.0).map(|decay| decay.lambda * decay.time(step)),
        _ => None,
    }
}

/// The exponents at which a quantity was taken, with their columns.
fn exponents(run: &StudyRun, column: &str, layer: Option<usize>) -> Vec<(f64, String)> {
    let Some((quantity, of_layer)) = column.rsplit_once(".layer") else { return Vec::new() };
    let depth = run.theory.depth.zip(layer).and_then(|(depth, layer)| depth.checked_sub(layer)).filter(|n| *n > 0);
    let mut found: Vec<(f64, String)> = depth.map(|n| (1.0 / n as f64, column.to_string())).into_iter().collect();
    for other in run.record.columns() {
        let alpha = other.strip_prefix(quantity).and_then(|rest| rest.strip_prefix('@'));
        let alpha = alpha.and_then(|rest| rest.strip_suffix(&format!(".layer{of_layer}"))?.parse::<f64>().ok());
        if let Some(alpha) = alpha
            && found.iter().all(|(known, _)| (known - alpha).abs() > 1e-12)
        {
            found.push((alpha, other.clone()));
        }
    }
    found
}

/// Drops what the axes can't show, and says so.
pub(super) fn keep_drawable(series: &mut Vec<Series<'_>>, curve: &Curve, log: Log, notes: &mut Vec<String>) {
    let (mut start, mut dropped) = (false, 0);
    // Of laws the start is what training is held against: it stands at the left edge.
    let xs = series.iter().flat_map(|series| &series.points).map(|point| point.x);
    let least = xs.filter(|x| *x > 0.0).fold(f64::INFINITY, f64::min);
    let edge = (!curve.laws.is_empty() && log.x && least.is_finite()).then_some(least / 2.0);
    for series in series.iter_mut() {
        series.points.retain_mut(|point| {
            if let Some(edge) = edge.filter(|_| point.step == 0.0) {
                point.x = edge;
            }
            if log.x && point.x <= 0.0 {
                start |= point.step == 0.0;
                dropped += usize::from(point.step != 0.0);
                return false;
            }
            let before = point.values.len();
            point.values.retain(|value| !log.y || *value > 0.0);
            dropped += before - point.values.len();
            point.y = point.values.iter().sum::<f64>() / point.values.len().max(1) as f64;
            !point.values.is_empty()
        });
    }
    let undefined = series.iter().filter(|series| series.points.is_empty()).count();
    if curve.x == Axis::LambdaT && undefined > 0 && undefined < series.len() {
        notes.push(format!("Left out: {} without weight decay, where λt stands still.", count(undefined, "curve")));
    }
    series.retain(|series| !series.points.is_empty());
    if start {
        notes.push("Step 0 is left off the logarithmic axis.".to_string());
    }
    if dropped > 0 {
        notes.push(format!("{} not above zero, left off the logarithmic axes.", are(dropped)));
    }
}

/// `1 value is`, `2 values are`.
fn are(n: usize) -> String {
    format!("{} {}", count(n, "value"), if n == 1 { "is" } else { "are" })
}
