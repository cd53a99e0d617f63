//! Where a network starts from: a file, scales by layer.

use nfa_metrics::Mat;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::binary::{Folder, SMALL};

/// An experiment of seven gd steps with biases, in two layers.
fn experiment(init: &str, solver: &str) -> String {
    format!(
        "name = \"start\"\n[model]\nkind = \"mlp\"\ndepth = 2\nwidth = 6\nactivation = \"tanh\"\nbias = true\ninit = {init}\n\
         [data]\nkind = \"linear_teacher\"\ninputs = 5\noutputs = 3\nsamples = 30\nspectrum = [1.0, 0.2]\n\
         [solver]\n{solver}\n[probe]\nat = {{ every = 1 }}\n"
    )
}

const GD: &str = "kind = \"gd\"\nlr = 0.05\nsteps = 7";
const GAUSSIAN: &str = "{ kind = \"gaussian\" }";
const FILE: &str = "{ kind = \"file\", path = \"w.safetensors\" }";

/// Tensors of a safetensors file in `f64`.
fn tensors(bytes: &[u8]) -> Vec<(String, Vec<usize>, Vec<f64>)> {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let mut all: Vec<_> = file
        .iter()
        .map(|(name, view)| {
            let values = view.data().chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect();
            (name.to_string(), view.shape().to_vec(), values)
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// The bytes of a file of `f64` tensors.
fn file(tensors: &[(&str, Vec<usize>, Vec<f64>)]) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> = tensors.iter().map(|t| t.2.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        (*name, TensorView::new(safetensors::Dtype::F64, shape.clone(), bytes).unwrap())
    });
    safetensors::serialize(views.collect::<Vec<_>>(), None).unwrap()
}

#[test]
fn a_model_that_a_run_left_is_a_start() {
    // 7 steps, and 7 more from the file: 14 steps.
    let whole = Folder::with(&experiment(GAUSSIAN, "kind = \"gd\"\nlr = 0.05\nsteps = 14"));
    whole.run(&["run", "spec.toml"]).expect(0);
    let first = Folder::with(&experiment(GAUSSIAN, GD));
    first.run(&["run", "spec.toml"]).expect(0);
    let bytes = first.read(&format!("{}/model.safetensors", first.runs("out/start")[0]));
    // The path is relative to the experiment file, wherever one stands.
    let second = Folder::new();
    std::fs::create_dir(second.path("deep")).unwrap();
    second.write("deep/spec.toml", experiment(FILE, GD));
    second.write("deep/w.safetensors", &bytes);
    second.run(&["run", "deep/spec.toml"]).expect(0);
    let (run, whole_run) = (second.runs("out/start").remove(0), whole.runs("out/start").remove(0));
    assert!(
        second.read(&format!("{run}/model.safetensors")) == whole.read(&format!("{whole_run}/model.safetensors")),
        "7 + 7 = 14 steps, to the bit"
    );
    let manifest: Value = serde_json::from_slice(&second.read(&format!("{run}/manifest.json"))).unwrap();
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(manifest["init_sha256"], Value::String(digest));
    let manifest: Value = serde_json::from_slice(&whole.read(&format!("{whole_run}/manifest.json"))).unwrap();
    assert_eq!(manifest["init_sha256"], Value::Null);
    // config.toml reproduces the run from elsewhere.
    second.run(&["run", &format!("{run}/config.toml"), "--out", "again"]).expect(0);
}

#[test]
fn layers_come_in_natural_order_or_by_name() {
    let entries = |rows: usize, cols: usize, from: f64| -> Vec<f64> {
        (0..rows * cols).map(|k| (from + k as f64).sin()).collect()
    };
    let (w0, w1, b1) = (entries(6, 5, 0.1), entries(3, 6, 0.7), entries(1, 3, 0.4));
    let plain = file(&[
        ("net.10.weight", vec![3, 6], w1.clone()),
        ("net.10.bias", vec![3], b1.clone()),
        ("net.2.weight", vec![6, 5], w0.clone()),
    ]);
    let with_more = file(&[
        ("a.weight", vec![3, 6], w1.clone()),
        ("a.bias", vec![3], b1.clone()),
        ("b.weight", vec![6, 5], w0.clone()),
        ("norm.weight", vec![6], vec![1.0; 6]),
    ]);
    let named = "{ kind = \"file\", path = \"w.safetensors\", layers = [\"b.weight\", \"a.weight\"] }";
    for (init, bytes) in [(FILE, &plain), (named, &with_more)] {
        // No step: what was read is what is left.
        let folder = Folder::with(&experiment(init, "kind = \"gd\"\nlr = 0.05\nsteps = 0"));
        folder.write("w.safetensors", bytes);
        folder.run(&["run", "spec.toml"]).expect(0);
        let left = tensors(&folder.read(&format!("{}/model.safetensors", folder.runs("out/start")[0])));
        let expected = [
            ("layers.0.bias", vec![6], vec![0.0; 6]),
            ("layers.0.weight", vec![6, 5], w0.clone()),
            ("layers.1.bias", vec![3], b1.clone()),
            ("layers.1.weight", vec![3, 6], w1.clone()),
        ];
        let expected: Vec<_> = expected.into_iter().map(|(name, shape, v)| (name.to_string(), shape, v)).collect();
        assert_eq!(left, expected, "{init}");
    }
    let folder = Folder::with(&experiment(FILE, GD));
    folder.write("w.safetensors", &with_more);
    let refused = folder.run(&["run", "spec.toml"]).expect(2);
    for word in ["model.init.path", "w.safetensors", "norm.weight [6]", "layers = [\"NAME\", ...]"] {
        assert!(refused.stderr.contains(word), "{}", refused.stderr);
    }
}

#[test]
fn a_file_that_does_not_fit_is_refused_before_anything_is_written() {
    let refused = |spec: &str, bytes: Option<&[u8]>, words: &[&str]| {
        let folder = Folder::with(spec);
        if let Some(bytes) = bytes {
            folder.write("w.safetensors", bytes);
        }
        let ended = folder.run(&["run", "spec.toml"]).expect(2);
        for word in ["spec.toml", "model."].iter().chain(words) {
            assert!(ended.stderr.contains(word), "`{word}` is not in: {}", ended.stderr);
        }
        assert!(!folder.has("out"));
    };
    let from_file = experiment(FILE, GD);
    let shaped = |rows: usize, cols: usize| {
        file(&[("0.weight", vec![6, 5], vec![0.1; 30]), ("2.weight", vec![rows, cols], vec![0.1; rows * cols])])
    };
    refused(&from_file, None, &["init.path", "w.safetensors", "No such file"]);
    refused(&from_file, Some(b"noise"), &["init.path", "w.safetensors"]);
    refused(&from_file, Some(&shaped(4, 6)), &["2.weight has shape [4, 6] and layer 1 of the model is [3, 6]"]);
    refused(&from_file, Some(&shaped(3, 7)), &["0.weight has 6 outputs and 2.weight reads 7"]);
    let one = file(&[("0.weight", vec![3, 5], vec![0.1; 15])]);
    refused(&from_file, Some(&one), &["holds 1 layers (0.weight) and the model has 2"]);
    let not_finite = file(&[("0.weight", vec![6, 5], vec![f64::NAN; 30]), ("2.weight", vec![3, 6], vec![0.1; 18])]);
    refused(&from_file, Some(&not_finite), &["0.weight", "not finite"]);
    let biased = file(&[
        ("0.weight", vec![6, 5], vec![0.1; 30]),
        ("0.bias", vec![6], vec![0.1; 6]),
        ("2.weight", vec![3, 6], vec![0.1; 18]),
    ]);
    let without = from_file.replace("bias = true", "bias = false");
    refused(&without, Some(&biased), &["model.bias", "0.weight", "set bias = true"]);
    let nameless = experiment("{ kind = \"file\" }", GD);
    refused(&nameless, None, &["path", "missing"]);
}

#[test]
fn scales_by_layer_are_checked_where_they_stand() {
    let with = |init: &str| SMALL.replace("width = 6\n", &format!("width = 6\ninit = {init}\n"));
    for (init, words) in [
        ("{ kind = \"gaussian\", scale = [1.0, 2.0] }", ["model.init.scale", "lists 2 for 3 layers"]),
        ("{ kind = \"orthogonal\", gain = [1, 2, 3, 4] }", ["model.init.gain", "lists 4 for 3 layers"]),
        ("{ kind = \"gaussian\", scale = [1, 0, 1] }", ["model.init.scale", "must be positive"]),
        ("{ kind = \"gaussian\", scale = \"big\" }", ["model.init", "a number, or a list with one per layer"]),
    ] {
        let ended = Folder::with(&with(init)).run(&["run", "spec.toml"]).expect(2);
        for word in ["spec.toml:7:"].iter().chain(&words) {
            assert!(ended.stderr.contains(word), "`{word}` is not in: {}", ended.stderr);
        }
    }
    let folder = Folder::with(&with("{ kind = \"gaussian\", scale = [1.0, 0.125, 4.0] }"));
    let single = Folder::with(&with("{ kind = \"gaussian\", scale = 1 }"));
    let start = |folder: &Folder| {
        folder.run(&["run", "spec.toml", "--set", "solver.steps=0"]).expect(0);
        tensors(&folder.read(&format!("{}/model.safetensors", folder.runs("out/small")[0])))
    };
    for ((name, _, scaled), ((_, _, plain), scale)) in
        start(&folder).iter().zip(start(&single).iter().zip([1.0, 0.125, 4.0]))
    {
        assert_eq!(*scaled, plain.iter().map(|v| v * scale).collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn a_step_of_muon_is_as_long_in_every_direction() {
    let bytes = {
        let folder = Folder::with(&experiment(GAUSSIAN, "kind = \"gd\"\nlr = 0.05\nsteps = 0"));
        folder.run(&["run", "spec.toml"]).expect(0);
        folder.read(&format!("{}/model.safetensors", folder.runs("out/start")[0]))
    };
    for (scale, factor) in [("spectral", (6.0f64 / 5.0).sqrt()), ("none", 1.0)] {
        let muon = format!("kind = \"muon\"\nlr = 0.1\nsteps = 1\nscale = \"{scale}\"");
        let folder = Folder::with(&experiment(FILE, &muon));
        folder.write("w.safetensors", &bytes);
        folder.run(&["run", "spec.toml"]).expect(0);
        let after = tensors(&folder.read(&format!("{}/model.safetensors", folder.runs("out/start")[0])));
        for ((name, shape, after), (_, _, before)) in after.iter().zip(tensors(&bytes)) {
            let [rows, cols] = shape[..] else { continue };
            let moved = Mat::from_fn(rows, cols, |i, j| after[i * cols + j] - before[i * cols + j]);
            let length = 0.1 * if name.contains(".0.") { factor } else { 1.0 };
            for s in moved.singular_values().unwrap() {
                assert!((s - length).abs() <= 1e-14, "{scale} {name}: {s} instead of {length}");
            }
        }
    }
}

#[test]
fn explain_names_every_start() {
    let page = Folder::new().run(&["explain", "mlp"]).expect(0).stdout;
    let typo = SMALL.replace("width = 6\n", "width = 6\ninit = { kind = \"nothing_like_it\" }\n");
    let ended = Folder::with(&typo).run(&["run", "spec.toml"]).expect(2);
    let (_, known) = ended.stderr.split_once("known here: ").unwrap();
    let kinds: Vec<&str> = known.trim().split(", ").collect();
    assert!(kinds.len() >= 7, "{kinds:?}");
    for kind in kinds {
        assert!(page.contains(&format!("kind = \"{kind}\"")), "{kind}: {page}");
    }
}
