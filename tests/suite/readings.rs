//! True files and what they are read as: the network that they are, or no number at all.
//!
//! Values by tests/oracle/readings.py (NumPy), of weights and rows without random numbers.

use serde_json::{Value, json};

use crate::binary::Folder;

const W0: [f64; 16] = [2., -1., 0., 1., 0., 2., -1., 0., 1., 0., 1., -1., 0., 1., 0., 1.];
const W1: [f64; 16] = [1., 1., 0., 0., 0., 1., 2., 0., -1., 0., 1., 1., 0., 0., 1., -2.];
const W2: [f64; 16] = [1., 0., 1., 0., 0., 2., 0., -1., 1., 1., 0., 1., 0., -1., 1., 3.];
const FOUR: [usize; 2] = [4, 4];

/// A tensor of a file: name, type, shape, bytes.
type Tensor = (String, &'static str, Vec<usize>, Vec<u8>);

fn f64s(name: &str, shape: &[usize], values: &[f64]) -> Tensor {
    (name.into(), "F64", shape.to_vec(), values.iter().flat_map(|v| v.to_le_bytes()).collect())
}

fn bytes(name: &str, dtype: &'static str, shape: &[usize], values: &[f64]) -> Tensor {
    (name.into(), dtype, shape.to_vec(), values.iter().map(|&v| v as i8 as u8).collect())
}

fn turned(w: &[f64; 16]) -> Vec<f64> {
    (0..16).map(|k| w[k % 4 * 4 + k / 4]).collect()
}

/// A safetensors file.
fn file(tensors: &[Tensor]) -> Vec<u8> {
    noted(tensors, &[])
}

/// The same with notes.
fn noted(tensors: &[Tensor], notes: &[(&str, &str)]) -> Vec<u8> {
    let (mut header, mut body) = (serde_json::Map::new(), Vec::new());
    if !notes.is_empty() {
        let notes = notes.iter().map(|(key, value)| ((*key).to_string(), Value::from(*value))).collect();
        header.insert("__metadata__".into(), Value::Object(notes));
    }
    for (name, dtype, shape, bytes) in tensors {
        let start = body.len();
        body.extend(bytes);
        header.insert(name.clone(), json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, body.len()] }));
    }
    let header = Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &body].concat()
}

/// x[i, j] = sin(1 + 1.7 i (j + 1) + 0.9 j), as CSV.
fn rows(count: usize) -> String {
    let value = |i: usize, j: usize| (1.0 + 1.7 * (i * (j + 1)) as f64 + 0.9 * j as f64).sin();
    (0..count).map(|i| (0..4).map(|j| format!("{:e}", value(i, j))).collect::<Vec<_>>().join(",") + "\n").collect()
}

fn folder(tensors: &[Tensor]) -> Folder {
    let folder = Folder::new();
    folder.write("net.safetensors", file(tensors));
    folder.write("x.csv", rows(64));
    folder
}

const NETWORK: [&str; 8] =
    ["measure", "--weights", "net.safetensors", "--inputs", "x.csv", "--activation", "relu", "--json"];
const PAIRS: [&str; 6] = ["measure", "--weights", "net.safetensors", "--pairs", "auto", "--json"];

/// Exponent and misfit of each layer but the last, whose law holds by definition.
fn seen(report: &Value) -> Vec<[f64; 2]> {
    let layers = report["layers"].as_array().unwrap();
    let of = |layer: &Value| ["alpha", "misfit"].map(|key| layer["laws"]["nfa"][key].as_f64().unwrap());
    layers[..layers.len() - 1].iter().map(of).collect()
}

#[track_caller]
fn measured(tensors: &[Tensor], more: &[&str], expected: &[[f64; 2]]) {
    let reports = folder(tensors).run(&[&NETWORK[..], more].concat()).expect(0).lines();
    let got = seen(&reports[0]);
    assert_eq!(got.len(), expected.len(), "{got:?}");
    for (got, expected) in got.iter().flatten().zip(expected.iter().flatten()) {
        assert!((got - expected).abs() < 5e-4, "{got} and not {expected}");
    }
}

#[track_caller]
fn refused(tensors: &[Tensor], call: &[&str], more: &[&str], words: &[&str]) {
    let ended = folder(tensors).run(&[call, more].concat()).expect(2);
    for word in words {
        assert!(ended.stderr.contains(word), "`{word}` is not in: {}", ended.stderr);
    }
    assert!(ended.stdout.is_empty(), "{}", ended.stdout);
}

const TWO: [[f64; 2]; 1] = [[0.381, 0.516]];
const THREE: [[f64; 2]; 2] = [[0.177, 0.539], [0.351, 0.271]];

