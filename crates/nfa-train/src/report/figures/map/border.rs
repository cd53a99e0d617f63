//! Theory's borders in a map.

use crate::claim::at::At;
use crate::claim::formula::Formula;
use crate::claim::plot::Plot;
use crate::claim::plot::map::{Boundary, Map};
use crate::report::draw::svg::{Frame, Points};
use crate::report::figures::map::cell::Cell;
use crate::report::figures::selection::row;
use crate::study::StudyRun;

/// Nodes along x and y between which a border is sought: two pixels apart.
const NODES: (usize, usize) = (145, 111);

/// Theory's borders in pixels.
pub(super) fn border(plot: &Plot, map: &Map, boundary: &Boundary, run: &StudyRun, frame: &Frame) -> Vec<Points> {
    match boundary {
        Boundary::Zero(formula) => {
            let at = |x: f64, y: f64| at(map, plot.at, formula, run, x, Some(y));
            zero_level(&at, frame)
        }
        Boundary::Lines(formulas) => formulas
            .iter()
            .flat_map(|formula| {
                let y = |x: f64| Some((x, at(map, plot.at, formula, run, x, None)?));
                let points: Vec<(f64, f64)> = frame.x.spread(2 * NODES.0).into_iter().filter_map(y).collect();
                frame.pieces(&points)
            })
            .collect(),
    }
}

/// A formula at a place of the map.
fn at(map: &Map, probe: Option<At>, formula: &Formula, run: &StudyRun, x: f64, y: Option<f64>) -> Option<f64> {
    let variables = run.variables();
    let here = |name: &str| match name {
        name if name == "x" || variables.follows(name, &map.x) => Some(x),
        name if name == "y" || variables.follows(name, &map.y) => y,
        name => variables.value(name),
    };
    let step = || run.record.number(row(&run.record, probe)?, "step");
    let variable = |name: &str| match name {
        "t" => step().and_then(|step| variables.clock(step)),
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

/// On which side of theory's border a setting lies, and what the sides are called.
pub(super) fn side(plot: &Plot, map: &Map, cell: &Cell<'_>) -> Option<bool> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::draw::svg::Scale;

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
}
