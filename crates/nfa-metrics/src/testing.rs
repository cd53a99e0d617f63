//! The suite that a law of one's own is held to.

use crate::judge::family::Family;
use crate::judge::finding::assess;
use crate::judge::pair::Pair;
use crate::judge::right::Right;
use crate::judge::verdict::Thresholds;
use crate::laws::law::{Law, Over};
use crate::laws::needs::Needs;
use crate::matrix::Mat;
use crate::matrix::psd::Psd;
use crate::observation::{Layer, Observation};

/// Holds a law to what its row says, on an observation where it applies somewhere.
///
/// - It has names, words and a reference, and answers outside the network with `None`.
/// - A is symmetric PSD and of B's size; B is too, or the law is [`signed`](Law::signed) and of family Equal.
/// - It reads what it [needs](Law::needs) and no more, of the layers that it ranges [over](Law::over).
/// - B follows the rows where it [varies](Law::varies) and A never does; a prediction is a power's.
/// - It is judged without a panic, zero weights included.
///
/// # Panics
/// With what does not hold.
pub fn conformance(law: &Law, observation: &Observation) {
    words(law);
    let name = law.name;
    let count = observation.layers.len();
    let places: Vec<(usize, Pair)> =
        (0..count).filter_map(|layer| Some((layer, law.at(observation, layer)?))).collect();
    assert!(!places.is_empty(), "{name} applies nowhere on the observation given");
    assert!((law.pair)(observation, count).is_none(), "{name} has a pair at layer {count} of {count}");
    for (layer, pair) in &places {
        matrices(law, *layer, pair);
        reach(law, observation, *layer, pair);
        rows(law, observation, *layer, pair);
        let finding = assess(pair, law.family, None, &Thresholds::default());
        assert!(!finding.reason.is_empty(), "{name} at layer {layer}: a verdict without a reason");
    }
    let dead = changed(observation, |_, weight| *weight = Mat::zeros(weight.nrows(), weight.ncols()));
    for pair in (0..count).filter_map(|layer| law.at(&dead, layer)) {
        assess(&pair, law.family, None, &Thresholds::default());
    }
}

fn words(law: &Law) {
    let name = law.name;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.';
    assert!(!name.is_empty() && name.chars().all(plain), "`{name}`: a name is of a-z, 0-9, _ and .");
    assert!(!law.left.is_empty() && !law.right.is_empty(), "{name}: left and right name A and B");
    assert!(law.doc.ends_with('.'), "{name}: doc is a sentence");
    assert!(!law.reference.is_empty(), "{name}: reference says where the law comes from");
    assert!(!law.axes.iter().any(|axis| axis.is_empty()), "{name}: axes name what the fan draws");
    assert!(!law.signed || law.family == Family::Equal, "{name}: only an equality has any square B");
    assert!(!law.varies || law.needs != Needs::WEIGHTS, "{name} varies with the rows but needs the weights alone");
}

fn matrices(law: &Law, layer: usize, pair: &Pair) {
    let place = format!("{} at layer {layer}", law.name);
    assert!(pair.a.is_finite() && pair.b.is_finite(), "{place}: entries that are not finite");
    assert_eq!(pair.a.matrix().shape(), pair.b.matrix().shape(), "{place}: A and B have different sizes");
    let semidefinite = |matrix: &Psd, side: &str| {
        let lowest = matrix.lowest().unwrap_or(0.0);
        let noise = 1e3 * matrix.eps() * matrix.dim() as f64 * matrix.matrix().norm_l2();
        assert!(lowest >= -noise, "{place}: {side} has the eigenvalue {lowest:.1e}");
    };
    semidefinite(&pair.a, "A");
    match &pair.b {
        Right::Psd(b) => semidefinite(b, "B"),
        Right::Square(_) => assert!(law.signed, "{place}: B is any square matrix, and the row does not say `signed`"),
    }
    let Some(predicted) = pair.predicted else { return };
    assert!(law.family == Family::Power, "{place}: an exponent is predicted where there is none to fit");
    assert!(predicted.is_finite() && predicted > 0.0, "{place}: predicts {predicted}");
}