#[test]
fn weights_are_those_that_the_network_applies() {
    let (w0, w1) = (f64s("fc1.weight", &FOUR, &W0), f64s("fc2.weight", &FOUR, &W1));
    measured(&[f64s("W0", &FOUR, &W0), f64s("W1", &FOUR, &W1), f64s("W2", &FOUR, &W2)], &[], &THREE);
    measured(&[w0.clone(), w1.clone()], &[], &TWO);
    // Pruned: the product with the masks.
    let masks = [
        [1., 1., 0., 1., 0., 1., 1., 0., 1., 0., 1., 1., 0., 1., 0., 1.],
        [1., 0., 0., 1., 0., 1., 1., 0., 1., 0., 1., 1., 1., 0., 1., 0.],
    ];
    let pruned = [
        f64s("fc1.weight_orig", &FOUR, &W0),
        f64s("fc1.weight_mask", &FOUR, &masks[0]),
        f64s("fc2.weight_orig", &FOUR, &W1),
        f64s("fc2.weight_mask", &FOUR, &masks[1]),
    ];
    measured(&pruned, &[], &[[0.250, 0.508]]);
    // Whole numbers with a scale for all, for each output, for each group of inputs, and as bitsandbytes writes it.
    let whole = bytes("fc1.weight", "I8", &FOUR, &W0);
    let half: Vec<f64> = W0.iter().map(|v| 2.0 * v).collect();
    let doubled = bytes("fc1.weight", "I8", &FOUR, &half);
    for scale in [
        f64s("fc1.weight_scale", &[], &[0.5]),
        f64s("fc1.weight_scale", &[4, 1], &[0.5; 4]),
        f64s("fc1.weight_scale", &[4, 2], &[0.5; 8]),
        f64s("fc1.SCB", &[4], &[63.5; 4]),
    ] {
        measured(&[doubled.clone(), scale, w1.clone()], &[], &TWO);
    }
    for (decisive, words) in [
        (vec![whole.clone()], ["fc1.weight", "I8"]),
        (vec![whole.clone(), f64s("fc1.weight_scale", &[3], &[1.; 3])], ["fc1.weight_scale", "[3]"]),
        (vec![whole, f64s("fc1.weight_zero_point", &[4], &[1.; 4])], ["fc1.weight_zero_point", "quantised"]),
        (vec![bytes("fc1.qweight", "I8", &FOUR, &W0), f64s("fc1.scales", &[4], &[1.; 4])], ["fc1.", "quantised"]),
        (vec![w0.clone(), bytes("fc1_act.mask", "BOOL", &[4], &[1., 0., 1., 1.])], ["fc1_act.mask", "a mask"]),
        (vec![w0.clone(), bytes("drop.weight", "BOOL", &FOUR, &[1.; 16])], ["drop.weight", "BOOL"]),
        (
            vec![f64s("fc1.weight_g", &[4, 1], &[1.; 4]), f64s("fc1.weight_v", &FOUR, &W0)],
            ["fc1.weight_", "bake it in"],
        ),
        (
            vec![
                f64s("fc1.parametrizations.weight.original0", &[4, 1], &[1.; 4]),
                f64s("fc1.parametrizations.weight.original1", &FOUR, &W0),
            ],
            ["parametrizations", "bake it in"],
        ),
        (
            vec![f64s("fc1.weight_orig", &FOUR, &W0), f64s("fc1.weight_u", &[4], &[1.; 4])],
            ["fc1.weight_orig", "bake it in"],
        ),
        (vec![f64s("fc1.base_layer.weight", &FOUR, &W0)], ["fc1.base_layer", "merge"]),
        (
            vec![
                w0.clone(),
                f64s("fc1.lora_A.weight", &[1, 4], &[1.; 4]),
                f64s("fc1.lora_B.weight", &[4, 1], &[1.; 4]),
            ],
            ["fc1.lora_A.weight", "merge"],
        ),
        (vec![w0.clone(), f64s("fc1.gain", &FOUR, &W2)], ["fc1.gain", "not known"]),
        (vec![w0.clone(), f64s("rotation", &FOUR, &W2)], ["rotation", "not a plain MLP"]),
        (vec![f64s("emb.weight", &FOUR, &W0)], ["emb.weight", "not a plain MLP"]),
        // A norm between layers, as Flax names it, is no quantisation.
        (vec![w0.clone(), f64s("LayerNorm_0/scale", &[4], &[1.; 4])], ["LayerNorm_0/scale", "not a plain MLP"]),
    ] {
        let tensors = [decisive, vec![w1.clone()]].concat();
        refused(&tensors, &NETWORK, &[], &words);
    }
    // Also where the layers are named.
    let beside = [w0.clone(), f64s("fc1.lora_A.weight", &[1, 4], &[1.; 4]), w1.clone()];
    refused(&beside, &NETWORK, &["--layers", "fc1.weight,fc2.weight"], &["fc1.lora_A.weight", "merge"]);
    let based = [f64s("fc1.base_layer.weight", &FOUR, &W0), f64s("fc1.lora_A.weight", &[1, 4], &[1.; 4]), w1.clone()];
    refused(&based, &NETWORK, &["--layers", "fc1.base_layer.weight,fc2.weight"], &["fc1.lora_A.weight", "merge"]);
    // Counters and an optimiser's state leave the network as it is.
    let counted = [
        w0,
        w1,
        f64s("step", &[], &[3.]),
        f64s("optimizer.0.exp_avg", &FOUR, &W2),
        f64s("num_batches_tracked", &[], &[3.]),
    ];
    measured(&counted, &[], &TWO);
}

