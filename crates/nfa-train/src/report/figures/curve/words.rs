//! What a curve says of itself.

use maud::html;

use crate::claim::plot::Plot;
use crate::claim::plot::curve::{Axis, Curve};
use crate::report::draw::figure::Key;
use crate::report::draw::format::{clip, count, list, sig};
use crate::report::draw::svg::Shape;
use crate::report::figures::curve::axes::below;
use crate::report::figures::curve::series::{Point, Series};
use crate::report::figures::selection::{pretty, span, when};
use crate::study::distinct;

/// The panel's numbers in half a sentence.
pub(super) fn summary(plot: &Plot, curve: &Curve, series: &[&Series<'_>]) -> String {
    let n = drawn(series.iter().copied());
    let off = series.iter().flat_map(|series| series.deviations(curve, plot));
    let worst = off.reduce(|a, b| (a.0.max(b.0), a.1.max(b.1)));
    let runs = count(n, "run");
    match worst {
        // Short: it stands above one panel.
        Some((mean, seed)) if seeds_stray(mean, seed) => {
            if mean <= 0.5 {
                format!("{runs}; means within {} of theory, seeds {}", percent(mean), percent(seed))
            } else {
                format!("{runs}; means up to {} off theory, seeds {}", percent(mean), percent(seed))
            }
        }
        Some((worst, _)) if worst <= 0.5 => format!("{runs}; within {} of theory", percent(worst)),
        Some((worst, _)) => format!("{runs}; up to {} off theory", percent(worst)),
        None => format!("{runs}{}", when(plot.at)),
    }
}

/// Whether means are nearer to theory than the seeds that they are of.
fn seeds_stray(mean: f64, seed: f64) -> bool {
    seed > 1.01 * mean && seed > 1e-12
}

/// Where means are nearer to theory than the seeds that they are of.
fn single_seeds(worst: Option<(f64, f64)>) -> String {
    match worst {
        Some((mean, seed)) if seeds_stray(mean, seed) => {
            format!(" in the mean over seeds, single ones up to {} off", percent(seed))
        }
        _ => String::new(),
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
pub(super) fn finding(plot: &Plot, curve: &Curve, series: &[Series<'_>]) -> String {
    let all = || series.iter().flat_map(|series| series.deviations(curve, plot));
    let seeds = single_seeds(all().reduce(|a, b| (a.0.max(b.0), a.1.max(b.1))));
    let mut off: Vec<f64> = all().map(|(mean, _)| mean).collect();
    off.sort_by(f64::total_cmp);
    let runs = count(drawn(series.iter()), "run");
    let y = match curve.y.strip_prefix("*.") {
        Some(quantity) => format!("{quantity} of {}{}", list(&curve.laws, curve.laws.len()), when(plot.at)),
        None => format!("{}{}", curve.y, when(plot.at)),
    };
    let mut text = match (&curve.theory, off.last()) {
        (Some(theory), Some(&worst)) => {
            let theory = pretty(theory);
            let points = count(off.len(), "point");
            if worst <= 0.5 {
                format!("{y} lies within {} of theory, {theory}, at all {points} of {runs}{seeds}", percent(worst))
            } else {
                let median = percent(off[off.len() / 2]);
                format!(
                    "{y} strays from theory, {theory}, by up to {} (median {median}; {points} of {runs}){seeds}",
                    percent(worst)
                )
            }
        }
        _ if curve.x == Axis::Alpha => format!("{y} is {}", peaks(curve, series)),
        _ => {
            let points = series.iter().flat_map(|series| &series.points);
            let values: Vec<f64> = points.flat_map(|point| point.values.iter().copied()).collect();
            format!("{y} against {}: {} in {runs}", below(&curve.x, series[0].runs[0]), span(&values))
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
pub(super) fn reading(curve: &Curve, series: &[Series<'_>], measured: Option<String>, notes: &[String]) -> String {
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
    if !curve.laws.is_empty() {
        text.push_str(
            " A mark says what the verdict on its law is there; the first ones, at the left edge, are before training.",
        );
    }
    if seeds(series).is_some() {
        text.push_str(" Pale marks are single seeds; the others are their means, which the thin lines join.");
    }
    for note in notes {
        text.push_str(&format!(" {note}"));
    }
    text
}

/// The fewest and the most seeds of a point, of those that have several.
fn seeds(series: &[Series<'_>]) -> Option<(usize, usize)> {
    let points = series.iter().flat_map(|series| &series.points);
    let several = || points.clone().map(|point| point.values.len()).filter(|n| *n > 1);
    several().min().zip(several().max())
}

/// What the marks mean.
pub(super) fn keys(curve: &Curve, series: &[Series<'_>]) -> Vec<Key> {
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
    if let Some((least, most)) = seeds(series) {
        let n = if least == most { most.to_string() } else { format!("{least} to {most}") };
        let mark = Shape::Circle.draw((0.0, 0.0), 2.2, "seed mark soft");
        keys.push(Key { mark, text: format!("a seed; large: the mean of {n}") });
    }
    let points = || series.iter().flat_map(|series| &series.points);
    for (verdict, size, class) in [
        ("holds", 4.4, "mark soft"),
        ("approximate", 3.6, "half soft"),
        ("fails", 3.2, "hollow"),
        ("undetermined", 1.8, "mark soft"),
    ] {
        if points().any(|point| point.verdict.as_deref() == Some(verdict)) {
            keys.push(Key { mark: Shape::Circle.draw((0.0, 0.0), size, class), text: verdict.to_string() });
        }
    }
    if points().any(|point| point.hollow && point.verdict.is_none()) {
        let what = if curve.y.contains(".null.") { "null" } else { "before training" };
        keys.push(Key::shape(Shape::Circle, "hollow", what));
    }
    keys
}

/// The series in words.
pub(super) fn described(series: &[&Series<'_>]) -> String {
    let each = series.iter().filter_map(|series| {
        let (first, last) = series.points.first().zip(series.points.last())?;
        let name = if series.label.is_empty() { series.runs[0].id.as_str() } else { &series.label };
        Some(format!("{name} from {} to {}", sig(first.y, 2), sig(last.y, 2)))
    });
    each.collect::<Vec<_>>().join("; ")
}
