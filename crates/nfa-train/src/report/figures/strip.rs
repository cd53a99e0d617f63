//! The time strip: theory as grey lines, measurement as coloured dots.
//!
//! Three panels share one clock: the imbalance ratio beside Π (1 - lr·λ)² (e^(-2λt) under flow), the exponent beside 1/L
//! (of a law that fixes it, the misfit), and how well the networks do their job. With weight decay the clock is λ·lr·t, on which decay
//! collapses every curve; without it, it is the step.

use crate::report::draw::figure::{Drawing, Figure, Key, MODULE};
use crate::report::draw::format::{count, list, sig};
use crate::report::draw::svg::{Frame, Points, Scale, Shape, label, line, polyline};
use crate::report::figures::thinning::{thinned, turns};
use crate::report::figures::view::{Network, Panel, View};
use crate::study::StudyRun;
use crate::study::decay::Decay;
use maud::{Markup, html};

/// Left, top, right, bottom edge of a plot.
const EDGE: (f64, f64, f64, f64) = (46.0, 62.0, MODULE - 6.0, 262.0);

/// What the x axis counts.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Clock {
    /// λ · Σ lr: decay times, from 0.
    Decay,
    /// Steps, logarithmic.
    Step,
}

/// One network in time.
struct Track<'a> {
    network: &'a Network<'a>,
    /// The panel it comes from: shape and index.
    group: usize,
    /// Its place among the networks of its panel, and their number.
    turn: (usize, usize),
    decay: Option<Decay>,
}

/// The strip that the page opens with: the groups with weight decay where there are some, else the
/// first group.
pub(crate) fn figure(view: &View<'_>) -> Option<Figure> {
    let theory = |network: &Network<'_>| Decay::of(network.run).filter(|decay| decay.law.is_some());
    let decays = |network: &Network<'_>| theory(network).is_some_and(|decay| decay.lambda > 0.0);
    let decaying: Vec<&Panel<'_>> = view.panels.iter().filter(|panel| panel.networks.iter().any(decays)).collect();
    if decaying.is_empty() {
        let first: Vec<&Panel<'_>> = view.panels.iter().take(1).collect();
        return strip(view, &first, Clock::Step, ("strip", "Over time"));
    }
    strip(view, &decaying, Clock::Decay, ("strip", "Over time"))
}

/// One strip for each group, by steps; for the folded part.
pub(crate) fn each(view: &View<'_>) -> Vec<Figure> {
    if view.panels.len() < 2 {
        return Vec::new();
    }
    view.panels
        .iter()
        .enumerate()
        .filter_map(|(i, panel)| strip(view, &[panel], Clock::Step, (&format!("strip-{i}"), &panel.title)))
        .collect()
}

/// The strip of some groups.
fn strip(view: &View<'_>, panels: &[&Panel<'_>], clock: Clock, (id, heading): (&str, &str)) -> Option<Figure> {
    // Without a law there are no columns of one.
    let law = view.law.map_or("", |law| law.name);
    let fixed = view.law.is_some_and(|law| law.family.exponent().is_some());
    let tracks: Vec<Track<'_>> = panels
        .iter()
        .enumerate()
        .flat_map(|(group, panel)| {
            let n = panel.networks.len();
            panel.networks.iter().enumerate().map(move |(i, network)| Track {
                network,
                group,
                turn: (i, n),
                decay: Decay::of(network.run),
            })
        })
        .collect();
    let of_law = if fixed { misfit(&tracks, clock, law) } else { exponent(&tracks, clock, law) };
    let drawings: Vec<Drawing> = [ratio(&tracks, clock), of_law, task(&tracks, clock)].into_iter().flatten().collect();
    if drawings.is_empty() {
        return None;
    }
    Some(Figure {
        id: id.to_string(),
        heading: heading.to_string(),
        finding: finding(panels, law, fixed),
        reading: reading(view, panels, clock),
        keys: keys(panels, law),
        drawings,
    })
}

