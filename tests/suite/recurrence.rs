//! D+ = (1 - lr λ)²D + lr²E at every step of gd and sgd, on the teacher and on digits.

use crate::binary::Folder;

/// Every step is a probe.
const EVERY_STEP: &str = r#"name = "recurrence"
[model]
kind = "mlp"
depth = 4
width = 12
init = { kind = "gaussian", scale = 1.0 }
[data]
kind = "linear_teacher"
inputs = 8
outputs = 5
samples = 60
spectrum = [1.0, 0.2]
noise = 0.05
[solver]
kind = "gd"
lr = 0.05
steps = 150
weight_decay = 0.02
[probe]
at = { every = 1 }
metrics = ["balance"]
[[arm]]
name = "gd"
[[arm]]
name = "sgd"
"solver.kind" = "sgd"
"solver.batch" = 7
[[arm]]
name = "weighted"
"data.limit" = 60
"data.weights" = [WEIGHTS]
[[arm]]
name = "digits"
data = { kind = "digits" }
"solver.kind" = "sgd"
"solver.batch" = 100
[[expect]]
metric = "recurrence_residual.layer*"
at = "every"
max = 1e-13
[[expect]]
metric = "recurrence_residual.layer2"
min = 0
"#;

#[test]
fn the_recurrence_holds_to_rounding_at_every_step() {
    let weights: Vec<String> = (0..60).map(|i| format!("{}", 1 + i % 3)).collect();
    let folder = Folder::with(&EVERY_STEP.replace("WEIGHTS", &weights.join(", ")));
    let ended = folder.run(&["check", "spec.toml", "--json"]).expect(0);
    let checks: Vec<_> = ended.lines().into_iter().filter(|line| line["schema"] == "nfa.expectation/1").collect();
    assert_eq!(checks.len(), 8);
    // It is measured, and it is rounding: not exactly zero either.
    assert!(checks.iter().all(|check| check["measured"].as_f64().unwrap() > 0.0), "{checks:?}");
}
