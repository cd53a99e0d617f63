//! ARC, R-ARC and R-ARC-D on networks, as a user runs them.

use nfa_metrics::Mat;
use nfa_train::record::Record;
use nfa_train::weights::Weights;
use nfa_train::weights::layers::Chosen;
use serde_json::Value;

use crate::binary::Folder;

/// 10-12-12-2 linear, from weights of standard deviation 0.02.
const SPEC: &str = r#"name = "deep"
[model]
kind = "mlp"
widths = [12, 12]
activation = "linear"
bias = false
init = { kind = "gaussian", scale = [0.0632456, 0.0692820, 0.0692820] }
[data]
kind = "linear_teacher"
inputs = 10
outputs = 2
samples = 200
spectrum = [1.0, 0.5]
noise = 0.1
[loss]
kind = "mse"
[solver]
kind = "arc"
weight_decay = 1e-3
steps = 60
[probe]
at = { every = 1 }
metrics = ["loss", "nfa", "gradient_norm", "work"]
"#;

/// One run: its record, status and folder.
fn run(folder: &Folder, more: &[&str]) -> (Record, Value, String) {
    let arguments: Vec<&str> = ["run", "spec.toml", "--out", "out", "--json"].iter().chain(more).copied().collect();
    let ended = folder.run(&arguments).expect(0).lines();
    let run = ended.iter().find_map(|line| line["directory"].as_str()).expect("a run").to_string();
    let record = Record::from_csv(&folder.text(&format!("{run}/metrics.csv"))).unwrap();
    let status = serde_json::from_slice(&folder.read(&format!("{run}/status.json"))).unwrap();
    (record, status, run)
}

#[test]
fn a_deep_linear_network_comes_to_rest_on_the_ansatz() {
    let folder = Folder::with(SPEC);
    let (record, status, _) = run(&folder, &[]);
    let last = |column: &str| record.number(-1, column).unwrap_or_else(|| panic!("no {column}"));
    assert!(last("gradient_norm") < 1e-12, "{:e}", last("gradient_norm"));
    assert!(last("nfa.one_minus_cosine.layer0") < 1e-9);
    // One row an iteration, each with what the iteration did.
    assert_eq!(record.len(), 61);
    let accepted: f64 = (1..61).filter_map(|row| record.number(row, "iteration.accepted")).sum();
    assert!(accepted > 10.0 && accepted < 60.0, "{accepted}");
    assert!(record.number(0, "iteration.l").is_none() && record.number(1, "iteration.l") == Some(288.0));
    assert!(last("iteration.worst") < 1e-8 && last("work") == last("iteration.work"));
    let certificate = &status["certificate"];
    assert_eq!(certificate["known"], "exact", "{status}");
    assert!(certificate["gradient"].as_f64().unwrap() < 1e-12);
    let (curvature, tolerance) = (certificate["curvature"].as_f64(), certificate["curvature_tol"].as_f64());
    assert!(curvature.unwrap() > -tolerance.unwrap());
    let why = certificate["stopped_by"].as_str().unwrap();
    assert!(["rounding", "budget"].contains(&why) && status["reason"].as_str().unwrap().contains(why), "{status}");
}

#[test]
fn decayed_biases_enter_the_balance_to_rounding() {
    let folder = Folder::with(SPEC);
    let (_, _, run) = run(&folder, &["--set", "model.bias=true", "--set", "solver.decay_bias=true"]);
    let bytes = folder.read(&format!("{run}/model.safetensors"));
    let layers = Weights::from_bytes(&bytes, &run, Chosen::default()).unwrap().layers;
    for pair in layers.windows(2) {
        let b = Mat::from_fn(pair[0].weight.nrows(), 1, |i, _| pair[0].bias.as_ref().unwrap()[i]);
        let (this, next) = (&pair[0].weight, &pair[1].weight);
        let off = (next.transpose() * next - this * this.transpose() - &b * b.transpose()).norm_l2();
        assert!(off <= 1e-12 * next.squared_norm_l2().max(1.0), "{off:e}");
    }
}