#[test]
fn two_networks_of_a_file_are_told_apart() {
    let both = |a: &str, b: &str| {
        let net = |p: &str, w: [&[f64; 16]; 2]| {
            [f64s(&format!("{p}fc1.weight"), &FOUR, w[0]), f64s(&format!("{p}fc2.weight"), &FOUR, w[1])]
        };
        [net(a, [&W0, &W1]), net(b, [&W1, &W0])].concat()
    };
    for (a, b) in
        [("model.", "ema."), ("", "ema_model."), ("q.", "q_target."), ("actor.", "critic."), ("nets.0.", "nets.1.")]
    {
        refused(&both(a, b), &NETWORK, &[], &["two networks", "--prefix"]);
    }
    measured(&both("model.", "ema."), &["--prefix", "model."], &TWO);
    refused(&both("model.", "ema."), &NETWORK, &["--prefix", "none."], &["--prefix none.", "model.fc1.weight"]);
}

#[test]
fn order_and_orientation_are_known_or_asked_for() {
    let words =
        [f64s("input.weight", &FOUR, &W0), f64s("hidden.weight", &FOUR, &W1), f64s("output.weight", &FOUR, &W2)];
    let named = "input.weight,hidden.weight,output.weight";
    refused(&words, &NETWORK, &[], &["order", named, "--layers"]);
    measured(&words, &["--layers", named], &THREE);
    refused(
        &[f64s("encoder.weight", &FOUR, &W0), f64s("decoder.weight", &FOUR, &W1)],
        &NETWORK,
        &[],
        &["decoder.weight,encoder.weight or encoder.weight,decoder.weight"],
    );
    let (t0, t1) = (turned(&W0), turned(&W1));
    measured(&[f64s("params/Dense_0/kernel", &FOUR, &t0), f64s("params/Dense_1/kernel", &FOUR, &t1)], &[], &TWO);
    measured(
        &[
            f64s("dense/kernel:0", &FOUR, &t0),
            f64s("dense_1/kernel:0", &FOUR, &t1),
            f64s("dense/bias:0", &[4], &[0.; 4]),
        ],
        &[],
        &TWO,
    );
    measured(&[f64s("mlp.c_fc.weight", &FOUR, &t0), f64s("mlp.c_proj.weight", &FOUR, &t1)], &[], &TWO);
    refused(
        &[f64s("fc1.weight", &[4, 3], &W0[..12]), f64s("fc2.weight", &[3, 2], &W1[..6])],
        &NETWORK,
        &[],
        &["as [in, out] they would fit", "kernel"],
    );
    refused(
        &[f64s("fc1.weight", &[4, 3], &W0[..12]), f64s("fc1.bias", &[3], &[0.; 3])],
        &NETWORK,
        &[],
        &["as [in, out] it would fit"],
    );
}

/// q = k = W0, v = W1, o = W1ᵀ: balanced.
fn attention(at: &str) -> Vec<Tensor> {
    let tensor = |name: &str, values: &[f64]| f64s(&format!("{at}self_attn.{name}.weight"), &FOUR, values);
    vec![tensor("q_proj", &W0), tensor("k_proj", &W0), tensor("v_proj", &W1), tensor("o_proj", &turned(&W1))]
}

#[test]
fn pairs_are_of_the_weights_that_the_loss_sees() {
    let heads = ["--heads", "1"];
    let call = [&PAIRS[..], &heads].concat();
    let misfits = |tensors: &[Tensor]| {
        let report = folder(tensors).run(&call).expect(0).lines().remove(0);
        let layers = report["layers"].as_array().unwrap().clone();
        layers.iter().map(|layer| layer["laws"]["balance"]["misfit"].as_f64().unwrap()).collect::<Vec<f64>>()
    };
    let plain = attention("model.layers.0.");
    assert!(misfits(&plain).iter().all(|misfit| *misfit < 1e-12));
    // The loss sees W + BA.
    for at in ["model.layers.0.self_attn.v_proj", "base_model.model.model.layers.0.self_attn.v_proj"] {
        let adapter = [
            f64s(&format!("{at}.lora_A.weight"), &[1, 4], &[1., 0., 2., 0.]),
            f64s(&format!("{at}.lora_B.weight"), &[4, 1], &[1., -1., 0., 2.]),
        ];
        refused(&[plain.clone(), adapter.to_vec()].concat(), &PAIRS, &heads, &["lora_A.weight", "not merged", "merge"]);
    }
    let mut based = plain.clone();
    based[2].0 = "model.layers.0.self_attn.v_proj.base_layer.weight".into();
    refused(&based, &PAIRS, &heads, &["v_proj.base_layer.weight", "merge"]);
    // Whole numbers times a scale: [[1, 2], [6, 2]] against the transpose of [[1, 2], [3, 1]].
    let two = |name: &str, values: &[f64]| f64s(&format!("self_attn.{name}.weight"), &[2, 2], values);
    let scaled = [
        two("q_proj", &[1., 2., 3., 1.]),
        two("k_proj", &[1., 2., 3., 1.]),
        bytes("self_attn.v_proj.weight", "I8", &[2, 2], &[1., 2., 3., 1.]),
        f64s("self_attn.v_proj.weight_scale", &[2, 1], &[1., 2.]),
        two("o_proj", &[1., 3., 2., 1.]),
    ];
    assert!((misfits(&scaled)[0] - 2.33).abs() < 5e-3, "{:?}", misfits(&scaled));
    // A decoder looks at itself and at the encoder: two blocks of one layer, apart by their names.
    let mut both = attention("decoder.layers.0.");
    both[3].0 = "decoder.layers.0.self_attn.out_proj.weight".into();
    let cross: Vec<Tensor> =
        both.iter().cloned().map(|t| (t.0.replace("self_attn", "encoder_attn"), t.1, t.2, t.3)).collect();
    let report = folder(&[both, cross].concat()).run(&call).expect(0).lines().remove(0);
    let names: Vec<&str> = report["layers"].as_array().unwrap().iter().filter_map(|l| l["name"].as_str()).collect();
    assert_eq!(names.len(), 4);
    assert!(names.contains(&"decoder.layers.0.value_output.head0"), "{names:?}");
    assert!(names.contains(&"decoder.layers.0.encoder_attn.value_output.head0"), "{names:?}");
    // What is missing is named.
    for (without, words) in [
        ("q_proj", ["k_proj", "self_attn.q_proj.weight is not here"]),
        ("o_proj", ["q_proj", "self_attn.o_proj.weight is not here"]),
    ] {
        let rest: Vec<Tensor> = plain.iter().filter(|tensor| !tensor.0.contains(without)).cloned().collect();
        refused(&rest, &PAIRS, &heads, &words);
    }
    refused(&[f64s("q.lora_B.weight", &[4, 1], &[1.; 4])], &PAIRS, &[], &["q.lora_A.weight", "not here"]);
    // By a layout that is known, or not at all.
    let fused = |name: &str, rows: usize| f64s(name, &[rows, 4], &vec![1.0; 4 * rows]);
    let named = [fused("h.0.self_attention.query_key_value.weight", 12), fused("h.0.self_attention.dense.weight", 4)];
    refused(&named, &PAIRS, &heads, &["laid out", "config.json"]);
    let uneven = [fused("h.0.attn.qkv.weight", 10), fused("h.0.attn.proj.weight", 4)];
    refused(&uneven, &PAIRS, &["--heads", "2"], &["10 rows", "queries"]);
    let unknown = [fused("h.0.attn.mixed_qkv.weight", 12), fused("h.0.attn.proj.weight", 4)];
    refused(&unknown, &PAIRS, &heads, &["h.0.attn.proj.weight", "not here"]);
}

