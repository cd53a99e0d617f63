//! Small helpers for figures: scales with ticks, marks, text.

use crate::report::draw::format::{sig, superscript};
use maud::{Markup, html};

/// How an axis maps values to pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Equal differences are equal lengths.
    Linear,
    /// Equal ratios are equal lengths; the domain is positive.
    Log,
}

/// A map from a domain of values to a range of pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    kind: Kind,
    /// Smallest and largest value shown.
    pub(crate) domain: (f64, f64),
    /// The pixels of both.
    pub(crate) range: (f64, f64),
}

/// A tick of an axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    /// Where, in values.
    pub(crate) value: f64,
    /// Its label; empty for a minor tick.
    pub(crate) label: String,
}

impl Scale {
    /// A linear scale; an empty domain is widened.
    pub(crate) fn linear(lo: f64, hi: f64, range: (f64, f64)) -> Self {
        let hi = if hi > lo { hi } else { lo + 1.0 };
        Scale { kind: Kind::Linear, domain: (lo, hi), range }
    }

    /// A logarithmic scale over `lo` to `hi`, both positive; an empty domain is widened.
    pub(crate) fn log(lo: f64, hi: f64, range: (f64, f64)) -> Self {
        let lo = lo.max(f64::MIN_POSITIVE);
        // Ticks go up to the end, so there has to be one.
        let hi = if hi > lo { hi.min(f64::MAX) } else { lo * 10.0 };
        Scale { kind: Kind::Log, domain: (lo, hi), range }
    }

    /// The same values over other pixels.
    pub(crate) fn over(self, range: (f64, f64)) -> Self {
        Scale { range, ..self }
    }

    /// The pixel of a value, held inside the range: nothing is drawn outside a frame.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let value = value.clamp(self.domain.0, self.domain.1);
        let share = match self.kind {
            Kind::Linear => (value - self.domain.0) / (self.domain.1 - self.domain.0),
            Kind::Log => {
                let from = self.domain.0.ln();
                (value.ln() - from) / (self.domain.1.ln() - from)
            }
        };
        self.range.0 + share * (self.range.1 - self.range.0)
    }

    /// The pixel of a value wherever it lies; `None` of what the axis can't show.
    pub(crate) fn beyond(&self, value: f64) -> Option<f64> {
        let share = match self.kind {
            Kind::Linear => (value - self.domain.0) / (self.domain.1 - self.domain.0),
            Kind::Log if value <= 0.0 => return None,
            Kind::Log => {
                let from = self.domain.0.ln();
                (value.ln() - from) / (self.domain.1.ln() - from)
            }
        };
        // A share beyond all pixels would lose its digits in the cut at the frame's edge.
        share.is_finite().then(|| self.range.0 + share.clamp(-1e4, 1e4) * (self.range.1 - self.range.0))
    }

    /// The value at a pixel.
    pub(crate) fn value(&self, pixel: f64) -> f64 {
        let share = (pixel - self.range.0) / (self.range.1 - self.range.0);
        match self.kind {
            Kind::Linear => self.domain.0 + share * (self.domain.1 - self.domain.0),
            Kind::Log => self.domain.0 * (self.domain.1 / self.domain.0).powf(share),
        }
    }

    /// `n` values evenly spread over the axis, both ends included.
    pub(crate) fn spread(&self, n: usize) -> Vec<f64> {
        let last = n.saturating_sub(1).max(1) as f64;
        (0..n).map(|i| self.value(self.range.0 + i as f64 / last * (self.range.1 - self.range.0))).collect()
    }

    /// Ticks with labels, and on a logarithmic axis also minor ones without.
    pub(crate) fn ticks(&self) -> Vec<Tick> {
        match self.kind {
            Kind::Linear => linear_ticks(self.domain.0, self.domain.1),
            Kind::Log => {
                let ticks = log_ticks(self.domain.0, self.domain.1);
                let labelled = ticks.iter().filter(|tick| !tick.label.is_empty()).count();
                // A short piece of the axis may hold no round number.
                if labelled < 2 { linear_ticks(self.domain.0, self.domain.1) } else { ticks }
            }
        }
    }

    /// Ticks at the values themselves, where their labels find room: `length` of a label in pixels
    /// along the axis, by its number of characters.
    pub(crate) fn ticks_at(&self, values: &[f64], length: impl Fn(usize) -> f64) -> Option<Vec<Tick>> {
        let ticks: Vec<Tick> = values.iter().map(|&value| Tick { value, label: number(value) }).collect();
        let half = |tick: &Tick| length(tick.label.chars().count()) / 2.0;
        let apart =
            |pair: &[Tick]| (self.at(pair[1].value) - self.at(pair[0].value)).abs() >= half(&pair[0]) + half(&pair[1]);
        ticks.windows(2).all(apart).then_some(ticks)
    }
}

