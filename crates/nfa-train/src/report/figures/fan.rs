//! The fan: where each network's directions lie, on rays of slope 1/L.
//!
//! Both axes are logarithmic. A direction of the AGOP's eigenbasis sits at x = g_i/g_1 (AGOP) and
//! y = m_i/m_1 (weights). A law with exponent α puts all of them on the ray of slope α from (1, 1).

use crate::record::direction::Direction;
use crate::report::draw::figure::{Drawing, Figure, Key, MODULE};
use crate::report::draw::format::{UNDEFINED, count, fixed, list, maybe, range, sig};
use crate::report::draw::svg::{Frame, Scale, Shape, label, line, px, round_down};
use crate::report::facts;
use crate::report::figures::view::{Network, Panel, View};
use maud::{Markup, html};

/// Radius in pixels of a disc that holds all of |A|.
const RADIUS: f64 = 11.0;
/// Directions with less than this share of |A|, in disc and ring, are not drawn.
const VISIBLE: f64 = 0.02;
/// The x axis reaches to every direction that is drawn, but no further down than this.
const X_FLOOR: f64 = 1e-9;
/// The y axis reaches no further down than this.
const Y_FLOOR: f64 = 1e-4;
/// Width of the strip at the left edge, for directions with g = 0.
const GUTTER: f64 = 46.0;
/// Between the strip and the ends of the rays, for their labels.
const GAP: f64 = 36.0;
/// Left, top, right, bottom edge of the strip and the plot together.
const EDGE: (f64, f64, f64, f64) = (40.0, 66.0, MODULE - 4.0, 282.0);

/// One direction of a fan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Disc {
    /// g / g_1; `None` where g = 0.
    pub(crate) x: Option<f64>,
    /// m / m_1.
    pub(crate) y: f64,
    /// Its share m / |A|: the disc's area.
    pub(crate) share: f64,
    /// Its off-diagonal mass over |A|: the ring's area.
    pub(crate) leak: f64,
}

/// The discs of one layer of a network at the last probe that holds its directions.
///
/// Empty where nothing was recorded, or where A or B is zero.
pub(crate) fn discs(directions: &[Direction], law: &str, layer: usize) -> Vec<Disc> {
    let here = |d: &&Direction| d.law == law && d.layer == layer;
    let Some(step) = directions.iter().filter(here).map(|d| d.step).max() else {
        return Vec::new();
    };
    let rows: Vec<&Direction> = directions
        .iter()
        .filter(here)
        .filter(|d| d.step == step && d.g.is_finite() && d.m.is_finite() && d.leak.is_finite())
        .collect();
    let norm = rows.iter().map(|d| d.m * d.m + d.leak * d.leak).sum::<f64>().sqrt();
    let top = rows.iter().max_by(|a, b| a.g.total_cmp(&b.g));
    let Some((g1, m1)) = top.map(|d| (d.g, d.m)).filter(|(g, m)| *g > 0.0 && *m > 0.0) else {
        return Vec::new();
    };
    rows.iter()
        .map(|d| Disc {
            x: (d.g > 0.0).then_some(d.g / g1),
            y: d.m / m1,
            share: d.m.max(0.0) / norm,
            leak: d.leak / norm,
        })
        // Numbers at the ends of f64 have no ratio, or no square.
        .filter(|disc| disc.y.is_finite() && disc.share.is_finite() && disc.leak.is_finite())
        .collect()
}

/// The domain of both axes over everything that is drawn: (x from, y from, y to); x ends at 1.
fn domain(discs: &[Disc]) -> (f64, f64, f64) {
    let seen = || discs.iter().filter(|disc| visible(disc));
    let x = seen().filter_map(|disc| disc.x).fold(0.3, f64::min);
    let y = seen().map(|disc| disc.y).fold(0.3, f64::min);
    let top = seen().map(|disc| disc.y).fold(1.0, f64::max);
    (round_down(x.max(X_FLOOR)), round_down(y.max(Y_FLOOR)), top)
}

