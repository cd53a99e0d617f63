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
