//! Runs on the host engine and on Burn's autodiff, from the command line.

use crate::binary::Folder;

const SPEC: &str = r#"
name = "engines"
[model]
kind = "mlp"
depth = 3
width = 6
activation = "tanh"
[data]
kind = "linear_teacher"
inputs = 4
outputs = 2
samples = 30
spectrum = [1.0, 0.5]
[solver]
kind = "momentum"
lr = 0.05
steps = 60
[probe]
at = { every = 20 }
"#;

/// The manifest's engine and the losses of the only run.
fn outcome(arguments: &[&str]) -> (String, Vec<f64>) {
    let folder = Folder::with(SPEC);
    folder.run(&[&["run", "spec.toml"], arguments].concat()).expect(0);
    let run = &folder.runs("out/engines")[0];
    let manifest: serde_json::Value = serde_json::from_str(&folder.text(&format!("{run}/manifest.json"))).unwrap();
    let text = folder.text(&format!("{run}/metrics.csv"));
    let mut lines = text.lines();
    let column = lines.next().unwrap().split(',').position(|name| name == "loss").unwrap();
    let losses = lines.map(|line| line.split(',').nth(column).unwrap().parse().unwrap()).collect();
    (manifest["engine"].as_str().unwrap().to_string(), losses)
}

#[test]
fn the_automatic_choice_is_the_host_and_burn_gives_the_same_record() {
    let (engine, host) = outcome(&[]);
    assert_eq!(engine, "host");
    let (engine, burn) = outcome(&["--engine", "autodiff"]);
    assert_eq!((engine.as_str(), burn.len()), ("autodiff", 4));
    for (a, b) in host.iter().zip(&burn) {
        assert!((a - b).abs() <= 1e-12 * (1.0 + b), "{a} against {b}");
    }
    assert_eq!(outcome(&["--engine", "host"]).1, host);
    // What only Burn trains is left to it.
    assert_eq!(
        outcome(&["--set", "solver={kind='lbfgs', lr=1.0, steps=5}", "--set", "probe.at={every=5}"]).0,
        "autodiff"
    );
}

#[test]
fn what_the_host_cannot_train_is_refused_before_anything_starts() {
    let folder = Folder::with(SPEC);
    let solver = "solver={kind='lbfgs', lr=1.0, steps=5}";
    let ended = folder.run(&["run", "spec.toml", "--engine", "host", "--set", solver]).expect(2);
    assert!(ended.stderr.contains("first-order") && ended.stderr.contains("autodiff"), "{}", ended.stderr);
    assert!(!folder.has("out"), "nothing started");
}
