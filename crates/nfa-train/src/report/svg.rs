//! Small helpers for figures: scales with ticks, marks, text.

use super::format::{sig, superscript};
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

    /// Ticks with labels, and on a logarithmic axis also minor ones without.
    pub(crate) fn ticks(&self) -> Vec<Tick> {
        match self.kind {
            Kind::Linear => linear_ticks(self.domain.0, self.domain.1),
            Kind::Log => log_ticks(self.domain.0, self.domain.1),
        }
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
    (from..=to).map(|i| i as f64 * step).map(|value| Tick { value, label: tidy(value) }).collect()
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

/// Text at a point; the class sets size, weight and anchor.
pub(crate) fn label(at: (f64, f64), class: &str, content: &str) -> Markup {
    html! { text x=(px(at.0)) y=(px(at.1)) class=(class) { (content) } }
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
        let (left, top, right, bottom) = self.edge;
        html! {
            @for tick in self.x.ticks() {
                @let at = self.x.at(tick.value);
                @if tick.label.is_empty() {
                    (line((at, bottom), (at, bottom + 3.0), "tick"))
                } @else {
                    (line((at, top), (at, bottom), "grid"))
                    (line((at, bottom), (at, bottom + 5.0), "tick"))
                    (label((at, bottom + 17.0), "num mid", &tick.label))
                }
            }
            @for tick in self.y.ticks() {
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
            (label((left - 34.0, top - 9.0), "name", above))
        }
    }
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
    fn rounding_keeps_the_value_inside() {
        assert!((round_down(0.034) - 0.02).abs() < 1e-12);
        assert_eq!(px(f64::NAN), "0");
    }
}
