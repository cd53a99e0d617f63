//! The host's activation functions against values in 60 digits (`tests/oracle/activations.py`).

use nfa_models::Activation;
use nfa_models::host::{Cores, Real, vector};
use serde_json::Value;

use nfa_tests::golden::{numbers, read};

/// Errors in units of the last place, no more than so many: of values and slopes in f64, and in f32.
const BOUNDS: [(Activation, [f64; 2], [f64; 2]); 5] = [
    (Activation::Tanh, [2.0, 4.0], [2.5, 5.0]),
    (Activation::Gelu, [4.0, 4.0], [4.5, 5.0]),
    (Activation::Silu, [3.0, 4.0], [3.5, 6.0]),
    (Activation::Sigmoid, [2.0, 4.0], [2.0, 4.5]),
    (Activation::Softplus, [3.0, 2.0], [3.0, 2.0]),
];

/// The unit in the last place of a number, as T has them.
fn unit<T: Real>(value: f64) -> f64 {
    let (next, least) = if size_of::<T>() == 4 {
        let value = value.abs() as f32;
        (f64::from(value.next_up()) - f64::from(value), f64::from(f32::from_bits(1)))
    } else {
        (value.abs().next_up() - value.abs(), f64::from_bits(1))
    };
    next.max(least)
}

/// Around a zero of the slope its error is one of the two terms that cancel there.
fn cancels(activation: Activation, z: f64) -> bool {
    match activation {
        Activation::Gelu => (-1.1..-0.4).contains(&z),
        Activation::Silu => (-1.8..-0.8).contains(&z),
        _ => false,
    }
}

fn check<T: Real>(golden: &Value, bounds: impl Fn(usize) -> [f64; 2]) {
    let points = numbers(&golden["z"]);
    // A number that is none of T is none of T's tests.
    let kept: Vec<usize> = (0..points.len()).filter(|&i| T::from_f64(points[i]).to_f64() == points[i]).collect();
    assert!(kept.len() > 100, "{} points", kept.len());
    for (k, (activation, ..)) in BOUNDS.into_iter().enumerate() {
        let mut value: Vec<T> = kept.iter().map(|&i| T::from_f64(points[i])).collect();
        let mut slope = value.clone();
        vector::activate(activation, &mut value, Some(&mut slope), Cores::One);
        let found = [("value", value), ("slope", slope)];
        for ((name, found), bound) in found.into_iter().zip(bounds(k)) {
            let expected = numbers(&golden[activation.name()][name]);
            for (&i, found) in kept.iter().zip(found) {
                let (z, found, expected) = (points[i], found.to_f64(), expected[i]);
                let near_zero = name == "slope" && cancels(activation, z);
                let unit = if near_zero { T::EPS.to_f64() } else { unit::<T>(expected) };
                let error = (found - expected).abs() / unit;
                assert!(error <= bound, "{activation} {name} of {z:e}: {found:e}, not {expected:e}: {error} units");
            }
        }
    }
}

#[test]
fn activations_are_good_to_a_few_units_in_the_last_place() {
    let golden = read("activations.json");
    check::<f64>(&golden, |k| BOUNDS[k].1);
    check::<f32>(&golden, |k| BOUNDS[k].2);
}