/// About five round values.
fn linear_ticks(lo: f64, hi: f64) -> Vec<Tick> {
    let raw = (hi - lo) / 5.0;
    let base = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * base)
        .find(|step| *step >= raw * 0.999)
        .unwrap_or(raw);
    #[allow(clippy::cast_possible_truncation)]
    let (from, to) = ((lo / step - 1e-9).ceil() as i64, (hi / step + 1e-9).floor() as i64);
    #[allow(clippy::cast_precision_loss)]
    let values = (from..=to).map(|i| i as f64 * step);
    let most = lo.abs().max(hi.abs());
    // Long decimals would run out of the picture.
    let label = |value: f64| if (1e-3..1e5).contains(&most) { tidy(value) } else { number(round_off(value, step)) };
    values.map(|value| Tick { value, label: label(value) }).collect()
}

/// A multiple of `step` without the rounding of the multiplication.
fn round_off(value: f64, step: f64) -> f64 {
    let digits = 10_f64.powf(2.0 - step.log10().floor());
    (value * digits).round() / digits
}

/// A value as written: `0.03`, `2×10⁻⁵`.
pub(crate) fn number(value: f64) -> String {
    if value == 0.0 || (1e-3..1e5).contains(&value.abs()) {
        return crate::record::decimal(value);
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let power = format!("10{}", superscript(exponent.parse().unwrap_or(0)));
    match mantissa {
        "1" => power,
        "-1" => format!("\u{2212}{power}"),
        mantissa => format!("{mantissa}×{power}"),
    }
}

/// Decades (every k-th labelled where there are many); 2 and 5 labelled where there are few.
fn log_ticks(lo: f64, hi: f64) -> Vec<Tick> {
    #[allow(clippy::cast_possible_truncation)]
    let (from, to) = (lo.log10().floor() as i32, hi.log10().ceil() as i32);
    let decades = hi.log10() - lo.log10();
    #[allow(clippy::cast_possible_truncation)]
    let every = (decades / 5.5).ceil().max(1.0) as i32;
    let mut ticks = Vec::new();
    for exponent in from..=to {
        for digit in 1..=9_i32 {
            let value = f64::from(digit) * 10_f64.powi(exponent);
            if value < lo * 0.999 || value > hi * 1.001 || (digit > 1 && decades > 5.5) {
                continue;
            }
            let labelled = match digit {
                1 => exponent % every == 0,
                2 | 5 => decades < 1.6,
                _ => false,
            };
            let label = if labelled { decade(value, digit, exponent) } else { String::new() };
            ticks.push(Tick { value, label });
        }
    }
    ticks
}

/// `0.01`, `20`, `10⁻⁵`.
fn decade(value: f64, digit: i32, exponent: i32) -> String {
    match (exponent, digit) {
        (-3..=3, _) => tidy(value),
        (_, 1) => format!("10{}", superscript(exponent)),
        _ => sig(value, 1),
    }
}

/// The shortest decimal of a round value.
fn tidy(value: f64) -> String {
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_string() } else { text.to_string() }
}

/// The next value at or below of the form {1, 2, 5}·10^k.
pub(crate) fn round_down(value: f64) -> f64 {
    let base = 10_f64.powf(value.log10().floor());
    [5.0, 2.0, 1.0].into_iter().map(|factor| factor * base).find(|round| *round <= value * 1.000_001).unwrap_or(base)
}

/// A coordinate, to a tenth of a pixel; what is not finite is 0.
pub(crate) fn px(value: f64) -> String {
    let value = if value.is_finite() { value } else { 0.0 };
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_string)
}

/// A straight line with a class.
pub(crate) fn line(from: (f64, f64), to: (f64, f64), class: &str) -> Markup {
    html! { line x1=(px(from.0)) y1=(px(from.1)) x2=(px(to.0)) y2=(px(to.1)) class=(class) {} }
}

/// A series in values or in pixels.
pub(crate) type Points = Vec<(f64, f64)>;

/// Text at a point; the class sets size, weight and anchor.
pub(crate) fn label(at: (f64, f64), class: &str, content: &str) -> Markup {
    html! { text x=(px(at.0)) y=(px(at.1)) class=(class) { (content) } }
}

/// The part of a segment inside a box (left, top, right, bottom); `None` where it misses it.
fn clip(a: (f64, f64), b: (f64, f64), edge: (f64, f64, f64, f64)) -> Option<[(f64, f64); 2]> {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let (mut from, mut to) = (0.0_f64, 1.0_f64);
    for (step, room) in [(-dx, a.0 - edge.0), (dx, edge.2 - a.0), (-dy, a.1 - edge.1), (dy, edge.3 - a.1)] {
        if step == 0.0 && room < 0.0 {
            return None;
        } else if step < 0.0 {
            from = from.max(room / step);
        } else if step > 0.0 {
            to = to.min(room / step);
        }
    }
    let at = |share: f64| (a.0 + share * dx, a.1 + share * dy);
    (from <= to).then(|| [at(from), at(to)])
}

