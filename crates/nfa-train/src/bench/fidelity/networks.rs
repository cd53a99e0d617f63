//! Whole networks against plain loops over the definition: outputs, losses, parameters' gradients,
//! AGOPs by every path.

use burn::tensor::Tensor;
use nfa_metrics::{AgopOptions, observe_network};
use nfa_models::{Activation, AnyNetwork};

use crate::bench::agop::WAYS;
use crate::bench::fidelity::operations::Operation;
use crate::bench::fidelity::twofold::Twofold;
use crate::bench::fidelity::worst::{Finding, Place, Unit, Worst};
use crate::bench::problem::{Drawn, Problem};
use crate::train::loss::Loss;
use crate::train::losses::losses;

/// Smooth, so that no gate stands on its edge; wide to narrow and back.
fn problem() -> Problem {
    Problem { name: None, widths: vec![7, 16, 12, 3], activation: Activation::Tanh, samples: 40, bias: true, seed: 0 }
}

const REFERENCE: &str = "loops over the definition in f64, within a few units";

/// Losses whose gradient is written out here.
const LOSSES: [&str; 3] = ["half_mse", "mse", "cross_entropy"];

/// Everything about networks.
pub fn all() -> Vec<Operation> {
    let mut all = vec![Operation { name: "mlp".into(), device: None, check: Box::new(outputs) }];
    all.extend(LOSSES.map(|kind| Operation {
        name: format!("loss.{kind}"),
        device: None,
        check: Box::new(move |place: &Place<'_>| of_loss(place, kind)),
    }));
    all.extend(WAYS.iter().map(|way| Operation {
        name: format!("agop.{}", way.name),
        device: way.device,
        check: Box::new(move |place: &Place<'_>| {
            let drawn = problem().draw(0);
            let Ok(network) = drawn.network(place.device, place.dtype.burn()) else { return Vec::new() };
            let options = AgopOptions { path: way.path, ..AgopOptions::default() };
            let x = drawn.rows(place.device, place.dtype.burn());
            let Ok(observed) = observe_network(&network, &x, None, &options) else { return Vec::new() };
            let mut worst = Worst::default();
            for (l, exact) in agops(&drawn).iter().enumerate() {
                let agop = observed.layers[l].agop.as_ref().map(nfa_metrics::Psd::matrix);
                let d = drawn.widths[l];
                let got: Vec<f64> = agop.map(|g| (0..d * d).map(|k| g[(k / d, k % d)]).collect()).unwrap_or_default();
                worst.hold_all(&got, exact, place.dtype, &format!("layer {l}"));
            }
            vec![Finding::new("forward", worst, &Unit::LARGEST, REFERENCE)]
        }),
    }));
    all
}

fn outputs(place: &Place<'_>) -> Vec<Finding> {
    let drawn = problem().draw(0);
    let Ok(network) = drawn.network(place.device, place.dtype.burn()) else { return Vec::new() };
    let mut worst = Worst::default();
    let got = network.outputs(drawn.rows(place.device, place.dtype.burn()));
    let got = worst.read(place, got);
    let exact: Vec<f64> = rows(&drawn).flat_map(|x| values(&drawn, x).pop().unwrap_or_default()).collect();
    worst.hold_all(&got, &exact, place.dtype, "outputs");
    vec![Finding::new("forward", worst, &Unit::LARGEST, REFERENCE)]
}

fn of_loss(place: &Place<'_>, kind: &str) -> Vec<Finding> {
    let problem = problem();
    let drawn = problem.draw(0);
    let targets = problem.targets(&drawn.inputs, kind == "cross_entropy");
    let table = toml::Table::from_iter([("kind".to_string(), kind.into())]);
    let (Ok(network), Ok(loss)) = (drawn.network(place.device, place.dtype.burn()), losses().build(table, &())) else {
        return Vec::new();
    };
    let split = drawn.split(&targets, place.device, place.dtype.burn());
    let loss: &dyn Loss = loss.as_ref();
    let value = |net: &dyn AnyNetwork| -> Tensor<1> {
        loss.value(net.outputs(split.inputs.clone()), &split.targets, None, problem.samples)
    };
    let (value, gradient) = AnyNetwork::gradient(&network, &value);
    let (exact, slopes) = gradients(&drawn, &targets, kind);
    let (mut forward, mut backward) = (Worst::default(), Worst::default());
    let got = forward.read(place, value);
    forward.hold(got.first().copied().unwrap_or(f64::NAN), Twofold::new(exact), 0.0, place.dtype, || "loss".into());
    let mut got = Vec::new();
    for parameter in gradient.iter() {
        got.extend(backward.read(place, parameter.value.clone()));
    }
    backward.hold_all(&got, &slopes, place.dtype, "parameters");
    vec![
        Finding::new("forward", forward, &Unit::RESULT, REFERENCE),
        Finding::new("backward", backward, &Unit::LARGEST, REFERENCE),
    ]
}

/// Rows of inputs.
fn rows(drawn: &Drawn) -> impl Iterator<Item = &[f64]> {
    drawn.inputs.chunks(drawn.widths[0])
}

/// W h + b.
fn dense(drawn: &Drawn, l: usize, h: &[f64]) -> Vec<f64> {
    let bias = |k: usize| drawn.biases[l].as_ref().map_or(0.0, |bias| bias[k]);
    let rows = drawn.weights[l].chunks(h.len()).enumerate();
    rows.map(|(k, row)| row.iter().zip(h).map(|(w, v)| w * v).sum::<f64>() + bias(k)).collect()
}

