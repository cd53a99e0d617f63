//! A map of an experiment's own: a measurement over two keys as coloured cells, theory's borders as
//! grey lines.

use crate::claim::at::At;
use crate::claim::formula::Formula;
use crate::claim::plot::{Boundary, Map, Plot};
use crate::claim::variables::{clock, key_of, setting};
use crate::keys::{self, get};
use crate::report::draw::figure::{Drawing, Figure, Key, MODULE};
use crate::report::draw::format::{count, list, sig};
use crate::report::draw::svg::{Frame, Points, Scale, Shape, Tick, label, line, number, polyline, px};
use crate::report::figures::fan::clip;
use crate::report::figures::plots::{Selection, axis_name, differing, ends, others, pretty, row, span, when};
use crate::study::StudyRun;
use maud::{Markup, html};

/// Left, top, right, bottom edge of the cells; the left one moves where labels are long.
const EDGE: (f64, f64, f64, f64) = (46.0, 66.0, MODULE - 6.0, 286.0);
/// Shades of a ramp.
const SHADES: usize = 9;
/// Nodes along x and y between which a border is sought: two pixels apart.
const NODES: (usize, usize) = (145, 111);
/// The verdicts, with the shape of each.
const VERDICTS: [(&str, Shape); 4] = [
    ("holds", Shape::Circle),
    ("approximate", Shape::Diamond),
    ("fails", Shape::Triangle),
    ("undetermined", Shape::Square),
];

/// One cell: the runs of one setting, which differ in their seed alone.
struct Cell<'a> {
    panel: usize,
    x: f64,
    y: f64,
    runs: Vec<&'a StudyRun>,
    value: Value,
}

/// What a cell shows.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    /// A number, the mean over seeds.
    Number(f64),
    /// The most frequent word, and whether all seeds have it.
    Word(String, bool),
    /// Nothing was measured.
    None,
}

/// Shades of values: edges between them, ascending.
struct Ramp {
    name: &'static str,
    edges: Vec<f64>,
    log: bool,
}

/// The figure, or why there is none.
pub(crate) fn figure(plot: &Plot, map: &Map, selection: Selection<'_>, law: Option<&str>) -> Result<Figure, String> {
    let mut notes = selection.notes.clone();
    let column = map.value.clone().unwrap_or_else(|| format!("{}.verdict.layer0", law.unwrap_or("nfa")));
    let cells = cells(plot, map, &column, &selection, &mut notes);
    if cells.iter().all(|cell| cell.value == Value::None) {
        return Err(format!("No run recorded {column} at two numbers {} and {}.", map.x, map.y));
    }
    let numbers: Vec<f64> = cells.iter().filter_map(|cell| cell.value.number()).collect();
    let ramp = (!numbers.is_empty()).then(|| Ramp::of(&column, &numbers, plot.log.value));
    let (xs, ys) = (Ruler::of(cells.iter().map(|c| c.x), plot.log.x), Ruler::of(cells.iter().map(|c| c.y), plot.log.y));
    let scene = Scene { plot, map, column: &column, ramp: ramp.as_ref(), xs: &xs, ys: &ys };
    let several = selection.panels.len() > 1;
    let drawings: Vec<Drawing> = selection
        .panels
        .iter()
        .enumerate()
        .map(|(panel, (title, _))| (title, cells.iter().filter(|cell| cell.panel == panel).collect::<Vec<_>>()))
        .filter(|(_, inside)| !inside.is_empty())
        .map(|(title, inside)| scene.drawing(if several || !title.is_empty() { title } else { &plot.title }, &inside))
        .collect();
    let found = finding(plot, map, &column, &cells);
    let mut reading = plot.caption.as_ref().map(|_| format!("Measured: {found} ")).unwrap_or_default();
    reading.push_str("How to read it: a cell is a setting, its colour what was measured there");
    reading.push_str(if map.boundary.is_some() { "; grey lines are where theory sees a border." } else { "." });
    if cells.iter().any(|cell| cell.runs.len() > 1) {
        reading.push_str(if numbers.is_empty() {
            " Of several seeds it shows the most frequent verdict."
        } else {
            " Of several seeds it shows the mean."
        });
    }
    notes.iter().for_each(|note| reading.push_str(&format!(" {note}")));
    Ok(Figure {
        id: plot.id.clone(),
        heading: plot.title.clone(),
        finding: plot.caption.clone().unwrap_or(found),
        reading,
        keys: keys(map, &cells),
        drawings,
    })
}

