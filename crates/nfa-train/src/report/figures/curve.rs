//! A curve of an experiment's own: measurement as coloured dots, theory as grey lines.

use std::collections::HashMap;

use crate::claim::at::At;
use crate::claim::formula::Formula;
use crate::claim::plot::{Axis, Curve, Log, Plot};
use crate::claim::variables::key_of;
use crate::keys::depth_of;
use crate::keys::{get, number};
use crate::report::draw::figure::{Drawing, Figure, Key, MODULE};
use crate::report::draw::format::{count, list, sig};
use crate::report::draw::svg::{Frame, Points, Scale, Shape, Tick, label, line, polyline};
use crate::report::facts::Solver;
use crate::report::figures::fan::{clip, free};
use crate::report::figures::plots::{
    Selection, axis_name, differing, ends, others, pretty, row, setting, span, values, when,
};
use crate::report::figures::strip::thinned;
use crate::report::figures::view::{HUES, named, spread};
use crate::study::seeds::Mean;
use crate::study::{StudyRun, distinct};
use maud::{Markup, html};

/// Left, top, right, bottom edge of a plot; the left one moves where labels are long.
const EDGE: (f64, f64, f64, f64) = (46.0, 66.0, MODULE - 6.0, 266.0);
/// Values of x at which theory is drawn.
const SAMPLES: usize = 241;
/// Distinct values of x up to which each has a tick of its own.
const TICKED: usize = 9;

/// The measurements of one setting, and what theory says of it.
struct Series<'a> {
    panel: usize,
    /// Its colour and shape.
    line: usize,
    /// What the colour stands for.
    label: String,
    /// Its runs, which differ in x and seed; theory's names stand for the first one's settings.
    runs: Vec<&'a StudyRun>,
    /// The layer, from 1.
    layer: Option<f64>,
    /// Ascending in x, but for another column on that axis.
    points: Vec<Point>,
    /// The factor of theory that was fitted to these points.
    c: Option<f64>,
}

/// A measurement: of one run, or of several that differ in their seed alone.
struct Point {
    x: f64,
    /// One a seed.
    values: Vec<f64>,
    /// Their mean.
    y: f64,
    step: f64,
    /// Before training, or a null.
    hollow: bool,
}

/// The figure, or why there is none.
pub(crate) fn figure(plot: &Plot, curve: &Curve, selection: Selection<'_>) -> Result<Figure, String> {
    let mut notes = selection.notes.clone();
    let all = selection.runs();
    if all.iter().all(|run| columns(run, &curve.y).is_empty()) {
        return Err(format!("No run recorded {}; is it among the [probe] metrics?", curve.y));
    }
    let lines = Lines::of(curve, &all, &mut notes);
    let mut series = measured(plot, curve, &selection, &lines, &mut notes);
    keep_drawable(&mut series, curve, plot.log, &mut notes);
    if series.is_empty() {
        return Err(format!("No run has values of {} against {} that can be drawn.", curve.y, curve.x.name()));
    }
    if let Some(theory) = &curve.theory {
        series.iter_mut().for_each(|series| series.fit(curve, theory, plot));
    }
    let (x, ticks) = x_axis(curve, &series, plot.log.x);
    let y = y_scale(plot, curve, &series, &x);
    let several = selection.panels.len() > 1;
    let drawings: Vec<Drawing> = selection
        .panels
        .iter()
        .enumerate()
        .map(|(panel, (title, _))| (title, series.iter().filter(|series| series.panel == panel).collect::<Vec<_>>()))
        .filter(|(_, inside)| !inside.is_empty())
        .map(|(title, inside)| {
            let title = if several || !title.is_empty() { title } else { &plot.title };
            drawing(plot, curve, title, &inside, (x, y), &ticks)
        })
        .collect();
    let found = finding(plot, curve, &series);
    let measured = plot.caption.as_ref().map(|_| found.clone());
    Ok(Figure {
        id: plot.id.clone(),
        heading: plot.title.clone(),
        finding: plot.caption.clone().unwrap_or(found),
        reading: reading(curve, &series, measured, &notes),
        keys: keys(curve, &series),
        drawings,
    })
}

/// Runs that make one series: what tells them from others, their layer from 0.
struct Group<'a> {
    settings: Vec<(&'a str, &'a str)>,
    layer: Option<usize>,
    runs: Vec<&'a StudyRun>,
}

/// What the colours stand for.
enum Lines<'a> {
    /// One colour.
    One,
    /// Values of a key.
    Values(&'a str, Vec<String>),
    /// Layers of the column, from 0.
    Layers(Vec<usize>),
}

