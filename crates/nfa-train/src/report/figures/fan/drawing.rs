//! One panel of a fan.

use maud::{Markup, html};
use nfa_metrics::judge::family::Family;
use nfa_metrics::laws::law::Law;

use crate::report::draw::figure::{Drawing, MODULE};
use crate::report::draw::format::{clip, fixed, maybe};
use crate::report::draw::svg::{Frame, Scale, label, line, px};
use crate::report::figures::fan::disc::{Disc, VISIBLE, X_FLOOR, discs, parked, visible};
use crate::report::figures::fan::{Drawn, Fan, Panel, rays};

/// Radius in pixels of a disc that holds all of |A|.
const RADIUS: f64 = 11.0;
/// Width of the strip at the left edge, for directions with g = 0.
const GUTTER: f64 = 46.0;
/// Between the strip and the ends of the rays, for their labels.
const GAP: f64 = 36.0;
/// Left, top, right, bottom edge of the strip and the plot together.
const EDGE: (f64, f64, f64, f64) = (40.0, 66.0, MODULE - 4.0, 282.0);

impl Fan<'_> {
    /// A panel over the domain that all share.
    pub(super) fn drawing(&self, panel: &Panel, domain: (f64, f64, f64)) -> Drawing {
        let (left, top, right, bottom) = EDGE;
        let x = Scale::log(domain.0, 1.0, (left + GUTTER + GAP, right - 14.0));
        let y = Scale::log(domain.1, domain.2, (bottom - 18.0, top + 14.0));
        let frame = Frame { x, y, edge: (left + GUTTER, top, right, bottom) };
        let summary = self.summary(panel);
        let rows = panel.drawn.len();
        #[allow(clippy::cast_precision_loss)]
        let height = bottom + 46.0 + 17.0 * rows as f64;
        let body = html! {
            (label((0.0, 18.0), "head", &panel.title))
            (label((0.0, 36.0), "sub", &summary))
            (axes(&frame, domain, self.law))
            @if self.is_free() {
                (rays::draw(&frame, &rays::rays(&panel.drawn), self.is_first()))
            } @else {
                (rays::law(&frame))
            }
            @for (lane, drawn) in panel.drawn.iter().enumerate() {
                (marks(drawn, self.law.family, &frame, domain, (lane, rows)))
            }
            @for (row, drawn) in panel.drawn.iter().enumerate() { (legend(drawn, row, self.is_free())) }
        };
        let layers = self.layer.map_or("its layers".to_string(), |_| format!("layer {}", self.name));
        Drawing { height, title: format!("{}: fan of {layers}", panel.title), desc: summary, body }
    }
}

/// Frame, gutter and the names of the axes.
fn axes(frame: &Frame, domain: (f64, f64, f64), law: &Law) -> Markup {
    let [x_name, y_name] = law.axes;
    let unit = if law.family == Family::Equal { "g₁" } else { "m₁" };
    let (left, top, right, bottom) = EDGE;
    let inner = frame.edge.0;
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
        (label((right, bottom + 33.0), "name end", &format!("g / g₁ ({x_name})")))
        (label((0.0, top - 9.0), "name", &format!("m / {unit} ({y_name})")))
    }
}

/// The discs and rings of one network.
fn marks(
    drawn: &Drawn,
    family: Family,
    frame: &Frame,
    domain: (f64, f64, f64),
    (lane, lanes): (usize, usize),
) -> Markup {
    #[allow(clippy::cast_precision_loss)]
    let lane = EDGE.0 + GUTTER * (lane as f64 + 0.5) / lanes.max(1) as f64;
    let discs: Vec<Disc> = discs(&drawn.directions, family).into_iter().filter(visible).collect();
    let at = |disc: &Disc| {
        let x = disc.x.filter(|x| *x >= domain.0).map_or(lane, |x| frame.x.at(x));
        (x, frame.y.at(disc.y))
    };
    let hue = drawn.hue;
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
fn legend(drawn: &Drawn, row: usize, free: bool) -> Markup {
    #[allow(clippy::cast_precision_loss)]
    let y = EDGE.3 + 52.0 + 17.0 * row as f64;
    html! {
        circle cx=(px(EDGE.0 - 32.0)) cy=(px(y - 4.0)) r="5" class={"disc f" (drawn.hue)} {}
        (label((EDGE.0 - 22.0, y), "key strong", &clip(&drawn.label, 12)))
        @if free { (label((104.0, y), "key", &exponent(drawn.found.alpha))) }
        (label((174.0, y), "key", &format!("misfit {}", maybe(drawn.found.misfit))))
        (label((EDGE.2, y), "key end", &drawn.found.verdict))
    }
}

/// α, or that there is none: the lower end of the search is no measurement.
fn exponent(alpha: Option<f64>) -> String {
    match alpha {
        Some(alpha) if alpha <= nfa_metrics::judge::misfit::ALPHA_RANGE[0] => "α → 0".to_string(),
        alpha => format!("α = {}", fixed(alpha, 3)),
    }
}