/// How to read the strip, and what it is not of.
fn reading(view: &View<'_>, panels: &[&Panel<'_>], clock: Clock) -> String {
    let drawn: usize = panels.iter().map(|panel| panel.networks.len()).sum();
    let runs: usize = panels.iter().map(|panel| panel.runs.len()).sum();
    let mut choice = String::new();
    if drawn < runs {
        choice.push_str(&format!(" Drawn: {drawn} of {} here, chosen as for the fan.", count(runs, "run")));
    }
    let here = |title: &str| panels.iter().any(|panel| panel.title == title);
    let others: Vec<&str> = view.titles.iter().map(String::as_str).filter(|title| !here(title)).collect();
    if !others.is_empty() {
        choice.push_str(&format!(" Not in this figure: {}.", list(&others, others.len())));
    }
    let clock = match clock {
        Clock::Decay => {
            "The clock is λ·η·t (weight decay × learning rate × steps): on it theory has one curve for the imbalance \
             of every linear network, whatever its depth, data or learning rate, up to second order in η."
        }
        Clock::Step => "The clock is the step, logarithmic; step 0 is left out.",
    };
    format!(
        "How to read it: grey is theory, coloured marks are measurements (thinned to be told apart; \
         thin lines join all probes). {clock} The imbalance is |Wₗ₊₁ᵀWₗ₊₁ \u{2212} WₗWₗᵀ| over its value at \
         step 0, of the pair of layers furthest from theory.{choice}"
    )
}

/// The colours and shapes of the tracks.
fn keys(panels: &[&Panel<'_>], law: &str) -> Vec<Key> {
    let grey = html! { line x1="-7" y1="0" x2="7" y2="0" class="ray mine" {} };
    let mut keys = Vec::new();
    let foretold = |network: &Network<'_>| {
        let decay = Decay::of(network.run).is_some_and(|decay| decay.law.is_some());
        decay || network.run.measured(law, "predicted", 0).is_some()
    };
    if panels.iter().flat_map(|panel| &panel.networks).any(foretold) {
        keys.push(Key { mark: grey, text: "theory".to_string() });
    }
    let mut seen: Vec<usize> = Vec::new();
    for network in panels.iter().flat_map(|panel| &panel.networks) {
        if !seen.contains(&network.hue) {
            seen.push(network.hue);
            let class = format!("disc f{}", network.hue);
            keys.push(Key::shape(Shape::Circle, &class, network.label.clone()));
        }
    }
    if panels.len() > 1 {
        for (i, panel) in panels.iter().enumerate() {
            keys.push(Key::shape(Shape::nth(i), "mark soft", panel.title.clone()));
        }
    }
    keys
}

/// The largest relative deviation of a run's imbalance ratios from their law, over all probes.
fn deviation(run: &StudyRun) -> Option<f64> {
    let decay = Decay::of(run)?;
    let law = |step| decay.factor(step).filter(|law| *law > 0.0);
    let off = |column: String| -> Vec<f64> {
        let series = run.record.series(&column).into_iter();
        series.filter_map(|(step, ratio)| Some((ratio / law(step)? - 1.0).abs())).collect()
    };
    run.columns("imbalance_ratio.layer*").into_iter().flat_map(off).reduce(f64::max)
}

/// The columns of a network's imbalance ratios.
fn ratios(track: &Track<'_>) -> Vec<String> {
    track.network.run.columns("imbalance_ratio.layer*")
}

