//! Gradient flow, L-BFGS and Muon against closed forms and what theory says of their end points.

use burn::tensor::{DType, Device, Tensor};
use faer::Side;
use nfa_metrics::Mat;
use nfa_models::{Activation, AnyNetwork, Mlp, Parameters, Stream};
use nfa_train::train::loss::Loss;
use nfa_train::train::loss::half_mse::HalfMse;
use nfa_train::train::objective::Objective;
use nfa_train::train::rate::Rate;
use nfa_train::train::solver::{Solver, StepError};
use nfa_train::train::solvers::{build, solvers};
use serde_json::{Value, json};

use crate::binary::{Folder, SMALL};
use crate::golden::tensor;

/// half_mse on all rows.
struct Rows {
    inputs: Tensor<2>,
    targets: Tensor<2>,
}

impl Objective for Rows {
    fn evaluate(&self, network: &dyn AnyNetwork, _step: u64) -> (Tensor<1>, Parameters) {
        let rows = self.inputs.dims()[0];
        network.gradient(&|net| HalfMse {}.value(net.outputs(self.inputs.clone()), &self.targets, None, rows))
    }
}

fn solver(text: &str, lr: Rate) -> Box<dyn Solver> {
    build(&solvers(), text.parse().unwrap(), &lr, None).unwrap()
}

fn normal(name: &str, rows: usize, cols: usize) -> Mat {
    let values = Stream::root(7).fork(name).normals(rows * cols);
    Mat::from_fn(rows, cols, |i, j| values[i * cols + j])
}

/// A network without biases, with one activation.
fn network(weights: &[Mat], activation: Activation) -> Mlp {
    let depth = weights.len();
    Mlp::new(weights.iter().map(tensor).collect(), vec![None; depth], vec![activation; depth - 1]).unwrap()
}

fn weights(network: &dyn AnyNetwork) -> Vec<Mat> {
    network.parameters().iter().map(|p| nfa_metrics::to_host(p.matrix())).collect()
}

/// The gradient of loss + (λ/2)|W|² in all parameters, its norm.
fn slope(network: &dyn AnyNetwork, rows: &Rows, decay: f64) -> f64 {
    let (_, gradient) = rows.evaluate(network, 0);
    let total = gradient.zip(&network.parameters(), |g, p| g.value.clone() + p.value.clone().mul_scalar(decay));
    let square = |p: &nfa_models::parameters::Parameter| {
        nfa_train::train::objective::scalar(p.value.clone().powi_scalar(2).sum())
    };
    total.iter().map(square).sum::<f64>().sqrt()
}

/// A regression of 6 inputs on 3 outputs: the rows, C = XᵀX/n and B = YᵀX/n.
fn regression() -> (Rows, Mat, Mat) {
    let (x, y) = (normal("x", 40, 6), normal("y", 40, 3));
    let c = x.transpose() * &x * (1.0 / 40.0);
    let b = y.transpose() * &x * (1.0 / 40.0);
    (Rows { inputs: tensor(&x), targets: tensor(&y) }, c, b)
}

#[test]
fn the_flow_of_a_linear_regression_is_an_exponential() {
    // dW/dt = B - WC - λW: in C's eigenbasis each column falls to b/(c + λ) like e^(-(c + λ)t).
    let (rows, c, b) = regression();
    let eigen = c.self_adjoint_eigen(Side::Lower).unwrap();
    let (values, q) = (eigen.S().column_vector().to_owned(), eigen.U().to_owned());
    let lambda = 0.2;
    let start = normal("w", 3, 6);
    let (b, from) = (&b * &q, &start * &q);
    for lr in [Rate::Constant(0.37), Rate::Pieces(vec![(0.0, 0.01), (3.0, 2.0), (6.0, 0.1)])] {
        let mut flow = solver("kind = \"flow\"\nweight_decay = 0.2\n", lr.clone());
        let mut net = network(std::slice::from_ref(&start), Activation::Linear);
        for step in 0..10u64 {
            flow.step(&mut net, &rows, step).unwrap();
            let t = lr.time(step as f64 + 1.0);
            let exact = Mat::from_fn(3, 6, |i, j| {
                let rate = values[j] + lambda;
                let end = b[(i, j)] / rate;
                end + (from[(i, j)] - end) * (-rate * t).exp()
            });
            let off = (&weights(&net)[0] * &q - &exact).norm_l2() / exact.norm_l2();
            // The equation contracts, so errors of sub-steps (rtol = 1e-10 of |W|) die out instead of adding up.
            assert!(off <= 1e-9, "{lr:?}, t = {t}: {off:e}");
        }
    }
}