impl Value {
    fn number(&self) -> Option<f64> {
        match self {
            Value::Number(value) => Some(*value),
            _ => None,
        }
    }

    fn word(&self) -> Option<&str> {
        match self {
            Value::Word(word, _) => Some(word),
            _ => None,
        }
    }

    /// What the runs of a cell measured.
    fn of(runs: &[&StudyRun], column: &str, at: Option<At>) -> Self {
        let cell = |run: &&StudyRun| run.record.cell(row(&run.record, at)?, column).cloned();
        let found: Vec<_> = runs.iter().filter_map(cell).collect();
        let numbers: Vec<f64> = found.iter().filter_map(|cell| cell.as_number()).collect();
        if !numbers.is_empty() {
            return Value::Number(numbers.iter().sum::<f64>() / numbers.len() as f64);
        }
        let words: Vec<&str> = found.iter().filter_map(|cell| cell.as_text()).collect();
        let times = |word: &str| words.iter().filter(|other| **other == word).count();
        // The first of the most frequent.
        let most = words.iter().rev().max_by_key(|word| times(word));
        most.map_or(Value::None, |word| Value::Word(word.to_string(), times(word) == words.len()))
    }
}

/// The cells of every panel; of runs that share one but differ in more than the seed, the first setting in the plan.
fn cells<'a>(
    plot: &Plot,
    map: &Map,
    column: &str,
    selection: &Selection<'a>,
    notes: &mut Vec<String>,
) -> Vec<Cell<'a>> {
    let apart = [map.x.as_str(), map.y.as_str(), "seed", "solver.steps", "solver.time"];
    let mut cells: Vec<Cell<'a>> = Vec::new();
    let mut left_out: Vec<Vec<(&str, &str)>> = Vec::new();
    for (panel, (_, runs)) in selection.panels.iter().enumerate() {
        for run in runs {
            let at = |key: &str| get(&run.config, key).and_then(keys::number);
            let (Some(x), Some(y)) = (at(&map.x), at(&map.y)) else { continue };
            match cells.iter_mut().find(|cell| cell.panel == panel && cell.x == x && cell.y == y) {
                Some(cell) if others(cell.runs[0], &apart) == others(run, &apart) => cell.runs.push(run),
                Some(cell) => left_out.extend([others(cell.runs[0], &apart), others(run, &apart)]),
                None => cells.push(Cell { panel, x, y, runs: vec![run], value: Value::None }),
            }
        }
    }
    if !left_out.is_empty() {
        let keys = differing(&left_out);
        let n = count(left_out.len() / 2, "run");
        notes.push(format!(
            "Left out: {n} that differ in {keys} from the first in the plan; `where` or `panels` tells them apart."
        ));
    }
    for cell in &mut cells {
        cell.value = match Value::of(&cell.runs, column, plot.at) {
            // A logarithm has no colour for these.
            Value::Number(value) if plot.log.value && value <= 0.0 => Value::None,
            value => value,
        };
    }
    cells
}

/// The values along one axis, and where their cells begin and end.
struct Ruler {
    values: Vec<f64>,
    edges: Vec<f64>,
    log: bool,
}

impl Ruler {
    fn of(values: impl Iterator<Item = f64>, log: bool) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        // An axis of values that are not all positive stays linear.
        let log = log && values.first().is_some_and(|first| *first > 0.0);
        let from = |place: f64| if log { place.exp() } else { place };
        let places: Vec<f64> = values.iter().map(|value| if log { value.ln() } else { *value }).collect();
        let n = places.len();
        let half = |i: usize| (places[i + 1] - places[i]) / 2.0;
        let (first, last) = if n > 1 { (half(0), half(n - 2)) } else { (0.5, 0.5) };
        let mut edges: Vec<f64> = (0..n.saturating_sub(1)).map(|i| from(places[i] + half(i))).collect();
        if let (Some(low), Some(high)) = (places.first(), places.last()) {
            edges.insert(0, from(low - first));
            edges.push(from(high + last));
        }
        Ruler { values, edges, log }
    }

    fn scale(&self, range: (f64, f64)) -> Scale {
        let (lo, hi) = (self.edges.first().copied().unwrap_or(0.0), self.edges.last().copied().unwrap_or(1.0));
        if self.log { Scale::log(lo, hi, range) } else { Scale::linear(lo, hi, range) }
    }

    /// The edges of a value's cell.
    fn around(&self, value: f64) -> (f64, f64) {
        let i = self.values.iter().position(|known| *known == value).unwrap_or(0);
        (self.edges[i], self.edges[i + 1])
    }

    fn ticks(&self, scale: &Scale, length: impl Fn(usize) -> f64) -> Vec<Tick> {
        scale.ticks_at(&self.values, length).unwrap_or_else(|| scale.ticks())
    }
}

