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
use crate::observation::averaged::Averaged;
use crate::observation::moments::Moments;
use crate::observation::penalty::Penalty;
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
    for (need, what, without) in NEEDS {
        let mut bare = observation.clone();
        bare.layers.iter_mut().for_each(without);
        match law.at(&bare, layer) {
            None => assert!(law.needs.contains(need), "{name} needs {what}, and its row does not say so"),
            Some(other) => {
                assert!(!law.needs.contains(need), "{name} says that it needs {what} and has a pair without");
                assert_eq!(equal(&other, pair), [true, true], "{name} reads {what}, and its row does not say so");
            }
        }
    }
}

/// What a law may need, its name, and how a layer is without.
type Need = (Needs, &'static str, fn(&mut Layer));

const NEEDS: [Need; 7] = [
    (Needs::AGOP, "the AGOP", |layer| layer.agop = None),
    (Needs::OUTPUT_GRADIENTS, "the outputs' gradients", |layer| layer.k = None),
    (Needs::START, "the start", |layer| layer.start = None),
    (Needs::LOSS_GRADIENT, "the loss gradient", |layer| layer.loss = None),
    (Needs::INPUT_MOMENTS, "the inputs' moments", |layer| {
        if let Some(loss) = &mut layer.loss {
            loss.values = None;
        }
    }),
    (Needs::GRADIENT_MOMENTS, "the loss gradients' moments", |layer| {
        if let Some(loss) = &mut layer.loss {
            (loss.gradients, loss.behind) = (None, None);
        }
    }),
    (Needs::DECAY, "the decay", |layer| layer.penalty = Penalty::Unknown),
];

/// Twice the AGOP and what it is made of: what other rows do.
fn rows(law: &Law, observation: &Observation, layer: usize, pair: &Pair) {
    let mut other = observation.clone();
    for layer in &mut other.layers {
        let twice = layer.agop.as_ref().map(|agop| Psd::gram_of(agop.matrix() * 2.0, agop.eps()));
        layer.agop = twice;
        layer.k.iter_mut().for_each(|k| *k *= 2.0);
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

/// A network of three layers for [`conformance`]: weights that differ everywhere, and all that a law may need at each.
pub fn observation(widths: [usize; 4]) -> Observation {
    let layer = |l: usize| {
        let (k, d) = (widths[l + 1], widths[l]);
        let draw = |seed: usize, rows: usize, cols: usize| {
            Mat::from_fn(rows, cols, |i, j| ((3 * l + 5 * i * i + 7 * j + seed) as f64).sin())
        };
        let gram = |seed: usize, d: usize| {
            let rows = Mat::from_fn(2 * d, d, |i, j| ((2 * l + i * i + 11 * j + seed) as f64).cos());
            rows.transpose() * &rows
        };
        let weight = draw(1, k, d);
        let behind = gram(4, k);
        let loss = Moments {
            // On the whole along -W, so that no eigenvalue of the virtual covariance is below 0 where it is nearest.
            gradient: &weight * -0.3 + draw(2, k, d) * 0.02,
            values: Some(gram(5, d)),
            gradients: Some(weight.transpose() * &behind * &weight),
            behind: Some(behind),
            linearity: Some(0.5),
        };
        Layer {
            agop: Some(Psd::gram(gram(3, d))),
            k: Some(gram(6, k)),
            start: Some(draw(7, k, d)),
            loss: Some(loss),
            penalty: Penalty::Coupled(0.3),
            averaged: Some(Averaged { nfm: gram(8, d), fact: draw(9, d, d), window: 0.5, drift: 0.1 }),
            ..Layer::new(format!("layers.{l}"), weight)
        }
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
