//! The bars: the columns with the largest shares.

use maud::html;

use crate::measure::columns::column::{Column, Columns, Part};
use crate::report::draw::figure::{Drawing, Figure, Key, MODULE};
use crate::report::draw::format::{clip, sig};
use crate::report::draw::svg::{Scale, Shape, label, line, px};

/// Bars of one drawing.
const BARS: usize = 24;
/// Height of one bar with its gap.
const STEP: f64 = 15.0;
/// Left edge, top edge and right edge of the bars.
const EDGE: (f64, f64, f64) = (112.0, 44.0, MODULE - 44.0);
/// Characters of a name that fit beside a bar.
const BESIDE: usize = 18;

/// The figure as a standalone SVG; `None` where the outputs follow no column.
pub fn svg(columns: &Columns, title: &str) -> Option<String> {
    columns.rows.first()?.unit?;
    let mut drawings = vec![drawing(columns, title, "share of tr AGOP, per unit", &|row| row.unit)];
    if !columns.alike {
        drawings.push(drawing(columns, "", "share per standard deviation", &|row| row.deviation));
    }
    let mut keys = vec![Key::shape(Shape::Square, "f0", "share, with its 95 % interval over rows")];
    if columns.controls > 0 {
        keys.push(Key::shape(Shape::Diamond, "hollow", "null: trained on shuffled targets"));
    }
    let figure = Figure {
        id: "columns".into(),
        heading: "What each column contributes".into(),
        finding: format!("{title}: {}.", columns.finding()),
        reading: "One bar per column of the inputs, the largest first: its part of the diagonal of the AGOP.".into(),
        keys,
        drawings,
    };
    Some(figure.standalone())
}

/// The bars of one part.
fn drawing(columns: &Columns, title: &str, axis: &str, of: &dyn Fn(&Column) -> Option<Part>) -> Drawing {
    let share = |row: &Column| of(row).map_or(0.0, |part| part.own.share);
    let drawn: Vec<&Column> = columns.sorted(share).into_iter().take(BARS).collect();
    let ends = |row: &&Column| {
        let part = of(row);
        let high = part.and_then(|part| part.own.interval).map(|interval| interval.high);
        [high, part.and_then(|part| part.shuffled)].into_iter().flatten().fold(share(row), f64::max)
    };
    let x = Scale::linear(0.0, drawn.iter().map(ends).fold(0.0, f64::max), (EDGE.0, EDGE.2));
    let bottom = EDGE.1 + drawn.len() as f64 * STEP + 4.0;
    let left = columns.rows.len() - drawn.len();
    let body = html! {
        (label((0.0, 18.0), "head", &clip(title, 44)))
        @for tick in x.ticks() {
            @let at = x.at(tick.value);
            (line((at, EDGE.1), (at, bottom), "grid"))
            (line((at, bottom), (at, bottom + 5.0), "tick"))
            (label((at, bottom + 17.0), "num mid", &tick.label))
        }
        (label((EDGE.2, bottom + 33.0), "name end", axis))
        (line((EDGE.0, EDGE.1), (EDGE.0, bottom), "axis"))
        @for (i, row) in drawn.iter().enumerate() {
            @let y = EDGE.1 + 4.0 + i as f64 * STEP;
            (label((EDGE.0 - 7.0, y + 9.0), "num end", &clip(&row.label(), BESIDE)))
            rect x=(px(EDGE.0)) y=(px(y + 1.0)) width=(px(x.at(share(row)) - EDGE.0)) height="9" class="f0" {}
            @if let Some(interval) = of(row).and_then(|part| part.own.interval) {
                @let (low, high) = (x.at(interval.low), x.at(interval.high));
                (line((low, y + 5.5), (high, y + 5.5), "ring"))
                (line((low, y + 2.5), (low, y + 8.5), "ring"))
                (line((high, y + 2.5), (high, y + 8.5), "ring"))
            }
            @if let Some(chance) = of(row).and_then(|part| part.shuffled) {
                (Shape::Diamond.draw((x.at(chance), y + 5.5), 3.4, "hollow"))
            }
            (label((MODULE - 2.0, y + 9.0), "num end", &sig(share(row), 2)))
        }
        @if left > 0 { (label((0.0, bottom + 33.0), "name", &format!("and {left} more"))) }
    };
    let words: Vec<String> = drawn.iter().map(|row| format!("{}: {}", row.label(), sig(share(row), 2))).collect();
    Drawing { height: bottom + 42.0, title: format!("{axis} of each column"), desc: words.join("; "), body }
}