/// What every run of the strip's groups did, drawn or not, with numbers.
fn finding(panels: &[&Panel<'_>], law: &str, fixed: bool) -> String {
    let names: Vec<&str> = panels.iter().map(|panel| panel.title.as_str()).collect();
    let (runs, stopped): (Vec<&StudyRun>, Vec<&StudyRun>) =
        panels.iter().flat_map(|panel| panel.runs.iter().copied()).partition(|run| run.completed());
    let off: Vec<f64> = runs.iter().copied().filter_map(deviation).collect();
    let ends: Vec<f64> = runs
        .iter()
        .filter_map(|run| {
            let number = |quantity| run.measured(law, quantity, 0);
            Some((number("alpha")? - number("predicted")?).abs())
        })
        .collect();
    // Where only some have one, how many.
    let of = |n: usize| if n == runs.len() { String::new() } else { format!(" of {n}") };
    let worst = |values: &[f64]| values.iter().copied().reduce(f64::max);
    let imbalance = worst(&off).map(|worst| {
        let (of, by) = (of(off.len()), percent(worst));
        let holds = format!("the imbalance{of} follows its law to within {by} at every probe");
        if worst <= 0.5 { holds } else { format!("the imbalance{of} strays from its law by up to {by}") }
    });
    let end = worst(&ends).map(|worst| format!("the exponent{} ends within {} of 1/L", of(ends.len()), sig(worst, 1)));
    let parts: Vec<String> = [imbalance, end].into_iter().flatten().collect();
    let stopped = match stopped.len() {
        0 => String::new(),
        n => format!("; not counted: {} that did not complete", count(n, "run")),
    };
    if parts.is_empty() {
        let what = if fixed { "misfit" } else { "exponent" };
        return format!("{}: {what} and task over time{stopped}.", list(&names, names.len()));
    }
    let networks = count(runs.len(), "network");
    format!("{} ({networks}): {}{stopped}.", list(&names, names.len()), parts.join(", and "))
}

/// A share in per cent.
fn percent(share: f64) -> String {
    format!("{} %", sig(100.0 * share, 2))
}

impl Track<'_> {
    /// The clock's reading at a step; `None` where it isn't shown.
    fn clock(&self, clock: Clock, step: f64) -> Option<f64> {
        match clock {
            Clock::Decay => {
                let decay = self.decay.as_ref().filter(|decay| decay.lambda > 0.0)?;
                Some(decay.lambda * decay.time(step))
            }
            Clock::Step => (step > 0.0).then_some(step),
        }
    }

    /// A column in values of the clock.
    fn series(&self, clock: Clock, column: &str) -> Points {
        let series = self.network.run.record.series(column);
        series.into_iter().filter_map(|(step, y)| Some((self.clock(clock, step)?, y))).collect()
    }

    /// The imbalance ratio of the pair of layers that strays furthest from theory.
    fn worst_ratio(&self, clock: Clock) -> Points {
        let law = |step| self.decay.as_ref()?.factor(step);
        let stray = |column: &String| {
            let off = |(step, ratio): (f64, f64)| law(step).map_or(ratio, |law| (ratio / law.max(1e-300) - 1.0).abs());
            self.network.run.record.series(column).into_iter().map(off).fold(0.0, f64::max)
        };
        let worst = ratios(self).into_iter().max_by(|a, b| stray(a).total_cmp(&stray(b)));
        worst.map(|column| self.series(clock, &column)).unwrap_or_default()
    }
}

/// The x scale over all series.
fn clock_scale(clock: Clock, series: &[Points]) -> Scale {
    let xs = || series.iter().flatten().map(|(x, _)| *x);
    let hi = xs().fold(0.0, f64::max);
    let range = (EDGE.0 + 4.0, EDGE.2 - 8.0);
    match clock {
        Clock::Decay => Scale::linear(0.0, hi, range),
        Clock::Step => Scale::log(xs().fold(hi.max(1.0), f64::min), hi.max(10.0), range),
    }
}

/// The name of the x axis.
fn clock_name(clock: Clock) -> &'static str {
    match clock {
        Clock::Decay => "λ η t (decay times)",
        Clock::Step => "step t",
    }
}

/// A logarithmic y scale around all values and 1.
fn log_scale(series: &[Points]) -> Option<Scale> {
    let ys = || series.iter().flatten().map(|(_, y)| *y).filter(|y| *y > 0.0);
    let lo = ys().reduce(f64::min)?.max(1e-12);
    let hi = ys().reduce(f64::max)?;
    // At least a decade, so that a constant is drawn as a level line.
    let (lo, hi) = if hi / lo < 10.0 { (lo / 2.0, hi * 2.0) } else { (lo, hi * 1.2) };
    Some(Scale::log(lo, hi, (EDGE.3 - 6.0, EDGE.1 + 6.0)))
}

