//! Every loss, and ten steps of every solver.

use std::collections::BTreeSet;

use burn::tensor::{Int, Tensor, TensorData};
use nfa_metrics::Mat;
use nfa_metrics::to_host;
use nfa_models::{Activation, AnyNetwork, Parameters, Stream};
use nfa_tests::golden::{list, matrix, number, numbers, read, text};
use nfa_train::train::loss::Loss;
use nfa_train::train::loss::criterion::Criterion;
use nfa_train::train::loss::half_mse::HalfMse;
use nfa_train::train::losses::losses;
use nfa_train::train::objective::{LossRows, Objective, scalar};
use nfa_train::train::rate::Rate;
use nfa_train::train::solvers::{build, solvers};

use crate::place::{Place, Worst, relative};

/// half_mse on all rows, or on those of a step.
struct Rows {
    inputs: Tensor<2>,
    targets: Tensor<2>,
    batches: Option<Vec<Vec<i64>>>,
}

impl Objective for Rows {
    fn evaluate(&self, network: &dyn AnyNetwork, step: u64) -> (Tensor<1>, Parameters) {
        let rows = |of: &Tensor<2>| match &self.batches {
            None => of.clone(),
            Some(batches) => {
                let rows = TensorData::new(batches[step as usize].clone(), [batches[step as usize].len()]);
                of.clone().select(0, Tensor::<1, Int>::from_data(rows, &of.device()))
            }
        };
        let (inputs, targets) = (rows(&self.inputs), rows(&self.targets));
        let count = inputs.dims()[0];
        network.gradient(&|net| HalfMse {}.value(net.outputs(inputs.clone()), &targets, None, count))
    }

    fn rows(&self) -> Option<(LossRows, Criterion)> {
        let (inputs, targets) = (self.inputs.clone(), self.targets.clone());
        let count = inputs.dims()[0];
        self.batches.is_none().then_some((LossRows { inputs, targets, weights: None, count }, Criterion::HalfMse))
    }
}

/// Values and gradients of every loss agree with flex in `f64`, with sample weights and without.
pub fn losses_and_gradients(place: &Place) {
    let reference = Place::reference();
    let mut worst = Worst::of("losses against flex f64", place);
    let normal = |name: &str| Mat::from_fn(9, 4, |i, j| Stream::root(52).fork(name).normals(36)[i * 4 + j]);
    let (outputs, targets) = (normal("outputs") * 3.0, Mat::from_fn(9, 4, |i, j| f64::from(u8::from(i % 4 == j))));
    let weights = Mat::from_fn(9, 1, |i, _| 0.5 + i as f64 / 8.0);
    for entry in losses().entries() {
        let loss = losses().build(toml::Table::from_iter([("kind".to_string(), entry.kind.into())]), &()).unwrap();
        for weights in [None, Some(&weights)] {
            let at = |place: &Place| {
                let leaf = place.tensor(&outputs).autodiff().require_grad();
                let weights = weights.map(|weights| place.tensor(weights));
                let value = loss.value(leaf.clone(), &place.tensor(&targets), weights.as_ref(), 9);
                let gradient = leaf.grad_remove(&mut value.backward()).unwrap();
                (scalar(value), to_host(gradient))
            };
            let ((value, gradient), (exact, slope)) = (at(place), at(&reference));
            let tolerance = place.either(1e-14, 1e-6);
            worst.see((value - exact).abs() / exact, tolerance, || format!("{}, value", entry.kind));
            worst.see(relative(&gradient, &slope), tolerance, || format!("{}, gradient", entry.kind));
        }
    }
    worst.tell();
}

/// Parameters and losses agree with NumPy's, entry by entry; all are of order 1.
pub fn ten_steps(place: &Place) {
    let golden = read("solvers.json");
    let weights: Vec<Mat> = list(&golden["weights"]).iter().map(matrix).collect();
    let biases: Vec<Vec<f64>> = list(&golden["biases"]).iter().map(numbers).collect();
    let mut worst = Worst::of("ten steps against NumPy", place);
    let mut seen = BTreeSet::new();
    for case in list(&golden["cases"]) {
        let (name, kind) = (text(&case["name"]), text(&case["kind"]));
        seen.insert(kind);
        let mut table = toml::Table::from_iter([("kind".to_string(), kind.into())]);
        for (key, value) in case["hyper"].as_object().unwrap().iter().filter(|(key, _)| *key != "lr") {
            table.insert(key.clone(), toml::Value::try_from(value).unwrap());
        }
        let rate = Rate::Constant(number(&case["hyper"]["lr"]));
        let mut solver = build(&solvers(), table, &rate, None).unwrap();
        let mut network: Box<dyn AnyNetwork> = Box::new(place.mlp(&weights, Some(&biases), Activation::Tanh));
        let batch = |batch| numbers(batch).into_iter().map(|i| i as i64).collect();
        let rows = Rows {
            inputs: place.tensor(&matrix(&golden["inputs"])),
            targets: place.tensor(&matrix(&golden["targets"])),
            batches: case["batches"].as_array().map(|batches| batches.iter().map(batch).collect()),
        };
        let losses = numbers(&case["batch_losses"]);
        let f64 = case["tolerance"].as_f64().unwrap_or(1e-12);
        let tolerance = place.either(f64, case["single"].as_f64().unwrap_or(1e-5).max(f64));
        for step in 0..10u64 {
            let done = solver.step(network.as_mut(), &rows, step).unwrap();
            let error = (scalar(done.loss) - losses[step as usize]).abs();
            worst.see(error, tolerance, || format!("{name}, loss before step {step}"));
            let Some(after) = case["after"].get((step + 1).to_string()) else { continue };
            for (l, (weight, bias)) in list(&after["weights"]).iter().zip(list(&after["biases"])).enumerate() {
                let weight = list(weight).iter().flat_map(numbers).collect();
                for (entry, expected) in [("weight", weight), ("bias", numbers(bias))] {
                    let parameters = network.parameters();
                    let got = parameters.get(&format!("layers.{l}.{entry}")).unwrap().value.clone();
                    for (got, expected) in got.try_into_vec_as::<f64>().unwrap().iter().zip(expected) {
                        let at = || format!("{name}, step {}, {entry} {l}", step + 1);
                        worst.see((got - expected).abs(), tolerance, at);
                    }
                }
            }
        }
    }
    let registry = solvers();
    let known: BTreeSet<&str> = registry.entries().iter().map(|entry| entry.kind).collect();
    assert_eq!(seen, known, "every registered solver has golden steps");
    worst.tell();
}
