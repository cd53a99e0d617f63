//! The colours of a map's numbers.

use crate::report::draw::format::sig;
use crate::report::figures::selection::ends;

/// Shades of a ramp.
const SHADES: usize = 9;

/// Shades of values: edges between them, ascending.
pub(super) struct Ramp {
    name: &'static str,
    pub(super) edges: Vec<f64>,
    log: bool,
}

impl Ramp {
    /// Round edges around all values, at most [`SHADES`] shades.
    pub(super) fn of(column: &str, values: &[f64], log: bool) -> Self {
        let (lo, hi) = ends(values.iter().copied()).unwrap_or((0.0, 1.0));
        let misfit = [".misfit", ".parts.", ".certificates.", ".null."].iter().any(|part| column.contains(part));
        let name = if misfit { "warm" } else { "cool" };
        let edges = if log { log_edges(lo, hi) } else { linear_edges(lo, hi) };
        Ramp { name, edges, log }
    }

    /// How many there are.
    pub(super) fn shades(&self) -> usize {
        self.edges.len() - 1
    }

    /// The shade of a value, from 0.
    pub(super) fn shade(&self, value: f64) -> usize {
        self.edges[1..self.shades()].iter().filter(|edge| value >= **edge).count()
    }

    /// The class of a shade: few shades are spread over the ramp.
    pub(super) fn class(&self, shade: usize) -> String {
        let last = self.shades().saturating_sub(1).max(1);
        format!("{}{}", self.name, (shade * (SHADES - 1) + last / 2) / last)
    }

    /// Whether text on a shade is light.
    pub(super) fn is_deep(&self, shade: usize) -> bool {
        2 * shade >= self.shades()
    }

    /// A value in as many digits as tell shades apart.
    pub(super) fn text(&self, value: f64) -> String {
        if self.log {
            return sig(value, 1);
        }
        let step = self.edges[1] - self.edges[0];
        let decimals = (1.0 - step.log10().floor()).clamp(0.0, 6.0);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let text = format!("{value:.*}", decimals as usize);
        if text.trim_start_matches('-').chars().all(|c| c == '0' || c == '.') { "0".to_string() } else { text }
    }
}

/// Multiples of a round step around both ends; zero is an edge where it is near.
fn linear_edges(lo: f64, hi: f64) -> Vec<f64> {
    let lo = if lo >= 0.0 && lo < 0.5 * hi { 0.0 } else { lo };
    let hi = if hi - lo > 1e-9 * hi.abs().max(lo.abs()) { hi } else { lo + lo.abs().max(1.0) / 2.0 };
    let raw = (hi - lo) / (SHADES - 1) as f64;
    let base = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * base).into_iter().find(|step| *step >= raw * 0.999);
    let step = step.unwrap_or(raw);
    let (from, to) = ((lo / step + 1e-9).floor(), (hi / step - 1e-9).ceil());
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let n = (to - from).clamp(1.0, SHADES as f64) as usize;
    (0..=n).map(|i| round((from + i as f64) * step)).collect()
}

/// To fifteen digits: 0.3 rather than 3 times 0.1.
fn round(value: f64) -> f64 {
    format!("{value:.14e}").parse().unwrap_or(value)
}

/// Decades, or 1, 2 and 5 where they are few.
fn log_edges(lo: f64, hi: f64) -> Vec<f64> {
    let (from, to) = (lo.log10(), hi.max(lo * 1.001).log10());
    if to - from < 2.2 {
        #[allow(clippy::cast_possible_truncation)]
        let all = (from.floor() as i32 - 1..=to.ceil() as i32)
            .flat_map(|k| [1.0, 2.0, 5.0].map(|d| round(d * 10_f64.powi(k))));
        let all: Vec<f64> = all.collect();
        let first = all.iter().rposition(|edge| *edge <= lo * 1.000_001).unwrap_or(0);
        let last = all.iter().position(|edge| *edge >= hi * 0.999_999).unwrap_or(all.len() - 1);
        return all[first..=last.max(first + 1)].to_vec();
    }
    let every = ((to.ceil() - from.floor()) / SHADES as f64).ceil();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let n = ((to - from.floor()) / every).ceil() as usize;
    (0..=n).map(|i| round(10_f64.powf(from.floor() + every * i as f64))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shades_have_round_edges() {
        assert_eq!(linear_edges(0.0, 0.43), [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]);
        assert_eq!(linear_edges(0.95, 0.99), [0.95, 0.955, 0.96, 0.965, 0.97, 0.975, 0.98, 0.985, 0.99]);
        assert!(linear_edges(0.0, 0.0).len() > 1 && linear_edges(-3.0, -3.0).len() > 1);
        assert_eq!(log_edges(0.003, 0.04), [0.002, 0.005, 0.01, 0.02, 0.05]);
        assert_eq!(log_edges(2e-3, 30.0), [1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0]);
        assert!(log_edges(1e-30, 1e3).len() <= SHADES + 1);
        assert!(log_edges(0.5, 0.5).len() > 1);
        let ramp = Ramp::of("loss", &[0.0, 0.43], false);
        assert_eq!([0.0, 0.1, 0.43, 9.0].map(|value| ramp.shade(value)), [0, 1, 4, 4]);
        assert_eq!([0, 2, 4].map(|shade| ramp.class(shade)), ["cool0", "cool4", "cool8"]);
    }
}
