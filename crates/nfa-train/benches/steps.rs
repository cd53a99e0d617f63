//! A training step of every solver, and a probe: `cargo bench --workspace --bench steps`.

#![allow(missing_docs, clippy::unwrap_used)] // a program of one page

use burn::tensor::Device;
use divan::Bencher;
use nfa_metrics::Thresholds;
use nfa_models::{Activation, AnyNetwork};
use nfa_train::bench::problem::Problem as Drawn;
use nfa_train::data::split::{Data, Split};
use nfa_train::machine::devices::Dtype;
use nfa_train::observe::loss::LossSeen;
use nfa_train::observe::plan::ProbePlan;
use nfa_train::observe::probe::{Led, Probe, distinct};
use nfa_train::registries::Registries;
use nfa_train::train::loss::Loss;
use nfa_train::train::loss::mse::Mse;
use nfa_train::train::objective::Training;
use nfa_train::train::problem::Problem;
use nfa_train::train::rate::Rate;
use nfa_train::train::solver::Solver;
use nfa_train::train::solvers::{build, solvers};

fn main() {
    nfa_train::machine::allocator::keep_pages();
    divan::main();
}

fn problem() -> (Box<dyn AnyNetwork>, Split) {
    let (widths, samples) = (vec![20, 64, 64, 1], 500);
    let problem = Drawn { name: None, widths, activation: Activation::Relu, samples, bias: false, seed: 0 };
    let drawn = problem.draw(0);
    let (device, dtype) = (Device::flex(), Dtype::F64.burn());
    let targets = problem.targets(&drawn.inputs, false);
    (Box::new(drawn.network(&device, dtype).unwrap()), drawn.split(&targets, &device, dtype))
}

fn solver(kind: &str) -> Box<dyn Solver> {
    let table = solvers().get(kind).unwrap().example_table().unwrap();
    build(&solvers(), table, &Rate::Constant(1e-3), None).unwrap()
}

/// An iteration along l directions on the host, beside a gradient there (l = 0): about l + 1 of them.
#[divan::bench(args = [0, 5, 10, 20, 40])]
fn directions(bencher: Bencher<'_, '_>, l: i64) {
    let widths = vec![64, 128, 128, 10];
    let problem = Drawn { name: None, widths, activation: Activation::Tanh, samples: 2000, bias: true, seed: 0 };
    let drawn = problem.draw(0);
    let (device, dtype) = (Device::flex(), Dtype::F64.burn());
    let split = drawn.split(&problem.targets(&drawn.inputs, false), &device, dtype);
    let mut network: Box<dyn AnyNetwork> = Box::new(drawn.network(&device, dtype).unwrap());
    let loss: &dyn Loss = &Mse {};
    let objective = Training::of_all_rows(&split, loss);
    let mut table = toml::Table::from_iter([("kind".to_string(), if l == 0 { "gd" } else { "r_arc" }.into())]);
    if l > 0 {
        table.insert("l".into(), l.into());
    }
    let host = Problem::new(network.as_ref(), &objective);
    let mut solver = build(&solvers(), table, &Rate::Constant(1e-6), host).unwrap();
    assert_eq!(solver.engine(), "host");
    let mut number = 0;
    bencher.bench_local(|| {
        number += 1;
        solver.step(network.as_mut(), &objective, number - 1).unwrap()
    });
}

#[divan::bench(args = solvers().entries().iter().map(|entry| entry.kind).collect::<Vec<_>>())]
fn step(bencher: Bencher<'_, '_>, kind: &str) {
    let (mut network, split) = problem();
    let (mut solver, mut number) = (solver(kind), 0);
    let loss: &dyn Loss = &Mse {};
    let objective = Training::of_all_rows(&split, loss);
    bencher.bench_local(|| {
        number += 1;
        solver.step(network.as_mut(), &objective, number - 1).unwrap()
    });
}

#[divan::bench]
fn probe(bencher: Bencher<'_, '_>) {
    let (network, train) = problem();
    let registries = Registries::standard();
    let data = Data { train, test: None, classes: false, teacher: None, sha256: String::new() };
    let (plan, thresholds, solver) = (ProbePlan::default(), Thresholds::default(), solver("gd"));
    let probe = Probe {
        laws: &registries.laws,
        metrics: &registries.metrics,
        plan: &plan,
        thresholds: &thresholds,
        data: &data,
        probed: &data.train,
        layers: None,
        rows: distinct(&plan, &data.train),
        loss: LossSeen::new(&Mse {}, &data.train),
        start: None,
        sharing: None,
    };
    bencher.bench_local(|| probe.measure(network.as_ref(), solver.as_ref(), 0, &Led::default(), None));
}