impl Ramp {
    /// Round edges around all values, at most [`SHADES`] shades.
    fn of(column: &str, values: &[f64], log: bool) -> Self {
        let (lo, hi) = ends(values.iter().copied()).unwrap_or((0.0, 1.0));
        let misfit = [".misfit", ".parts.", ".certificates.", ".null."].iter().any(|part| column.contains(part));
        let name = if misfit { "warm" } else { "cool" };
        let edges = if log { log_edges(lo, hi) } else { linear_edges(lo, hi) };
        Ramp { name, edges, log }
    }

    fn shades(&self) -> usize {
        self.edges.len() - 1
    }

    /// The shade of a value, from 0.
    fn shade(&self, value: f64) -> usize {
        self.edges[1..self.shades()].iter().filter(|edge| value >= **edge).count()
    }

    /// The class of a shade: few shades are spread over the ramp.
    fn class(&self, shade: usize) -> String {
        let last = self.shades().saturating_sub(1).max(1);
        format!("{}{}", self.name, (shade * (SHADES - 1) + last / 2) / last)
    }

    /// Whether text on a shade is light.
    fn is_deep(&self, shade: usize) -> bool {
        2 * shade >= self.shades()
    }

    /// A value in as many digits as tell shades apart.
    fn text(&self, value: f64) -> String {
        if self.log {
            return sig(value, 1);
        }
        let step = self.edges[1] - self.edges[0];
        let decimals = (1.0 - step.log10().floor()).clamp(0.0, 6.0);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let text = format!("{value:.*}", decimals as usize);
        if text.trim_start_matches('-').chars().all(|c| c == '0' || c == '.') { "0".to_string() } else { text }
    }
}

/// Multiples of a round step around both ends; zero is an edge where it is near.
fn linear_edges(lo: f64, hi: f64) -> Vec<f64> {
    let lo = if lo >= 0.0 && lo < 0.5 * hi { 0.0 } else { lo };
    let hi = if hi - lo > 1e-9 * hi.abs().max(lo.abs()) { hi } else { lo + lo.abs().max(1.0) / 2.0 };
    let raw = (hi - lo) / (SHADES - 1) as f64;
    let base = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * base).into_iter().find(|step| *step >= raw * 0.999);
    let step = step.unwrap_or(raw);
    let (from, to) = ((lo / step + 1e-9).floor(), (hi / step - 1e-9).ceil());
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let n = (to - from).clamp(1.0, SHADES as f64) as usize;
    (0..=n).map(|i| round((from + i as f64) * step)).collect()
}

/// To fifteen digits: 0.3 rather than 3 times 0.1.
fn round(value: f64) -> f64 {
    format!("{value:.14e}").parse().unwrap_or(value)
}

/// Decades, or 1, 2 and 5 where they are few.
fn log_edges(lo: f64, hi: f64) -> Vec<f64> {
    let (from, to) = (lo.log10(), hi.max(lo * 1.001).log10());
    if to - from < 2.2 {
        #[allow(clippy::cast_possible_truncation)]
        let all = (from.floor() as i32 - 1..=to.ceil() as i32)
            .flat_map(|k| [1.0, 2.0, 5.0].map(|d| round(d * 10_f64.powi(k))));
        let all: Vec<f64> = all.collect();
        let first = all.iter().rposition(|edge| *edge <= lo * 1.000_001).unwrap_or(0);
        let last = all.iter().position(|edge| *edge >= hi * 0.999_999).unwrap_or(all.len() - 1);
        return all[first..=last.max(first + 1)].to_vec();
    }
    let every = ((to.ceil() - from.floor()) / SHADES as f64).ceil();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let n = ((to - from.floor()) / every).ceil() as usize;
    (0..=n).map(|i| round(10_f64.powf(from.floor() + every * i as f64))).collect()
}

/// What all panels share.
struct Scene<'a> {
    plot: &'a Plot,
    map: &'a Map,
    column: &'a str,
    ramp: Option<&'a Ramp>,
    xs: &'a Ruler,
    ys: &'a Ruler,
}

