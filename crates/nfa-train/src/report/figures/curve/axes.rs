//! The scales of a curve.

use crate::claim::plot::Plot;
use crate::claim::plot::curve::{Axis, Curve};
use crate::report::draw::svg::{Scale, Tick};
use crate::report::figures::curve::EDGE;
use crate::report::figures::curve::series::Series;
use crate::report::figures::selection::{axis_name, ends};
use crate::study::StudyRun;

/// Distinct values of x up to which each has a tick of its own.
const TICKED: usize = 9;

/// The x scale, and ticks at the values themselves where they are few.
pub(super) fn x_axis(curve: &Curve, series: &[Series<'_>], log: bool) -> (Scale, Option<Vec<Tick>>) {
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
pub(super) fn y_scale(plot: &Plot, curve: &Curve, series: &[Series<'_>], x: &Scale) -> Scale {
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

/// The name of the x axis, of a run drawn.
pub(super) fn below(axis: &Axis, run: &StudyRun) -> String {
    match axis {
        Axis::Step => "step t".to_string(),
        Axis::Time => "time η t".to_string(),
        Axis::LambdaT => "λ η t (decay times)".to_string(),
        Axis::Alpha => "exponent α".to_string(),
        Axis::Key(key) => axis_name(run, key),
        Axis::Column(column) => column.clone(),
    }
}
