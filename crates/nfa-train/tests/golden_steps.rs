//! Ten steps of every solver against NumPy (tests/oracle/solvers.py), in f64; states that go through
//! a checkpoint's bytes and lose nothing.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use nfa_models::{Activation, AnyNetwork, Mlp, Parameters};
use nfa_train::observe::average::Averages;
use nfa_train::run::checkpoint::{Checkpoint, Progress};
use nfa_train::train::loss::Loss;
use nfa_train::train::loss::criterion::Criterion;
use nfa_train::train::loss::half_mse::HalfMse;
use nfa_train::train::objective::{LossRows, Objective};
use nfa_train::train::rate::Rate;
use nfa_train::train::solver::State;
use nfa_train::train::solvers::{build, solvers};
use serde_json::Value;

const GOLDEN: &str = include_str!("../../../tests/golden/solvers.json");
/// Ten steps amplify rounding a little; nothing is rounded on purpose. Cases with other tolerances
/// name them, and solvers.py says why.
const TOLERANCE: f64 = 1e-12;

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(list) => list.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

fn matrix(value: &Value) -> Tensor<2> {
    let rows = value.as_array().unwrap().len();
    let data = numbers(value);
    let cols = data.len() / rows;
    Tensor::from_data(TensorData::new(data, [rows, cols]), (&Device::flex(), DType::F64))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a Vec<Value> {
    value[key].as_array().unwrap()
}

fn network(golden: &Value, dtype: DType) -> Mlp {
    let biases = list(golden, "biases").iter().map(|b| {
        let data = numbers(b);
        let count = data.len();
        Some(Tensor::from_data(TensorData::new(data, [count]), (&Device::flex(), dtype)))
    });
    let weights: Vec<Tensor<2>> = list(golden, "weights").iter().map(|w| matrix(w).cast(dtype)).collect();
    let activations = vec![Activation::Tanh; weights.len() - 1];
    Mlp::new(weights, biases.collect(), activations).unwrap()
}

struct Rows {
    inputs: Tensor<2>,
    targets: Tensor<2>,
    batches: Option<Vec<Vec<i64>>>,
}

impl Rows {
    fn at(&self, step: u64) -> (Tensor<2>, Tensor<2>) {
        match &self.batches {
            None => (self.inputs.clone(), self.targets.clone()),
            Some(batches) => {
                let rows = batches[step as usize].clone();
                let count = rows.len();
                let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [count]), &Device::flex());
                (self.inputs.clone().select(0, rows.clone()), self.targets.clone().select(0, rows))
            }
        }
    }
}

impl Objective for Rows {
    fn evaluate(&self, network: &dyn AnyNetwork, step: u64) -> (Tensor<1>, Parameters) {
        let (inputs, targets) = self.at(step);
        let rows = inputs.dims()[0];
        network.gradient(&|net| HalfMse {}.value(net.outputs(inputs.clone()), &targets, None, rows))
    }

    fn rows(&self) -> Option<(LossRows, Criterion)> {
        let (inputs, targets) = (self.inputs.clone(), self.targets.clone());
        let count = inputs.dims()[0];
        self.batches.is_none().then_some((LossRows { inputs, targets, weights: None, count }, Criterion::HalfMse))
    }
}