/// A line through points.
pub(crate) fn polyline(points: &[(f64, f64)], class: &str) -> Markup {
    let points: Vec<String> = points.iter().map(|(x, y)| format!("{},{}", px(*x), px(*y))).collect();
    html! { polyline points=(points.join(" ")) class=(class) {} }
}

/// The outline of a mark, so that series differ by shape as well as by colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A disc.
    Circle,
    /// A square.
    Square,
    /// A triangle, point up.
    Triangle,
    /// A square on its corner.
    Diamond,
}

impl Shape {
    /// The shape of the i-th series.
    pub(crate) fn nth(i: usize) -> Self {
        [Shape::Circle, Shape::Square, Shape::Triangle, Shape::Diamond][i % 4]
    }

    /// The mark around a point, with about the area of a disc of radius `r`.
    pub(crate) fn draw(self, (x, y): (f64, f64), r: f64, class: &str) -> Markup {
        let path = |points: &[(f64, f64)]| {
            let corner = |(dx, dy): &(f64, f64)| format!("{} {}", px(x + dx * r), px(y + dy * r));
            let corners: Vec<String> = points.iter().map(corner).collect();
            format!("M{}Z", corners.join("L"))
        };
        match self {
            Shape::Circle => html! { circle cx=(px(x)) cy=(px(y)) r=(px(r)) class=(class) {} },
            Shape::Square => {
                let d = path(&[(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)]);
                html! { path d=(d) class=(class) {} }
            }
            Shape::Triangle => {
                let d = path(&[(0.0, -1.3), (1.15, 0.75), (-1.15, 0.75)]);
                html! { path d=(d) class=(class) {} }
            }
            Shape::Diamond => {
                let d = path(&[(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)]);
                html! { path d=(d) class=(class) {} }
            }
        }
    }
}

/// A plot's frame: its two scales, grid lines, ticks and the names of its axes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    /// Values to x pixels.
    pub(crate) x: Scale,
    /// Values to y pixels (downwards).
    pub(crate) y: Scale,
    /// Left, top, right, bottom edge in pixels.
    pub(crate) edge: (f64, f64, f64, f64),
}

impl Frame {
    /// Grid, ticks and names: `below` under the x axis, `above` over the y axis.
    pub(crate) fn draw(&self, below: &str, above: &str) -> Markup {
        self.draw_with((self.x.ticks(), self.y.ticks()), below, above)
    }

    /// The pieces in pixels of a line through values, cut where it leaves the scales.
    pub(crate) fn pieces(&self, values: &[(f64, f64)]) -> Vec<Points> {
        let order = |(a, b): (f64, f64)| (a.min(b), a.max(b));
        let (x, y) = (order(self.x.range), order(self.y.range));
        let place = |&(a, b): &(f64, f64)| Some((self.x.beyond(a)?, self.y.beyond(b)?));
        let points: Vec<Option<(f64, f64)>> = values.iter().map(place).collect();
        let mut pieces: Vec<Points> = Vec::new();
        for pair in points.windows(2) {
            let [Some(a), Some(b)] = *pair else { continue };
            let Some([from, to]) = clip(a, b, (x.0, y.0, x.1, y.1)) else { continue };
            match pieces.last_mut() {
                // Only touches the frame.
                _ if from == to => {}
                Some(piece) if piece.last() == Some(&from) => piece.push(to),
                _ => pieces.push(vec![from, to]),
            }
        }
        pieces
    }

    /// The same with ticks of one's own, of x and of y.
    pub(crate) fn draw_with(&self, (xs, ys): (Vec<Tick>, Vec<Tick>), below: &str, above: &str) -> Markup {
        let (left, top, right, bottom) = self.edge;
        html! {
            @for tick in xs {
                @let at = self.x.at(tick.value);
                @if tick.label.is_empty() {
                    (line((at, bottom), (at, bottom + 3.0), "tick"))
                } @else {
                    (line((at, top), (at, bottom), "grid"))
                    (line((at, bottom), (at, bottom + 5.0), "tick"))
                    (label((at, bottom + 17.0), "num mid", &tick.label))
                }
            }
            @for tick in ys {
                @let at = self.y.at(tick.value);
                @if tick.label.is_empty() {
                    (line((left - 3.0, at), (left, at), "tick"))
                } @else {
                    (line((left, at), (right, at), "grid"))
                    (line((left - 5.0, at), (left, at), "tick"))
                    (label((left - 8.0, at + 3.5), "num end", &tick.label))
                }
            }
            (line((left, bottom), (right, bottom), "axis"))
            (line((left, top), (left, bottom), "axis"))
            (label((right, bottom + 33.0), "name end", below))
            (label((0.0, top - 9.0), "name", above))
        }
    }
}