/// Other layers and what is not needed leave the pair alone; without what is needed there is none.
fn reach(law: &Law, observation: &Observation, layer: usize, pair: &Pair) {
    let name = law.name;
    let last = match law.over {
        Over::Sites => layer,
        Over::Neighbours | Over::Pairs => layer + 1,
    };
    let elsewhere = changed(observation, |l, weight| {
        if l < layer || l > last {
            *weight *= 2.0;
        }
    });
    let same = law.at(&elsewhere, layer).is_some_and(|other| equal(&other, pair) == [true, true]);
    assert!(same, "{name} at layer {layer} reads weights beyond what it ranges over");
    let mut bare = observation.clone();
    bare.layers.iter_mut().for_each(|layer| layer.agop = None);
    match law.at(&bare, layer) {
        None => assert!(law.needs.contains(Needs::AGOP), "{name} needs the AGOP, and its row does not say so"),
        Some(other) => {
            assert!(!law.needs.contains(Needs::AGOP), "{name} says that it needs the AGOP and has a pair without");
            assert_eq!(equal(&other, pair), [true, true], "{name} reads the AGOP, and its row does not say so");
        }
    }
}

/// Twice the AGOP: what other rows do.
fn rows(law: &Law, observation: &Observation, layer: usize, pair: &Pair) {
    let mut other = observation.clone();
    for layer in &mut other.layers {
        let twice = layer.agop.as_ref().map(|agop| Psd::gram_of(agop.matrix() * 2.0, agop.eps()));
        layer.agop = twice;
    }
    let [a, b] = law.at(&other, layer).map_or([false; 2], |other| equal(&other, pair));
    assert!(a, "{} at layer {layer}: A changes with the rows", law.name);
    let word = if law.varies { "does not change" } else { "changes" };
    assert!(b != law.varies, "{} at layer {layer}: B {word} with the rows, and `varies` is {}", law.name, law.varies);
}

fn changed(observation: &Observation, change: impl Fn(usize, &mut Mat)) -> Observation {
    let mut changed = observation.clone();
    changed.layers.iter_mut().enumerate().for_each(|(l, layer)| change(l, &mut layer.weight));
    changed
}

/// Whether the left and the right sides are the same up to rounding.
fn equal(x: &Pair, y: &Pair) -> [bool; 2] {
    let same = |x: &Mat, y: &Mat| x.shape() == y.shape() && (x - y).norm_l2() <= 1e-9 * y.norm_l2();
    [same(x.a.matrix(), y.a.matrix()), same(x.b.matrix(), y.b.matrix())]
}

/// A network of three layers for [`conformance`]: weights that differ everywhere, and an AGOP at each input.
pub fn observation(widths: [usize; 4]) -> Observation {
    let layer = |l: usize| {
        let (rows, cols) = (widths[l + 1], widths[l]);
        let weight = Mat::from_fn(rows, cols, |i, j| ((3 * l + 5 * i * i + 7 * j + 1) as f64).sin());
        let rows = Mat::from_fn(2 * cols, cols, |i, j| ((2 * l + i * i + 11 * j + 3) as f64).cos());
        Layer { agop: Some(Psd::gram(rows.transpose() * &rows)), ..Layer::new(format!("layers.{l}"), weight) }
    };
    Observation { layers: (0..3).map(layer).collect(), linear: true, eps: f64::EPSILON }.in_a_row()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_law_conforms() {
        for law in crate::laws().rows() {
            conformance(law, &observation([5, 6, 4, 3]));
        }
    }

    #[test]
    fn what_a_row_does_not_say_is_named() {
        let nfa = crate::laws::nfa::LAW;
        for (law, words) in [
            (Law { needs: Needs::WEIGHTS, varies: false, ..nfa }, "needs the AGOP, and its row does not say so"),
            (Law { varies: false, ..nfa }, "B changes with the rows"),
            (Law { family: Family::Equal, ..nfa }, "an exponent is predicted where there is none"),
            (Law { over: Over::Sites, ..crate::laws::balance::LAW }, "reads weights beyond"),
        ] {
            let caught = std::panic::catch_unwind(|| conformance(&law, &observation([5, 6, 4, 3])));
            let panic = caught.expect_err("does not conform");
            let message = panic.downcast_ref::<String>().map(String::as_str).unwrap_or_default();
            assert!(message.contains(words), "{message}");
        }
    }
}