#[test]
fn ten_steps_of_every_solver_agree_with_numpy() {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for case in list(&golden, "cases") {
        let name = case["name"].as_str().unwrap();
        let kind = case["kind"].as_str().unwrap();
        seen.insert(kind.to_string());
        let mut table = toml::Table::new();
        table.insert("kind".into(), kind.into());
        for (key, value) in case["hyper"].as_object().unwrap() {
            if key != "lr" {
                table.insert(key.clone(), toml::Value::try_from(value).unwrap());
            }
        }
        let rate = Rate::Constant(case["hyper"]["lr"].as_f64().unwrap());
        let mut solver = build(&solvers(), table, &rate, None).unwrap();
        let mut network: Box<dyn AnyNetwork> = Box::new(network(&golden, DType::F64));
        let batches = case["batches"].as_array().map(|batches| {
            batches.iter().map(|batch| numbers(batch).into_iter().map(|i| i as i64).collect()).collect()
        });
        let rows = Rows { inputs: matrix(&golden["inputs"]), targets: matrix(&golden["targets"]), batches };
        let losses = numbers(&case["batch_losses"]);
        let tolerance = case["tolerance"].as_f64().unwrap_or(TOLERANCE);
        for step in 0..10u64 {
            let done = solver.step(network.as_mut(), &rows, step).unwrap();
            let loss = nfa_train::train::objective::scalar(done.loss);
            let expected = losses[step as usize];
            assert!(
                (loss - expected).abs() <= tolerance,
                "{name}: loss before step {step} is {loss}, NumPy {expected}"
            );
            let Some(after) = case["after"].get((step + 1).to_string()) else { continue };
            for (l, (weights, biases)) in list(after, "weights").iter().zip(list(after, "biases")).enumerate() {
                let parameters = network.parameters();
                for (entry, expected) in [("weight", weights), ("bias", biases)] {
                    let got = parameters.get(&format!("layers.{l}.{entry}")).unwrap();
                    let got = got.value.clone().try_into_vec_as::<f64>().unwrap();
                    for (a, b) in got.iter().zip(numbers(expected)) {
                        assert!((a - b).abs() <= tolerance, "{name}, step {}, layer {l}: {a} against {b}", step + 1);
                    }
                }
            }
        }
    }
    let known: std::collections::BTreeSet<String> =
        solvers().entries().iter().map(|entry| entry.kind.to_string()).collect();
    assert_eq!(seen, known, "every registered solver has golden steps");
}

#[test]
fn a_state_goes_through_a_checkpoint_bit_for_bit() {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let bits = |values: &Parameters| -> Vec<u64> {
        values.iter().flat_map(|p| p.value.clone().try_into_vec_as::<f64>().unwrap()).map(f64::to_bits).collect()
    };
    for (entry, dtype) in solvers().entries().iter().flat_map(|entry| [(entry, DType::F64), (entry, DType::F32)]) {
        let rows = |key: &str| matrix(&golden[key]).cast(dtype);
        let rows = Rows { inputs: rows("inputs"), targets: rows("targets"), batches: None };
        let table = toml::Table::from_iter([("kind".to_string(), entry.kind.into())]);
        let mut solver = build(&solvers(), table, &Rate::Constant(0.05), None).unwrap();
        let mut network = network(&golden, dtype);
        for step in 0..4 {
            solver.step(&mut network, &rows, step).unwrap();
        }
        let (parameters, state) = (network.parameters(), solver.state());
        let progress = Progress {
            fingerprint: "f".into(),
            step: state.steps,
            solver_steps: state.steps,
            numbers: state.numbers.clone(),
            slots: state.slots.iter().map(|(name, _)| name.clone()).collect(),
            metrics_bytes: 0,
            directions_bytes: 0,
            first_loss: None,
            baseline: None,
            evaluations: 0,
            averages: Vec::new(),
            averaged_to: 0,
        };
        let whole = Checkpoint {
            parameters: parameters.clone(),
            solver: state.clone(),
            averages: Averages::default(),
            progress,
        };
        let bytes = whole.to_bytes().unwrap();
        let back = Checkpoint::from_bytes(&bytes, "f", &parameters, &Device::flex(), dtype).unwrap();
        let what = format!("{} {dtype:?}", entry.kind);
        assert_eq!(bits(&back.parameters), bits(&parameters), "{what}");
        assert_eq!((back.solver.steps, &back.solver.numbers), (state.steps, &state.numbers), "{what}");
        let slots = |state: &State| state.slots.iter().map(|(name, p)| (name.clone(), bits(p))).collect::<Vec<_>>();
        assert_eq!(slots(&back.solver), slots(&state), "{what}");
    }
}
