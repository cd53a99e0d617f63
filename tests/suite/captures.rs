//! Captures recorded in PyTorch (python/test_nfa_capture.py) against Jacobians that never form K.

use nfa_metrics::Capture;
use serde_json::Value;

use crate::binary::Folder;

const EXPECTED: &str = include_str!("../golden/captures/captures.json");

fn bytes(file: &str) -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/captures");
    std::fs::read(folder.join(file)).unwrap()
}

#[test]
fn every_site_of_every_network_agrees_with_brute_force() {
    let expected: Value = serde_json::from_str(EXPECTED).unwrap();
    let mut sites = 0;
    for (file, about) in expected["captures"].as_object().unwrap() {
        let capture = Capture::from_bytes(&bytes(file)).unwrap();
        let tolerance = about["tolerance"].as_f64().unwrap().max(1e-10);
        assert_eq!(capture.samples(), about["n"].as_f64().unwrap(), "{file}");
        let order: Vec<&str> = about["order"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        assert_eq!(capture.sites.iter().map(|site| site.name.as_str()).collect::<Vec<_>>(), order, "{file}");
        if about["estimator"].as_str() != Some("exact") {
            continue;
        }
        for site in &capture.sites {
            let expected = &about["sites"][&site.name];
            let name = format!("{file} {}", site.name);
            let agop = site.agop(None);
            let scale = expected["agop_frobenius"].as_f64().unwrap();
            let close = |what: &str, got: f64, expected: &Value| {
                let expected = expected.as_f64().unwrap();
                assert!((got - expected).abs() <= tolerance * scale, "{name} {what}: {got} against {expected}");
            };
            close("trace", agop.trace(), &expected["agop_trace"]);
            let spectrum = agop.spectrum().unwrap();
            for (got, expected) in spectrum.values.iter().zip(expected["agop_eigenvalues"].as_array().unwrap()) {
                close("eigenvalue", *got, expected);
            }
            if let Some(rows) = expected["agop"].as_array() {
                for (i, row) in rows.iter().enumerate() {
                    for (j, entry) in row.as_array().unwrap().iter().enumerate() {
                        close("entry", agop.matrix()[(i, j)], entry);
                    }
                }
            }
            sites += 1;
        }
    }
    assert!(sites > 40, "{sites} sites");
}

#[test]
fn an_mlp_through_a_capture_is_the_mlp_through_its_weights() {
    let expected: Value = serde_json::from_str(EXPECTED).unwrap();
    let folder = Folder::new();
    for file in ["mlp.safetensors", "mlp_weights.safetensors", "mlp_inputs.npy"] {
        folder.write(file, bytes(file));
    }
    let activation = expected["mlp"]["activation"].as_str().unwrap();
    let by_weights = [
        "measure",
        "--weights",
        "mlp_weights.safetensors",
        "--inputs",
        "mlp_inputs.npy",
        "--activation",
        activation,
        "--json",
    ];
    let by_weights = folder.run(&by_weights).expect(0).lines();
    let by_capture = folder.run(&["measure", "--capture", "mlp.safetensors", "--json"]).expect(0).lines();
    let layers = |report: &Value| report["layers"].as_array().unwrap().clone();
    for (a, b) in layers(&by_weights[0]).iter().zip(layers(&by_capture[0])) {
        let (a, b) = (&a["details"], &b["details"]);
        for key in ["nfm_trace", "agop_trace"] {
            let (a, b) = (a[key].as_f64().unwrap(), b[key].as_f64().unwrap());
            assert!((a - b).abs() <= 1e-10 * a.abs(), "{key}: {a} against {b}");
        }
        for alpha in ["0.5", "1"] {
            let (a, b) = (a["cosine"][alpha].as_f64().unwrap(), b["cosine"][alpha].as_f64().unwrap());
            assert!((a - b).abs() <= 1e-10, "cosine at {alpha}: {a} against {b}");
        }
    }
    assert!(by_capture[0]["layers"][0]["laws"]["nfa"]["alpha_interval"].is_array(), "blocks give an interval");
}

#[test]
fn two_captures_compare_and_one_may_be_the_start() {
    let folder = Folder::new();
    for file in ["mlp.safetensors", "twice.safetensors"] {
        folder.write(file, bytes(file));
    }
    let twice = ["measure", "--capture", "mlp.safetensors", "mlp.safetensors", "--compare", "--json"];
    let lines = folder.run(&twice).expect(0).lines();
    assert_eq!((lines.len(), lines[2]["schema"].as_str()), (3, Some("nfa.compare/1")));
    assert_eq!(lines[2]["layers"][0]["change"], 0.0);
    let start = ["measure", "--capture", "mlp.safetensors", "--init", "mlp.safetensors", "--json"];
    let lines = folder.run(&start).expect(0).lines();
    for layer in lines[0]["layers"].as_array().unwrap() {
        let law = &layer["laws"]["nfa"];
        assert!(law["misfit"].is_number() && law["null"]["init"] == law["misfit"], "{law}");
    }
    let refused = |arguments: &[&str], words: &[&str]| {
        let message = folder.run(&[&["measure", "--capture", "mlp.safetensors"], arguments].concat()).expect(2).stderr;
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    };
    refused(&["twice.safetensors", "--compare"], &["mlp.safetensors and twice.safetensors", "different sites"]);
    refused(&["--compare"], &["--compare", "two files", "not 1"]);
    refused(&["--init", "twice.safetensors"], &["--init twice.safetensors", "no site `0`"]);
}

#[test]
fn a_table_says_what_was_not_recorded_and_what_holds_by_definition() {
    let folder = Folder::new();
    folder.write("twice.safetensors", bytes("twice.safetensors"));
    let text = folder.run(&["measure", "--capture", "twice.safetensors"]).expect(0).stdout;
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].ends_with("exact over 2 outputs"), "{text}");
    assert!(lines.iter().any(|line| line.starts_with("out ") && line.contains("by definition")), "{text}");
    assert!(!lines.iter().any(|line| line.starts_with("a ") && line.contains("by definition")), "{text}");
    assert!(lines.iter().any(|line| line.starts_with("not recorded: idle: ")), "{text}");
    let about = &folder.run(&["measure", "--capture", "twice.safetensors", "--json"]).expect(0).lines()[0]["capture"];
    assert_eq!((about["mode"].as_str(), about["estimator"].as_str()), (Some("eval"), Some("exact")));
    assert_eq!((&about["outputs"], &about["last"][0]), (&2.into(), &"out".into()));
    assert!(about["skipped"][0].as_str().is_some_and(|skipped| skipped.starts_with("idle: ")), "{about}");
}