#[test]
fn adapters_of_every_name_are_pairs() {
    // BᵀB = 6 and AAᵀ = 5, in each of these names.
    let (a, b) = ([1., 0., 2., 0.], [1., -1., 0., 2.]);
    for [lower, upper, name] in [
        ["q.lora_A.weight", "q.lora_B.weight", "q.lora"],
        ["q.lora_A.default.weight", "q.lora_B.default.weight", "q.lora"],
        ["q.lora_A.mine.weight", "q.lora_B.mine.weight", "q.lora.mine"],
        ["lora_unet_to_q.lora_down.weight", "lora_unet_to_q.lora_up.weight", "lora_unet_to_q.lora"],
        ["unet.to_q_lora.down.weight", "unet.to_q_lora.up.weight", "unet.to_q.lora"],
        ["emb.lora_embedding_A", "emb.lora_embedding_B", "emb.lora"],
    ] {
        let folder = folder(&[f64s(lower, &[1, 4], &a), f64s(upper, &[4, 1], &b)]);
        let report = folder.run(&PAIRS).expect(0).lines().remove(0);
        assert_eq!(report["layers"][0]["name"], name);
        assert_eq!(report["imbalance"][0]["frobenius"], 1.0);
    }
    // A convolution's patches are rows: 2 x 2 places of one channel.
    let unfolded = [f64s("c.lora_down.weight", &[1, 1, 2, 2], &a), f64s("c.lora_up.weight", &[4, 1, 1, 1], &b)];
    let report = folder(&unfolded).run(&PAIRS).expect(0).lines().remove(0);
    assert_eq!(report["imbalance"][0]["frobenius"], 1.0);
    let wide = [f64s("c.lora_down.weight", &[1, 4], &a), f64s("c.lora_up.weight", &[2, 1, 2, 1], &b)];
    refused(&wide, &PAIRS, &[], &["c.lora_up.weight", "no factor"]);
}

#[test]
fn a_network_in_several_files_is_one() {
    let all = attention("model.layers.0.");
    let folder = folder(&all[..2]);
    folder.write("rest.safetensors", file(&all[2..]));
    let map = |o: &str| {
        let place = |tensor: &Tensor| if tensor.0.contains("o_proj") { o } else { "rest.safetensors" };
        let place = |i: usize, tensor: &Tensor| if i < 2 { "net.safetensors" } else { place(tensor) }.to_string();
        let map: serde_json::Map<String, Value> =
            all.iter().enumerate().map(|(i, t)| (t.0.clone(), place(i, t).into())).collect();
        json!({ "weight_map": map }).to_string()
    };
    folder.write("model.safetensors.index.json", map("rest.safetensors"));
    let call = |path: &'static str| ["measure", "--weights", path, "--pairs", "auto", "--heads", "1", "--json"];
    for path in ["model.safetensors.index.json", "."] {
        let report = folder.run(&call(path)).expect(0).lines().remove(0);
        assert_eq!(report["layers"].as_array().map(Vec::len), Some(2));
    }
    let alone = folder.run(&call("net.safetensors")).expect(2).stderr;
    assert!(alone.contains("v_proj.weight") && alone.contains("index.json"), "{alone}");
    let two = ["measure", "--weights", "net.safetensors", "rest.safetensors", "--layers", "x", "--inputs", "x.csv"];
    folder.run(&two).expect(2);
    folder.write("model.safetensors.index.json", map("net.safetensors"));
    let wrong = folder.run(&call("model.safetensors.index.json")).expect(2).stderr;
    assert!(wrong.contains("o_proj.weight is in net.safetensors"), "{wrong}");
    // Several files are one network over time.
    let two = |p: &str| file(&[f64s(&format!("{p}1.weight"), &FOUR, &W0), f64s(&format!("{p}2.weight"), &FOUR, &W1)]);
    folder.write("a.safetensors", two("fc"));
    folder.write("b.safetensors", two("lin"));
    folder.write("c.safetensors", two("module.fc"));
    let over = |b| ["measure", "--weights", "a.safetensors", b, "--inputs", "x.csv", "--activation", "relu", "--json"];
    assert!(folder.run(&over("b.safetensors")).expect(2).stderr.contains("one network over time"));
    assert_eq!(folder.run(&over("c.safetensors")).expect(0).lines().len(), 2);
    let compared = [&over("b.safetensors")[..], &["--compare"]].concat();
    folder.run(&compared).expect(2);
    let start = [
        "measure",
        "--weights",
        "a.safetensors",
        "--inputs",
        "x.csv",
        "--activation",
        "relu",
        "--init",
        "c.safetensors",
    ];
    assert!(folder.run(&start).expect(0).stdout.contains("0 of 1 nearer than at initialisation"));
}