/// Takes the place of a label, if no other is there.
pub(crate) fn free(taken: &mut Vec<(f64, f64)>, at: (f64, f64)) -> bool {
    let free = taken.iter().all(|(x, y)| (at.0 - x).abs() > 32.0 || (at.1 - y).abs() > 9.5);
    if free {
        taken.push(at);
    }
    free
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn scales_map_ends_and_middle() {
        let log = Scale::log(0.01, 1.0, (0.0, 100.0));
        assert!((log.at(0.1) - 50.0).abs() < 1e-9);
        assert!((log.at(1e-9) - 0.0).abs() < 1e-9, "held inside");
        let linear = Scale::linear(0.0, 2.0, (10.0, 0.0));
        assert!((linear.at(0.5) - 7.5).abs() < 1e-9);
        assert!(Scale::linear(3.0, 3.0, (0.0, 1.0)).at(3.0).is_finite());
    }

    #[test]
    fn ticks_are_round_and_inside() {
        let labels = |scale: Scale| -> Vec<String> {
            let ticks = scale.ticks().into_iter().map(|tick| tick.label);
            ticks.filter(|label| !label.is_empty()).collect()
        };
        let linear = labels(Scale::linear(0.0, 1.0, (0.0, 1.0)));
        assert_eq!(linear, ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        let log = labels(Scale::log(1e-4, 1.0, (0.0, 1.0)));
        let wide = labels(Scale::log(1e-12, 1e300, (0.0, 1.0)));
        assert!(wide.len() < 8, "{wide:?}");
        assert_eq!(log, ["10⁻⁴", "0.001", "0.01", "0.1", "1"]);
    }

    #[test]
    fn ticks_of_short_and_of_tiny_axes_have_labels() {
        let labels = |scale: Scale| -> Vec<String> {
            scale.ticks().into_iter().map(|tick| tick.label).filter(|label| !label.is_empty()).collect()
        };
        assert_eq!(labels(Scale::log(0.011, 0.019, (0.0, 1.0))), ["0.012", "0.014", "0.016", "0.018"]);
        assert_eq!(labels(Scale::linear(0.0, 5e-9, (0.0, 1.0)))[1], "10⁻⁹");
        assert_eq!(labels(Scale::linear(0.0, 3e6, (0.0, 1.0)))[1], "10⁶");
        assert_eq!([number(0.03), number(2.5e-5), number(-1e6)], ["0.03", "2.5×10⁻⁵", "−10⁶"]);
        let scale = Scale::log(0.01, 0.1, (0.0, 100.0));
        assert_eq!(scale.ticks_at(&[0.01, 0.03, 0.1], |n| 6.0 * n as f64).unwrap()[1].label, "0.03");
        assert!(scale.ticks_at(&[0.01, 0.0101], |n| 6.0 * n as f64).is_none());
    }

    #[test]
    fn lines_are_cut_at_the_frame() {
        let (x, y) = (Scale::linear(0.0, 10.0, (0.0, 100.0)), Scale::linear(0.0, 10.0, (100.0, 0.0)));
        let frame = Frame { x, y, edge: (0.0, 0.0, 100.0, 100.0) };
        // Up through the top edge at x = 5, and down again through it at x = 7.5: two pieces.
        let pieces = frame.pieces(&[(0.0, 0.0), (5.0, 10.0), (6.0, 12.0), (10.0, 4.0)]);
        assert_eq!(pieces, [vec![(0.0, 100.0), (50.0, 0.0)], vec![(70.0, 0.0), (100.0, 60.0)]]);
        let log = Frame { y: Scale::log(0.1, 10.0, (100.0, 0.0)), ..frame };
        assert!(log.pieces(&[(0.0, -1.0), (10.0, 0.0)]).is_empty());
        assert!((x.value(25.0) - 2.5).abs() < 1e-12 && (log.y.value(50.0) - 1.0).abs() < 1e-12);
        assert_eq!(x.spread(3), [0.0, 5.0, 10.0]);
    }

    #[test]
    fn rounding_keeps_the_value_inside() {
        assert!((round_down(0.034) - 0.02).abs() < 1e-12);
        assert_eq!(px(f64::NAN), "0");
    }

    #[test]
    fn labels_keep_apart() {
        let mut taken = Vec::new();
        assert!(free(&mut taken, (10.0, 10.0)));
        assert!(!free(&mut taken, (12.0, 15.0)));
        assert!(free(&mut taken, (12.0, 22.0)));
    }
}
