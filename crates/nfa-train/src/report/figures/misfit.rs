//! Misfit bars: how far each layer is from the law, and why.
//!
//! A bar is as long as the misfit; directions² + order² + shape² = misfit², so it is split in
//! proportion to the squares of its parts.

use crate::report::draw::figure::{Drawing, Figure, Key, MODULE};
use crate::report::draw::format::{self, clip, count, list, sig};
use crate::report::draw::svg::{Scale, Shape, label, line, px};
use crate::report::figures::view::{Network, Panel, View};
use crate::study::StudyRun;
use maud::{Markup, html};
use nfa_metrics::judge::family::Family;
use nfa_metrics::laws::law::Law;

/// The three parts of a misfit: the names of their columns and classes.
const PARTS: [&str; 3] = ["directions", "order", "shape"];
/// Height of one bar with its gap.
const STEP: f64 = 13.0;
/// Left edge, top edge and right edge of the bars.
const EDGE: (f64, f64, f64) = (66.0, 64.0, MODULE - 56.0);
/// Characters of a name that fit beside a bar.
const BESIDE: usize = 5;
/// Layers of one network that are drawn at most.
const LAYERS: usize = 12;

/// One bar: a layer of a network at the last probe.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bar {
    /// The layer, from 0.
    pub(crate) layer: usize,
    /// Its misfit.
    pub(crate) misfit: f64,
    /// Lengths of the segments directions, order, shape; they add to `misfit`.
    pub(crate) segments: [f64; 3],
    /// Misfit of a randomly rotated A.
    pub(crate) haar: Option<f64>,
    /// Misfit at initialisation.
    pub(crate) init: Option<f64>,
}

/// The bars of a network, one for each layer with a misfit, as far as there is room.
pub(crate) fn bars(run: &StudyRun, law: &Law) -> Vec<Bar> {
    all_bars(run, law).into_iter().take(LAYERS).collect()
}

/// The bars of all layers but those where the law holds by definition.
fn all_bars(run: &StudyRun, law: &Law) -> Vec<Bar> {
    let layers = run.layers(law.name).into_iter().filter(|layer| !run.is_given(law, *layer));
    layers.filter_map(|layer| bar(run, law, layer)).collect()
}

/// The bar of one layer.
fn bar(run: &StudyRun, law: &Law, layer: usize) -> Option<Bar> {
    let number = |quantity: &str| run.measured(law.name, quantity, layer);
    let misfit = number("misfit").filter(|misfit| *misfit >= 0.0)?;
    let squares = PARTS.map(|part| number(&format!("parts.{part}")).unwrap_or(0.0).powi(2));
    let total: f64 = squares.iter().sum();
    let segments = squares.map(|square| if total > 0.0 { misfit * square / total } else { 0.0 });
    Some(Bar { layer, misfit, segments, haar: number("null.haar"), init: number("null.init") })
}

/// The bars of every network drawn; `None` where no misfit was recorded.
pub(crate) fn figure(view: &View<'_>) -> Option<Figure> {
    let law = view.law?;
    let all: Vec<Bar> = view.networks().flat_map(|network| bars(network.run, law)).collect();
    if all.is_empty() {
        return None;
    }
    let most = all.iter().flat_map(|bar| [Some(bar.misfit), bar.haar, bar.init]).flatten().fold(0.25, f64::max);
    let drawings = view
        .panels
        .iter()
        .filter(|panel| panel.networks.iter().any(|network| !bars(network.run, law).is_empty()))
        .map(|panel| drawing(panel, law, most.min(1.5)))
        .collect();
    Some(Figure {
        id: "misfit".to_string(),
        heading: "How far from the law, and why".to_string(),
        finding: finding(view, law),
        reading: reading(law, &view.choice),
        keys: keys(law),
        drawings,
    })
}

/// How to read the bars, and which there are.
fn reading(law: &Law, choice: &str) -> String {
    let (sign, nearest) = (law.family.sign(), if law.family == Family::Equal { "" } else { "the nearest " });
    let given = match law.last {
        Some(_) => " The last layer of a network is left out: there both matrices are equal by definition.",
        None => "",
    };
    format!(
        "How to read it: one bar per layer, as long as its misfit δ (relative distance from \
         {nearest}{sign}), split in proportion to the squares of its three parts. Vertical lines \
         are the thresholds of the verdicts \u{201c}holds\u{201d} and \u{201c}approximate\u{201d}. Hollow \
         marks are what δ would be without the law: for a randomly rotated matrix, and for this \
         layer before training. A linear network that starts balanced obeys the law before its first step.{given}{}{choice}",
        if choice.is_empty() { "" } else { " " }
    )
}

