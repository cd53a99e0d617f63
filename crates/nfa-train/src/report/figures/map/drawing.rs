//! One panel of a map.

use maud::{Markup, html};

use crate::claim::plot::Plot;
use crate::claim::plot::map::Map;
use crate::report::draw::figure::{Drawing, MODULE};
use crate::report::draw::format::{clip, count, sig};
use crate::report::draw::svg::{Frame, Shape, label, line, number, polyline, px};
use crate::report::figures::map::border::border;
use crate::report::figures::map::cell::{Cell, Value};
use crate::report::figures::map::ramp::Ramp;
use crate::report::figures::map::ruler::Ruler;
use crate::report::figures::selection::{axis_name, when};

/// Left, top, right, bottom edge of the cells; the left one moves where labels are long.
const EDGE: (f64, f64, f64, f64) = (46.0, 66.0, MODULE - 6.0, 286.0);

/// The verdicts, with the shape of each.
pub(super) const VERDICTS: [(&str, Shape); 4] = [
    ("holds", Shape::Circle),
    ("approximate", Shape::Diamond),
    ("fails", Shape::Triangle),
    ("undetermined", Shape::Square),
];

/// What all panels share.
pub(super) struct Scene<'a> {
    pub(super) plot: &'a Plot,
    pub(super) map: &'a Map,
    pub(super) column: &'a str,
    pub(super) ramp: Option<&'a Ramp>,
    pub(super) xs: &'a Ruler,
    pub(super) ys: &'a Ruler,
}

impl Scene<'_> {
    /// One panel.
    pub(super) fn drawing(&self, title: &str, cells: &[&Cell<'_>]) -> Drawing {
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
        let of = |boundary| border(self.plot, self.map, boundary, cells[0].runs[0], &frame);
        let pieces = self.map.boundary.as_ref().map(of).unwrap_or_default();
        let [x_name, y_name] = self.names(cells[0]);
        let body = html! {
            (label((0.0, 18.0), "head", &clip(title, 42)))
            (label((0.0, 36.0), "sub", &clip(&summary, 58)))
            (frame.draw_with((xs, ys), &x_name, &y_name))
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

    /// The names of the axes.
    fn names(&self, cell: &Cell<'_>) -> [String; 2] {
        [&self.map.x, &self.map.y].map(|key| axis_name(cell.runs[0], key))
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
        let [x_name, y_name] = self.names(cell);
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
}

/// The class and the shape of a verdict; other words are drawn like an undetermined one.
fn verdict(word: &str) -> (&'static str, Shape) {
    VERDICTS.into_iter().find(|(known, _)| *known == word).unwrap_or(VERDICTS[3])
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
