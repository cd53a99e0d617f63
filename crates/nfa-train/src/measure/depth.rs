//! Exponent and misfit over depth: what a table of many layers looks like.

use maud::{Markup, html};

use nfa_metrics::{Family, Finding, Interval, Verdict};

use crate::measure::measurement::Measurement;
use crate::report::draw::figure::{Drawing, Figure, Key, MODULE};
use crate::report::draw::format::{clip, count, sig};
use crate::report::draw::svg::{Frame, Points, Scale, Shape, Tick, label, line, polyline};

/// Left, top, right and bottom edge of a plot.
const EDGE: (f64, f64, f64, f64) = (46.0, 66.0, MODULE - 8.0, 250.0);

/// One layer in the figure.
struct Place<'a> {
    /// Its number, from 0.
    at: f64,
    name: &'a str,
    finding: &'a Finding,
}

/// The figure of each layer's first law, as a standalone SVG; `None` below two layers with a misfit.
pub fn svg(measurement: &Measurement) -> Option<String> {
    let (mut places, mut given) = (Vec::new(), 0);
    for layer in &measurement.layers {
        let Some(found) = layer.laws.first() else { continue };
        if layer.last && found.law.last.is_some() {
            given += 1;
        } else if found.finding.misfit.is_some() {
            places.push(Place { at: layer.layer as f64, name: &layer.name, finding: &found.finding });
        }
    }
    let law = &measurement.layers.iter().find_map(|layer| layer.laws.first())?.law;
    let (first, last) = (places.first()?, places.last()?);
    if places.len() < 2 {
        return None;
    }
    let x = Scale::linear(first.at - 0.5, last.at + 0.5, (EDGE.0, EDGE.2));
    let holds = places.iter().filter(|place| place.finding.verdict == Verdict::Holds).count();
    let left = match given {
        0 => String::new(),
        n => format!(" {} left out: there the law holds by definition.", count(n, "layer")),
    };
    let mut drawings = Vec::new();
    if law.family == Family::Power {
        drawings.push(exponents(&places, x, &measurement.title));
    }
    drawings.push(misfits(&places, x, measurement));
    let there = Verdict::ALL.into_iter().filter(|verdict| places.iter().any(|place| place.finding.verdict == *verdict));
    let mut keys: Vec<Key> = there.map(|verdict| Key::shape(Shape::Circle, verdict.name(), verdict.name())).collect();
    if places.iter().any(|place| place.finding.null.init.is_some()) {
        keys.push(Key::shape(Shape::Circle, "hollow", "null: misfit at initialisation"));
    }
    let figure = Figure {
        id: "depth".into(),
        heading: "Over depth".into(),
        finding: format!("{}: {} holds in {holds} of {}.", measurement.title, law.name, count(places.len(), "layer")),
        reading: format!(
            "One dot per row of the table, from {} to {}; lines are 95 % intervals.{left}",
            first.name, last.name
        ),
        keys,
        drawings,
    };
    Some(figure.standalone())
}

/// A quantity of a layer, with its interval.
type Read<'a> = &'a dyn Fn(&Finding) -> (Option<f64>, Option<Interval>);

/// A quantity of every layer, with intervals.
fn dots(places: &[Place<'_>], frame: &Frame, of: Read<'_>) -> Markup {
    // Many layers stand close together.
    let r = (0.35 * (EDGE.2 - EDGE.0) / places.len() as f64).clamp(1.6, 4.0);
    html! {
        @for place in places {
            @let x = frame.x.at(place.at);
            @let (value, interval) = of(place.finding);
            @if let Some(interval) = interval {
                (line((x, frame.y.at(interval.low)), (x, frame.y.at(interval.high)), "axis"))
            }
            @if let Some(value) = value { (Shape::Circle.draw((x, frame.y.at(value)), r, place.finding.verdict.name())) }
        }
    }
}

/// Ticks at layers.
fn whole(x: &Scale) -> Vec<Tick> {
    x.ticks().into_iter().filter(|tick| tick.value.fract() == 0.0).collect()
}

/// Which layers stand at the ends.
fn ends(places: &[Place<'_>]) -> String {
    let name = |place: Option<&Place<'_>>| {
        place.map_or(String::new(), |place| format!("{}: {}", place.at, clip(place.name, 20)))
    };
    format!("{} to {}", name(places.first()), name(places.last()))
}

fn drawing(title: &str, places: &[Place<'_>], body: Markup, of: &dyn Fn(&Finding) -> Option<f64>) -> Drawing {
    let value = |place: &Place<'_>| Some(format!("{}: {}", place.name, sig(of(place.finding)?, 2)));
    let words: Vec<String> = places.iter().filter_map(value).collect();
    Drawing { height: EDGE.3 + 42.0, title: title.into(), desc: words.join("; "), body }
}

fn exponents(places: &[Place<'_>], x: Scale, title: &str) -> Drawing {
    let values = places.iter().flat_map(|place| [place.finding.alpha, place.finding.predicted]);
    let top = values.flatten().fold(0.5, f64::max).min(2.0) * 1.08;
    let frame = Frame { x, y: Scale::linear(0.0, top, (EDGE.3, EDGE.1)), edge: EDGE };
    let theory: Points =
        places.iter().filter_map(|place| Some((frame.x.at(place.at), frame.y.at(place.finding.predicted?)))).collect();
    let body = html! {
        (label((0.0, 18.0), "head", &clip(title, 44)))
        (label((0.0, 36.0), "sub", &ends(places)))
        (frame.draw_with((whole(&x), frame.y.ticks()), "layer", "exponent α"))
        @if theory.len() > 1 {
            (polyline(&theory, "ray mine"))
            (label((EDGE.2, theory.last().map_or(0.0, |last| last.1) - 6.0), "raylabel mine end", "theory"))
        }
        (dots(places, &frame, &|found| (found.alpha, found.alpha_interval)))
    };
    drawing("Exponent over depth", places, body, &|found| found.alpha)
}

fn misfits(places: &[Place<'_>], x: Scale, measurement: &Measurement) -> Drawing {
    let values = places.iter().flat_map(|place| [place.finding.misfit, place.finding.null.init]);
    let top = values.flatten().fold(0.25, f64::max).min(2.0) * 1.05;
    let frame = Frame { x, y: Scale::linear(0.0, top, (EDGE.3, EDGE.1)), edge: EDGE };
    let thresholds = &measurement.thresholds;
    let body = html! {
        (frame.draw_with((whole(&x), frame.y.ticks()), "layer", "misfit δ"))
        @for (value, name) in [(thresholds.holds, "holds"), (thresholds.approximate, "approximate")] {
            @let at = frame.y.at(value);
            (line((EDGE.0, at), (EDGE.2, at), "limit"))
            (label((EDGE.2, at - 4.0), "num end", name))
        }
        @for place in places {
            @if let Some(init) = place.finding.null.init {
                (Shape::Circle.draw((frame.x.at(place.at), frame.y.at(init)), 3.0, "hollow"))
            }
        }
        (dots(places, &frame, &|found| (found.misfit, found.misfit_interval)))
    };
    drawing("Misfit over depth", places, body, &|found| found.misfit)
}
