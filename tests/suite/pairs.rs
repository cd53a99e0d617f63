//! Pair laws in attention: the recurrence at every step of sgd, through every naming scheme, and what
//! `measure --pairs auto` says of the files.

use burn::tensor::activation::softmax;
use burn::tensor::{DType, Device, Tensor, TensorData};
use nfa_metrics::{Mat, ProductPair};
use nfa_models::Stream;
use nfa_train::array::safetensors::Tensors;
use nfa_train::array::save::serialize;
use nfa_train::measure::pairs::{Heads, find};
use serde_json::json;

use crate::binary::Folder;

const HEADS: usize = 4;
const SIZE: usize = 4;
const MODEL: usize = 6;
const TOKENS: usize = 5;
const RATE: f64 = 0.05;
const DECAY: f64 = 0.1;

/// One attention block; a scheme says how it is kept in a file.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Scheme {
    Llama,
    Opt,
    Bert,
    Vit,
    T5,
    Gpt2,
    Timm,
    Torch,
}

const SCHEMES: [Scheme; 8] =
    [Scheme::Llama, Scheme::Opt, Scheme::Bert, Scheme::Vit, Scheme::T5, Scheme::Gpt2, Scheme::Timm, Scheme::Torch];

impl Scheme {
    fn rotary(self) -> bool {
        self == Scheme::Llama
    }

    /// Heads that hold keys and values.
    fn groups(self) -> usize {
        if self == Scheme::Llama { 2 } else { HEADS }
    }

    fn bias(self) -> bool {
        self != Scheme::T5
    }

    /// Weights of q, k, v, o `[out, in]` and biases of q, k, v, as a file of this scheme.
    fn file(self, weights: &[Mat; 4], biases: &[Vec<f64>; 3]) -> Vec<u8> {
        let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
        let bytes = |values: &[f64]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let mut matrix = |name: &str, w: &Mat| {
            let values: Vec<f64> = (0..w.nrows() * w.ncols()).map(|k| w[(k / w.ncols(), k % w.ncols())]).collect();
            tensors.push((name.to_string(), vec![w.nrows(), w.ncols()], bytes(&values)));
        };
        let stacked = Mat::from_fn(3 * weights[0].nrows(), MODEL, |i, j| {
            let third = weights[0].nrows();
            if i / third < 3 && weights[i / third].nrows() == third { weights[i / third][(i % third, j)] } else { 0.0 }
        });
        let (apart, output) = match self {
            Scheme::Llama => (Some(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]), "self_attn.o_proj"),
            Scheme::Opt => (Some(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]), "self_attn.out_proj"),
            Scheme::Bert => {
                (Some(["attention.self.query", "attention.self.key", "attention.self.value"]), "attention.output.dense")
            }
            Scheme::Vit => (
                Some(["attention.attention.query", "attention.attention.key", "attention.attention.value"]),
                "attention.output.dense",
            ),
            Scheme::T5 => (Some(["SelfAttention.q", "SelfAttention.k", "SelfAttention.v"]), "SelfAttention.o"),
            Scheme::Gpt2 => (None, "attn.c_proj"),
            Scheme::Timm => (None, "attn.proj"),
            Scheme::Torch => (None, "out_proj"),
        };
        let at = "model.layers.3.";
        if let Some(names) = apart {
            for (name, weight) in names.iter().zip(weights) {
                matrix(&format!("{at}{name}.weight"), weight);
            }
        }
        match self {
            Scheme::Gpt2 => {
                matrix(&format!("{at}attn.c_attn.weight"), &stacked.transpose().to_owned());
                matrix(&format!("{at}{output}.weight"), &weights[3].transpose().to_owned());
            }
            Scheme::Timm => matrix(&format!("{at}attn.qkv.weight"), &stacked),
            Scheme::Torch => matrix(&format!("{at}in_proj_weight"), &stacked),
            _ => {}
        }
        if self != Scheme::Gpt2 {
            matrix(&format!("{at}{output}.weight"), &weights[3]);
        }
        let mut vector = |name: String, values: &[f64]| tensors.push((name, vec![values.len()], bytes(values)));
        if self.bias() {
            match (apart, self) {
                (Some(names), _) => {
                    for (name, bias) in names.iter().zip(biases) {
                        vector(format!("{at}{name}.bias"), bias);
                    }
                }
                (None, Scheme::Gpt2) => vector(format!("{at}attn.c_attn.bias"), &biases.concat()),
                (None, Scheme::Timm) => vector(format!("{at}attn.qkv.bias"), &biases.concat()),
                (None, _) => vector(format!("{at}in_proj_bias"), &biases.concat()),
            }
        }
        serialize(&tensors).unwrap()
    }
}