#[test]
fn without_decay_random_directions_find_the_rank_and_miss_the_ansatz() {
    let mut cosines = Vec::new();
    for seed in ["0", "1", "2", "3", "4"] {
        let folder = Folder::with(SPEC);
        let solver = ["--set", "solver={kind='r_arc_d',steps=250}", "--set", "data.noise=0.0", "--seed", seed];
        let (record, status, _) = run(&folder, &solver);
        let last = |column: &str| record.number(-1, column).unwrap_or_else(|| panic!("no {column}"));
        assert!(last("loss") < 1e-25 && last("iteration.l") <= 23.0, "{} {}", last("loss"), last("iteration.l"));
        assert_eq!(status["certificate"]["stopped_by"], "rounding", "{status}");
        cosines.push(1.0 - last("nfa.one_minus_cosine.layer0"));
    }
    cosines.sort_by(f64::total_cmp);
    assert!(cosines[2] < 0.99, "{cosines:?}");
}

#[test]
fn engines_take_the_same_iterations() {
    let runs = ["host", "autodiff"].map(|engine| {
        let folder = Folder::with(SPEC);
        run(&folder, &["--set", "solver.steps=15", "--set", &format!("engine=\"{engine}\"")]).0
    });
    for row in 1..=15 {
        for column in ["iteration.value", "iteration.sigma", "iteration.accepted"] {
            let [host, tensors] = [0, 1].map(|engine| runs[engine].number(row, column).expect("a number"));
            assert!((host - tensors).abs() <= 1e-9 * host.abs(), "{column} of row {row}: {host} and {tensors}");
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_its_key() {
    let folder = Folder::with(SPEC);
    for (set, part) in [
        ("solver.lr=0.1", "leave lr out"),
        ("solver.batch=20", "full batch"),
        ("solver.theta=2.0", "solver.theta"),
        ("solver={kind='r_arc',l=0,steps=5}", "solver.l: must be at least 1"),
        ("solver={kind='r_arc_d',steps=5,d=0}", "solver.d"),
        ("solver={kind='r_arc_d',steps=5,rule='triple'}", "known here: additive, double"),
        ("solver={kind='r_arc',l=5,steps=5,sketch='gausian'}", "did you mean `gaussian`?"),
        ("model={kind='function',problem='genros',rank=20}", "did you mean `genrose`?"),
        ("model={kind='function',problem='woods',rank=6}", "multiple of 4"),
    ] {
        let ended = folder.run(&["run", "spec.toml", "--out", "out", "--set", set]).expect(2);
        assert!(ended.stderr.contains(part), "{set}: {}", ended.stderr);
    }
}

/// Gauss-Newton's model has no negative curvature; the certificate, which is of the Hessian, may.
#[test]
fn a_model_of_the_outputs_part_does_not_certify_itself() {
    let folder = Folder::with(SPEC);
    let solver = "solver={kind='arc',curvature='gauss_newton',weight_decay=1e-3,steps=1}";
    let (record, status, _) = run(&folder, &["--set", solver]);
    assert!(record.number(-1, "iteration.curvature").expect("known") >= 0.0);
    assert!(status["certificate"]["curvature"].as_f64().unwrap() < -1e-3, "{status}");
    let function = ["model={kind='function',problem='genrose',rank=4}", "data={kind='none'}", "loss.kind='output'"];
    let mut arguments = vec!["run", "spec.toml", "--out", "out", "--set", solver, "--set", "probe.metrics=['loss']"];
    function.iter().for_each(|set| arguments.extend(["--set", set]));
    let ended = folder.run(&arguments).expect(1); // the run has failed, the others of a plan would go on
    assert!(ended.stderr.contains("gauss_newton"), "{}", ended.stderr);
}

/// Every solver minimises a function that is its parameters; those that know curvature take few iterations.
#[test]
fn functions_are_models() {
    let spec = r#"name = "functions"
[model]
kind = "function"
problem = "engval1"
rank = 10
size = 60
[data]
kind = "none"
[loss]
kind = "output"
[solver]
kind = "r_arc_d"
steps = 40
[probe]
at = { every = 10 }
metrics = ["loss", "gap", "work", "gradient_norm"]
"#;
    let folder = Folder::with(spec);
    for (solver, most) in [
        ("solver={kind='r_arc_d',steps=40}", 1e-12),
        ("solver={kind='arc',steps=20}", 1e-12),
        ("solver={kind='lbfgs',lr=1.0,steps=40}", 1e-9),
        ("solver={kind='gd',lr=0.01,steps=200}", 1e-2),
    ] {
        let (record, ..) = run(&folder, &["--set", solver]);
        let gap = record.number(-1, "gap").expect("known");
        assert!(gap.abs() <= most, "{solver}: {gap:e}");
        assert_eq!(record.number(0, "gap"), Some(1.0));
    }
}
