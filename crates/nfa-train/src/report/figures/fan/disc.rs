//! Directions as discs: where each lies, and how much of A it carries.

use nfa_metrics::judge::family::Family;
use nfa_metrics::judge::finding::Direction;

use crate::report::draw::svg::round_down;

/// Directions with less than this share of |A|, in disc and ring, are not drawn.
pub(super) const VISIBLE: f64 = 0.02;
/// The x axis reaches to every direction that is drawn, but no further down than this.
pub(super) const X_FLOOR: f64 = 1e-9;
/// The y axis reaches no further down than this.
const Y_FLOOR: f64 = 1e-4;

/// One direction of a fan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Disc {
    /// g / g_1; `None` where g = 0.
    pub(super) x: Option<f64>,
    /// m / m_1; of an equality m / g_1, as its scale counts.
    pub(super) y: f64,
    /// Its share m / |A|: the disc's area.
    pub(super) share: f64,
    /// Its off-diagonal mass over |A|: the ring's area.
    pub(super) leak: f64,
}

/// The discs of a network's directions, under a law of that family; none where A or B is zero.
pub(super) fn discs(directions: &[Direction], family: Family) -> Vec<Disc> {
    let rows: Vec<&Direction> =
        directions.iter().filter(|d| d.g.is_finite() && d.m.is_finite() && d.leak.is_finite()).collect();
    let norm = rows.iter().map(|d| d.m * d.m + d.leak * d.leak).sum::<f64>().sqrt();
    let top = rows.iter().max_by(|a, b| a.g.total_cmp(&b.g));
    let Some((g1, m1)) = top.map(|d| (d.g, d.m)).filter(|(g, m)| *g > 0.0 && *m > 0.0) else {
        return Vec::new();
    };
    let unit = if family == Family::Equal { g1 } else { m1 };
    rows.iter()
        .map(|d| Disc {
            x: (d.g > 0.0).then_some(d.g / g1),
            y: d.m / unit,
            share: d.m.max(0.0) / norm,
            leak: d.leak / norm,
        })
        // Numbers at the ends of f64 have no ratio, or no square.
        .filter(|disc| disc.y.is_finite() && disc.share.is_finite() && disc.leak.is_finite())
        .collect()
}

/// The domain of both axes over everything that is drawn: (x from, y from, y to); x ends at 1.
pub(super) fn domain(discs: &[Disc]) -> (f64, f64, f64) {
    let seen = || discs.iter().filter(|disc| visible(disc));
    let x = seen().filter_map(|disc| disc.x).fold(0.3, f64::min);
    let y = seen().map(|disc| disc.y).fold(0.3, f64::min);
    let top = seen().map(|disc| disc.y).fold(1.0, f64::max);
    (round_down(x.max(X_FLOOR)), round_down(y.max(Y_FLOOR)), top)
}

/// Whether a direction carries enough of A to be drawn.
pub(super) fn visible(disc: &Disc) -> bool {
    disc.y > 0.0 && (disc.share >= VISIBLE || disc.leak >= VISIBLE)
}

/// Whether a direction is parked at the left edge.
pub(super) fn parked(disc: &Disc, (x_from, _, _): (f64, f64, f64)) -> bool {
    disc.x.is_none_or(|x| x < x_from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_become_ratios_and_shares() {
        let rows = [(4.0, 3.0), (1.0, 4.0), (0.0, 0.0)].map(|(g, m)| Direction { g, m, leak: 0.0 });
        let equal = discs(&rows, Family::Equal);
        assert_eq!(equal[0].y, 0.75);
        let discs = discs(&rows, Family::Power);
        assert_eq!(discs[0], Disc { x: Some(1.0), y: 1.0, share: 0.6, leak: 0.0 });
        assert_eq!(discs[1].x, Some(0.25));
        assert!((discs[1].y - 4.0 / 3.0).abs() < 1e-12);
        assert_eq!(discs[2].x, None);
    }

    #[test]
    fn a_zero_matrix_has_no_fan() {
        assert!(discs(&[Direction { g: 0.0, m: 1.0, leak: 0.0 }], Family::Power).is_empty());
        assert!(discs(&[Direction { g: 1.0, m: 0.0, leak: 0.0 }], Family::Power).is_empty());
        assert!(discs(&[], Family::Power).is_empty());
    }
}
