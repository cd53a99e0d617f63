//! The rays of a fan: where a law of exponent 1/L puts its directions.

use maud::{Markup, html};

use crate::report::draw::svg::{Frame, free, label, line};
use crate::report::figures::fan::Drawn;

/// The rays to draw: L = 1..=5 and every other depth that occurs here, the present ones marked.
pub(super) fn rays(drawn: &[Drawn]) -> Vec<(usize, bool)> {
    let mine: Vec<usize> = drawn
        .iter()
        .filter_map(|drawn| drawn.found.predicted)
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

/// The rays from (1, 1) to the frame's edge, with labels at their ends; where labels would overlap,
/// those of the networks drawn come first.
pub(super) fn draw(frame: &Frame, rays: &[(usize, bool)], first: bool) -> Markup {
    let mut taken: Vec<(f64, f64)> = Vec::new();
    let mine = rays.iter().filter(|(_, mine)| *mine);
    let others = rays.iter().filter(|(_, mine)| !*mine);
    html! {
        @for &(inverse, mine) in mine.chain(others) {
            @let (end, at, anchor) = end(frame, inverse);
            @let weight = if mine { " mine" } else { "" };
            (line((frame.x.at(1.0), frame.y.at(1.0)), end, &format!("ray{weight}")))
            @if free(&mut taken, at) {
                (label(at, &format!("raylabel{weight} {anchor}"), &name(inverse, first)))
            }
        }
    }
}

/// The one line of a law whose exponent is fixed at 1.
pub(super) fn law(frame: &Frame) -> Markup {
    let (end, ..) = end(frame, 1);
    line((frame.x.at(1.0), frame.y.at(1.0)), end, "ray mine")
}

/// Where a ray leaves the frame, where its label stands, and how that is anchored.
fn end(frame: &Frame, inverse: usize) -> ((f64, f64), (f64, f64), &'static str) {
    #[allow(clippy::cast_precision_loss)]
    let depth = inverse as f64;
    let (x_from, y_from) = (frame.x.domain.0, frame.y.domain.0);
    let x_end = x_from.max(y_from.powf(depth));
    let end = (frame.x.at(x_end), frame.y.at(x_end.powf(1.0 / depth)));
    if x_end > x_from * 1.001 { (end, (end.0, end.1 + 12.0), "mid") } else { (end, (end.0 - 4.0, end.1 + 3.5), "end") }
}

/// `L = 3` in the first layer, the slope in the others.
fn name(inverse: usize, first: bool) -> String {
    match (first, inverse) {
        (true, _) => format!("L = {inverse}"),
        (_, 1) => "slope 1".to_string(),
        _ => format!("1/{inverse}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::draw::svg::Scale;

    #[test]
    fn a_law_s_discs_land_on_its_ray() {
        // Whatever the axes, a direction with m = g^(1/3) sits on the line from (1, 1) to the ray's end.
        let (x, y) = (Scale::log(0.01, 1.0, (50.0, 300.0)), Scale::log(0.1, 1.0, (200.0, 20.0)));
        let frame = Frame { x, y, edge: (50.0, 20.0, 300.0, 200.0) };
        let (g, m) = (0.05_f64, 0.05_f64.powf(1.0 / 3.0));
        let (end, ..) = end(&frame, 3);
        let start = (x.at(1.0), y.at(1.0));
        let slope = (end.1 - start.1) / (end.0 - start.0);
        let expected = start.1 + slope * (x.at(g) - start.0);
        assert!((y.at(m) - expected).abs() < 1e-9);
    }
}