#[test]
fn options_that_do_nothing_are_refused() {
    let folder = folder(&[f64s("fc1.weight", &FOUR, &W0), f64s("fc2.weight", &FOUR, &W1)]);
    for (call, words) in [
        (
            &["--weights", "net.safetensors", "--pairs", "auto", "--init", "none"][..],
            ["--init does nothing", "--inputs"],
        ),
        (&["--weights", "net.safetensors", "--pairs", "auto", "--scale", "2"], ["--scale does nothing", "--inputs"]),
        (&["--capture", "none", "--pairs", "auto"], ["--pairs does nothing", "--weights"]),
        (&["--capture", "none", "--activation", "relu"], ["--activation does nothing", "--weights"]),
        (&["--weights", "net.safetensors", "--inputs", "x.csv", "--heads", "2"], ["--heads does nothing", "--pairs"]),
        (&["--weights", "net.safetensors", "--inputs", "x.csv", "--rank", "2"], ["--rank does nothing", "--agop"]),
        (&["--weights", "net.safetensors", "--inputs", "x.csv", "--loss", "mse"], ["--loss goes with", "--targets"]),
        (&["--weights", "net.safetensors", "--inputs", "x.csv", "--strict"], ["--strict goes with", "--targets"]),
    ] {
        let ended = folder.run(&[&["measure"], call].concat()).expect(2);
        assert!(words.iter().all(|word| ended.stderr.contains(word)), "{}", ended.stderr);
    }
    // No table of its own: the help is made of it.
    let help = folder.run(&["measure", "--help"]).expect(0).stdout;
    assert!(help.contains("--nfm with --agop:") && help.contains("--rank"), "{help}");
}

#[test]
fn answers_that_speak_of_another_network_are_heard() {
    let folder = folder(&[f64s("fc1.weight", &FOUR, &W0), f64s("fc2.weight", &FOUR, &W1)]);
    // f = W1 relu(W0 x), by hand.
    let x: Vec<f64> = rows(64).split([',', '\n']).filter_map(|v| v.parse().ok()).collect();
    let apply =
        |w: &[f64; 16], h: &[f64]| (0..4).map(|i| (0..4).map(|j| w[4 * i + j] * h[j]).sum()).collect::<Vec<f64>>();
    let outputs = x.chunks(4).map(|row| apply(&W1, &apply(&W0, row).iter().map(|v| v.max(0.0)).collect::<Vec<_>>()));
    let outputs: Vec<Vec<f64>> = outputs.collect();
    let best = |row: &Vec<f64>| (0..4).fold(0, |best, k| if row[k] > row[best] { k } else { best });
    let column =
        |class: &dyn Fn(usize) -> String| outputs.iter().map(|row| class(best(row)) + "\n").collect::<String>();
    folder.write("right.csv", column(&|k| k.to_string()));
    folder.write("wrong.csv", column(&|k| ((k + 1) % 4).to_string()));
    folder.write("from1.csv", column(&|k| (k + 1).to_string()));
    folder.write("float.csv", column(&|k| format!("{k}.0")));
    folder.write("hot.csv", column(&|k| (0..4).map(|i| if i == k { "1" } else { "0" }).collect::<Vec<_>>().join(",")));
    folder.write(
        "far.csv",
        outputs
            .iter()
            .map(|row| row.iter().map(|v| format!("{:e}", -v)).collect::<Vec<_>>().join(",") + "\n")
            .collect::<String>(),
    );
    let call = |targets: &'static str| [&NETWORK[..], &["--strict", "--targets", targets]].concat();
    for targets in ["right.csv", "hot.csv"] {
        let report = folder.run(&call(targets)).expect(0).lines().remove(0);
        assert_eq!((&report["task"]["error"], &report["warnings"]), (&json!(0.0), &json!([])));
    }
    for (targets, word) in [("wrong.csv", "every row"), ("far.csv", "no better than")] {
        let report = folder.run(&call(targets)).expect(1).lines().remove(0);
        let warning = report["warnings"][0].as_str().unwrap();
        assert!(
            warning.contains(word) && warning.contains("--activation") && warning.contains("--layers"),
            "{warning}"
        );
    }
    assert!(folder.run(&call("from1.csv")).expect(1).stdout.contains("classes that count from 1"));
    assert!(folder.run(&call("float.csv")).expect(2).stderr.contains("int64"));
    // A constant is right where all rows are of one class, and so is the network.
    let one: Vec<usize> = outputs.iter().enumerate().filter(|(_, row)| best(row) == 0).map(|(i, _)| i).collect();
    let lines: Vec<String> = rows(64).lines().map(String::from).collect();
    folder.write("one_x.csv", one.iter().map(|&i| lines[i].clone() + "\n").collect::<String>());
    folder.write("one_y.csv", "0\n".repeat(one.len()));
    let call = ["measure", "--weights", "net.safetensors", "--inputs", "one_x.csv", "--activation", "relu", "--strict"];
    folder.run(&[&call[..], &["--targets", "one_y.csv"]].concat()).expect(0);
    // Without --strict it is said, and that is all.
    let text = folder.run(&[&NETWORK[..7], &["--targets", "wrong.csv"]].concat()).expect(0).stdout;
    assert!(text.contains("warning: every row"), "{text}");
    let text = folder.run(&NETWORK[..7]).expect(0).stdout;
    assert!(text.contains("not checked against a loss"), "{text}");
    // Pixels.
    let pixels: String = x
        .chunks(4)
        .map(|r| r.iter().map(|v| ((v.abs() * 255.0) as u8).to_string()).collect::<Vec<_>>().join(",") + "\n")
        .collect();
    folder.write("x.csv", pixels);
    let report = folder.run(&[&NETWORK[..], &["--targets", "far.csv"]].concat()).expect(0).lines().remove(0);
    assert!(report["warnings"][0].as_str().unwrap().contains("--scale 0.00392"), "{report}");
}