impl Scene<'_> {
    /// One panel.
    fn drawing(&self, title: &str, cells: &[&Cell<'_>]) -> Drawing {
        let y = self.ys.scale((EDGE.3, EDGE.1));
        let ys = self.ys.ticks(&y, |_| 13.0);
        let longest = ys.iter().map(|tick| tick.label.chars().count()).max().unwrap_or(0);
        let left = EDGE.0.max(14.0 + 6.0 * longest as f64);
        let x = self.xs.scale((left, EDGE.2));
        let xs = self.xs.ticks(&x, |n| 6.2 * n as f64 + 6.0);
        let frame = Frame { x, y, edge: (left, EDGE.1, EDGE.2, EDGE.3) };
        let runs = cells.iter().map(|cell| cell.runs.len()).sum();
        let summary = format!("{}{}; {}", self.column, when(self.plot.at), count(runs, "run"));
        let values = self.values_fit(cells, &frame);
        let border = self.map.boundary.as_ref().and_then(|boundary| Some((boundary, cells.first()?.runs[0])));
        let pieces = border.map_or_else(Vec::new, |(boundary, run)| self.border(boundary, run, &frame));
        let body = html! {
            (label((0.0, 18.0), "head", &clip(title, 42)))
            (label((0.0, 36.0), "sub", &clip(&summary, 58)))
            (frame.draw_with((xs, ys), &axis_name(&self.map.x), &axis_name(&self.map.y)))
            rect x=(px(left)) y=(px(EDGE.1)) width=(px(EDGE.2 - left)) height=(px(EDGE.3 - EDGE.1)) class="none" {}
            @for cell in cells { (self.cell(cell, &frame)) }
            @for piece in &pieces { (polyline(piece, "halo")) }
            @for piece in &pieces { (polyline(piece, "border")) }
            @for cell in cells { (self.mark(cell, &frame, values)) }
            (line((left, EDGE.3), (EDGE.2, EDGE.3), "axis"))
            (line((left, EDGE.1), (left, EDGE.3), "axis"))
            @if let Some(ramp) = self.ramp { (legend(ramp, self.column, left)) }
        };
        let height = EDGE.3 + if self.ramp.is_some() { 88.0 } else { 42.0 };
        Drawing { height, title: format!("{}: {title}", self.plot.title), desc: summary, body }
    }

    /// The corner, width and height of a cell, a hair apart from its neighbours.
    fn place(&self, cell: &Cell<'_>, frame: &Frame) -> (f64, f64, f64, f64) {
        let ((left, right), (low, high)) = (self.xs.around(cell.x), self.ys.around(cell.y));
        let (left, right, top, bottom) = (frame.x.at(left), frame.x.at(right), frame.y.at(high), frame.y.at(low));
        (left + 0.5, top + 0.5, (right - left - 1.0).max(0.5), (bottom - top - 1.0).max(0.5))
    }

    /// Whether every cell has room for its number.
    fn values_fit(&self, cells: &[&Cell<'_>], frame: &Frame) -> bool {
        cells.iter().all(|cell| {
            let (_, _, width, height) = self.place(cell, frame);
            let Some((ramp, value)) = self.ramp.zip(cell.value.number()) else { return true };
            height >= 14.0 && width >= 4.0 + 5.4 * ramp.text(value).chars().count() as f64
        })
    }

    /// The class of a cell's colour, and what it says.
    fn colour(&self, value: &Value) -> (String, String) {
        match (value, self.ramp) {
            (Value::Number(value), Some(ramp)) => (ramp.class(ramp.shade(*value)), sig(*value, 3)),
            (Value::Word(word, _), _) => (format!("{} pale", verdict(word).0), word.clone()),
            _ => ("none".to_string(), "no value".to_string()),
        }
    }

    fn cell(&self, cell: &Cell<'_>, frame: &Frame) -> Markup {
        let (x, y, width, height) = self.place(cell, frame);
        let (class, what) = self.colour(&cell.value);
        let (x_name, y_name) = (axis_name(&self.map.x), axis_name(&self.map.y));
        html! {
            rect x=(px(x)) y=(px(y)) width=(px(width)) height=(px(height)) class=(class) {
                title { (x_name) " = " (number(cell.x)) ", " (y_name) " = " (number(cell.y)) ": " (what) }
            }
        }
    }

    /// What stands in a cell: its number, where there is room for all but zeros, or its verdict's shape.
    fn mark(&self, cell: &Cell<'_>, frame: &Frame, values: bool) -> Markup {
        let (x, y, width, height) = self.place(cell, frame);
        let middle = (x + width / 2.0, y + height / 2.0);
        match (&cell.value, self.ramp) {
            (Value::Number(value), Some(ramp)) if values && ramp.text(*value) != "0" => {
                let class = if ramp.is_deep(ramp.shade(*value)) { "value light" } else { "value" };
                label((middle.0, middle.1 + 3.4), class, &ramp.text(*value))
            }
            (Value::Word(word, agreed), _) => {
                let (class, shape) = verdict(word);
                let r = (0.28 * width.min(height)).clamp(1.5, 6.0);
                // Hollow where the seeds disagree.
                shape.draw(middle, r, if *agreed { class } else { "hollow" })
            }
            _ => html! {},
        }
    }

    /// Theory's borders in pixels.
    fn border(&self, boundary: &Boundary, run: &StudyRun, frame: &Frame) -> Vec<Points> {
        match boundary {
            Boundary::Zero(formula) => {
                let at = |x: f64, y: f64| at(self.map, self.plot.at, formula, run, x, Some(y));
                zero_level(&at, frame)
            }
            Boundary::Lines(formulas) => formulas
                .iter()
                .flat_map(|formula| {
                    let y = |x: f64| Some((x, at(self.map, self.plot.at, formula, run, x, None)?));
                    let points: Vec<(f64, f64)> = frame.x.spread(2 * NODES.0).into_iter().filter_map(y).collect();
                    frame.pieces(&points)
                })
                .collect(),
        }
    }
}

/// The class and the shape of a verdict; other words are drawn like an undetermined one.
fn verdict(word: &str) -> (&'static str, Shape) {
    VERDICTS.into_iter().find(|(known, _)| *known == word).unwrap_or(VERDICTS[3])
}

/// A formula at a place of the map.
fn at(map: &Map, probe: Option<At>, formula: &Formula, run: &StudyRun, x: f64, y: Option<f64>) -> Option<f64> {
    let here = |name: &str| match key_of(name) {
        key if name == "x" || key == map.x => Some(x),
        key if name == "y" || key == map.y => y,
        _ => setting(&run.config, name),
    };
    let step = || run.record.number(row(&run.record, probe)?, "step");
    let variable = |name: &str| match name {
        "t" => step().and_then(|step| clock(&run.config, step)),
        name => here(name),
    };
    formula.value(&variable).filter(|value| value.is_finite())
}

/// The line on which a function of the map is zero, by marching squares between nodes in pixels.
fn zero_level(at: &dyn Fn(f64, f64) -> Option<f64>, frame: &Frame) -> Vec<Points> {
    let (xs, ys) = (frame.x.spread(NODES.0), frame.y.spread(NODES.1));
    let values: Vec<Vec<Option<f64>>> = ys.iter().map(|&y| xs.iter().map(|&x| at(x, y)).collect()).collect();
    let (px, py): (Vec<f64>, Vec<f64>) =
        (xs.iter().map(|&x| frame.x.at(x)).collect(), ys.iter().map(|&y| frame.y.at(y)).collect());
    let mut segments: Vec<[(f64, f64); 2]> = Vec::new();
    for j in 0..ys.len() - 1 {
        for i in 0..xs.len() - 1 {
            let corners = [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)];
            let found: Option<Vec<f64>> = corners.iter().map(|&(i, j)| values[j][i]).collect();
            let Some(value) = found else { continue };
            let crossings: Vec<(f64, f64)> = (0..4)
                .filter_map(|k| {
                    let (a, b) = (value[k], value[(k + 1) % 4]);
                    let share = ((a < 0.0) != (b < 0.0)).then(|| a / (a - b))?;
                    let (from, to) = (corners[k], corners[(k + 1) % 4]);
                    let between = |from: f64, to: f64| from + share * (to - from);
                    Some((between(px[from.0], px[to.0]), between(py[from.1], py[to.1])))
                })
                .collect();
            match crossings[..] {
                [a, b] => segments.push([a, b]),
                // A saddle: the value in the middle tells which corners belong together.
                [a, b, c, d] => {
                    let middle = value.iter().sum::<f64>() < 0.0;
                    let cut = if middle == (value[0] < 0.0) { [[a, b], [c, d]] } else { [[a, d], [b, c]] };
                    segments.extend(cut);
                }
                _ => {}
            }
        }
    }
    joined(segments)
}