/// What the marks mean.
fn keys(law: &Law) -> Vec<Key> {
    let words = [
        "directions: the two matrices differ in eigenvectors",
        "order: a weaker direction has the larger weight",
        match law.family {
            Family::Power => "shape: increasing, but no power",
            Family::Proportional => "shape: increasing, but not in proportion",
            Family::Equal => "shape: increasing, but not equal",
        },
    ];
    let of = |(part, words): (&str, &str)| Key::shape(Shape::Square, &format!("part-{part}"), words);
    let mut keys: Vec<Key> = PARTS.into_iter().zip(words).map(of).collect();
    keys.push(Key::shape(Shape::Diamond, "hollow", "null: random rotation"));
    keys.push(Key::shape(Shape::Circle, "hollow", "null: before training"));
    keys
}

/// Counts the layers of every run, drawn or not, by how they compare with the threshold, and names the part that
/// dominates.
fn finding(view: &View<'_>, law: &Law) -> String {
    let (mut within, mut total) = (0, 0);
    let mut sums = [0.0; 3];
    let mut worst: Option<(f64, String)> = None;
    let mut thresholds: Vec<f64> = Vec::new();
    for run in view.completed() {
        let threshold = run.threshold("holds", 0.05);
        for bar in all_bars(run, law) {
            total += 1;
            if !thresholds.contains(&threshold) {
                thresholds.push(threshold);
            }
            if bar.misfit <= threshold {
                within += 1;
                continue;
            }
            for (sum, segment) in sums.iter_mut().zip(bar.segments) {
                *sum += segment * bar.misfit;
            }
            if worst.as_ref().is_none_or(|(misfit, _)| bar.misfit > *misfit) {
                worst = Some((bar.misfit, format!("{}, layer {}", view.name(run), run.layer(bar.layer))));
            }
        }
    }
    let at_most = match thresholds[..] {
        [one] => sig(one, 1),
        _ => "their threshold".to_string(),
    };
    let have = if total == 1 { "has" } else { "have" };
    let mut text = format!("{within} of {} {have} a misfit of at most {at_most}", count(total, "layer"));
    if let Some((misfit, name)) = worst {
        let sum: f64 = sums.iter().sum();
        let largest = (0..3).max_by(|a, b| sums[*a].total_cmp(&sums[*b])).unwrap_or(0);
        let others = if within == 0 { "there" } else { "in the others" };
        let share = if sum > 0.0 {
            format!("{others} {:.0} % of δ² comes from {} ", 100.0 * sums[largest] / sum, PARTS[largest])
        } else {
            String::new()
        };
        text.push_str(&format!("; {share}(largest: {name}, δ = {})", sig(misfit, 2)));
    }
    if !view.stopped.is_empty() {
        text.push_str(&format!("; not counted: {}", view.stopped));
    }
    text.push('.');
    text
}

/// One panel of bars.
fn drawing(panel: &Panel<'_>, law: &Law, most: f64) -> Drawing {
    let x = Scale::linear(0.0, most, (EDGE.0, EDGE.2));
    let mut y = EDGE.1 + 6.0;
    let mut rows = Vec::new();
    for network in &panel.networks {
        let all = all_bars(network.run, law);
        let bars = &all[..all.len().min(LAYERS)];
        if bars.is_empty() {
            continue;
        }
        if network.label.chars().count() > BESIDE {
            // A long name stands above its bars instead of beside the first.
            y += STEP;
            rows.push(group_label(network, y - STEP));
        } else {
            rows.push(group_label(network, y));
        }
        for bar in bars {
            rows.push(row(bar, &x, y));
            y += STEP;
        }
        let hidden = all.len() - bars.len();
        if hidden > 0 {
            rows.push(label((EDGE.0, y + 9.0), "num", &format!("and {}", count(hidden, "layer"))));
            y += STEP;
        }
        y += 7.0;
    }
    let bottom = y;
    let (holds, approximate) = thresholds(panel);
    let body = html! {
        (label((0.0, 18.0), "head", &panel.title))
        @for tick in x.ticks() {
            @let at = x.at(tick.value);
            (line((at, EDGE.1), (at, bottom), "grid"))
            (line((at, bottom), (at, bottom + 5.0), "tick"))
            (label((at, bottom + 17.0), "num mid", &tick.label))
        }
        (label((EDGE.2, bottom + 33.0), "name end", "misfit δ (0: exactly the law)"))
        @for (value, name, up) in [(holds, "holds", 27.0), (approximate, "approximate", 14.0)] {
            @let at = x.at(value);
            (line((at, EDGE.1 - up), (at, bottom), "limit"))
            (label((at + 4.0, EDGE.1 - up + 9.0), "num", &format!("{name} ≤ {}", sig(value, 1))))
        }
        (line((EDGE.0, EDGE.1), (EDGE.0, bottom), "axis"))
        @for row in rows { (row) }
        (label((EDGE.0 - 6.0, EDGE.1 - 5.0), "name end", "layer"))
        (label((MODULE - 2.0, EDGE.1 - 5.0), "name end", "δ"))
    };
    Drawing {
        height: bottom + 42.0,
        title: format!("{}: misfit of every layer", panel.title),
        desc: desc(panel, law),
        body,
    }
}

