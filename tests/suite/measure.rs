//! `measure` through the command line, against the NumPy oracle.

use serde_json::Value;

use crate::binary::Folder;

const GOLDEN: &str = include_str!("../golden/laws.json");

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(list) => list.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

/// A case's weights in PyTorch's names and layout, and its inputs as CSV.
fn files(case: &Value) -> (Vec<u8>, String) {
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    let bytes = |values: &[f64]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    for (l, weight) in case["weights"].as_array().unwrap().iter().enumerate() {
        let rows = weight.as_array().unwrap().len();
        let values = numbers(weight);
        tensors.push((format!("{}.weight", 2 * l), vec![rows, values.len() / rows], bytes(&values)));
        if let Some(bias) = case["biases"].get(l) {
            tensors.push((format!("{}.bias", 2 * l), vec![rows], bytes(&numbers(bias))));
        }
    }
    let inputs: Vec<String> = case["inputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| numbers(row).iter().map(|v| format!("{v:e}")).collect::<Vec<_>>().join(","))
        .collect();
    (nfa_train::array::save::serialize(&tensors).unwrap(), inputs.join("\n") + "\n")
}

fn close(name: &str, got: &Value, expected: &Value) {
    match (got.as_f64(), expected.as_f64()) {
        (Some(got), Some(expected)) => {
            assert!((got - expected).abs() <= 1e-10 * expected.abs() + 1e-12, "{name}: {got}, NumPy {expected}");
        }
        _ => assert_eq!(got, expected, "{name}"),
    }
}

#[test]
fn json_agrees_with_numpy() {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let mut measured = 0;
    for case in golden["cases"].as_array().unwrap().iter().filter(|case| case["sample_weights"].is_null()) {
        let folder = Folder::new();
        let (weights, inputs) = files(case);
        folder.write("net.safetensors", weights);
        folder.write("x.csv", inputs);
        let activation = case["activation"].as_str().unwrap();
        let call =
            ["measure", "--weights", "net.safetensors", "--inputs", "x.csv", "--activation", activation, "--json"];
        let lines = folder.run(&call).expect(0).lines();
        let [report] = lines.as_slice() else { panic!("one object") };
        assert_eq!((report["schema"].as_str(), report["source"].as_str()), (Some("nfa.measure/1"), Some("weights")));
        assert_eq!(report["n"], case["n"]);
        for (got, expected) in report["layers"].as_array().unwrap().iter().zip(case["layers"].as_array().unwrap()) {
            let name = format!("{} layer {}", case["name"], expected["layer"]);
            let law = &got["laws"]["nfa"];
            for key in ["alpha", "misfit"] {
                close(&format!("{name} {key}"), &law[key], &expected["nfa"][key]);
            }
            close(&name, &law["predicted"], &expected["predicted"]);
            let mut squares = 0.0;
            for part in ["directions", "order", "shape"] {
                close(&format!("{name} {part}"), &law["parts"][part], &expected["nfa"]["parts"][part]);
                squares += law["parts"][part].as_f64().unwrap().powi(2);
            }
            assert!((squares - law["misfit"].as_f64().unwrap().powi(2)).abs() <= 1e-12);
            for (key, value) in expected["details"].as_object().unwrap() {
                match value {
                    Value::Object(by_alpha) => {
                        for (alpha, value) in by_alpha {
                            close(&format!("{name} {key}[{alpha}]"), &got["details"][key][alpha], value);
                        }
                    }
                    value => close(&format!("{name} {key}"), &got["details"][key], value),
                }
            }
            measured += 1;
        }
        for (got, expected) in report["imbalance"].as_array().unwrap().iter().zip(case["imbalance"].as_array().unwrap())
        {
            close("imbalance", &got["frobenius"], &expected["frobenius"]);
            close("imbalance", &got["relative"], &expected["relative"]);
        }
    }
    assert!(measured > 30, "{measured} layers");
}

#[test]
fn files_that_do_not_add_up_are_refused_with_the_reason() {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let case = golden["cases"].as_array().unwrap().iter().find(|case| case["name"] == "relu_depth2_bias").unwrap();
    let folder = Folder::new();
    let (weights, inputs) = files(case);
    folder.write("net.safetensors", &weights);
    folder.write("x.csv", &inputs);
    folder.write("narrow.csv", "1,2\n3,4\n");
    folder.write("nan.csv", inputs.replacen(',', ",nan,", 1));
    folder.write("cut.safetensors", &weights[..weights.len() - 9]);
    let norm = nfa_train::array::save::serialize(&[
        ("fc.weight".into(), vec![2, 2], vec![0; 32]),
        ("norm.weight".into(), vec![2], vec![0; 16]),
    ]);
    folder.write("norm.safetensors", norm.unwrap());
    let good = ["--weights", "net.safetensors", "--inputs", "x.csv", "--activation", "relu"];
    let with = |change: &[(&str, &str)]| {
        let mut call = vec!["measure"];
        call.extend(good);
        for (option, value) in change {
            match call.iter().position(|word| word == option) {
                Some(at) => call[at + 1] = value,
                None => call.extend([*option, *value]),
            }
        }
        folder.run(&call).expect(2).stderr
    };
    for (change, reasons) in [
        (("--inputs", "narrow.csv"), ["2 columns", "0.weight"]),
        (("--inputs", "nan.csv"), ["nan.csv", "line 1"]),
        (("--inputs", "none.npy"), ["none.npy", "No such file"]),
        (("--weights", "cut.safetensors"), ["cut.safetensors", ""]),
        (("--weights", "norm.safetensors"), ["norm.weight", "--capture"]),
        (("--activation", "rleu"), ["did you mean `relu`", "known here"]),
        (("--activation", "relu,tanh"), ["lists 2", "1 hidden"]),
        (("--layer", "7"), ["--layer 7", "0 to 1"]),
        (("--estimator", "sketch:0"), ["sketch:0", "exact"]),
        (("--set", "verdict.hold=1"), ["verdict.hold", "did you mean `holds`"]),
        (("--device", "cuda:0"), ["cuda", "--features"]),
        (("--targets", "narrow.csv"), ["2 rows", "--inputs"]),
    ] {
        let message = with(&[change]);
        assert!(reasons.iter().all(|reason| message.contains(reason)), "{change:?}: {message}");
        assert_eq!(message.trim_end().lines().count(), 1, "{message}");
    }
}

#[test]
fn two_matrices_compare_and_the_fan() {
    let folder = Folder::new();
    folder.write("m.csv", "1,0\n0,2\n");
    folder.write("g.csv", "0.9,0\n0,0.4\n");
    let lines =
        folder.run(&["measure", "--nfm", "m.csv", "--agop", "g.csv", "--depth", "2", "--json"]).expect(0).lines();
    let law = &lines[0]["layers"][0]["laws"]["nfa"];
    assert_eq!((law["verdict"].as_str(), law["predicted"].as_f64()), (Some("fails"), Some(0.5)));
    assert_eq!(law["certificates"][0]["kind"], "order");
    folder.write("skew.csv", "1,0.5\n0,2\n");
    assert!(
        folder.run(&["measure", "--nfm", "skew.csv", "--agop", "g.csv"]).expect(2).stderr.contains("not symmetric")
    );

    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let case = golden["cases"].as_array().unwrap().iter().find(|case| case["name"] == "tanh_depth5").unwrap();
    let (weights, inputs) = files(case);
    folder.write("net.safetensors", weights);
    folder.write("x.csv", inputs);
    let call = ["measure", "--weights", "net.safetensors", "--inputs", "x.csv", "--activation", "tanh"];
    folder.run(&[&call[..], &["--plot", "fan.svg", "--save", "m.safetensors"]].concat()).expect(0);
    assert!(folder.text("fan.svg").starts_with("<svg") && folder.has("m.safetensors"));
    let twice =
        ["measure", "--weights", "net.safetensors", "net.safetensors", "--inputs", "x.csv", "--activation", "tanh"];
    let lines = folder.run(&[&twice[..], &["--compare", "--json"]].concat()).expect(0).lines();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[2]["layers"][0]["change"], 0.0);
}