#[test]
fn the_flow_of_two_scalar_layers_is_a_logistic() {
    // p = w² of w₁ = w₂ = w: dp/dt = 2p(s - p).
    let (s, w, lr) = (1.7f64, 0.05f64, 0.4);
    let one = |value: f64| Tensor::<2>::from_data([[value]], (&Device::flex(), DType::F64));
    let rows = Rows { inputs: one(1.0), targets: one(s) };
    let mut flow = solver("kind = \"flow\"\n", Rate::Constant(lr));
    let start = Mat::from_fn(1, 1, |_, _| w);
    let mut net = network(&[start.clone(), start], Activation::Linear);
    for step in 0..30u64 {
        flow.step(&mut net, &rows, step).unwrap();
        let t = lr * (step + 1) as f64;
        let exact = s / (1.0 + (s / (w * w) - 1.0) * (-2.0 * s * t).exp());
        let p = weights(&net)[0][(0, 0)] * weights(&net)[1][(0, 0)];
        // Errors of the start grow with p, by |dp/p| at most: relatively, 12 units of time at 1e-10 a sub-step.
        assert!((p / exact - 1.0).abs() <= 1e-8, "t = {t}: {p} against {exact}");
    }
}

/// log w on a network of one weight: dw/dt = -1/w reaches 0 at t = w²/2, and nothing goes on from there.
struct Logarithm;

impl Objective for Logarithm {
    fn evaluate(&self, network: &dyn AnyNetwork, _step: u64) -> (Tensor<1>, Parameters) {
        let one = Tensor::<2>::from_data([[1.0]], (&Device::flex(), DType::F64));
        network.gradient(&|net| net.outputs(one.clone()).log().sum())
    }
}

/// (k/2)w² on a network of one weight.
struct Stiff(f64);

impl Objective for Stiff {
    fn evaluate(&self, network: &dyn AnyNetwork, _step: u64) -> (Tensor<1>, Parameters) {
        let one = Tensor::<2>::from_data([[1.0]], (&Device::flex(), DType::F64));
        network.gradient(&|net| net.outputs(one.clone()).powi_scalar(2).mul_scalar(0.5 * self.0).sum())
    }
}

#[test]
fn a_flow_that_cannot_go_on_says_why_and_stays_where_it_was_sound() {
    let start = [Mat::from_fn(1, 1, |_, _| 1.0)];
    for (objective, lr, word) in [
        (&Logarithm as &dyn Objective, 1.0, "the flow cannot go on"),
        (&Stiff(1e6), 1.0, "the flow is stiff"),
        (&Stiff(f64::NAN), 1.0, "not finite"),
    ] {
        let mut flow = solver("kind = \"flow\"\n", Rate::Constant(lr));
        let mut net = network(&start, Activation::Linear);
        match flow.step(&mut net, objective, 0) {
            Err(StepError::Diverged(why)) => assert!(why.contains(word), "{why}"),
            other => panic!("{word}: {other:?}"),
        }
        let left = weights(&net)[0][(0, 0)];
        assert!((0.0..=1.0).contains(&left), "{word}: {left}");
    }
    // In pieces that end before 1/2 the logarithm's flow is exact: w² = 1 - 2t.
    let mut flow = solver("kind = \"flow\"\n", Rate::Constant(0.07));
    let mut net = network(&start, Activation::Linear);
    for step in 0..7 {
        flow.step(&mut net, &Logarithm, step).unwrap();
    }
    assert!((weights(&net)[0][(0, 0)].powi(2) - 0.02).abs() <= 1e-9);
}

/// Unbalanced layers under flow, with decay and without, beside gd at the same step.
///
/// Errors of D fall with D, so its relative error does not grow with exp(2λt). Each of about 300
/// sub-steps is off by at most rtol|W|, so D by 2 rtol|W|², some 1e-7 of |D| in all; but the estimate is the
/// fourth-order formula's and the fifth-order one is kept, so ten times rtol is asked for.
const FLOW: &str = r#"name = "flow"
[model]
kind = "mlp"
depth = 3
width = 10
init = { kind = "gaussian", scale = [1.0, 0.4, 1.3] }
[data]
kind = "linear_teacher"
inputs = 8
outputs = 5
samples = 60
spectrum = [1.0, 0.2]
noise = 0.05
[solver]
kind = "flow"
lr = 0.25
time = 20
weight_decay = 0.1
[probe]
at = { every = 4 }
metrics = ["loss", "nfa", "balance"]
[[arm]]
name = "decay"
[[arm]]
name = "conserved"
"solver.weight_decay" = 0
[[arm]]
name = "gd"
"solver.kind" = "gd"
[[expect]]
metric = "imbalance_ratio.layer*"
where = { arm = "decay" }
at = "every"
law = "exp(-2*lambda*t)"
within = "1e-7%"
[[expect]]
metric = "imbalance_ratio.layer*"
where = { arm = "conserved" }
at = "every"
equals = 1
within = 1e-9
[[expect]]
metric = "imbalance_ratio.layer*"
where = { arm = "gd" }
at = "every"
law = "exp(-2*lambda*lr*t)"
within = "1%"
"#;

