//! What biases do to the law of a linear network at its stationary points (L-BFGS, to rounding).
//!
//! Undecayed they do nothing to it. Decayed with the weights they enter the balance, M_{l+1} = N_l + b_l b_lᵀ, which
//! is not small where the targets have an intercept: there theory predicts no exponent.

use nfa_metrics::Mat;
use nfa_train::record::Record;
use nfa_train::weights::Weights;
use nfa_train::weights::layers::Chosen;

use crate::binary::Folder;

const SPEC: &str = r#"name = "biases"
[model]
kind = "mlp"
depth = 3
width = 10
activation = "linear"
bias = true
init = { kind = "gaussian", scale = 1.0 }
[data]
kind = "linear_teacher"
inputs = 8
outputs = 5
samples = 120
spectrum = [1.0, 0.2]
noise = 0.05
[solver]
kind = "lbfgs"
lr = 1.0
steps = 3000
weight_decay = 0.03
[probe]
at = { steps = [0] }
[grid]
"data.intercept" = [0.0, 1.0, 3.0]
"solver.decay_bias" = [false, true]
"#;

#[test]
fn decayed_biases_leave_no_exponent_to_predict() {
    let folder = Folder::with(SPEC);
    let ended = folder.run(&["run", "spec.toml", "--out", "out", "--json", "--jobs", "2"]).expect(0).lines();
    let runs: Vec<&str> = ended.iter().filter_map(|line| line["directory"].as_str()).collect();
    assert_eq!(runs.len(), 6);
    let mut misfits = Vec::new();
    for run in runs {
        let record = Record::from_csv(&folder.text(&format!("{run}/metrics.csv"))).unwrap();
        let number = |column: &str| record.number(-1, column);
        let (alpha, misfit) = (number("nfa.alpha.layer0").unwrap(), number("nfa.misfit.layer0").unwrap());
        let bytes = folder.read(&format!("{run}/model.safetensors"));
        let layers = Weights::from_bytes(&bytes, run, Chosen::default()).unwrap().layers;
        let balance = |with_bias: f64| -> f64 {
            let off = layers.windows(2).map(|pair| {
                let b = Mat::from_fn(pair[0].weight.nrows(), 1, |i, _| pair[0].bias.as_ref().unwrap()[i]);
                let (this, next) = (&pair[0].weight, &pair[1].weight);
                let d = next.transpose() * next - this * this.transpose() - &b * b.transpose() * with_bias;
                d.norm_l2() / next.squared_norm_l2()
            });
            off.fold(0.0, f64::max)
        };
        let manifest: serde_json::Value =
            serde_json::from_slice(&folder.read(&format!("{run}/manifest.json"))).unwrap();
        let theory = &manifest["theory"]["unpredicted"];
        if run.contains("decay_bias=true") {
            assert!(balance(1.0) < 1e-9, "{run}: {:e}", balance(1.0));
            assert_eq!(number("nfa.predicted.layer0"), None, "{run}");
            assert_eq!(theory.as_str(), Some("biases decay with the weights"));
            misfits.push((run.to_string(), alpha, misfit));
        } else {
            assert!(balance(0.0) < 1e-9, "{run}: {:e}", balance(0.0));
            assert!((alpha - 1.0 / 3.0).abs() < 1e-9 && misfit < 1e-9, "{run}: {alpha} {misfit:e}");
            assert_eq!(number("nfa.predicted.layer0"), Some(1.0 / 3.0), "{run}");
            assert!(theory.is_null());
        }
    }
    // Without an intercept there is next to nothing for them to take.
    for (run, alpha, misfit) in misfits {
        let far = alpha > 0.4 && misfit > 0.1;
        assert_eq!(far, !run.contains("intercept=0"), "{run}: {alpha} {misfit}");
    }
}
