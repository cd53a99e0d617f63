//! What a build without Burn does, which is what every build does: networks from files and captures, records, words.
//! `cargo test -p nfa-train --no-default-features` runs it there.

use std::path::{Path, PathBuf};
use std::process::Command;

use nfa_train::array::save::serialize;
use serde_json::Value;

/// A call in a folder: exit code, stdout, stderr.
fn call(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nfa-train"));
    let output = command.args(arguments).current_dir(folder).env("NO_COLOR", "1").output().expect("starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code().expect("ends by itself"), text(output.stdout), text(output.stderr))
}

/// What a call prints, once it ended well.
fn run(folder: &Path, arguments: &[&str]) -> String {
    let (code, out, errors) = call(folder, arguments);
    assert_eq!(code, 0, "{arguments:?}: {errors}");
    out
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&run(folder, &[arguments, &["--json"]].concat())).expect("JSON")
}

/// Row-major matrices of `f64` as safetensors.
fn save(path: PathBuf, tensors: &[(&str, &[usize], &[f64])]) {
    let bytes = |values: &[f64]| values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let entries: Vec<_> =
        tensors.iter().map(|(name, shape, values)| (name.to_string(), shape.to_vec(), bytes(values))).collect();
    std::fs::write(path, serialize(&entries).expect("shapes fit")).expect("written");
}

#[test]
fn a_balanced_linear_network_has_the_exponent_of_its_depth() {
    let folder = tempfile::tempdir().expect("a folder");
    // W_1 = diag(2, 1/2) and W_2 = W_1: the product is diag(4, 1/4), the AGOP its square, W_1² a root of that.
    let half = [2.0, 0.0, 0.0, 0.5];
    save(folder.path().join("w.safetensors"), &[("a.weight", &[2, 2], &half), ("b.weight", &[2, 2], &half)]);
    std::fs::write(folder.path().join("x.csv"), "1,0\n0,1\n1,1\n-1,2\n").expect("written");
    std::fs::write(folder.path().join("y.csv"), "4,0\n0,0.25\n4,0.25\n-4,1.5\n").expect("written");
    let weights = ["measure", "--weights", "w.safetensors", "--inputs", "x.csv", "--activation", "linear"];
    let measured = json(folder.path(), &[&weights[..], &["--targets", "y.csv", "--loss", "half_mse"]].concat());
    let nfa = &measured["layers"][0]["laws"]["nfa"];
    assert!((nfa["alpha"].as_f64().expect("defined") - 0.5).abs() < 1e-12, "{nfa}");
    assert!(nfa["exponent_agrees"] == true && nfa["verdict"] == "holds", "{nfa}");
    // Of the four targets one is off by one in its second column: 1/(2·4).
    assert!((measured["task"]["loss"].as_f64().expect("asked for") - 0.125).abs() < 1e-15, "{measured}");
    assert!(run(folder.path(), &weights).contains("balance"));
}

#[test]
fn a_relu_network_is_seen_through_its_gates() {
    let folder = tempfile::tempdir().expect("a folder");
    // One unit: its gate is open in 6 of 8 rows, so that AGOP = (6/8) (2·w)(2·w)ᵀ.
    let layers: [(&str, &[usize], &[f64]); 3] =
        [("a.bias", &[1], &[0.5]), ("a.weight", &[1, 2], &[1.0, 3.0]), ("b.weight", &[1, 1], &[2.0])];
    save(folder.path().join("w.safetensors"), &layers);
    std::fs::write(folder.path().join("x.csv"), "1,0\n0,1\n1,1\n2,1\n0,0\n3,-1\n-1,0\n0,-1\n").expect("written");
    let measured =
        json(folder.path(), &["measure", "--weights", "w.safetensors", "--inputs", "x.csv", "--activation", "relu"]);
    let details = &measured["layers"][0]["details"];
    assert!((details["agop_trace"].as_f64().expect("defined") - 0.75 * 40.0).abs() < 1e-12, "{details}");
    assert_eq!(details["agop_rank"], 1);
}

#[test]
fn a_capture_is_measured_with_its_interval() {
    let folder = tempfile::tempdir().expect("a folder");
    let blocks: Vec<f64> = (0..8).flat_map(|b| [1.0 + 0.1 * f64::from(b), 0.1, 0.1, 0.5]).collect();
    let tensors: [(&str, &[usize], &[f64]); 3] = [
        ("fc.count", &[8], &[10.0; 8]),
        ("fc.k", &[8, 2, 2], &blocks),
        ("fc.weight", &[2, 3], &[1.0, 0.5, 0.0, 0.2, 1.0, 0.3]),
    ];
    let bytes = |values: &[f64]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let views = tensors.map(|(name, shape, values)| (name, shape.to_vec(), bytes(values)));
    let views: Vec<_> = views
        .iter()
        .map(|(name, shape, bytes)| {
            (*name, safetensors::tensor::TensorView::new(safetensors::Dtype::F64, shape.clone(), bytes).expect("fits"))
        })
        .collect();
    let notes = [("format".to_string(), "nfa.capture/1".to_string())].into();
    let file = safetensors::serialize(views, Some(notes)).expect("serialises");
    std::fs::write(folder.path().join("c.safetensors"), file).expect("written");
    let measured = json(folder.path(), &["measure", "--capture", "c.safetensors"]);
    let nfa = &measured["layers"][0]["laws"]["nfa"];
    assert!(nfa["alpha_interval"].is_array() && measured["n"] == 80, "{measured}");
}

#[test]
fn records_are_listed_and_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    let records = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records");
    copy(&records, folder.path());
    assert!(run(folder.path(), &["ls", "two"]).contains("completed"));
    run(folder.path(), &["report", "two"]);
    let page = std::fs::read_to_string(folder.path().join("two/report.html")).expect("written");
    assert!(page.contains("<svg") && page.contains("nfa"));
    assert_eq!(
        std::fs::read_to_string(folder.path().join("two/summary.csv")).expect("written"),
        std::fs::read_to_string(records.join("two/summary.csv")).expect("kept"),
    );
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("readable") {
        let path = entry.expect("readable").path();
        let there = to.join(path.file_name().expect("named"));
        if path.is_dir() {
            std::fs::create_dir(&there).expect("created");
            copy(&path, &there);
        } else {
            std::fs::copy(&path, &there).expect("copied");
        }
    }
}

#[test]
fn kinds_are_listed_and_explained() {
    let folder = tempfile::tempdir().expect("a folder");
    for (what, kind, words) in [
        ("models", "mlp", "depth = 3"),
        ("solvers", "adam", "betas"),
        ("data", "digits", "kind = \"digits\""),
        ("losses", "mse", "kind = \"mse\""),
        ("laws", "nfa", "nfa.alpha_interval.low.layer<i>"),
    ] {
        assert!(run(folder.path(), &["list", what]).contains(kind), "{what}");
        let page = run(folder.path(), &["explain", kind]);
        assert!(page.contains(words), "{kind}: {page}");
    }
    if !cfg!(feature = "burn") {
        for arguments in
            [&[][..], &["run", "a.toml", "--set", "seed=1"], &["check", "a.toml"], &["init"], &["bench", "agop"]]
        {
            let (code, _, errors) = call(folder.path(), arguments);
            assert_eq!(code, 2);
            assert!(errors.contains("this build has no Burn"), "{errors}");
        }
    }
}