/// h_0 = x, h_1, ..., the outputs.
fn values(drawn: &Drawn, x: &[f64]) -> Vec<Vec<f64>> {
    let depth = drawn.weights.len();
    let mut all = vec![x.to_vec()];
    for l in 0..depth {
        let z = dense(drawn, l, &all[l]);
        all.push(if l + 1 < depth { z.into_iter().map(libm::tanh).collect() } else { z });
    }
    all
}

/// From ∂L/∂outputs to ∂L/∂z_l of every layer, last first, and ∂L/∂h_l of its inputs.
fn back(drawn: &Drawn, h: &[Vec<f64>], outputs: &[f64]) -> Vec<(Vec<f64>, Vec<f64>)> {
    let mut delta = outputs.to_vec();
    let mut found = Vec::new();
    for l in (0..drawn.weights.len()).rev() {
        let columns = h[l].len();
        let column = |j: usize| delta.iter().enumerate().map(|(k, d)| d * drawn.weights[l][k * columns + j]).sum();
        let through: Vec<f64> = (0..columns).map(column).collect();
        let next = through.iter().zip(&h[l]).map(|(d, a)| d * (1.0 - a * a)).collect();
        found.push((std::mem::replace(&mut delta, next), through));
    }
    found
}

/// A loss and its gradient in all parameters, in the network's order: weights then bias of each
/// layer.
fn gradients(drawn: &Drawn, targets: &[f64], kind: &str) -> (f64, Vec<f64>) {
    let (n, c) = (drawn.samples as f64, drawn.widths[drawn.weights.len()]);
    let mut loss = 0.0;
    let mut weights: Vec<Vec<f64>> = drawn.weights.iter().map(|w| vec![0.0; w.len()]).collect();
    let mut biases: Vec<Vec<f64>> = drawn.widths[1..].iter().map(|&width| vec![0.0; width]).collect();
    for (x, y) in rows(drawn).zip(targets.chunks(c)) {
        let h = values(drawn, x);
        let f = &h[drawn.weights.len()];
        let slope: Vec<f64> = match kind {
            "cross_entropy" => {
                let top = f.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = f.iter().map(|v| libm::exp(v - top)).sum();
                loss -= f.iter().zip(y).map(|(v, y)| y * (v - top - libm::log(sum))).sum::<f64>() / n;
                let whole: f64 = y.iter().sum();
                f.iter().zip(y).map(|(v, y)| (whole * libm::exp(v - top) / sum - y) / n).collect()
            }
            _ => {
                let scale = if kind == "mse" { 1.0 / (n * c as f64) } else { 0.5 / n };
                loss += f.iter().zip(y).map(|(v, y)| scale * (v - y) * (v - y)).sum::<f64>();
                f.iter().zip(y).map(|(v, y)| 2.0 * scale * (v - y)).collect()
            }
        };
        for (l, (delta, _)) in (0..drawn.weights.len()).rev().zip(back(drawn, &h, &slope)) {
            let columns = h[l].len();
            for (k, d) in delta.iter().enumerate() {
                biases[l][k] += d;
                for (j, v) in h[l].iter().enumerate() {
                    weights[l][k * columns + j] += d * v;
                }
            }
        }
    }
    let with_bias = |l: usize| drawn.biases[l].is_some();
    let each = weights.into_iter().zip(biases).enumerate();
    let all = each.flat_map(|(l, (w, b))| w.into_iter().chain(if with_bias(l) { b } else { Vec::new() })).collect();
    (loss, all)
}

/// The AGOP at every layer's input, from one Jacobian row at a time.
fn agops(drawn: &Drawn) -> Vec<Vec<f64>> {
    let depth = drawn.weights.len();
    let c = drawn.widths[depth];
    let mut sums: Vec<Vec<f64>> = drawn.widths[..depth].iter().map(|d| vec![0.0; d * d]).collect();
    for x in rows(drawn) {
        let h = values(drawn, x);
        for output in 0..c {
            let unit: Vec<f64> = (0..c).map(|k| if k == output { 1.0 } else { 0.0 }).collect();
            for (l, (_, row)) in (0..depth).rev().zip(back(drawn, &h, &unit)) {
                let d = row.len();
                for (k, sum) in sums[l].iter_mut().enumerate() {
                    *sum += row[k / d] * row[k % d] / drawn.samples as f64;
                }
            }
        }
    }
    sums
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_loops_are_the_derivatives_of_the_losses() {
        let problem = Problem { samples: 5, ..problem() };
        let drawn = problem.draw(0);
        for kind in LOSSES {
            let targets = problem.targets(&drawn.inputs, kind == "cross_entropy");
            let (_, slopes) = gradients(&drawn, &targets, kind);
            let mut at = 0;
            for l in 0..3 {
                for (k, weights) in [(3usize, true), (1, false)] {
                    let value = |step: f64| {
                        let mut moved = drawn.clone();
                        match weights {
                            true => moved.weights[l][k] += step,
                            false => moved.biases[l].as_mut().unwrap()[k] += step,
                        }
                        gradients(&moved, &targets, kind).0
                    };
                    let numeric = (value(1e-5) - value(-1e-5)) / 2e-5;
                    let slope = slopes[at + k];
                    assert!((slope - numeric).abs() < 1e-9, "{kind} layer {l}: {slope} against {numeric}");
                    at += if weights { drawn.weights[l].len() } else { drawn.widths[l + 1] };
                }
            }
        }
    }
}