#[test]
fn few_rows_that_differ_say_nothing_but_of_linear_networks() {
    let folder = Folder::new();
    let weight = |rows: usize, cols: usize, shift: f64| -> Vec<f64> {
        (0..rows * cols).map(|k| (k as f64 * 1.7 + shift).sin()).collect()
    };
    let entries = [("0.weight", [6, 4], weight(6, 4, 0.3)), ("2.weight", [3, 6], weight(3, 6, 1.1))];
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = entries
        .iter()
        .map(|(name, shape, values)| {
            (name.to_string(), shape.to_vec(), values.iter().flat_map(|v| v.to_le_bytes()).collect())
        })
        .collect();
    let views = bytes.iter().map(|(name, shape, data)| {
        (name, safetensors::tensor::TensorView::new(safetensors::Dtype::F64, shape.clone(), data).unwrap())
    });
    folder.write("w.safetensors", safetensors::serialize(views, None).unwrap());
    // Seven rows, each ten times.
    let row = |i: usize| (0..4).map(|j| ((i * 4 + j) as f64 * 2.3).cos().to_string()).collect::<Vec<_>>().join(",");
    let repeated: Vec<String> = (0..70).map(|i| row(i % 7)).collect();
    folder.write("x.csv", repeated.join("\n"));
    let reasons = |activation: &str| {
        let call = ["measure", "--weights", "w.safetensors", "--inputs", "x.csv", "--activation", activation, "--json"];
        let lines = folder.run(&call).expect(0).lines();
        let of = |layer: usize| lines[0]["layers"][layer]["laws"]["nfa"]["reason"].as_str().unwrap().to_string();
        [of(0), of(1)]
    };
    let [first, last] = reasons("relu");
    assert!(first.starts_with("7 distinct rows"), "{first}");
    assert!(!last.contains("distinct rows"), "behind the last layer rows don't matter: {last}");
    assert!(!reasons("linear")[0].contains("distinct rows"));
}