/// Segments that share an end as lines.
fn joined(mut segments: Vec<[(f64, f64); 2]>) -> Vec<Points> {
    let near = |a: (f64, f64), b: (f64, f64)| (a.0 - b.0).abs() < 1e-6 && (a.1 - b.1).abs() < 1e-6;
    let mut lines = Vec::new();
    while let Some([a, b]) = segments.pop() {
        let mut line = vec![a, b];
        for _ in 0..2 {
            while let Some(&end) = line.last()
                && let Some(i) = segments.iter().position(|[a, b]| near(*a, end) || near(*b, end))
            {
                let [a, b] = segments.swap_remove(i);
                line.push(if near(a, end) { b } else { a });
            }
            line.reverse();
        }
        lines.push(line);
    }
    lines
}

/// The ramp with its edges, under the axes.
fn legend(ramp: &Ramp, column: &str, left: f64) -> Markup {
    let top = EDGE.3 + 52.0;
    let n = ramp.shades();
    let width = ((EDGE.2 - left - 8.0) / n as f64).min(40.0);
    let texts: Vec<String> = ramp.edges.iter().map(|edge| number(*edge)).collect();
    let longest = texts.iter().map(|text| text.chars().count()).max().unwrap_or(1) as f64;
    let every = ((5.6 * longest + 6.0) / width).ceil().max(1.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let every = every as usize;
    let at = |i: usize| left + width * i as f64;
    html! {
        (label((left, top - 5.0), "name", column))
        @for shade in 0..n {
            rect x=(px(at(shade))) y=(px(top)) width=(px(width - 1.0)) height="10" class=(ramp.class(shade)) {}
        }
        @for (i, text) in texts.iter().enumerate().filter(|(i, _)| i % every == 0) {
            (label((at(i) - 0.5, top + 23.0), if i == 0 { "num" } else { "num mid" }, text))
        }
    }
}

/// On which side of theory's border a setting lies, and what the sides are called.
fn side(plot: &Plot, map: &Map, cell: &Cell<'_>) -> Option<bool> {
    let run = cell.runs[0];
    match map.boundary.as_ref()? {
        Boundary::Zero(formula) => {
            let value = at(map, plot.at, formula, run, cell.x, Some(cell.y))?;
            (value.abs() > 1e-12).then_some(value < 0.0)
        }
        Boundary::Lines(formulas) => {
            let mut below = 0;
            for formula in formulas {
                let y = at(map, plot.at, formula, run, cell.x, None)?;
                if (cell.y - y).abs() <= 1e-9 * y.abs().max(cell.y.abs()) {
                    return None;
                }
                below += usize::from(cell.y < y);
            }
            // Between two lines: above one and below the other.
            Some(below % 2 == 1)
        }
    }
}

/// What it shows, with numbers: what was measured on both sides of theory's border.
fn finding(plot: &Plot, map: &Map, column: &str, cells: &[Cell<'_>]) -> String {
    let what = format!("{column}{}", when(plot.at));
    let all: Vec<&Cell<'_>> = cells.iter().collect();
    let names = match &map.boundary {
        Some(Boundary::Zero(formula)) => {
            let formula = pretty(formula);
            Some([format!("where {formula} < 0"), "where it is above 0".to_string()])
        }
        Some(Boundary::Lines(formulas)) => match formulas.len() {
            1 => Some(["below theory\u{2019}s line".to_string(), "above it".to_string()]),
            2 => Some(["between theory\u{2019}s lines".to_string(), "outside them".to_string()]),
            _ => None,
        },
        None => None,
    };
    let Some([inside, outside]) = names else {
        return format!("{what}: {}.", tell(&all));
    };
    let of = |wanted: Option<bool>| -> Vec<&Cell<'_>> {
        cells.iter().filter(|cell| side(plot, map, cell) == wanted).collect()
    };
    let (ins, outs, on) = (of(Some(true)), of(Some(false)), of(None));
    let part = |cells: &[&Cell<'_>], name: &str| (!cells.is_empty()).then(|| format!("{} {name}", tell(cells)));
    let mut parts: Vec<String> = [part(&ins, &inside), part(&outs, &outside)].into_iter().flatten().collect();
    if !on.is_empty() {
        parts.push(format!("{} on the border itself", tell(&on)));
    }
    format!("{what}: {}.", parts.join("; "))
}

/// Numbers or verdicts of some cells: `0.1 to 0.3 in 12 cells`, `fails in 9, holds in 3 of 12 cells`.
fn tell(cells: &[&Cell<'_>]) -> String {
    let numbers: Vec<f64> = cells.iter().filter_map(|cell| cell.value.number()).collect();
    if !numbers.is_empty() {
        return format!("{} in {}", span(&numbers), count(numbers.len(), "cell"));
    }
    let words: Vec<&str> = cells.iter().filter_map(|cell| cell.value.word()).collect();
    let distinct = crate::study::distinct(words.iter().copied());
    let each: Vec<String> = distinct
        .iter()
        .map(|word| format!("{word} in {}", words.iter().filter(|other| *other == word).count()))
        .collect();
    if each.is_empty() {
        return format!("nothing in {}", count(cells.len(), "cell"));
    }
    format!("{} of {}", list(&each, 9), count(words.len(), "cell"))
}

/// What the marks mean.
fn keys(map: &Map, cells: &[Cell<'_>]) -> Vec<Key> {
    let mut keys = Vec::new();
    if let Some(boundary) = &map.boundary {
        let formulas: Vec<String> = boundary.formulas().iter().map(pretty).collect();
        let text = match boundary {
            Boundary::Zero(_) => format!("theory: {} = 0", clip(&formulas.concat(), 52)),
            Boundary::Lines(_) => format!("theory: {} = {}", axis_name(&map.y), clip(&formulas.join(" and "), 46)),
        };
        keys.push(Key { mark: html! { line x1="-7" y1="0" x2="7" y2="0" class="border" {} }, text });
    }
    for (word, shape) in VERDICTS {
        if cells.iter().any(|cell| cell.value.word() == Some(word)) {
            keys.push(Key::shape(shape, word, word));
        }
    }
    if cells.iter().any(|cell| matches!(cell.value, Value::Word(_, false))) {
        keys.push(Key::shape(Shape::Circle, "hollow", "seeds disagree"));
    }
    if cells.iter().any(|cell| cell.value == Value::None) {
        keys.push(Key::shape(Shape::Square, "none", "no value"));
    }
    keys
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::record::{Cell as Number, Record};
    use crate::report::figures::plots;
    use crate::report::sample;
    use crate::study::Study;

    /// Order part 0.5 where x is below y, else 0; two seeds each.
    fn study() -> Study {
        let mut study = sample::study();
        study.runs.clear();
        for (share, ratio, seed) in [0.25, 0.75].iter().flat_map(|s| [1, 4].map(|r| [(*s, r, 0), (*s, r, 1)])).flatten()
        {
            let mut run = sample::run("a", 2);
            run.id = format!("{share}-{ratio}-{seed}");
            let settings =
                [("data.share", share.to_string()), ("data.ratio", ratio.to_string()), ("seed", seed.to_string())];
            run.keys = settings.map(|(key, value)| (key.to_string(), value)).to_vec();
            let data = format!("share = {share}\nratio = {ratio}");
            run.config.insert("data".into(), toml::Value::Table(data.parse().unwrap()));
            let columns = ["step", "nfa.parts.order.layer0", "nfa.verdict.layer0"].map(String::from);
            run.record = Record::new(columns.to_vec());
            let reversed = share > 0.5 && ratio == 1;
            let word = if reversed && seed == 1 { "fails" } else { "holds" };
            let order = if reversed { 0.4 + 0.2 * f64::from(seed) } else { 0.0 };
            run.record.push(vec![Number::number(100.0), Number::number(order), Number::Text(word.into())]);
            study.runs.push(run);
        }
        study
    }

    const MAP: &str = "kind = \"map\"\nx = \"data.share\"\ny = \"data.ratio\"\nlog = \"y\"\n";

    #[test]
    fn cells_lie_where_they_should() {
        let text = format!("{MAP}value = \"nfa.parts.order.layer0\"\nboundary = [2]");
        let figure = plots::figure(&sample::plot(&text), &study()).unwrap();
        let svg = figure.drawings[0].body.clone().into_string();
        // Shares 0.25 and 0.75 share 0..1 over 46..334, ratios 1 and 4 share 0.5..8 over 286..66.
        assert!(svg.contains("<rect x=\"46.5\" y=\"176.5\" width=\"143\" height=\"109\" class=\"warm0\">"), "{svg}");
        // 0.5, the mean of 0.4 and 0.6, in the last of ten steps of 0.1 from 0: deepest, with its number.
        assert!(svg.contains("<rect x=\"190.5\" y=\"176.5\" width=\"143\" height=\"109\" class=\"warm8\">"), "{svg}");
        assert!(svg.contains("<text x=\"262\" y=\"234.4\" class=\"value light\">0.50</text>"), "{svg}");
        // A border at ratio 2 is half way up.
        assert!(svg.contains("points=\"46,176 ") && svg.contains(" 334,176\" class=\"border\""), "{svg}");
        assert!(svg.contains("share = 0.75, ratio = 1: 0.500"), "{svg}");
        let found = "0 to 0.50 in 2 cells below theory\u{2019}s line; 0 in 2 cells above it";
        assert!(figure.finding.contains(found), "{}", figure.finding);
    }

    #[test]
    fn verdicts_have_shapes_and_seeds_may_disagree() {
        let text = format!("{MAP}value = \"verdict\"\nboundary = \"(x-0.5)*(y-2)\"");
        let figure = plots::figure(&sample::plot(&text), &study()).unwrap();
        let svg = figure.drawings[0].body.clone().into_string();
        assert_eq!((svg.matches("class=\"holds\"").count(), svg.matches("class=\"hollow\"").count()), (3, 1));
        let keys: Vec<&str> = figure.keys.iter().map(|key| key.text.as_str()).collect();
        assert_eq!(keys, ["theory: (x−0.5)·(y−2) = 0", "holds", "seeds disagree"]);
        assert!(figure.finding.contains("holds in 2 of 2 cells where (x−0.5)·(y−2) < 0"), "{}", figure.finding);
    }

    #[test]
    fn other_settings_are_left_out_and_told() {
        let mut study = study();
        for (i, run) in study.runs.iter_mut().enumerate().filter(|(i, _)| i % 2 == 1) {
            run.keys[2] = ("solver.lr".into(), i.to_string());
        }
        let text = format!("{MAP}value = \"nfa.parts.order.layer0\"");
        let figure = plots::figure(&sample::plot(&text), &study).unwrap();
        assert!(figure.reading.contains("Left out: 4 runs that differ in"), "{}", figure.reading);
        assert!(figure.finding.contains("0 to 0.40 in 4 cells"), "{}", figure.finding);
    }

    #[test]
    fn borders_are_where_a_formula_is_zero() {
        let frame = Frame {
            x: Scale::linear(-2.0, 2.0, (0.0, 288.0)),
            y: Scale::linear(-2.0, 2.0, (220.0, 0.0)),
            edge: (0.0, 0.0, 288.0, 220.0),
        };
        let circle = zero_level(&|x, y| Some(x * x + y * y - 1.0), &frame);
        assert_eq!(circle.len(), 1, "one closed line");
        let radius = |(x, y): (f64, f64)| frame.x.value(x).hypot(frame.y.value(y));
        assert!(circle[0].iter().all(|point| (radius(*point) - 1.0).abs() < 1e-3));
        assert!(circle[0].len() > 200 && circle[0].first() == circle[0].last());
        // Undefined for x < 0: the border ends there.
        let root = zero_level(&|x, y| Some(y - x.sqrt()).filter(|v| v.is_finite()), &frame);
        assert!(root.iter().flatten().all(|(x, _)| *x >= 144.0 - 2.1));
        assert!(zero_level(&|_, _| Some(1.0), &frame).is_empty());
    }

    #[test]
    fn shades_have_round_edges() {
        assert_eq!(linear_edges(0.0, 0.43), [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]);
        assert_eq!(linear_edges(0.95, 0.99), [0.95, 0.955, 0.96, 0.965, 0.97, 0.975, 0.98, 0.985, 0.99]);
        assert!(linear_edges(0.0, 0.0).len() > 1 && linear_edges(-3.0, -3.0).len() > 1);
        assert_eq!(log_edges(0.003, 0.04), [0.002, 0.005, 0.01, 0.02, 0.05]);
        assert_eq!(log_edges(2e-3, 30.0), [1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0]);
        assert!(log_edges(1e-30, 1e3).len() <= SHADES + 1);
        assert!(log_edges(0.5, 0.5).len() > 1);
        let ramp = Ramp::of("loss", &[0.0, 0.43], false);
        assert_eq!([0.0, 0.1, 0.43, 9.0].map(|value| ramp.shade(value)), [0, 1, 4, 4]);
        assert_eq!([0, 2, 4].map(|shade| ramp.class(shade)), ["cool0", "cool4", "cool8"]);
    }
}
