//! What `--dry-run` foretells of linear networks, against what then happens.

use crate::binary::Folder;

const SPEC: &str = r#"name = "foretold"
[model]
kind = "mlp"
depth = 3
width = 20
[data]
kind = "linear_teacher"
inputs = 16
outputs = 6
samples = 200
spectrum = [1.0, 0.2]
noise = 0.05
[solver]
kind = "gd"
lr = 0.02
weight_decay = 0.1
steps = 2200
[probe]
at = { every = 20 }
metrics = ["nfa"]
[grid]
"model.depth" = [2, 3, 5]
seed = [0, 1]
"#;

#[test]
fn the_step_at_which_the_ansatz_is_reached() {
    let folder = Folder::with(SPEC);
    let planned = folder.run(&["run", "spec.toml", "--dry-run", "--json"]).expect(0).lines();
    assert!(!folder.has("out"));
    folder.run(&["run", "spec.toml", "--jobs", "2", "-q"]).expect(0);
    assert_eq!(planned.len(), 6);
    for plan in planned {
        let run = plan["run"].as_str().unwrap();
        let foretold = plan["forecast"].as_f64().unwrap();
        let text = folder.text(&format!("out/foretold/runs/{run}/metrics.csv"));
        let record = nfa_train::record::Record::from_csv(&text).unwrap();
        let cosines = record.series("nfa.one_minus_cosine.layer0");
        let (step, _) = cosines.into_iter().find(|(_, value)| *value < 1e-4).unwrap();
        assert!((foretold / step - 1.0).abs() < 0.3, "{run}: {foretold} foretold, {step} came");
    }
    let outlook = |set: &str| folder.run(&["run", "spec.toml", "--dry-run", "--set", set]).expect(0).stdout;
    assert!(outlook("solver.weight_decay=0").contains("the imbalance stays"));
    assert!(outlook("model.init={kind=\"balanced\",spectrum=[0.9,0.5]}").contains("imbalance small"));
    assert!(outlook("solver.steps=500").contains("after the end"));
    // Nothing is foretold where theory says nothing.
    for set in ["model.activation=\"relu\"", "solver.kind=\"adam\"", "model.bias=true"] {
        assert!(outlook(set).lines().skip(1).all(|line| line.ends_with("probes")), "{set}");
    }
}