#[test]
fn few_repeated_and_rounded_rows_are_no_evidence() {
    let folder = folder(&[f64s("fc1.weight", &FOUR, &W0), f64s("fc2.weight", &FOUR, &W1)]);
    let law = |folder: &Folder| folder.run(&NETWORK).expect(0).lines().remove(0)["layers"][0]["laws"]["nfa"].clone();
    let whole = law(&folder);
    assert!(whole["reason"].as_str().unwrap().contains("on these rows"), "{whole}");
    folder.write("x.csv", rows(8));
    let once = law(&folder);
    // The same draws, 250 times each: the same interval to rounding.
    folder.write("x.csv", rows(8).repeat(250));
    let often = law(&folder);
    for end in [0, 1] {
        let [a, b] = [&once, &often].map(|law| law["alpha_interval"][end].as_f64().unwrap());
        assert!((a / b - 1.0).abs() < 1e-9, "{once} {often}");
    }
    folder.write("x.csv", rows(3).repeat(100));
    let few = law(&folder);
    assert_eq!(few["verdict"], "undetermined");
    assert!(few["reason"].as_str().unwrap().starts_with("3 distinct rows"), "{few}");
    assert!(few["alpha_interval"].is_null(), "{few}");
}

#[test]
fn what_rounding_leaves_is_no_evidence() {
    // A = B^(1/10) with a B that falls over seven decades: in f64 all of them say so, in bf16 the last may be rounding.
    let w: [f64; 8] = std::array::from_fn(|i| 10f64.powf(-0.05 * i as f64));
    let diagonal = |v: &dyn Fn(usize) -> f64| {
        (0..64).map(|at| if at / 8 == at % 8 { v(at / 8) } else { 0.0 }).collect::<Vec<f64>>()
    };
    let k =
        |b: usize| diagonal(&|i| (1.0 + 0.001 * ((b * 5 + i * 3) % 7) as f64) * 10f64.powi(-(i as i32)) / w[i].powi(2));
    let blocks: Vec<f64> = (0..8).flat_map(k).collect();
    let tensors = [
        f64s("fc.weight", &[8, 8], &diagonal(&|i| w[i])),
        f64s("fc.k", &[8, 8, 8], &blocks),
        f64s("fc.count", &[8], &[100.0; 8]),
    ];
    let folder = Folder::new();
    let law = |notes: &[(&str, &str)]| {
        let notes = [&[("format", "nfa.capture/1")], notes].concat();
        folder.write("c.safetensors", noted(&tensors, &notes));
        let report = folder.run(&["measure", "--capture", "c.safetensors", "--json"]).expect(0).lines().remove(0);
        (report["dtype"].clone(), report["layers"][0]["laws"]["nfa"].clone())
    };
    let width = |law: &Value| {
        let end = |i: usize| law["alpha_interval"][i].as_f64().unwrap();
        end(1) - end(0)
    };
    let (unsaid, exact, (dtype, coarse)) = (law(&[]).1, law(&[("compute", "f64")]).1, law(&[("compute", "bf16")]));
    assert_eq!((&dtype, &exact), (&json!("bf16"), &unsaid));
    assert_eq!(coarse["alpha"], exact["alpha"]);
    assert!(width(&coarse) > 10.0 * width(&exact), "{coarse} {exact}");
    // As many samples, of which few differ.
    let few = law(&[("rows", "3")]).1;
    assert!(few["reason"].as_str().unwrap().starts_with("3 distinct rows"), "{few}");
}