#[test]
fn imbalance_under_flow_falls_like_an_exponential_of_time() {
    let folder = Folder::with(FLOW);
    // gd in steps as long as these is no flow: that expectation is missed.
    let ended = folder.run(&["check", "spec.toml", "--json"]).expect(1);
    let checks: Vec<Value> = ended.lines().into_iter().filter(|line| line["schema"] == "nfa.expectation/1").collect();
    let met: Vec<bool> = checks.iter().map(|check| check["met"].as_bool().unwrap()).collect();
    assert_eq!(met, [true, true, false], "{checks:?}");
    // 80 intervals, each with at least one sub-step of six slopes after the first.
    let run = folder.runs("out/flow").into_iter().find(|run| run.contains("decay")).unwrap();
    let status: Value = serde_json::from_slice(&folder.read(&format!("{run}/status.json"))).unwrap();
    assert!(status["evaluations"].as_u64().unwrap() >= 80 * 7, "{status}");
    let report = folder.text("out/flow/report.html");
    assert!(report.contains("the imbalance follows its law"), "the report knows the flow's law");
}

#[test]
fn full_batch_solvers_refuse_batches() {
    for kind in ["flow", "lbfgs", "gd"] {
        let spec = SMALL.replace("kind = \"gd\"", &format!("kind = \"{kind}\"\nbatch = 8"));
        let ended = Folder::with(&spec).run(&["run", "spec.toml"]).expect(2);
        for word in ["spec.toml:18:1", "solver.batch", &format!("{kind} is full batch"), "\"sgd\""] {
            assert!(ended.stderr.contains(word), "{}", ended.stderr);
        }
    }
}

#[test]
fn lbfgs_finds_the_ridge_solution_in_few_steps() {
    // min |XWᵀ - Y|²/(2n) + (λ/2)|W|²: W(C + λI) = B.
    let (rows, c, b) = regression();
    for (lambda, lr) in [(0.3, 1.0), (0.01, 1.0), (0.01, 0.5), (0.01, 30.0)] {
        let ridge = Mat::from_fn(6, 6, |i, j| c[(i, j)] + if i == j { lambda } else { 0.0 });
        let eigen = ridge.self_adjoint_eigen(Side::Lower).unwrap();
        let (values, q) = (eigen.S().column_vector().to_owned(), eigen.U().to_owned());
        let exact = Mat::from_fn(3, 6, |i, j| (&b * &q)[(i, j)] / values[j]) * q.transpose();
        let mut lbfgs = solver(&format!("kind = \"lbfgs\"\nweight_decay = {lambda}\n"), Rate::Constant(lr));
        let mut net = network(&[normal("w", 3, 6)], Activation::Linear);
        let (mut off, mut steps) = (f64::INFINITY, 0);
        while off > 1e-10 && steps < 60 {
            lbfgs.step(&mut net, &rows, steps).unwrap();
            steps += 1;
            off = (&weights(&net)[0] - &exact).norm_max();
        }
        assert!(off <= 1e-10, "lambda = {lambda}, lr = {lr}: {off:e} after {steps} steps");
        // Whatever is tried first; Newton's step converges in a few more than the 6 of conjugate gradients.
        assert!(lr != 1.0 || steps <= 20, "{steps} steps");
        // At the end it rests, says so, and moves nothing any more.
        let mut notes = Vec::new();
        for step in steps..steps + 60 {
            notes.extend(lbfgs.step(&mut net, &rows, step).unwrap().note);
        }
        let here = weights(&net)[0].clone();
        assert!((&here - &exact).norm_max() <= 1e-12, "{:e}", (&here - &exact).norm_max());
        assert!(notes.last().is_some_and(|note| note.contains("at rest since step")), "{notes:?}");
        let last = lbfgs.step(&mut net, &rows, 500).unwrap();
        assert_eq!((last.note.as_ref(), last.evaluations), (notes.last(), 1));
        assert_eq!(weights(&net)[0], here);
    }
}

