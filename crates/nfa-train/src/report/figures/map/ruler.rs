//! The axes of a map.

use crate::report::draw::svg::{Scale, Tick};

/// The values along one axis, and where their cells begin and end.
pub(super) struct Ruler {
    values: Vec<f64>,
    edges: Vec<f64>,
    log: bool,
}

impl Ruler {
    /// Of the values of all cells.
    pub(super) fn of(values: impl Iterator<Item = f64>, log: bool) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        // An axis of values that are not all positive stays linear.
        let log = log && values.first().is_some_and(|first| *first > 0.0);
        let from = |place: f64| if log { place.exp() } else { place };
        let places: Vec<f64> = values.iter().map(|value| if log { value.ln() } else { *value }).collect();
        let n = places.len();
        let half = |i: usize| (places[i + 1] - places[i]) / 2.0;
        let (first, last) = if n > 1 { (half(0), half(n - 2)) } else { (0.5, 0.5) };
        let mut edges: Vec<f64> = (0..n.saturating_sub(1)).map(|i| from(places[i] + half(i))).collect();
        if let (Some(low), Some(high)) = (places.first(), places.last()) {
            edges.insert(0, from(low - first));
            edges.push(from(high + last));
        }
        Ruler { values, edges, log }
    }

    /// The scale of the axis.
    pub(super) fn scale(&self, range: (f64, f64)) -> Scale {
        let (lo, hi) = (self.edges.first().copied().unwrap_or(0.0), self.edges.last().copied().unwrap_or(1.0));
        if self.log { Scale::log(lo, hi, range) } else { Scale::linear(lo, hi, range) }
    }

    /// The edges of a value's cell.
    pub(super) fn around(&self, value: f64) -> (f64, f64) {
        let i = self.values.iter().position(|known| *known == value).unwrap_or(0);
        (self.edges[i], self.edges[i + 1])
    }

    /// Ticks at the values themselves where they have room.
    pub(super) fn ticks(&self, scale: &Scale, length: impl Fn(usize) -> f64) -> Vec<Tick> {
        scale.ticks_at(&self.values, length).unwrap_or_else(|| scale.ticks())
    }
}