fn pairs(file: &[u8]) -> Vec<ProductPair> {
    let heads = Heads { given: Some(HEADS), config: None };
    find(&Tensors::open(file).unwrap(), "net", &heads).unwrap()
}

fn tensor(values: Vec<f64>, rows: usize, cols: usize) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, [rows, cols]), (&Device::flex().autodiff(), DType::F64))
}

/// x cos + rotate_half(x) sin, positions along rows.
fn rotated(x: Tensor<2>) -> Tensor<2> {
    let half = SIZE / 2;
    let angle = |t: usize, i: usize| t as f64 / 100f64.powf((i % half) as f64 / half as f64);
    let table = |f: fn(f64) -> f64| (0..TOKENS * SIZE).map(|k| f(angle(k / SIZE, k % SIZE))).collect();
    let turned = Tensor::cat(vec![-x.clone().slice([0..TOKENS, half..SIZE]), x.clone().slice([0..TOKENS, 0..half])], 1);
    x * tensor(table(f64::cos), TOKENS, SIZE) + turned * tensor(table(f64::sin), TOKENS, SIZE)
}

/// Gradients of a loss of the block's outputs on one sequence.
fn gradients(scheme: Scheme, weights: &[Mat; 4], biases: &[Vec<f64>; 3], x: &[f64]) -> ([Mat; 4], [Vec<f64>; 3]) {
    let values = |w: &Mat| (0..w.nrows() * w.ncols()).map(|k| w[(k / w.ncols(), k % w.ncols())]).collect::<Vec<f64>>();
    let w = weights.each_ref().map(|w| tensor(values(w), w.nrows(), w.ncols()).require_grad());
    let b = biases.each_ref().map(|b| tensor(b.clone(), 1, b.len()).require_grad());
    let x = tensor(x.to_vec(), TOKENS, MODEL);
    let [q, k, v] = [0, 1, 2].map(|i| {
        let z = x.clone().matmul(w[i].clone().transpose());
        if scheme.bias() { z + b[i].clone() } else { z }
    });
    let head = |z: &Tensor<2>, h: usize| z.clone().slice([0..TOKENS, h * SIZE..(h + 1) * SIZE]);
    let mixed: Vec<Tensor<2>> = (0..HEADS)
        .map(|h| {
            let group = h * scheme.groups() / HEADS;
            let (mut query, mut key) = (head(&q, h), head(&k, group));
            if scheme.rotary() {
                (query, key) = (rotated(query), rotated(key));
            }
            let scores = query.matmul(key.transpose()).mul_scalar(1.0 / (SIZE as f64).sqrt());
            softmax(scores, 1).matmul(head(&v, group))
        })
        .collect();
    let out = Tensor::cat(mixed, 1).matmul(w[3].clone().transpose());
    let error = out.clone().tanh() + x;
    let loss = (error.clone() * error).mean() + out.sin().mean();
    let mut found = loss.backward();
    let host = |t: Option<Tensor<2>>, rows: usize, cols: usize| match t {
        Some(t) => nfa_metrics::to_host(t),
        None => Mat::zeros(rows, cols),
    };
    let of_weights = w.each_ref().map(|t| host(t.grad_remove(&mut found), t.dims()[0], t.dims()[1]));
    let of_biases = b.each_ref().map(|t| {
        let row = host(t.grad_remove(&mut found), 1, t.dims()[1]);
        (0..row.ncols()).map(|j| row[(0, j)]).collect()
    });
    (of_weights, of_biases)
}

