//! The worst error of an operation in a place, in units in the last place.

use burn::tensor::{Device, Tensor};
use serde_json::json;

use crate::bench::fidelity::twofold::Twofold;
use crate::bench::problem;
use crate::bench::row::{Row, finite};
use crate::machine::devices::Dtype;

/// More units than this are no rounding.
pub const WRONG: f64 = 1e3;

/// A device and a dtype.
pub struct Place<'a> {
    /// The device.
    pub device: &'a Device,
    /// The dtype.
    pub dtype: Dtype,
}

impl Place<'_> {
    /// Numbers in this place.
    pub(super) fn vector(&self, data: &[f64]) -> Tensor<1> {
        self.matrix(data, data.len()).flatten(0, 1)
    }

    /// Row-major numbers in this place.
    pub(super) fn matrix(&self, data: &[f64], rows: usize) -> Tensor<2> {
        problem::matrix(data.to_vec(), rows, self.device, self.dtype.burn())
    }
}

/// What errors are counted in: the spacing of the dtype's numbers at the larger of the exact result
/// and a magnitude.
pub struct Unit {
    words: &'static str,
    magnitude: fn(&[f64]) -> f64,
}

impl Unit {
    pub(super) const RESULT: Unit = Unit { words: "ulp", magnitude: |_| 0.0 };
    pub(super) const ONE: Unit = Unit { words: "ulp of max(|result|, 1)", magnitude: |_| 1.0 };
    pub(super) const ARGUMENT: Unit = Unit { words: "ulp of max(|result|, |z|)", magnitude: |z| z[0].abs() };
    pub(super) const VALUE_OF_SIGMOID: Unit =
        Unit { words: "ulp of sigmoid(z)", magnitude: |z| 1.0 / (1.0 + libm::exp(-z[0])) };
    pub(super) const SILU_TERMS: Unit =
        Unit { words: "ulp of sigmoid(z) (1 + |z|)", magnitude: |z| (1.0 + z[0].abs()) / (1.0 + libm::exp(-z[0])) };
    pub(super) const TERMS: Unit = Unit { words: "ulp of the sum of the terms' sizes", magnitude: |_| 0.0 };
    pub(super) const LARGEST: Unit = Unit { words: "ulp of the largest entry", magnitude: |_| 0.0 };

    pub(super) fn magnitude(&self, point: &[f64]) -> f64 {
        (self.magnitude)(point)
    }
}

/// The worst of many results.
#[derive(Clone, Debug, Default)]
pub struct Worst {
    ulp: f64,
    at: String,
    /// How many were held against the reference.
    points: u64,
    /// What is no rounding: numbers that are none, shapes and dtypes that are others.
    trouble: Option<String>,
}

impl Worst {
    /// A tensor's numbers; another dtype than the place's is a trouble.
    pub(super) fn read<const D: usize>(&mut self, place: &Place<'_>, tensor: Tensor<D>) -> Vec<f64> {
        if tensor.dtype() != place.dtype.burn() {
            self.trouble(format!("the result is {:?}", tensor.dtype()));
        }
        tensor.inner().try_into_vec_as::<f64>().unwrap_or_else(|error| {
            self.trouble(format!("not handed out: {error}"));
            Vec::new()
        })
    }

    pub(super) fn trouble(&mut self, what: String) {
        self.trouble.get_or_insert(what);
    }

    /// Holds a result against the exact one.
    pub(super) fn hold(&mut self, got: f64, exact: Twofold, magnitude: f64, dtype: Dtype, at: impl FnOnce() -> String) {
        self.points += 1;
        let limit = match dtype {
            Dtype::F32 => f64::from(exact.high as f32),
            Dtype::F64 => exact.high,
        };
        if !limit.is_finite() || !got.is_finite() {
            if !(got == limit || got.is_nan() && limit.is_nan()) {
                self.trouble(format!("{got} instead of {limit} at {}", at()));
            }
            return;
        }
        let ulp = ((got - exact.high) - exact.low).abs() / spacing(exact.high.abs().max(magnitude), dtype);
        if ulp > self.ulp {
            (self.ulp, self.at) = (ulp, at());
        }
    }

    /// Holds many against their largest.
    pub(super) fn hold_all(&mut self, got: &[f64], exact: &[f64], dtype: Dtype, at: &str) {
        if got.len() != exact.len() {
            self.trouble(format!("{} numbers instead of {} at {at}", got.len(), exact.len()));
        }
        let largest = exact.iter().fold(0.0f64, |most, v| most.max(v.abs()));
        for (&got, &exact) in got.iter().zip(exact) {
            self.hold(got, Twofold::new(exact), largest, dtype, || at.to_string());
        }
    }
}

/// The distance from a number to the next in a dtype. Below the smallest normal number it is that
/// number: a device that flushes to zero what is smaller makes no error.
fn spacing(size: f64, dtype: Dtype) -> f64 {
    match dtype {
        Dtype::F32 if size < f64::from(f32::MIN_POSITIVE) => f64::from(f32::MIN_POSITIVE),
        Dtype::F32 => {
            let size = (size as f32).min(f32::MAX / 2.0);
            f64::from(size.next_up()) - f64::from(size)
        }
        Dtype::F64 if size < f64::MIN_POSITIVE => f64::MIN_POSITIVE,
        Dtype::F64 => {
            let size = size.min(f64::MAX / 2.0);
            size.next_up() - size
        }
    }
}

/// What one direction of an operation came to.
pub struct Finding {
    direction: &'static str,
    worst: Worst,
    unit: &'static str,
    reference: &'static str,
}

impl Finding {
    pub(super) fn new(direction: &'static str, worst: Worst, unit: &Unit, reference: &'static str) -> Self {
        Finding { direction, worst, unit: unit.words, reference }
    }

    /// More than rounding.
    pub(super) fn wrong(&self) -> bool {
        self.worst.trouble.is_some() || self.worst.ulp > WRONG
    }

    pub(super) fn row(self, operation: &str, device: &str, dtype: Dtype) -> Row {
        let wrong = self.wrong();
        let mut row = Row { kind: "fidelity", device: device.into(), dtype: dtype.name(), ..Row::default() };
        let ulp = if self.worst.trouble.is_some() { None } else { finite(self.worst.ulp) };
        row.note("operation", operation);
        row.note("direction", self.direction);
        row.note("ulp", json!(ulp));
        row.note("unit", self.unit);
        row.note("wrong", wrong);
        row.note("worst_at", json!((!self.worst.at.is_empty()).then_some(self.worst.at)));
        row.note("trouble", json!(self.worst.trouble));
        row.note("points", self.worst.points);
        row.note("reference", self.reference);
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_in_the_last_place() {
        let mut worst = Worst::default();
        worst.hold(1.0 + f64::EPSILON, Twofold::new(1.0), 0.0, Dtype::F64, || "one".into());
        assert_eq!((worst.ulp, worst.at.as_str()), (1.0, "one"));
        worst.hold(f64::from(f32::MAX), Twofold::new(1e300), 0.0, Dtype::F32, || "large".into());
        assert!(worst.trouble.as_ref().is_some_and(|trouble| trouble.contains("instead of inf at large")));
        let mut worst = Worst::default();
        worst.hold(0.0, Twofold::new(1e-44), 0.0, Dtype::F32, String::new);
        worst.hold(f64::NAN, Twofold::new(f64::NAN), 0.0, Dtype::F32, String::new);
        assert!(worst.ulp < 1e-5 && worst.trouble.is_none());
        worst.hold(f64::NAN, Twofold::new(0.0), 0.0, Dtype::F32, String::new);
        assert!(worst.trouble.is_some());
    }
}