/// diag(AGOP) of W1 relu(W0 x) by hand, and the variances of the columns of x.
fn diagonal_by_hand() -> ([f64; 4], [f64; 4]) {
    let x = |i: usize, j: usize| (1.0 + 1.7 * (i * (j + 1)) as f64 + 0.9 * j as f64).sin();
    let (mut diagonal, mut variances) = ([0.0; 4], [0.0; 4]);
    for j in 0..4 {
        let mean = (0..64).map(|i| x(i, j)).sum::<f64>() / 64.0;
        variances[j] = (0..64).map(|i| (x(i, j) - mean).powi(2)).sum::<f64>() / 64.0;
        for i in 0..64 {
            let open = |u: usize| (0..4).map(|m| W0[4 * u + m] * x(i, m)).sum::<f64>() > 0.0;
            let slope = |k: usize| (0..4).filter(|&u| open(u)).map(|u| W1[4 * k + u] * W0[4 * u + j]).sum::<f64>();
            diagonal[j] += (0..4).map(|k| slope(k).powi(2)).sum::<f64>() / 64.0;
        }
    }
    (diagonal, variances)
}

#[test]
fn columns_have_their_names_shares_intervals_and_what_chance_gives() {
    let folder = folder(&[f64s("fc1.weight", &FOUR, &W0), f64s("fc2.weight", &FOUR, &W1)]);
    folder.write("named.csv", format!("age,\"height, cm\",dose,b\u{1b}mi\n{}", rows(64)));
    let shuffled = [f64s("fc1.weight", &FOUR, &turned(&W0)), f64s("fc2.weight", &FOUR, &W2)];
    folder.write("shuffled.safetensors", file(&shuffled));
    let call = |inputs: &'static str, more: &[&'static str]| {
        let call = ["measure", "--weights", "net.safetensors", "--inputs", inputs, "--activation", "relu"];
        folder.run(&[&call[..], more].concat())
    };
    let control = ["--columns", "--shuffled", "shuffled.safetensors"];
    let report = call("named.csv", &[&control[..], &["--json"]].concat()).expect(0).lines().remove(0);
    let (diagonal, variances) = diagonal_by_hand();
    let total: f64 = diagonal.iter().sum();
    let scaled: f64 = diagonal.iter().zip(variances).map(|(d, v)| d * v).sum();
    for (j, row) in report["columns"].as_array().unwrap().iter().enumerate() {
        let near = |found: &Value, expected: f64| {
            assert!((found.as_f64().unwrap() / expected - 1.0).abs() < 1e-12, "{j}: {found} and not {expected}");
        };
        near(&row["value"], diagonal[j]);
        near(&row["unit"]["share"], diagonal[j] / total);
        near(&row["deviation"]["share"], diagonal[j] * variances[j] / scaled);
        assert_eq!(row["name"], ["age", "height, cm", "dose", "b\u{1b}mi"][j]);
        let end = |i: usize| row["deviation"]["interval"][i].as_f64().unwrap();
        let share = row["deviation"]["share"].as_f64().unwrap();
        assert!(end(0) < share && share < end(1) && end(1) - end(0) < 0.2, "{row}");
        let above = end(0) > row["deviation"]["shuffled"].as_f64().unwrap();
        assert_eq!(row["above_shuffled"], above, "{row}");
    }
    // Networks beside themselves are as chance, to the last column.
    let same = call("named.csv", &["--columns", "--shuffled", "net.safetensors"]).expect(0).stdout;
    assert!(same.contains("columns: 0 of 4 have more"), "{same}");
    // The largest first, no escape for a terminal, and numbers where there are no names.
    let text = call("named.csv", &control).expect(0).stdout;
    let largest = (0..4).max_by(|&a, &b| diagonal[a].total_cmp(&diagonal[b])).unwrap();
    let first = text.lines().skip_while(|line| !line.starts_with("column ")).nth(1).unwrap();
    assert!(first.starts_with(["age", "height, cm", "dose", "b\u{fffd}mi"][largest]), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    let bare = call("x.csv", &["--columns", "--plot-columns", "bars.svg", "--plot-depth", "depth.svg"]);
    // Of two layers the last is by definition: nothing to draw over depth.
    assert!(bare.expect(2).stderr.contains("--plot-depth"));
    let bare = call("x.csv", &["--columns", "--plot-columns", "bars.svg"]).expect(0).stdout;
    assert!(bare.contains("column 3") && bare.contains("what chance gives is not known"), "{bare}");
    let svg = std::fs::read_to_string(folder.path("bars.svg")).unwrap();
    assert!(svg.contains("per unit of") || svg.contains("per unit"), "{svg}");
    for (more, word) in [
        (vec!["--shuffled", "net.safetensors"], "--columns"),
        (vec!["--plot-columns", "a.svg"], "--columns"),
        (vec!["--columns", "--layer", "1"], "--layer"),
        (vec!["--columns", "--shuffled", "x.csv"], "x.csv"),
    ] {
        assert!(call("x.csv", &more).expect(2).stderr.contains(word), "{more:?}");
    }
}