/// The imbalance ratio beside its law.
fn ratio(tracks: &[Track<'_>], clock: Clock) -> Option<Drawing> {
    let series: Vec<Points> = tracks.iter().map(|track| track.worst_ratio(clock)).collect();
    let frame = Frame { x: clock_scale(clock, &series), y: log_scale(&series)?, edge: EDGE };
    let theory: Vec<Points> = tracks.iter().filter_map(|track| decay_line(track, clock)).collect();
    let shown: Vec<Points> = if clock == Clock::Decay {
        theory.into_iter().max_by(|a, b| reach(a).total_cmp(&reach(b))).into_iter().collect()
    } else {
        theory
    };
    let name = if clock == Clock::Decay { "(1 \u{2212} ηλ)²ᵗ ≈ exp(\u{2212}2λη t)" } else { "theory" };
    let body = html! {
        (label((0.0, 18.0), "head", "Imbalance ratio"))
        (label((0.0, 36.0), "sub", "|D(t)| / |D(0)| and its law"))
        (frame.draw(clock_name(clock), ""))
        @for line in &shown { (polyline(&pixels(line, &frame), "ray mine")) }
        @if let Some((x, y)) = shown.first().and_then(|line| part_way(line)) {
            // A line of one point lies at the right edge; the name must not run out of the picture.
            (label(((frame.x.at(*x) + 10.0).min(EDGE.2 - 7.0 * name.chars().count() as f64), frame.y.at(*y) - 6.0), "raylabel mine", name))
        }
        (marks(tracks, &series, &frame, true))
    };
    Some(drawing("Imbalance ratio over time", tracks, &series, body))
}

/// The point of a line nearest to two fifths of its reach.
fn part_way(points: &Points) -> Option<&(f64, f64)> {
    let place = 0.4 * reach(points);
    points.iter().min_by(|a, b| (a.0 - place).abs().total_cmp(&(b.0 - place).abs()))
}

/// How far a line reaches in x.
fn reach(points: &Points) -> f64 {
    points.last().map_or(0.0, |(x, _)| *x)
}

/// Theory's imbalance ratio at the probes of a run.
fn decay_line(track: &Track<'_>, clock: Clock) -> Option<Points> {
    let decay = track.decay.as_ref().filter(|decay| decay.law.is_some())?;
    let steps = track.network.run.record.steps();
    let points = steps.into_iter().filter_map(|step| Some((track.clock(clock, step)?, decay.factor(step)?)));
    Some(points.collect())
}

/// The exponent of layer 0 beside 1/L.
fn exponent(tracks: &[Track<'_>], clock: Clock, law: &str) -> Option<Drawing> {
    let column = format!("{law}.alpha.layer0");
    let series: Vec<Points> = tracks.iter().map(|track| track.series(clock, &column)).collect();
    let mut rays: Vec<f64> =
        tracks.iter().filter_map(|track| track.network.run.measured(law, "predicted", 0)).collect();
    rays.sort_by(f64::total_cmp);
    rays.dedup_by(|a, b| (*a - *b).abs() < 1e-9);
    let top = series.iter().flatten().map(|(_, y)| *y).reduce(f64::max)?;
    let top = rays.iter().copied().fold(top, f64::max).min(2.0) * 1.08;
    let y = Scale::linear(0.0, top, (EDGE.3, EDGE.1 + 4.0));
    let frame = Frame { x: clock_scale(clock, &series), y, edge: EDGE };
    let subtitle = if rays.is_empty() { "α of layer 0" } else { "α of layer 0, and 1/L" };
    let body = html! {
        (label((0.0, 18.0), "head", "Exponent"))
        (label((0.0, 36.0), "sub", subtitle))
        (frame.draw(clock_name(clock), ""))
        @for ray in &rays {
            @let at = frame.y.at(*ray);
            (line((EDGE.0, at), (EDGE.2, at), "ray mine"))
        }
        (marks(tracks, &series, &frame, false))
        @for ray in &rays {
            (label((EDGE.2, frame.y.at(*ray) - 5.0), "raylabel mine end", &format!("1/{:.0}", 1.0 / ray)))
        }
    };
    Some(drawing("Exponent of layer 0 over time", tracks, &series, body))
}

/// The misfit of layer 0, of a law without an exponent to measure.
fn misfit(tracks: &[Track<'_>], clock: Clock, law: &str) -> Option<Drawing> {
    let column = format!("{law}.misfit.layer0");
    let series: Vec<Points> = tracks.iter().map(|track| track.series(clock, &column)).collect();
    let frame = Frame { x: clock_scale(clock, &series), y: log_scale(&series)?, edge: EDGE };
    let body = html! {
        (label((0.0, 18.0), "head", "Misfit"))
        (label((0.0, 36.0), "sub", &format!("δ of layer 0 ({law}); 0 is exactly the law")))
        (frame.draw(clock_name(clock), ""))
        (marks(tracks, &series, &frame, false))
    };
    Some(drawing("Misfit of layer 0 over time", tracks, &series, body))
}

/// How well the networks do their job: misclassified share, else loss; held-out where there is a split.
fn task(tracks: &[Track<'_>], clock: Clock) -> Option<Drawing> {
    let column = ["loss.test", "loss"]
        .into_iter()
        .find(|column| tracks.iter().any(|track| !track.series(clock, column).is_empty()))?;
    let series: Vec<Points> = tracks.iter().map(|track| track.series(clock, column)).collect();
    let frame = Frame { x: clock_scale(clock, &series), y: log_scale(&series)?, edge: EDGE };
    let (head, sub) = if column == "loss.test" {
        ("Test loss", "on held-out samples, without penalty")
    } else {
        ("Training loss", "without penalty; no samples were held out")
    };
    let body = html! {
        (label((0.0, 18.0), "head", head))
        (label((0.0, 36.0), "sub", sub))
        (frame.draw(clock_name(clock), ""))
        (marks(tracks, &series, &frame, false))
    };
    Some(drawing(&format!("{head} over time"), tracks, &series, body))
}

/// A drawing with its numbers in words.
fn drawing(title: &str, tracks: &[Track<'_>], series: &[Points], body: Markup) -> Drawing {
    let ends: Vec<String> = tracks
        .iter()
        .zip(series)
        .filter_map(|(track, series)| {
            let (from, to) = (series.first()?.1, series.last()?.1);
            Some(format!("{} from {} to {}", track.network.label, sig(from, 2), sig(to, 2)))
        })
        .collect();
    Drawing { height: EDGE.3 + 42.0, title: title.to_string(), desc: ends.join("; "), body }
}

/// Values in pixels; what is not positive is left out of a logarithmic axis by the scale's clamp.
fn pixels(series: &[(f64, f64)], frame: &Frame) -> Points {
    series.iter().map(|(x, y)| (frame.x.at(*x), frame.y.at(*y))).collect()
}

/// Thin lines through all probes, and dots on a part of them; `in_turn` where curves coincide and
/// would hide each other's dots.
fn marks(tracks: &[Track<'_>], series: &[Points], frame: &Frame, in_turn: bool) -> Markup {
    let all: Vec<Points> = series.iter().map(|series| pixels(series, frame)).collect();
    let n = all.len();
    html! {
        @for (track, points) in tracks.iter().zip(&all) {
            @if points.len() > 1 { (polyline(points, &format!("path s{}", track.network.hue))) }
        }
        @for (i, (track, points)) in tracks.iter().zip(&all).enumerate() {
            @let kept = if in_turn { turns(points, track.turn) } else { thinned(points, frame.x.range, i, n) };
            @for point in kept.into_iter().map(|index| points[index]) {
                (Shape::nth(track.group).draw(point, 3.3, &format!("disc f{}", track.network.hue)))
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::study::sample;

    #[test]
    fn runs_with_decay_share_one_clock() {
        let study = sample::study();
        let view = View::of(&study);
        let figure = figure(&view).unwrap();
        assert_eq!(figure.drawings.len(), 3);
        // The sample follows theory exactly.
        assert!(figure.finding.contains("within 0 %"), "{}", figure.finding);
        assert!(figure.keys.iter().any(|key| key.text == "L = 2"));
    }

    #[test]
    fn without_columns_there_is_no_strip() {
        let mut study = sample::study();
        for run in &mut study.runs {
            run.record = crate::record::Record::new(vec!["step".into()]);
        }
        assert!(figure(&View::of(&study)).is_none());
    }
}