/// The fan of one layer, a panel a group of networks; `None` where no directions were recorded.
pub(crate) fn figure(view: &View<'_>, layer: usize) -> Option<Figure> {
    let law = view.law.as_deref()?;
    let of = |network: &Network<'_>| discs(&network.run.directions, law, layer);
    let panels: Vec<Panel<'_>> = view
        .panels
        .iter()
        .map(|panel| Panel {
            title: panel.title.clone(),
            networks: panel.networks.iter().filter(|network| belongs(network, law, layer)).cloned().collect(),
        })
        .filter(|panel| panel.networks.iter().any(|network| !of(network).is_empty()))
        .collect();
    let all: Vec<Disc> = panels.iter().flat_map(|panel| &panel.networks).flat_map(of).collect();
    if all.is_empty() {
        return None;
    }
    let domain = domain(&all);
    let drawings = panels.iter().map(|panel| drawing(panel, law, layer, domain)).collect();
    let zero = all.iter().any(|disc| parked(disc, domain) && visible(disc));
    let (id, heading) = match layer {
        0 => ("fan".to_string(), "The fan".to_string()),
        _ => (format!("fan-layer{layer}"), format!("The fan of layer {layer}")),
    };
    let reading = if layer == 0 { reading(zero, &view.choice) } else { String::new() };
    let panels: Vec<&Panel<'_>> = panels.iter().collect();
    let predicted = panels.iter().any(|panel| outcome(panel, law, layer).predicted > 0);
    Some(Figure { id, heading, finding: finding(&panels, law, layer), reading, keys: keys(layer, predicted), drawings })
}

/// Whether a network is part of a layer's fan: always of the first; of the others where it has
/// directions and the layer isn't its last, where both matrices are equal by definition.
fn belongs(network: &Network<'_>, law: &str, layer: usize) -> bool {
    let last = facts::depth(network.run).is_some_and(|depth| depth == layer + 1);
    layer == 0 || (!last && !discs(&network.run.directions, law, layer).is_empty())
}

/// Whether a direction carries enough of A to be drawn.
fn visible(disc: &Disc) -> bool {
    disc.y > 0.0 && (disc.share >= VISIBLE || disc.leak >= VISIBLE)
}

/// Whether a direction is parked at the left edge.
fn parked(disc: &Disc, (x_from, _, _): (f64, f64, f64)) -> bool {
    disc.x.is_none_or(|x| x < x_from)
}

/// What the marks mean.
fn keys(layer: usize, predicted: bool) -> Vec<Key> {
    let ray = html! { line x1="-7" y1="4" x2="7" y2="-4" class="ray mine" {} };
    let slope = if layer == 0 { "slope 1/L" } else { "slope 1/(matrices from here on)" };
    let whose = if predicted { "theory: a ray" } else { "for orientation: rays" };
    vec![
        Key { mark: ray, text: format!("{whose} of {slope}") },
        Key::shape(Shape::Circle, "mark soft", "a direction; area = its share of |A|"),
        Key::shape(Shape::Circle, "ring", "its leak into other directions, on the same scale"),
    ]
}

/// How to read the fan.
fn reading(zero: bool, choice: &str) -> String {
    let mut text = "How to read it: every direction in which the network output varies is one disc, \
        placed by how strongly the output varies along it (x, the AGOP) and how strongly the \
        weights carry it (y). If the weights follow the AGOP with exponent α, all discs lie on the ray \
        of slope α; depth says which ray. Rings are misalignment: a large ring is a direction that the \
        two matrices don\u{2019}t share. Directions with less than 2 % of |A| are left out."
        .to_string();
    if zero {
        text.push_str(
            " Discs in the strip at the left edge have weight but no effect on the output: no power can \
             repair those.",
        );
    }
    if !choice.is_empty() {
        text.push(' ');
        text.push_str(choice);
    }
    text
}

/// What one panel shows.
struct Outcome {
    /// |α - predicted| of each network that has both.
    off: Vec<f64>,
    /// Misfit of each network.
    misfits: Vec<f64>,
    /// Networks whose law holds with the predicted exponent.
    on_ray: usize,
    /// Networks with a predicted exponent.
    predicted: usize,
}