fn start(scheme: Scheme) -> ([Mat; 4], [Vec<f64>; 3]) {
    let stream = Stream::root(5).fork("attention");
    let draw = |name: &str, rows: usize, cols: usize| {
        let values = stream.fork(name).normals(rows * cols);
        Mat::from_fn(rows, cols, |i, j| 0.5 * values[i * cols + j])
    };
    let kv = scheme.groups() * SIZE;
    let weights =
        [draw("q", HEADS * SIZE, MODEL), draw("k", kv, MODEL), draw("v", kv, MODEL), draw("o", MODEL, HEADS * SIZE)];
    let bias = |name: &str, n: usize| stream.fork(name).normals(n);
    (weights, [bias("bq", HEADS * SIZE), bias("bk", kv), bias("bv", kv)])
}

/// |D+ - (1 - lr λ)²D - lr²E| over max |W|², the largest over pairs and 20 steps of sgd on a sequence each.
fn residuals(scheme: Scheme, of: &dyn Fn(&ProductPair) -> Mat) -> Vec<(String, f64)> {
    let (mut weights, mut biases) = start(scheme);
    let stream = Stream::root(6).fork("tokens");
    let mut worst: Vec<(String, f64)> = Vec::new();
    for step in 0..20u64 {
        let x = stream.fork_index(step).normals(TOKENS * MODEL);
        let (g_weights, g_biases) = gradients(scheme, &weights, &biases, &x);
        let before = pairs(&scheme.file(&weights, &biases));
        let forced = pairs(&scheme.file(&g_weights, &g_biases));
        for (w, g) in weights.iter_mut().zip(&g_weights) {
            *w = &*w * (1.0 - RATE * DECAY) - g * RATE;
        }
        for (b, g) in biases.iter_mut().zip(&g_biases) {
            b.iter_mut().zip(g).for_each(|(b, g)| *b = *b * (1.0 - RATE * DECAY) - RATE * g);
        }
        let after = pairs(&scheme.file(&weights, &biases));
        worst.resize(after.len(), (String::new(), 0.0));
        for (k, worst) in worst.iter_mut().enumerate() {
            let expected = of(&before[k]) * (1.0 - RATE * DECAY).powi(2) + of(&forced[k]) * RATE.powi(2);
            let size = after[k].upper.squared_norm_l2().max(after[k].lower.squared_norm_l2());
            let residual = (of(&after[k]) - expected).norm_l2() / size;
            *worst = (after[k].name.clone(), worst.1.max(residual));
        }
    }
    worst
}

#[test]
fn heads_obey_the_recurrence_under_every_naming_scheme() {
    for scheme in SCHEMES {
        let found = residuals(scheme, &ProductPair::imbalance);
        assert_eq!(found.len(), 2 * scheme.groups(), "{scheme:?}");
        for (name, residual) in found {
            assert!(residual <= 1e-14, "{scheme:?} {name}: {residual:e}");
            assert_eq!(name.contains("rotary"), scheme.rotary() && name.contains("query_key"));
        }
    }
}

#[test]
fn rotations_leave_no_more_than_their_planes() {
    // All of D, where only a part is protected: values and outputs yes, queries and keys no.
    let whole = |pair: &ProductPair| pair.upper.transpose() * &pair.upper - &pair.lower * pair.lower.transpose();
    for (name, residual) in residuals(Scheme::Llama, &whole) {
        let protected = name.contains("value_output");
        assert_eq!(residual <= 1e-14, protected, "{name}: {residual:e}");
        assert!(protected || residual > 1e-5, "{name}: {residual:e}");
    }
}