/// The thresholds of a panel's first run.
fn thresholds(panel: &Panel<'_>) -> (f64, f64) {
    panel.networks.first().map_or((0.05, 0.2), |network| {
        let of = |name, default| network.run.threshold(name, default);
        (of("holds", 0.05), of("approximate", 0.2))
    })
}

/// The network's name and colour at its first bar.
fn group_label(network: &Network<'_>, y: f64) -> Markup {
    html! {
        circle cx="4.5" cy=(px(y + 5.0)) r="4" class={"disc f" (network.hue)} {}
        (label((12.0, y + 9.0), "key strong", &clip(&network.label, 40)))
    }
}

/// One bar with its number and hollow marks.
fn row(bar: &Bar, x: &Scale, y: f64) -> Markup {
    let mut from = 0.0;
    let segments = PARTS.iter().zip(bar.segments).map(|(part, length)| {
        let start = from;
        from += length;
        (format!("part-{part}"), x.at(start), x.at(from))
    });
    html! {
        (label((EDGE.0 - 7.0, y + 9.0), "num end", &bar.layer.to_string()))
        @for (class, from, to) in segments {
            @if to - from > 0.05 {
                rect x=(px(from)) y=(px(y + 1.0)) width=(px(to - from)) height="8" class=(class) {}
            }
        }
        @if let Some(haar) = bar.haar { (Shape::Diamond.draw((x.at(haar), y + 5.0), 3.2, "hollow")) }
        @if let Some(init) = bar.init { (Shape::Circle.draw((x.at(init), y + 5.0), 3.0, "hollow")) }
        @if bar.misfit > x.domain.1 {
            // It goes on beyond the axis.
            (label((x.range.1 + 3.0, y + 9.0), "num", "»"))
        }
        (label((MODULE - 2.0, y + 9.0), "num end", &format::misfit(bar.misfit)))
    }
}

/// The panel's numbers in words.
fn desc(panel: &Panel<'_>, law: &Law) -> String {
    let words: Vec<String> = panel
        .networks
        .iter()
        .map(|network| {
            let values: Vec<String> = bars(network.run, law).iter().map(|bar| format::misfit(bar.misfit)).collect();
            format!("{}: {}", network.label, list(&values, LAYERS))
        })
        .collect();
    words.join("; ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::study::sample;

    #[test]
    fn segments_add_to_the_misfit_and_split_by_squares() {
        let study = sample::study();
        let view = View::of(&study);
        let network = view.networks().next().unwrap();
        let bars = bars(network.run, view.law.unwrap());
        assert_eq!(bars.len(), 1, "the last layer is left out");
        let bar = &bars[0];
        assert!((bar.segments.iter().sum::<f64>() - bar.misfit).abs() < 1e-12);
        // The sample's parts are 3, 4 and 0 fifths of its misfit.
        assert!((bar.segments[0] - bar.misfit * 0.36).abs() < 1e-12);
        assert!((bar.segments[1] - bar.misfit * 0.64).abs() < 1e-12);
    }

    #[test]
    fn a_network_that_is_no_chain_keeps_all_its_layers() {
        let mut study = sample::study();
        // A key of that name says nothing of the sites of a residual network.
        study.runs.truncate(1);
        study.runs[0].theory.depth = None;
        let view = View::of(&study);
        assert_eq!(bars(view.networks().next().unwrap().run, view.law.unwrap()).len(), 2);
    }

    #[test]
    fn the_finding_counts_layers() {
        let study = sample::study();
        let figure = figure(&View::of(&study)).unwrap();
        assert!(figure.finding.starts_with("6 of 6 layers"), "{}", figure.finding);
    }
}
