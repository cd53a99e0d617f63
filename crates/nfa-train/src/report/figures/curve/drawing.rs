//! One panel of a curve.

use maud::{Markup, html};

use crate::claim::plot::Plot;
use crate::claim::plot::curve::{Axis, Curve};
use crate::report::draw::figure::Drawing;
use crate::report::draw::format::{clip, sig};
use crate::report::draw::svg::{Frame, Points, Scale, Shape, Tick, free, label, line, polyline};
use crate::report::figures::curve::EDGE;
use crate::report::figures::curve::axes::below;
use crate::report::figures::curve::series::{Point, Series};
use crate::report::figures::curve::words::{described, summary};
use crate::report::figures::thinning::{spaced, thinned};

/// One panel.
pub(super) fn drawing(
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
        (frame.draw_with((xs, ys), &below(&curve.x, series[0].runs[0]), curve.y.trim_start_matches("*.")))
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
                @let (size, class) = mark(point, series.line);
                (shape.draw(at(point, point.y), size, &class))
            }
        }
    }
}

/// Size and class of a point's mark: of a law's misfit by what was said of it.
fn mark(point: &Point, line: usize) -> (f64, String) {
    match point.verdict.as_deref() {
        None if point.hollow => (3.6, format!("open s{line}")),
        None => (3.6, format!("disc f{line}")),
        Some("holds") => (4.4, format!("disc f{line}")),
        Some("approximate") => (3.6, format!("half f{line} s{line}")),
        Some("fails") => (3.2, format!("open s{line}")),
        Some(_) => (1.8, format!("disc f{line}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_only_where_all_are() {
        let frame =
            Frame { x: Scale::linear(0.0, 1.0, (46.0, 300.0)), y: Scale::linear(0.0, 1.0, (200.0, 70.0)), edge: EDGE };
        let at = |y: f64, name: &str| Theory { pieces: vec![vec![(46.0, y), (300.0, y)]], name: name.to_string() };
        assert_eq!(names_of(&[at(100.0, "a"), at(120.0, "b")], &frame).len(), 2);
        assert!(names_of(&[at(100.0, "a"), at(102.0, "b")], &frame).is_empty());
        assert!(names_of(&[at(100.0, "a")], &frame).is_empty());
    }
}
