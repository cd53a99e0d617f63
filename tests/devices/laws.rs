//! Laws judged on what a device measured.

use nfa_metrics::{Path, Thresholds, assess, laws};
use nfa_tests::golden::{list, read, text};

use crate::agop::observed;
use crate::place::{Place, Worst};

/// Exponent and misfit of every law and layer are those of flex in `f64`, and so is the verdict.
pub fn judged(place: &Place) {
    let reference = Place::reference();
    let (laws, thresholds) = (laws(), Thresholds::default());
    let mut worst = Worst::of("misfit and exponent", place);
    for case in list(&read("laws.json")["cases"]) {
        let (got, expected) = (observed(case, place, Path::Auto), observed(case, &reference, Path::Autodiff));
        for law in laws.rows() {
            for layer in 0..got.layers.len() {
                let pair = |observation| (law.pair)(observation, layer);
                let (Some(got), Some(expected)) = (pair(&got), pair(&expected)) else { continue };
                let judge = |pair| assess(pair, law.family, None, &thresholds);
                let (got, expected) = (judge(&got), judge(&expected));
                let at = || format!("{} {} layer {layer}", text(&case["name"]), law.name);
                let mut close = |got: Option<f64>, expected: Option<f64>| match (got, expected) {
                    (Some(got), Some(expected)) => {
                        worst.see((got - expected).abs(), place.either(1e-12, 1e-4), at);
                    }
                    _ => assert_eq!(got, expected, "{}", at()),
                };
                close(got.misfit, expected.misfit);
                close(got.alpha, expected.alpha);
                assert_eq!(got.verdict, expected.verdict, "{}: {} / {}", at(), got.reason, expected.reason);
            }
        }
    }
    worst.tell();
}