/// Measures one panel.
fn outcome(panel: &Panel<'_>, law: &str, layer: usize) -> Outcome {
    let mut outcome = Outcome { off: Vec::new(), misfits: Vec::new(), on_ray: 0, predicted: 0 };
    for network in &panel.networks {
        let run = network.run;
        outcome.misfits.extend(facts::measured(run, law, "misfit", layer));
        let predicted = facts::measured(run, law, "predicted", layer);
        outcome.predicted += usize::from(predicted.is_some());
        let alpha = facts::measured(run, law, "alpha", layer);
        if let (Some(predicted), Some(alpha)) = (predicted, alpha) {
            let off = (alpha - predicted).abs();
            let holds = facts::completed(run) && facts::word(run, law, "verdict", layer) == Some("holds");
            outcome.on_ray += usize::from(holds && off <= facts::threshold(run, "exponent", 0.01));
            outcome.off.push(off);
        }
    }
    outcome
}

/// The figure's finding: which groups lie on their rays, and how far off the others are.
fn finding(panels: &[&Panel<'_>], law: &str, layer: usize) -> String {
    let outcomes: Vec<(String, Outcome)> =
        panels.iter().map(|panel| (panel.title.clone(), outcome(panel, law, layer))).collect();
    let predicted: usize = outcomes.iter().map(|(_, o)| o.predicted).sum();
    let misfits = |of: &[&(String, Outcome)]| of.iter().flat_map(|(_, o)| o.misfits.clone()).collect::<Vec<_>>();
    if predicted == 0 {
        let all: Vec<&(String, Outcome)> = outcomes.iter().collect();
        let misfits = misfits(&all);
        if misfits.is_empty() {
            return format!("Layer {layer}: directions of the weights against the AGOP.");
        }
        return format!(
            "Theory predicts no exponent here; layer {layer}\u{2019}s distance from the nearest ray (misfit) is {}.",
            range(&misfits)
        );
    }
    let (on, off): (Vec<_>, Vec<_>) = outcomes.iter().partition(|(_, o)| o.on_ray == o.predicted && o.predicted > 0);
    let on_ray: usize = outcomes.iter().map(|(_, o)| o.on_ray).sum();
    let mut text = match (on_ray, predicted) {
        (1, 1) => "The network lies on its own ray".to_string(),
        (0, 1) => "The network doesn\u{2019}t lie on its own ray".to_string(),
        (n, _) if n == predicted => format!("All {n} networks lie on their own ray"),
        _ => format!("{on_ray} of {} lie on their own ray", count(predicted, "network")),
    };
    if !on.is_empty() && !off.is_empty() {
        text.push_str(&format!(", all of {}", names(&on)));
    }
    let worst = on.iter().flat_map(|(_, o)| o.off.clone()).fold(0.0, f64::max);
    if !on.is_empty() {
        text.push_str(&format!(" (measured exponent within {} of theory\u{2019}s)", sig(worst, 1)));
    }
    let values = misfits(&off);
    if !off.is_empty() && !on.is_empty() {
        text.push_str(&format!("; {} stray", names(&off)));
    }
    if !values.is_empty() {
        text.push_str(&format!(" (misfit {})", range(&values)));
    }
    text.push('.');
    text
}

/// The names of groups, as a list.
fn names(groups: &[&(String, Outcome)]) -> String {
    let names: Vec<String> = groups.iter().map(|(name, _)| name.clone()).collect();
    list(&names, 6)
}

/// The rays to draw: L = 1..=5 and every other depth that occurs here, the present ones marked.
fn rays(panel: &Panel<'_>, law: &str, layer: usize) -> Vec<(usize, bool)> {
    let mine: Vec<usize> = panel
        .networks
        .iter()
        .filter_map(|network| facts::measured(network.run, law, "predicted", layer))
        .filter(|alpha| *alpha > 0.0)
        .map(|alpha| {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let inverse = (1.0 / alpha).round() as usize;
            inverse
        })
        .collect();
    let mut all: Vec<usize> = (1..=5).chain(mine.iter().copied()).collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter().map(|inverse| (inverse, mine.contains(&inverse))).collect()
}

/// One panel of the fan.
fn drawing(panel: &Panel<'_>, law: &str, layer: usize, domain: (f64, f64, f64)) -> Drawing {
    let (left, top, right, bottom) = EDGE;
    let x = Scale::log(domain.0, 1.0, (left + GUTTER + GAP, right - 14.0));
    let y = Scale::log(domain.1, domain.2, (bottom - 18.0, top + 14.0));
    let frame = Frame { x, y, edge: (left + GUTTER, top, right, bottom) };
    let summary = summary(panel, law, layer);
    let rows = panel.networks.len();
    #[allow(clippy::cast_precision_loss)]
    let height = bottom + 46.0 + 17.0 * rows as f64;
    let body = html! {
        (label((0.0, 18.0), "head", &panel.title))
        (label((0.0, 36.0), "sub", &summary))
        (axes(&frame, domain, law))
        (draw_rays(&frame, &rays(panel, law, layer), layer))
        @for (lane, network) in panel.networks.iter().enumerate() {
            (network_discs(network, law, layer, &frame, domain, (lane, rows)))
        }
        @for (row, network) in panel.networks.iter().enumerate() {
            (legend(network, law, layer, row))
        }
    };
    Drawing { height, title: format!("{}: fan of layer {layer}", panel.title), desc: summary, body }
}

/// The panel's numbers in half a sentence.
fn summary(panel: &Panel<'_>, law: &str, layer: usize) -> String {
    let outcome = outcome(panel, law, layer);
    let misfit = if outcome.misfits.is_empty() {
        "misfit undefined".to_string()
    } else {
        format!("misfit {}", range(&outcome.misfits))
    };
    if outcome.off.is_empty() {
        return misfit;
    }
    if outcome.on_ray == 0 {
        return format!("0 of {} on their ray; {misfit}", outcome.predicted);
    }
    let exponent = if layer == 0 { "1/L" } else { "theory" };
    let off = sig(outcome.off.iter().copied().fold(0.0, f64::max), 1);
    format!("{} of {} on their ray; |α \u{2212} {exponent}| at most {off}", outcome.on_ray, outcome.predicted)
}

/// Frame, gutter and the names of the axes.
fn axes(frame: &Frame, domain: (f64, f64, f64), law: &str) -> Markup {
    let (left, top, right, bottom) = EDGE;
    let inner = frame.edge.0;
    let names = match law {
        "nfa" => ("g / g₁ (AGOP)", "m / m₁ (weights)"),
        _ => ("g / g₁ (of B)", "m / m₁ (of A)"),
    };
    html! {
        rect x=(px(left)) y=(px(top)) width=(px(GUTTER)) height=(px(bottom - top)) class="wash" {}
        @for tick in frame.x.ticks() {
            @let at = frame.x.at(tick.value);
            (line((at, bottom), (at, bottom + if tick.label.is_empty() { 3.0 } else { 5.0 }), "tick"))
            @if !tick.label.is_empty() && at >= frame.x.range.0 - 1.0 {
                (label((at, bottom + 17.0), "num mid", &tick.label))
            }
        }
        @for tick in frame.y.ticks() {
            @let at = frame.y.at(tick.value);
            (line((left - if tick.label.is_empty() { 3.0 } else { 5.0 }, at), (left, at), "tick"))
            @if !tick.label.is_empty() {
                (label((left - 8.0, at + 3.5), "num end", &tick.label))
            }
        }
        (line((left, bottom), (right, bottom), "axis"))
        (line((left, top), (left, bottom), "axis"))
        (line((inner, top), (inner, bottom), "grid"))
        (label((left + GUTTER / 2.0, bottom + 17.0), "num mid", if domain.0 > X_FLOOR { "0" } else { "< 10⁻⁹" }))
        (label((right, bottom + 33.0), "name end", names.0))
        (label((0.0, top - 9.0), "name", names.1))
    }
}

/// The rays from (1, 1) to the frame's edge, with labels at their ends; where labels would overlap,
/// those of the networks drawn come first.
fn draw_rays(frame: &Frame, rays: &[(usize, bool)], layer: usize) -> Markup {
    let mut taken: Vec<(f64, f64)> = Vec::new();
    let mine = rays.iter().filter(|(_, mine)| *mine);
    let others = rays.iter().filter(|(_, mine)| !*mine);
    html! {
        @for &(inverse, mine) in mine.chain(others) {
            @let (end, at, anchor) = ray_end(frame, inverse);
            @let weight = if mine { " mine" } else { "" };
            (line((frame.x.at(1.0), frame.y.at(1.0)), end, &format!("ray{weight}")))
            @if free(&mut taken, at) {
                (label(at, &format!("raylabel{weight} {anchor}"), &ray_name(inverse, layer)))
            }
        }
    }
}

/// Where a ray leaves the frame, where its label stands, and how that is anchored.
fn ray_end(frame: &Frame, inverse: usize) -> ((f64, f64), (f64, f64), &'static str) {
    #[allow(clippy::cast_precision_loss)]
    let depth = inverse as f64;
    let (x_from, y_from) = (frame.x.domain.0, frame.y.domain.0);
    let x_end = x_from.max(y_from.powf(depth));
    let end = (frame.x.at(x_end), frame.y.at(x_end.powf(1.0 / depth)));
    if x_end > x_from * 1.001 { (end, (end.0, end.1 + 12.0), "mid") } else { (end, (end.0 - 4.0, end.1 + 3.5), "end") }
}

/// Takes the place of a label, if no other is there.
pub(crate) fn free(taken: &mut Vec<(f64, f64)>, at: (f64, f64)) -> bool {
    let free = taken.iter().all(|(x, y)| (at.0 - x).abs() > 32.0 || (at.1 - y).abs() > 9.5);
    if free {
        taken.push(at);
    }
    free
}

/// `L = 3` in the first layer, the slope in the others.
fn ray_name(inverse: usize, layer: usize) -> String {
    match (layer, inverse) {
        (0, _) => format!("L = {inverse}"),
        (_, 1) => "slope 1".to_string(),
        _ => format!("1/{inverse}"),
    }
}

/// The discs and rings of one network.
fn network_discs(
    network: &Network<'_>,
    law: &str,
    layer: usize,
    frame: &Frame,
    domain: (f64, f64, f64),
    (lane, lanes): (usize, usize),
) -> Markup {
    #[allow(clippy::cast_precision_loss)]
    let lane = EDGE.0 + GUTTER * (lane as f64 + 0.5) / lanes.max(1) as f64;
    let discs: Vec<Disc> = discs(&network.run.directions, law, layer).into_iter().filter(visible).collect();
    let at = |disc: &Disc| {
        let x = disc.x.filter(|x| *x >= domain.0).map_or(lane, |x| frame.x.at(x));
        (x, frame.y.at(disc.y))
    };
    let hue = network.hue;
    html! {
        g {
            @for disc in &discs {
                @let (x, y) = at(disc);
                @let r = (RADIUS * disc.share.sqrt()).max(1.2);
                circle cx=(px(x)) cy=(px(y)) r=(px(r)) class={"disc f" (hue)} {}
            }
            @for disc in discs.iter().filter(|disc| disc.leak >= VISIBLE) {
                @let (x, y) = at(disc);
                circle cx=(px(x)) cy=(px(y)) r=(px(RADIUS * disc.leak.sqrt())) class=(if parked(disc, domain) { "ring faint" } else { "ring" }) {}
            }
        }
    }
}

/// One line under the axes: the network's colour, name and numbers.
fn legend(network: &Network<'_>, law: &str, layer: usize, row: usize) -> Markup {
    #[allow(clippy::cast_precision_loss)]
    let y = EDGE.3 + 52.0 + 17.0 * row as f64;
    let number = |quantity: &str| facts::measured(network.run, law, quantity, layer);
    let verdict = facts::word(network.run, law, "verdict", layer).unwrap_or(UNDEFINED);
    let verdict = if facts::completed(network.run) { verdict } else { &network.run.outcome };
    html! {
        circle cx=(px(EDGE.0 - 32.0)) cy=(px(y - 4.0)) r="5" class={"disc f" (network.hue)} {}
        (label((EDGE.0 - 22.0, y), "key strong", &clip(&network.label, 12)))
        (label((104.0, y), "key", &exponent(number("alpha"))))
        (label((174.0, y), "key", &format!("misfit {}", maybe(number("misfit")))))
        (label((EDGE.2, y), "key end", verdict))
    }
}

/// α, or that there is none: the lower end of the search is no measurement.
fn exponent(alpha: Option<f64>) -> String {
    match alpha {
        Some(alpha) if alpha <= nfa_metrics::judge::misfit::ALPHA_RANGE[0] => "α → 0".to_string(),
        alpha => format!("α = {}", fixed(alpha, 3)),
    }
}

/// A text of at most `most` characters.
pub(crate) fn clip(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_string();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn direction(g: f64, m: f64, leak: f64) -> Direction {
        Direction { step: 10, law: "nfa".into(), layer: 0, g, m, leak }
    }

    #[test]
    fn directions_become_ratios_and_shares() {
        let rows = [direction(4.0, 3.0, 0.0), direction(1.0, 4.0, 0.0), direction(0.0, 0.0, 0.0)];
        let discs = discs(&rows, "nfa", 0);
        assert_eq!(discs[0], Disc { x: Some(1.0), y: 1.0, share: 0.6, leak: 0.0 });
        assert_eq!(discs[1].x, Some(0.25));
        assert!((discs[1].y - 4.0 / 3.0).abs() < 1e-12);
        assert_eq!(discs[2].x, None);
    }

    #[test]
    fn only_the_last_probe_is_drawn() {
        let mut early = direction(1.0, 1.0, 0.0);
        early.step = 0;
        let discs = discs(&[early, direction(2.0, 5.0, 0.0)], "nfa", 0);
        assert_eq!(discs.len(), 1);
        assert_eq!(discs[0].y, 1.0);
    }

    #[test]
    fn a_zero_matrix_has_no_fan() {
        assert!(discs(&[direction(0.0, 1.0, 0.0)], "nfa", 0).is_empty());
        assert!(discs(&[direction(1.0, 0.0, 0.0)], "nfa", 0).is_empty());
        assert!(discs(&[], "nfa", 0).is_empty());
    }

    #[test]
    fn a_law_s_discs_land_on_its_ray() {
        // Whatever the axes, a direction with m = g^(1/3) sits on the line from (1, 1) to the ray's end.
        let x = Scale::log(0.01, 1.0, (50.0, 300.0));
        let y = Scale::log(0.1, 1.0, (200.0, 20.0));
        let (g, m) = (0.05_f64, 0.05_f64.powf(1.0 / 3.0));
        let end = (x.at(0.01), y.at(0.01_f64.powf(1.0 / 3.0)));
        let start = (x.at(1.0), y.at(1.0));
        let slope = (end.1 - start.1) / (end.0 - start.0);
        let expected = start.1 + slope * (x.at(g) - start.0);
        assert!((y.at(m) - expected).abs() < 1e-9);
    }

    #[test]
    fn labels_keep_apart() {
        let mut taken = Vec::new();
        assert!(free(&mut taken, (10.0, 10.0)));
        assert!(!free(&mut taken, (12.0, 15.0)));
        assert!(free(&mut taken, (12.0, 22.0)));
    }

    #[test]
    fn the_finding_counts_networks_on_their_ray() {
        let study = sample::study();
        let view = View::of(&study);
        let figure = figure(&view, 0).unwrap();
        assert!(figure.finding.starts_with("All 4 networks lie on their own ray"), "{}", figure.finding);
        assert_eq!(figure.drawings.len(), 2);
    }
}