impl<'a> Lines<'a> {
    fn of(curve: &'a Curve, runs: &[&StudyRun], notes: &mut Vec<String>) -> Self {
        let mut chosen = |n: usize, what: &str| {
            if n > HUES {
                notes.push(format!("Drawn: {HUES} of {n} {what}, evenly spread, the first and the last among them."));
            }
        };
        if curve.y.contains("layer*") {
            let mut layers: Vec<usize> =
                runs.iter().flat_map(|run| columns(run, &curve.y)).filter_map(|(_, layer)| layer).collect();
            layers.sort_unstable();
            layers.dedup();
            chosen(layers.len(), "layers");
            return Lines::Layers(spread(layers, HUES));
        }
        match &curve.lines {
            None => Lines::One,
            Some(key) => {
                let values = values(runs, key);
                chosen(values.len(), &format!("values of {}", axis_name(key)));
                Lines::Values(key, spread(values, HUES))
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Lines::One => 1,
            Lines::Values(_, values) => values.len(),
            Lines::Layers(layers) => layers.len(),
        }
    }

    fn label(&self, line: usize) -> String {
        match self {
            Lines::One => String::new(),
            Lines::Values(key, values) if values[line].is_empty() => format!("no {key}"),
            Lines::Values(key, values) => named(key, &values[line]),
            Lines::Layers(layers) => format!("layer {}", layers[line]),
        }
    }

    fn holds(&self, line: usize, run: &StudyRun, layer: Option<usize>) -> bool {
        match self {
            Lines::One => true,
            Lines::Values(key, values) => setting(run, key) == values[line],
            Lines::Layers(layers) => layer == Some(layers[line]),
        }
    }
}

/// The columns of a run that `y` names, with their layers.
fn columns(run: &StudyRun, y: &str) -> Vec<(String, Option<usize>)> {
    let layer = |column: &str| column.rsplit_once("layer").and_then(|(_, digits)| digits.parse().ok());
    let found = run.record.columns().iter().filter(|column| match (y.strip_suffix("layer*"), layer(column)) {
        (Some(before), Some(layer)) => **column == format!("{before}layer{layer}"),
        _ => *column == y,
    });
    found.map(|column| (column.clone(), layer(column))).collect()
}

/// Every series with its points, as they were recorded.
fn measured<'a>(
    plot: &Plot,
    curve: &Curve,
    selection: &Selection<'a>,
    lines: &Lines<'_>,
    notes: &mut Vec<String>,
) -> Vec<Series<'a>> {
    let mut all = Vec::new();
    let mut pooled: Option<String> = None;
    for (panel, (_, runs)) in selection.panels.iter().enumerate() {
        for line in 0..lines.len() {
            let mut groups: Vec<Group<'a>> = Vec::new();
            for &run in runs {
                for (_, layer) in columns(run, &curve.y).into_iter().filter(|(_, l)| lines.holds(line, run, *l)) {
                    let settings = others(run, &apart_from(curve, run));
                    match groups.iter_mut().find(|group| group.settings == settings && group.layer == layer) {
                        Some(group) => group.runs.push(run),
                        None => groups.push(Group { settings, layer, runs: vec![run] }),
                    }
                }
            }
            if groups.len() > 1 && pooled.is_none() {
                let settings: Vec<_> = groups.iter().map(|group| group.settings.clone()).collect();
                pooled = Some(format!("Curves of one colour differ in {}.", differing(&settings)));
            }
            all.extend(groups.into_iter().map(|Group { layer, runs, .. }| Series {
                panel,
                line,
                label: lines.label(line),
                layer: layer.map(|layer| layer as f64 + 1.0),
                points: points(plot, curve, &runs, layer),
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
fn points(plot: &Plot, curve: &Curve, runs: &[&StudyRun], layer: Option<usize>) -> Vec<Point> {
    // (what belongs together, x, y, step)
    let mut found: Vec<(f64, f64, f64, f64)> = Vec::new();
    for run in runs {
        let column = match layer {
            Some(layer) => curve.y.replace("layer*", &format!("layer{layer}")),
            None => curve.y.clone(),
        };
        let at = row(&run.record, plot.at);
        let step = at.and_then(|row| run.record.number(row, "step")).unwrap_or(0.0);
        match &curve.x {
            Axis::Step | Axis::Time | Axis::LambdaT => {
                let clock = Solver::of(run);
                for (step, y) in run.record.series(&column) {
                    found.extend(clock_at(&curve.x, clock.as_ref(), step).map(|x| (step, x, y, step)));
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
    let mut places: HashMap<u64, usize> = HashMap::new();
    let mut points: Vec<Point> = Vec::new();
    for (together, x, y, step) in found {
        match places.get(&together.to_bits()) {
            Some(&place) => points[place].values.push(y),
            None => {
                places.insert(together.to_bits(), points.len());
                points.push(Point { x, values: vec![y], y, step, hollow: null || step == 0.0 });
            }
        }
    }
    if !matches!(curve.x, Axis::Column(_)) {
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
    }
    points
}

/// What a clock shows at a step.
fn clock_at(axis: &Axis, solver: Option<&Solver>, step: f64) -> Option<f64> {
    match axis {
        Axis::Step => Some(step),
        Axis::Time => Some(solver?.time(step)),
        Axis::LambdaT => solver.filter(|solver| solver.lambda > 0.0).map(|solver| solver.lambda * solver.time(step)),
        _ => None,
    }
}

/// The exponents at which a quantity was taken, with their columns.
fn exponents(run: &StudyRun, column: &str, layer: Option<usize>) -> Vec<(f64, String)> {
    let Some((quantity, of_layer)) = column.rsplit_once(".layer") else { return Vec::new() };
    let depth = depth_of(&run.config).zip(layer).map(|(depth, layer)| depth - layer as f64);
    let mut found: Vec<(f64, String)> =
        depth.filter(|depth| *depth > 0.0).map(|depth| (1.0 / depth, column.to_string())).into_iter().collect();
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
fn keep_drawable(series: &mut Vec<Series<'_>>, curve: &Curve, log: Log, notes: &mut Vec<String>) {
    let (mut start, mut dropped) = (false, 0);
    for series in series.iter_mut() {
        series.points.retain_mut(|point| {
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

impl Series<'_> {
    /// Theory at a value of x, with a factor `c`; `step` where a probe says which it is.
    fn theory(&self, curve: &Curve, formula: &Formula, plot: &Plot, x: f64, step: Option<f64>, c: f64) -> Option<f64> {
        let here = |name: &str| match &curve.x {
            Axis::Key(key) if key_of(name) == key => Some(x),
            _ => crate::claim::variables::setting(&self.runs[0].config, name),
        };
        let variable = |name: &str| match name {
            "x" => Some(x),
            "c" => Some(c),
            "l" => self.layer,
            "t" => {
                let step = step.or_else(|| self.step_at(curve, plot.at, x, &here))?;
                crate::claim::variables::clock(&self.runs[0].config, step)
            }
            name => here(name),
        };
        formula.value(&variable).filter(|value| value.is_finite())
    }

    /// The step that a value of x stands for, between probes too.
    fn step_at(&self, curve: &Curve, at: Option<At>, x: f64, here: &dyn Fn(&str) -> Option<f64>) -> Option<f64> {
        let solver = Solver::of(self.runs[0]);
        match (&curve.x, at) {
            (Axis::Step, _) => Some(x),
            (Axis::Time, _) => solver?.step_at(x),
            (Axis::LambdaT, _) => solver.filter(|solver| solver.lambda > 0.0).and_then(|s| s.step_at(x / s.lambda)),
            (Axis::Column(_), _) => None,
            (_, Some(At::First)) => Some(0.0),
            (_, Some(At::Step(step))) => Some(step as f64),
            _ => here("solver.steps").or_else(|| Some(here("solver.time")? / here("solver.lr")?)),
        }
    }

    /// Fits the factor of theory, where it has one: least squares, of logarithms on a logarithmic axis.
    fn fit(&mut self, curve: &Curve, formula: &Formula, plot: &Plot) {
        if !formula.names().contains(&"c") {
            return;
        }
        let with_unit = |point: &Point| {
            Some((point.y, self.theory(curve, formula, plot, point.x, Some(point.step), 1.0).filter(|f| *f != 0.0)?))
        };
        let pairs: Vec<(f64, f64)> = self.points.iter().filter_map(with_unit).collect();
        let c = if plot.log.y && pairs.iter().all(|(y, f)| y / f > 0.0) {
            (pairs.iter().map(|(y, f)| (y / f).ln()).sum::<f64>() / pairs.len() as f64).exp()
        } else {
            pairs.iter().map(|(y, f)| y * f).sum::<f64>() / pairs.iter().map(|(_, f)| f * f).sum::<f64>()
        };
        self.c = Some(c).filter(|c| c.is_finite());
    }

    /// |measured / theory - 1| at every point where theory has a value other than 0.
    fn deviations(&self, curve: &Curve, plot: &Plot) -> Vec<f64> {
        let Some(formula) = &curve.theory else { return Vec::new() };
        let off = |point: &Point| {
            let theory = self.theory(curve, formula, plot, point.x, Some(point.step), self.c.unwrap_or(1.0))?;
            Some((point.y / theory - 1.0).abs()).filter(|off| off.is_finite())
        };
        self.points.iter().filter_map(off).collect()
    }

    /// Theory as a line over the x axis.
    fn line(&self, curve: &Curve, plot: &Plot, x: &Scale) -> Vec<(f64, f64)> {
        let Some(formula) = &curve.theory else { return Vec::new() };
        let c = self.c.unwrap_or(1.0);
        let at = |x: f64| Some((x, self.theory(curve, formula, plot, x, None, c)?));
        x.spread(SAMPLES).into_iter().filter_map(at).collect()
    }
}

/// The x scale, and ticks at the values themselves where they are few.
fn x_axis(curve: &Curve, series: &[Series<'_>], log: bool) -> (Scale, Option<Vec<Tick>>) {
    let xs = || series.iter().flat_map(|series| &series.points).map(|point| point.x);
    let (lo, hi) = ends(xs()).unwrap_or((0.0, 1.0));
    let range = (EDGE.0 + 10.0, EDGE.2 - 12.0);
    let scale = match (log, &curve.x) {
        (true, _) if hi <= lo => Scale::log(lo / 2.0, lo * 2.0, range),
        (true, _) => Scale::log(lo, hi, range),
        (false, Axis::Step | Axis::Time | Axis::LambdaT) => Scale::linear(0.0_f64.min(lo), hi, range),
        (false, _) if hi <= lo => Scale::linear(lo - 0.5, lo + 0.5, range),
        (false, _) => Scale::linear(lo, hi, range),
    };
    let ticks = matches!(curve.x, Axis::Key(_)).then(|| {
        let mut values: Vec<f64> = xs().collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        (values.len() <= TICKED).then(|| scale.ticks_at(&values, |n| 6.2 * n as f64 + 8.0)).flatten()
    });
    (scale, ticks.flatten())
}

/// The y scale: around all that was measured, and around theory where it isn't far off.
fn y_scale(plot: &Plot, curve: &Curve, series: &[Series<'_>], x: &Scale) -> Scale {
    let measured = series.iter().flat_map(|series| &series.points).flat_map(|point| point.values.iter().copied());
    let (lo, hi) = ends(measured).unwrap_or((0.0, 1.0));
    let foretold = || series.iter().flat_map(|series| series.line(curve, plot, x)).map(|(_, y)| y);
    let range = (EDGE.3 - 8.0, EDGE.1 + 8.0);
    if plot.log.y {
        // Half as many decades more on each side, and no fewer than one.
        let reach = (hi / lo).sqrt().max(10.0);
        let (low, high) = ends(foretold().filter(|y| *y > 0.0)).unwrap_or((lo, hi));
        let (lo, hi) = (lo.min(low.max(lo / reach)), hi.max(high.min(hi * reach)));
        // At least a decade, so that a constant is drawn as a level line.
        let (lo, hi) = if hi / lo < 10.0 { (lo / 2.0, hi * 2.0) } else { (lo / 1.2, hi * 1.2) };
        return Scale::log(lo, hi, range);
    }
    let reach = (hi - lo).max(0.1 * hi.abs().max(lo.abs()));
    let (low, high) = ends(foretold()).unwrap_or((lo, hi));
    let (mut lo, mut hi) = (lo.min(low.max(lo - reach)), hi.max(high.min(hi + reach)));
    // Zero is on the axis where it is near.
    if lo > 0.0 && lo < 0.4 * hi {
        lo = 0.0;
    } else if hi < 0.0 && hi > 0.4 * lo {
        hi = 0.0;
    }
    if hi - lo <= 1e-9 * hi.abs().max(lo.abs()) {
        let half = 0.5 * hi.abs().max(1e-300);
        (lo, hi) = if hi == 0.0 { (-1.0, 1.0) } else { (lo - half, hi + half) };
    }
    Scale::linear(lo, hi, range)
}

/// The name of the x axis.
fn below(axis: &Axis) -> String {
    match axis {
        Axis::Step => "step t".to_string(),
        Axis::Time => "time η t".to_string(),
        Axis::LambdaT => "λ η t (decay times)".to_string(),
        Axis::Alpha => "exponent α".to_string(),
        Axis::Key(key) => axis_name(key),
        Axis::Column(column) => column.clone(),
    }
}

/// One panel.
fn drawing(
    plot: &Plot,
    curve: &Curve,
    title: &str,
    series: &[&Series<'_>],
    (x, y): (Scale, Scale),
    ticks: &Option<Vec<Tick>>,
) -> Drawing {
    let ys = y.ticks();
    let longest = ys.iter().map(|tick| tick.label.chars().count()).max().unwrap_or(0);
    // Room for the labels of the y axis.
    let left = EDGE.0.max(14.0 + 6.0 * longest as f64);
    let x = x.over((left + 10.0, x.range.1));
    let frame = Frame { x, y, edge: (left, EDGE.1, EDGE.2, EDGE.3) };
    let xs = ticks.clone().unwrap_or_else(|| x.ticks());
    let summary = summary(plot, curve, series);
    let sides: Vec<(f64, String)> = if curve.x == Axis::Alpha { predicted(curve, series) } else { Vec::new() };
    let theory = theory_lines(plot, curve, series, &frame);
    let body = html! {
        (label((0.0, 18.0), "head", &clip(title, 42)))
        (label((0.0, 36.0), "sub", &summary))
        (frame.draw_with((xs, ys), &below(&curve.x), &curve.y))
        @for (alpha, _) in &sides {
            @let at = frame.x.at(*alpha);
            (line((at, EDGE.1), (at, EDGE.3), "ray mine"))
        }
        @for Theory { pieces, .. } in &theory {
            @for piece in pieces { (polyline(piece, "ray mine")) }
        }
        (marks(curve, series, &frame))
        @for (at, name) in names_of(&theory, &frame) {
            (label(at, "raylabel mine end", name))
        }
        @for (rank, (alpha, name)) in sides.iter().enumerate() {
            // One below the other, as neighbours may be near.
            (label((frame.x.at(*alpha) + 3.0, EDGE.3 - 7.0 - 12.0 * (rank % 4) as f64), "raylabel mine", name))
        }
    };
    Drawing { height: EDGE.3 + 42.0, title: format!("{}: {title}", plot.title), desc: described(series), body }
}

/// One of theory's lines in pixels, in pieces where it leaves the frame, with the label of the first
/// series that it belongs to.
struct Theory {
    pieces: Vec<Points>,
    name: String,
}

/// Theory's lines, each once: where it doesn't depend on the settings, one is all.
fn theory_lines(plot: &Plot, curve: &Curve, series: &[&Series<'_>], frame: &Frame) -> Vec<Theory> {
    let mut lines: Vec<Theory> = Vec::new();
    let tenth =
        |pieces: &[Points]| -> Vec<String> { pieces.iter().flatten().map(|(x, y)| format!("{x:.1} {y:.1}")).collect() };
    for series in series {
        let pieces = frame.pieces(&series.line(curve, plot, &frame.x));
        if !pieces.is_empty() && lines.iter().all(|known| tenth(&known.pieces) != tenth(&pieces)) {
            lines.push(Theory { pieces, name: series.label.clone() });
        }
    }
    lines
}

/// Where the names of theory's lines stand: above their right ends. None where not all have room:
/// one name among many lines would be taken for the name of all.
fn names_of<'a>(theory: &'a [Theory], frame: &Frame) -> Vec<((f64, f64), &'a str)> {
    let mut taken: Points = Vec::new();
    let mut names = Vec::new();
    for Theory { pieces, name } in theory {
        let Some(&(x, y)) = pieces.last().and_then(|piece| piece.last()) else { continue };
        let x = x.max(frame.edge.0 + 6.4 * name.chars().count() as f64);
        if theory.len() < 2 || name.is_empty() || !free(&mut taken, (x, y)) {
            return Vec::new();
        }
        names.push(((x, (y - 7.0).max(EDGE.1 + 6.0)), name.as_str()));
    }
    names
}

/// The exponents that theory predicts of the networks drawn, with their names.
fn predicted(curve: &Curve, series: &[&Series<'_>]) -> Vec<(f64, String)> {
    let law = curve.y.split('.').next().unwrap_or_default();
    let mut found: Vec<(f64, String)> = Vec::new();
    for series in series {
        let column = format!("{law}.predicted.layer{}", series.layer.unwrap_or(1.0) - 1.0);
        if let Some(alpha) = series.runs[0].record.number(-1, &column).filter(|alpha| *alpha > 0.0)
            && found.iter().all(|(known, _)| (known - alpha).abs() > 1e-9)
        {
            let inverse = (1.0 / alpha).round();
            let is_inverse = (alpha * inverse - 1.0).abs() < 1e-9;
            let name = if is_inverse && inverse > 1.0 { format!("1/{inverse}") } else { sig(alpha, 2) };
            found.push((alpha, name));
        }
    }
    found
}

/// Lines through the means, dots of seeds, dots of means.
fn marks(curve: &Curve, series: &[&Series<'_>], frame: &Frame) -> Markup {
    let n = series.len();
    let at = |point: &Point, y: f64| (frame.x.at(point.x), frame.y.at(y));
    let means: Vec<Points> =
        series.iter().map(|series| series.points.iter().map(|point| at(point, point.y)).collect()).collect();
    let kept = |i: usize| -> Vec<usize> {
        match &curve.x {
            Axis::Key(_) | Axis::Alpha => (0..means[i].len()).collect(),
            Axis::Column(_) => spaced(&means[i]),
            _ => thinned(&means[i], frame.x.range, i, n),
        }
    };
    html! {
        @for (series, means) in series.iter().zip(&means) {
            @if means.len() > 1 { (polyline(means, &format!("path s{}", series.line))) }
        }
        @for (i, series) in series.iter().enumerate() {
            @let shape = Shape::nth(series.line);
            @for point in kept(i).into_iter().map(|index| &series.points[index]) {
                @if point.values.len() > 1 {
                    @for value in &point.values { (shape.draw(at(point, *value), 2.2, &format!("seed f{}", series.line))) }
                }
                @let class = if point.hollow { format!("open s{}", series.line) } else { format!("disc f{}", series.line) };
                (shape.draw(at(point, point.y), 3.6, &class))
            }
        }
    }
}

/// Points at least 9 pixels from the last one kept, and the last.
fn spaced(points: &[(f64, f64)]) -> Vec<usize> {
    let mut kept: Vec<usize> = Vec::new();
    for (i, point) in points.iter().enumerate() {
        let apart = |&last: &usize| (point.0 - points[last].0).hypot(point.1 - points[last].1) >= 9.0;
        if i + 1 == points.len() || kept.last().is_none_or(apart) {
            kept.push(i);
        }
    }
    kept
}

/// The panel's numbers in half a sentence.
fn summary(plot: &Plot, curve: &Curve, series: &[&Series<'_>]) -> String {
    let n = drawn(series.iter().copied());
    let worst = series.iter().flat_map(|series| series.deviations(curve, plot)).reduce(f64::max);
    match worst {
        Some(worst) if worst <= 0.5 => format!("{}; within {} of theory", count(n, "run"), percent(worst)),
        Some(worst) => format!("{}; up to {} off theory", count(n, "run"), percent(worst)),
        None => format!("{}{}", count(n, "run"), when(plot.at)),
    }
}

/// How many runs are drawn.
fn drawn<'a>(series: impl Iterator<Item = &'a Series<'a>>) -> usize {
    distinct(series.flat_map(|series| &series.runs).map(|run| run.id.as_str())).len()
}

/// A share in per cent.
fn percent(share: f64) -> String {
    if share < 1e-12 { "0 %".to_string() } else { format!("{} %", sig(100.0 * share, 2)) }
}

/// What it shows, with numbers.
fn finding(plot: &Plot, curve: &Curve, series: &[Series<'_>]) -> String {
    let mut off: Vec<f64> = series.iter().flat_map(|series| series.deviations(curve, plot)).collect();
    off.sort_by(f64::total_cmp);
    let runs = count(drawn(series.iter()), "run");
    let y = format!("{}{}", curve.y, when(plot.at));
    let mut text = match (&curve.theory, off.last()) {
        (Some(theory), Some(&worst)) => {
            let theory = pretty(theory);
            let points = count(off.len(), "point");
            if worst <= 0.5 {
                format!("{y} lies within {} of theory, {theory}, at all {points} of {runs}", percent(worst))
            } else {
                let median = percent(off[off.len() / 2]);
                format!(
                    "{y} strays from theory, {theory}, by up to {} (median {median}; {points} of {runs})",
                    percent(worst)
                )
            }
        }
        _ if curve.x == Axis::Alpha => format!("{y} is {}", peaks(curve, series)),
        _ => {
            let means: Vec<f64> = series.iter().flat_map(|series| &series.points).map(|point| point.y).collect();
            format!("{y} against {}: {} in {runs}", below(&curve.x), span(&means))
        }
    };
    let constants: Vec<String> = series
        .iter()
        .filter_map(|series| {
            let c = sig(series.c?, 3);
            Some(if series.label.is_empty() { c } else { format!("{c} ({})", series.label) })
        })
        .collect();
    if !constants.is_empty() {
        text.push_str(&format!("; c = {} fitted", list(&constants, 5)));
    }
    text.push('.');
    text
}

/// At which exponent each curve is best.
fn peaks(curve: &Curve, series: &[Series<'_>]) -> String {
    let least = [".one_minus_cosine.", ".relative_error."].iter().any(|part| curve.y.contains(part));
    let best = |series: &Series<'_>| {
        let by = |a: &&Point, b: &&Point| if least { b.y.total_cmp(&a.y) } else { a.y.total_cmp(&b.y) };
        let alpha = sig(series.points.iter().max_by(by)?.x, 3);
        Some(if series.label.is_empty() { alpha } else { format!("{alpha} ({})", series.label) })
    };
    let each: Vec<String> = series.iter().filter_map(best).collect();
    let among = series.iter().map(|series| series.points.len()).max().unwrap_or(0);
    let word = if least { "least" } else { "largest" };
    format!("{word} at α = {}, among {}", list(&each, 6), count(among, "exponent"))
}

/// How to read it, and what was left out.
fn reading(curve: &Curve, series: &[Series<'_>], measured: Option<String>, notes: &[String]) -> String {
    let mut text = measured.map(|measured| format!("Measured: {measured} ")).unwrap_or_default();
    text.push_str("How to read it: ");
    if curve.theory.is_some() {
        text.push_str("grey is theory, ");
    }
    text.push_str("coloured marks are measurements");
    if matches!(curve.x, Axis::Step | Axis::Time | Axis::LambdaT) {
        text.push_str(" (thinned to be told apart; thin lines join all probes)");
    }
    text.push('.');
    if seeds(series).is_some() {
        text.push_str(" Pale marks are single seeds; the others are their means, which the thin lines join.");
    }
    for note in notes {
        text.push_str(&format!(" {note}"));
    }
    text
}

/// The most seeds of a point and the interval of the mean there, where points have several.
fn seeds(series: &[Series<'_>]) -> Option<Mean> {
    let points = series.iter().flat_map(|series| &series.points);
    points.filter_map(|point| Mean::of(&point.values)).max_by_key(|mean| mean.n)
}

/// What the marks mean.
fn keys(curve: &Curve, series: &[Series<'_>]) -> Vec<Key> {
    let mut keys = Vec::new();
    let grey = html! { line x1="-7" y1="0" x2="7" y2="0" class="ray mine" {} };
    if let Some(theory) = &curve.theory {
        let fitted = if series.iter().any(|series| series.c.is_some()) { ", c fitted" } else { "" };
        keys.push(Key { mark: grey, text: format!("theory: {}{fitted}", clip(&pretty(theory), 56)) });
    } else if curve.x == Axis::Alpha {
        keys.push(Key { mark: grey, text: "theory's exponent".to_string() });
    }
    let mut seen: Vec<usize> = Vec::new();
    for series in series {
        if !seen.contains(&series.line) {
            seen.push(series.line);
            let name = if series.label.is_empty() { "measured" } else { &series.label };
            keys.push(Key::shape(Shape::nth(series.line), &format!("disc f{}", series.line), name));
        }
    }
    if let Some(mean) = seeds(series) {
        let mark = Shape::Circle.draw((0.0, 0.0), 2.2, "seed mark soft");
        keys.push(Key { mark, text: format!("a seed; large: the mean of {}", mean.n) });
    }
    if series.iter().flat_map(|series| &series.points).any(|point| point.hollow) {
        let what = if curve.y.contains(".null.") { "null" } else { "before training" };
        keys.push(Key::shape(Shape::Circle, "hollow", what));
    }
    keys
}

/// The series in words.
fn described(series: &[&Series<'_>]) -> String {
    let each = series.iter().filter_map(|series| {
        let (first, last) = series.points.first().zip(series.points.last())?;
        let name = if series.label.is_empty() { series.runs[0].id.as_str() } else { &series.label };
        Some(format!("{name} from {} to {}", sig(first.y, 2), sig(last.y, 2)))
    });
    each.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::figures::plots;
    use crate::report::sample;
    use crate::study::Study;

    fn draw(study: &Study, text: &str) -> Result<Figure, String> {
        plots::figure(&sample::plot(text), study)
    }

    const DECAY: &str = "kind = \"curve\"\nx = \"lambda_t\"\ny = \"imbalance_ratio.layer0\"\nlog = \"y\"\n\
        lines = \"model.depth\"\nwhere = { arm = \"decay\" }\n";

    #[test]
    fn dots_lie_where_they_should_and_theory_runs_through_them() {
        let study = sample::study();
        let figure = draw(&study, &format!("{DECAY}theory = \"(1-lr*lambda)^(2*t)\"")).unwrap();
        let svg = figure.drawings[0].body.clone().into_string();
        // x is 0 to 0.02 · 0.03 · 100 = 0.06 over 56..322 pixels. y ends at 0.9994^200 = 0.88689, less
        // than a decade, so that the axis is 0.44345 to 2 over 258..74: 0.88689 lies at
        // 258 - 184 · ln 2 / ln(2 / 0.44345) = 173.3 and 1 at 258 - 184 · ln(1 / 0.44345) / ... = 158.7.
        assert!(svg.contains("<circle cx=\"56\" cy=\"158.7\" r=\"3.6\" class=\"open s0\""), "{svg}");
        assert!(svg.contains("<circle cx=\"322\" cy=\"173.3\" r=\"3.6\" class=\"disc f0\""), "{svg}");
        // One grey line for both depths, through the same points.
        assert_eq!(svg.matches("ray mine").count(), 1);
        let line = svg.split("polyline points=\"").nth(1).unwrap().split('"').next().unwrap();
        assert!(line.starts_with("56,158.7 ") && line.ends_with(" 322,173.3"), "{line}");
        assert!(
            figure.finding.contains("within 0 % of theory, (1−lr·λ)^(2·t), at all 8 points of 2 runs"),
            "{}",
            figure.finding
        );
        let keys: Vec<&str> = figure.keys.iter().map(|key| key.text.as_str()).collect();
        assert_eq!(keys, ["theory: (1−lr·λ)^(2·t)", "L = 2", "L = 3", "before training"]);
    }

    #[test]
    fn theory_that_differs_between_colours_is_named_and_a_factor_is_fitted() {
        let study = sample::study();
        let text = "kind = \"curve\"\nx = \"step\"\ny = \"nfa.alpha.layer0\"\nlines = \"model.depth\"\n\
            where = { arm = \"decay\" }\ntheory = ";
        let figure = draw(&study, &format!("{text}\"1/L\"")).unwrap();
        let svg = figure.drawings[0].body.clone().into_string();
        assert_eq!((svg.matches("\"ray mine\"").count(), svg.matches("raylabel").count()), (2, 2));
        assert!(figure.finding.contains("within 0 %"));
        // 2.5/L fits with c = 1/2.5; 0.6 · 1/L = 0.3 stays 40 % off.
        let figure = draw(&study, &format!("{text}\"2.5*c/L\"")).unwrap();
        assert!(figure.finding.contains("c = 0.400 (L = 2) and 0.400 (L = 3) fitted"), "{}", figure.finding);
        let figure = draw(&study, &format!("{text}\"0.6/L\"")).unwrap();
        assert!(figure.finding.contains("strays from theory, 0.6/L, by up to 67 %"), "{}", figure.finding);
    }

    #[test]
    fn t_stands_for_the_step_on_every_clock() {
        let study = sample::study();
        for x in ["step", "time", "lambda_t"] {
            let text = DECAY.replace("lambda_t", x) + "theory = \"(1-lr*lambda)^(2*t)\"";
            assert!(draw(&study, &text).unwrap().finding.contains("within 0 %"), "{x}");
        }
    }

    #[test]
    fn keys_are_axes_and_seeds_have_means() {
        let mut study = sample::study();
        study.runs.clear();
        for (depth, seed) in [(2, 0), (2, 1), (3, 0), (3, 1), (4, 0)] {
            let mut run = sample::run("a", depth);
            run.keys.push(("seed".into(), seed.to_string()));
            run.id = format!("{depth}-{seed}");
            study.runs.push(run);
        }
        let text = "kind = \"curve\"\nx = \"model.depth\"\ny = \"nfa.alpha.layer0\"\ntheory = \"1/x\"";
        let figure = draw(&study, text).unwrap();
        let svg = figure.drawings[0].body.clone().into_string();
        // Depth 3 is half way between 2 and 4.
        assert!(svg.contains("cx=\"189\"") && svg.contains(">3</text>") && !svg.contains(">2.5</text>"), "{svg}");
        assert_eq!((svg.matches("seed f0").count(), svg.matches("disc f0").count()), (4, 3));
        assert!(figure.finding.contains("within 0 % of theory, 1/x, at all 3 points of 5 runs"), "{}", figure.finding);
        assert!(figure.keys.iter().any(|key| key.text == "a seed; large: the mean of 2"));
        // The same by the variable that stands for the key.
        assert!(draw(&study, &text.replace("1/x", "1/L")).unwrap().finding.contains("within 0 %"));
    }

    #[test]
    fn many_values_are_spread_over_five_colours_and_the_rule_is_stated() {
        let mut study = sample::study();
        study.runs = (0..40)
            .map(|i| {
                let mut run = sample::run("a", 2);
                run.id = format!("run-{i}");
                run.keys.push(("seed".into(), (i / 8).to_string()));
                run.config["solver"].as_table_mut().unwrap().insert("lr".into(), (0.01 * f64::from(i % 8 + 1)).into());
                run
            })
            .collect();
        let text = "kind = \"curve\"\nx = \"step\"\ny = \"nfa.alpha.layer0\"\nlog = \"x\"\nlines = \"solver.lr\"";
        let figure = draw(&study, text).unwrap();
        assert_eq!(figure.keys.iter().filter(|key| key.text.starts_with("lr = ")).count(), 5);
        assert!(figure.keys[5].text.contains("the mean of 5"));
        assert!(figure.reading.contains("Drawn: 5 of 8 values of learning rate η"), "{}", figure.reading);
        assert!(figure.reading.contains("Step 0 is left off"), "{}", figure.reading);
    }

    #[test]
    fn layers_are_lines_and_other_columns_are_axes() {
        let study = sample::study();
        let layers = "kind = \"curve\"\nx = \"step\"\ny = \"nfa.alpha.layer*\"\ntheory = \"1/(L-l+1)\"\npanels = \"model.depth\"";
        let figure = draw(&study, layers).unwrap();
        let titles: Vec<&str> =
            figure.drawings.iter().map(|drawing| drawing.title.rsplit(": ").next().unwrap()).collect();
        assert_eq!(titles, ["L = 2", "L = 3"]);
        assert!(figure.finding.contains("within 0 %"), "{}", figure.finding);
        let columns = "kind = \"curve\"\nx = \"loss.test\"\ny = \"imbalance_ratio.layer0\"\nlog = \"x\"";
        assert!(draw(&study, columns).unwrap().finding.contains("0.89 to 1.0 in 4 runs"));
    }

    #[test]
    fn what_cannot_be_drawn_is_said() {
        let mut study = sample::study();
        let why = |study: &Study, text: &str| draw(study, text).map(|_| ()).unwrap_err();
        assert_eq!(why(&study, &DECAY.replace("\"decay\"", "\"other\"")), "No run fits its `where`.");
        let alpha = "kind = \"curve\"\nx = \"step\"\ny = \"nfa.kappa.layer0\"";
        assert!(why(&study, alpha).contains("No run recorded nfa.kappa.layer0"));
        for run in &mut study.runs {
            run.outcome = "diverged".into();
        }
        assert_eq!(why(&study, DECAY), "None of its 2 runs has completed.");
        study.runs.clear();
        assert_eq!(why(&study, DECAY), "No run yet.");
    }

    #[test]
    fn a_name_is_shown_only_where_all_are() {
        let frame =
            Frame { x: Scale::linear(0.0, 1.0, (46.0, 300.0)), y: Scale::linear(0.0, 1.0, (200.0, 70.0)), edge: EDGE };
        let at = |y: f64, name: &str| Theory { pieces: vec![vec![(46.0, y), (300.0, y)]], name: name.to_string() };
        assert_eq!(names_of(&[at(100.0, "a"), at(120.0, "b")], &frame).len(), 2);
        assert!(names_of(&[at(100.0, "a"), at(102.0, "b")], &frame).is_empty());
        assert!(names_of(&[at(100.0, "a")], &frame).is_empty());
    }

    #[test]
    fn exponents_come_from_the_columns() {
        let mut run = sample::run("a", 2);
        let columns =
            ["step", "nfa.cosine.layer0", "nfa.cosine@0.5.layer0", "nfa.cosine@1.layer0", "nfa.cosine@1.layer1"];
        run.record = crate::record::Record::new(columns.map(String::from).to_vec());
        run.record.push([100.0, 0.9, 0.9, 0.8, 1.0].map(crate::record::Cell::number).to_vec());
        let mut study = sample::study();
        study.runs = vec![run];
        let figure = draw(&study, "kind = \"curve\"\nx = \"alpha\"\ny = \"nfa.cosine.layer0\"").unwrap();
        assert!(figure.finding.contains("largest at α = 0.500, among 2 exponents"), "{}", figure.finding);
    }
}