#[test]
fn lbfgs_comes_to_rest_where_the_gradient_is_rounding() {
    let (x, y) = (normal("x", 40, 6), normal("y", 40, 3));
    let rows = Rows { inputs: tensor(&x), targets: tensor(&y) };
    for (decay, activation) in [(0.02, Activation::Tanh), (0.002, Activation::Tanh), (0.05, Activation::Softplus)] {
        let mut lbfgs = solver(&format!("kind = \"lbfgs\"\nweight_decay = {decay}\n"), Rate::Constant(1.0));
        let mut net = network(&[normal("w0", 4, 6), normal("w1", 3, 4)], activation);
        let (mut before, mut rested) = (f64::INFINITY, None);
        for step in 0..3000 {
            let penalty = 0.5 * decay * weights(&net).iter().map(|w| w.squared_norm_l2()).sum::<f64>();
            let done = lbfgs.step(&mut net, &rows, step).unwrap();
            let total = nfa_train::train::objective::scalar(done.loss) + penalty;
            // Each step lowers the objective, but for rounding.
            assert!(total <= before * (1.0 + 1e-13), "step {step}: {before} to {total}");
            before = total;
            if done.note.is_some() {
                rested = Some(step);
                break;
            }
        }
        let end = slope(&net, &rows, decay);
        assert!(rested.is_some() && end <= 1e-8, "{} {decay}: {end:e}, at rest from {rested:?}", activation.name());
    }
}

/// T4: at a stationary point of loss + (λ/2)|W|² neighbouring layers are balanced, and the ansatz
/// holds with exponent 1/L, however unbalanced the start was.
const STATIONARY: &str = r#"name = "stationary"
[model]
kind = "mlp"
depth = 3
width = 10
init = { kind = "gaussian", scale = [1.5, 0.5, 1.0] }
[data]
kind = "linear_teacher"
inputs = 8
outputs = 5
samples = 60
spectrum = [1.0, 0.3]
noise = 0.05
[solver]
kind = "lbfgs"
lr = 1.0
steps = 600
weight_decay = 0.01
[probe]
at = { log = 10 }
metrics = ["loss", "nfa", "balance"]
[[expect]]
metric = "imbalance.layer*"
max = 1e-10
[[expect]]
metric = "nfa.alpha.layer0"
equals = "1/L"
within = 1e-8
[[expect]]
metric = "nfa.alpha.layer1"
equals = "1/2"
within = 1e-8
[[expect]]
metric = "nfa.misfit.layer0"
max = 1e-7
[[expect]]
metric = "nfa.verdict.layer0"
equals = "holds"
[[expect]]
metric = "imbalance.layer0"
at = "first"
min = 1
"#;

#[test]
fn stationary_points_that_lbfgs_finds_obey_the_ansatz() {
    let folder = Folder::with(STATIONARY);
    let ended = folder.run(&["check", "spec.toml"]).expect(0);
    let run = &folder.runs("out/stationary")[0];
    let status: Value = serde_json::from_slice(&folder.read(&format!("{run}/status.json"))).unwrap();
    let reason = status["reason"].as_str().unwrap();
    assert!(reason.contains("at rest since step") && status["outcome"] == "completed", "{status}");
    assert!(status["evaluations"].as_u64().unwrap() >= 600, "{status}");
    assert!(folder.run(&["ls", "out/stationary"]).expect(0).stdout.contains("at rest since"), "{}", ended.stdout);
}

#[test]
fn every_solver_starts_from_what_init_prints_and_explains_itself() {
    let folder = Folder::new();
    for entry in folder.run(&["list", "solvers", "--json"]).expect(0).lines() {
        let kind = entry["kind"].as_str().unwrap();
        let starter = folder.run(&["init", "--solver", kind]).expect(0).stdout;
        folder.write("first.toml", starter.replace("steps = 500", "steps = 20"));
        let checked = folder.run(&["check", "first.toml", "--out", kind, "--json"]).expect(0).lines();
        assert!(checked.iter().any(|line| line["metric"] == "outcome" && line["met"] == true), "{kind}");
        let page = folder.run(&["explain", kind]).expect(0).stdout;
        for word in [kind, "weight_decay = ", "# lr = ", "Reference: "] {
            assert!(page.contains(word), "{kind}: {page}");
        }
    }
}

#[test]
fn a_manifest_tells_the_theory_of_its_run() {
    for (solver, activation, theory) in [
        ("kind='gd'", "linear", json!({ "clock": "step", "decay": "discrete", "depth": 3, "linear": true })),
        ("kind='flow'", "tanh", json!({ "clock": "time", "decay": "continuous", "depth": 3, "linear": false })),
        ("kind='adam'", "linear", json!({ "clock": "step", "decay": null, "depth": 3, "linear": true })),
    ] {
        let folder = Folder::with(SMALL);
        let solver = format!("solver={{{solver}, lr=0.01, steps=2}}");
        let activation = format!("model.activation='{activation}'");
        folder.run(&["run", "spec.toml", "--set", &solver, "--set", &activation]).expect(0);
        let run = &folder.runs("out/small")[0];
        let manifest: Value = serde_json::from_str(&folder.text(&format!("{run}/manifest.json"))).unwrap();
        assert_eq!(manifest["theory"], theory, "{solver}");
    }
}