#[test]
fn measure_reads_heads_from_the_configuration_or_asks() {
    let (weights, biases) = start(Scheme::Gpt2);
    let folder = Folder::new();
    folder.write("model.safetensors", Scheme::Gpt2.file(&weights, &biases));
    let call = ["measure", "--weights", "model.safetensors", "--pairs", "auto", "--json"];
    let refused = folder.run(&call).expect(2);
    assert!(refused.stderr.contains("--heads N"), "{}", refused.stderr);
    folder.write("config.json", json!({ "n_head": HEADS }).to_string());
    let lines = folder.run(&call).expect(0).lines();
    let report = &lines[0];
    let layers = report["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2 * HEADS);
    assert_eq!(layers[0]["name"], "model.layers.3.value_output.head0");
    for (layer, imbalance) in layers.iter().zip(report["imbalance"].as_array().unwrap()) {
        let balance = &layer["laws"]["balance"];
        assert_eq!((layer["d_in"].as_u64(), balance["alpha_interval"].is_null()), (Some(SIZE as u64), true));
        assert!(balance["misfit"].as_f64().unwrap() > 0.2);
        assert!(imbalance["relative"].as_f64().unwrap() > 0.0);
    }
    // By hand: the first head's values and outputs.
    let value = weights[2].subrows(0, SIZE);
    let output = weights[3].subcols(0, SIZE);
    let bias = Mat::from_fn(SIZE, 1, |i, _| biases[2][i]);
    let d = output.transpose() * output - value * value.transpose() - &bias * bias.transpose();
    let got = report["imbalance"][0]["frobenius"].as_f64().unwrap();
    assert!((got / d.norm_l2() - 1.0).abs() < 1e-12, "{got} {}", d.norm_l2());
    let wrong = folder.run(&[&call[..], &["--heads", "5"]].concat()).expect(2);
    assert!(wrong.stderr.contains("no 5 heads"), "{}", wrong.stderr);
}

#[test]
fn adapters_and_plain_layers_are_pairs_too() {
    let folder = Folder::new();
    let bytes = |values: &[f64]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    // B·A with BᵀB = AAᵀ = diag(4, 1).
    let tensors = vec![
        ("base.q_proj.lora_A.weight".to_string(), vec![2, 3], bytes(&[0.0, 2.0, 0.0, 1.0, 0.0, 0.0])),
        ("base.q_proj.lora_B.weight".to_string(), vec![3, 2], bytes(&[2.0, 0.0, 0.0, 0.0, 0.0, 1.0])),
    ];
    folder.write("adapter.safetensors", serialize(&tensors).unwrap());
    let lines = folder.run(&["measure", "--weights", "adapter.safetensors", "--pairs", "auto", "--json"]).expect(0);
    let report = &lines.lines()[0];
    assert_eq!(report["layers"][0]["name"], "base.q_proj.lora");
    assert_eq!(report["layers"][0]["laws"]["balance"]["verdict"], "holds");
    assert_eq!(report["imbalance"][0]["frobenius"], 0.0);
    // |in_j|² + b_j² against |out_j|²: 1 + 3 = 4 and 4 + 0 = 4.
    let tensors = vec![
        ("0.weight".to_string(), vec![2, 1], bytes(&[1.0, 2.0])),
        ("0.bias".to_string(), vec![2], bytes(&[3f64.sqrt(), 0.0])),
        ("2.weight".to_string(), vec![1, 2], bytes(&[2.0, -2.0])),
    ];
    folder.write("mlp.safetensors", serialize(&tensors).unwrap());
    let call = ["measure", "--weights", "mlp.safetensors", "--pairs", "auto", "--json", "--activation"];
    let report = &folder.run(&[&call[..], &["relu"]].concat()).expect(0).lines()[0];
    assert!(report["imbalance"][0]["relative"].as_f64().unwrap() < 1e-15);
    // As linear layers they are not balanced: the two units' weights are not orthogonal.
    let report = &folder.run(&[&call[..], &["linear"]].concat()).expect(0).lines()[0];
    assert!(report["imbalance"][0]["relative"].as_f64().unwrap() > 0.5);
    let refused = folder.run(&[&call[..], &["tanh"]].concat()).expect(2);
    assert!(refused.stderr.contains("no pair"), "{}", refused.stderr);
}