#[test]
fn what_changed_has_an_interval_of_its_own() {
    let folder = folder(&[f64s("fc1.weight", &FOUR, &W0), f64s("fc2.weight", &FOUR, &W1)]);
    // A start that is the end moved nowhere, in any block.
    let twin = call_with(&folder, &["--init", "net.safetensors"]);
    let change = &twin["layers"][0]["since_init"];
    assert_eq!((&change["misfit"], &change["misfit_interval"]), (&json!(0.0), &json!([0.0, 0.0])));
    folder.write("init.safetensors", file(&[f64s("fc1.weight", &FOUR, &turned(&W0)), f64s("fc2.weight", &FOUR, &W1)]));
    let moved = call_with(&folder, &["--init", "init.safetensors"]);
    let (law, change) = (&moved["layers"][0]["laws"]["nfa"], &moved["layers"][0]["since_init"]);
    let by = law["misfit"].as_f64().unwrap() - law["null"]["init"].as_f64().unwrap();
    assert!((change["misfit"].as_f64().unwrap() - by).abs() < 1e-12, "{change} {by}");
    let end = |i: usize| change["misfit_interval"][i].as_f64().unwrap();
    assert!(end(0) < end(1) && end(0) < by + 0.05 && by - 0.05 < end(1), "{change}");
    // The same from two files side by side.
    let call = [&NETWORK[..2], &["init.safetensors", "net.safetensors"], &NETWORK[3..], &["--compare"]].concat();
    let compared = folder.run(&call).expect(0).lines().pop().unwrap();
    assert_eq!(&compared["layers"][0]["moved"], change);
}

#[test]
fn heads_are_hidden_and_what_holds_by_definition_alone_is_no_answer() {
    let folder = folder(&[f64s("fc1.weight", &FOUR, &W0), f64s("fc2.weight", &FOUR, &W1)]);
    let k = (0..16).map(|at| if at % 5 == 0 { 1.0 + at as f64 } else { 0.0 }).collect::<Vec<f64>>();
    let site = |name: &str, w: &[f64; 16]| {
        let key = |part: &str| format!("{name}.{part}");
        [f64s(&key("weight"), &FOUR, w), f64s(&key("k"), &[1, 4, 4], &k), f64s(&key("count"), &[1], &[64.0])]
    };
    // A map that is called a head by itself is no part of one.
    let sites = [site("a.q", &W0), site("a.q.head0", &W1), site("a.q.head1", &W2), site("b.head", &W1)].concat();
    let notes = [("format", "nfa.capture/1"), ("order", "a.q,a.q.head0,a.q.head1,b.head"), ("last", "b.head")];
    folder.write("c.safetensors", noted(&sites, &notes));
    let names = |more: &[&str]| -> Vec<Value> {
        let call = [&["measure", "--capture", "c.safetensors", "--json"], more].concat();
        let report = folder.run(&call).expect(0).lines().remove(0);
        assert_eq!(report["coverage"]["maps"], 2, "{report}");
        report["layers"].as_array().unwrap().iter().map(|layer| layer["name"].clone()).collect()
    };
    assert_eq!(names(&[]), ["a.q", "a.q.head0", "a.q.head1", "b.head"]);
    assert_eq!(names(&["--heads", "hide"]), ["a.q", "b.head"]);
    for call in
        [vec!["measure", "--capture", "c.safetensors", "--layer", "b.head"], [&NETWORK[..], &["--layer", "1"]].concat()]
    {
        let ended = folder.run(&call).expect(2);
        assert!(ended.stdout.is_empty() && ended.stderr.contains("by definition"), "{}", ended.stderr);
    }
    let pairs = [&PAIRS[..], &["--heads", "hide"]].concat();
    assert!(folder.run(&pairs).expect(2).stderr.contains("--heads hide does nothing"));
    assert!(
        folder.run(&["measure", "--capture", "c.safetensors", "--heads", "some"]).expect(2).stderr.contains("hide")
    );
}

fn call_with(folder: &Folder, more: &[&str]) -> Value {
    folder.run(&[&NETWORK[..], more].concat()).expect(0).lines().remove(0)
}

#[test]
fn a_table_says_what_it_is_of_and_fits_a_terminal() {
    let name = "a.rather.long.name.of.a.layer.in.a.network.of.somebody.else";
    let at = |end: &str| format!("{name}.{end}");
    let folder = folder(&[
        f64s(&at("0.weight"), &FOUR, &W0),
        f64s(&at("0.bias"), &[4], &[0.0; 4]),
        f64s(&at("2.weight"), &FOUR, &W1),
        f64s(&at("4.weight"), &FOUR, &W2),
    ]);
    let text = folder.run(&NETWORK[..7]).expect(0).stdout;
    // Without what all names begin with, and so still apart.
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("..") && line.contains(".weight 4x4")).collect();
    assert!(rows.len() >= 3 && rows.iter().all(|row| row.chars().count() <= 120 && row.contains("..")), "{text}");
    // 32 of 52 parameters; the last map's 16 hold by definition.
    let line = "nfa: 2 fail (1 order, 1 directions), 1 by definition; 3 of 3 maps, 62 % of the parameters";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("  cosine  ") && !text.contains("  init  "), "{text}");
    let report = folder.run(&NETWORK).expect(0).lines().remove(0);
    assert_eq!(report["coverage"]["parameters"], json!({ "measured": 48, "by_definition": 16, "all": 52 }));
    assert_eq!(report["summary"]["by_definition"], 1);
}
