//! Pair laws in attention: the recurrence at every step of sgd, through every naming scheme, and what
//! `measure --pairs auto` says of the files.

use burn::tensor::activation::softmax;
use burn::tensor::{DType, Device, Tensor, TensorData};
use nfa_metrics::{Mat, ProductPair};
use nfa_models::Stream;
use nfa_train::array::save::serialize;
use nfa_train::machine::disk::Disk;
use nfa_train::measure::pairs::{Heads, Pairs};
use nfa_train::weights::Checkpoint;
use serde_json::json;

use crate::binary::Folder;

const HEADS: usize = 4;
const SIZE: usize = 4;
const MODEL: usize = 6;
const TOKENS: usize = 5;
const RATE: f64 = 0.05;
const DECAY: f64 = 0.1;

/// The rows of a fused map.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Rows {
    Parts,
    ByHead,
    Groups,
}

/// How one attention block is kept in a file.
#[derive(Clone, Copy, Debug)]
struct Scheme {
    /// Three maps apart, or one name thrice.
    names: [&'static str; 3],
    rows: Rows,
    output: &'static str,
    /// Heads that hold keys and values.
    groups: usize,
    /// So many of a head's numbers are rotated, as halves or as neighbours.
    rotated: usize,
    neighbours: bool,
    bias: bool,
    transposed: bool,
    config: &'static str,
}

const PLAIN: Scheme = Scheme {
    names: ["self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"],
    rows: Rows::Parts,
    output: "self_attn.o_proj.weight",
    groups: HEADS,
    rotated: 0,
    neighbours: false,
    bias: true,
    transposed: false,
    config: "{}",
};
const LLAMA: Scheme = Scheme { groups: 2, rotated: SIZE, ..PLAIN };
const GPT2: Scheme = fused("attn.c_attn.weight", "attn.c_proj.weight", Scheme { transposed: true, ..PLAIN });

const fn apart(names: [&'static str; 3], output: &'static str, scheme: Scheme) -> Scheme {
    Scheme { names, output, ..scheme }
}

const fn fused(name: &'static str, output: &'static str, scheme: Scheme) -> Scheme {
    apart([name; 3], output, scheme)
}

fn schemes() -> Vec<Scheme> {
    let bert = ["attention.self.query.weight", "attention.self.key.weight", "attention.self.value.weight"];
    let vit =
        ["attention.attention.query.weight", "attention.attention.key.weight", "attention.attention.value.weight"];
    let t5 = ["SelfAttention.q.weight", "SelfAttention.k.weight", "SelfAttention.v.weight"];
    let meta = ["attention.wq.weight", "attention.wk.weight", "attention.wv.weight"];
    let named = "self_attention.query_key_value.weight";
    vec![
        LLAMA,
        // A part of each head is rotated.
        Scheme { rotated: 2, config: r#"{"partial_rotary_factor": 0.5}"#, ..LLAMA },
        apart(PLAIN.names, "self_attn.out_proj.weight", PLAIN),
        apart(
            PLAIN.names,
            "self_attn.dense.weight",
            Scheme { rotated: 2, config: r#"{"partial_rotary_factor": 0.5}"#, ..PLAIN },
        ),
        apart(bert, "attention.output.dense.weight", PLAIN),
        apart(vit, "attention.output.dense.weight", PLAIN),
        apart(t5, "SelfAttention.o.weight", Scheme { bias: false, ..PLAIN }),
        apart(meta, "attention.wo.weight", Scheme { groups: 2, rotated: SIZE, neighbours: true, bias: false, ..PLAIN }),
        GPT2,
        // The same names in PyTorch's layout.
        fused("attn.c_attn.weight", "attn.c_proj.weight", Scheme { config: r#"{"model_type": "gpt2"}"#, ..PLAIN }),
        fused(
            "attn.c_attn.weight",
            "attn.c_proj.weight",
            Scheme { groups: 1, config: r#"{"model_type": "gpt_bigcode", "multi_query": true}"#, ..PLAIN },
        ),
        fused("attn.qkv.weight", "attn.proj.weight", PLAIN),
        fused("in_proj_weight", "out_proj.weight", PLAIN),
        fused(
            "attention.query_key_value.weight",
            "attention.dense.weight",
            Scheme { rows: Rows::ByHead, rotated: 2, config: r#"{"rotary_pct": 0.5}"#, ..PLAIN },
        ),
        fused(
            named,
            "self_attention.dense.weight",
            Scheme { rows: Rows::ByHead, config: r#"{"model_type": "bloom"}"#, ..PLAIN },
        ),
        fused(
            named,
            "self_attention.dense.weight",
            Scheme {
                groups: 1,
                rotated: SIZE,
                bias: false,
                config: r#"{"model_type": "falcon", "multi_query": true}"#,
                ..PLAIN
            },
        ),
        fused(
            named,
            "self_attention.dense.weight",
            Scheme {
                rows: Rows::Groups,
                groups: 2,
                rotated: SIZE,
                bias: false,
                config: r#"{"model_type": "falcon", "new_decoder_architecture": true, "num_kv_heads": 2}"#,
                ..PLAIN
            },
        ),
        fused(
            "self_attn.qkv_proj.weight",
            "self_attn.o_proj.weight",
            Scheme { groups: 2, rotated: SIZE, bias: false, ..PLAIN },
        ),
        fused(
            "attention.wqkv.weight",
            "attention.wo.weight",
            Scheme { rows: Rows::Groups, config: r#"{"num_key_value_heads": 2}"#, ..LLAMA },
        ),
        fused(
            "attn.Wqkv.weight",
            "attn.out_proj.weight",
            Scheme { bias: false, config: r#"{"model_type": "mpt"}"#, ..PLAIN },
        ),
    ]
}

impl Scheme {
    fn is_fused(&self) -> bool {
        self.names[0] == self.names[1]
    }

    /// Which of q, k, v a row of the fused map is, and which of its rows.
    fn stacked(&self) -> Vec<(usize, usize)> {
        let run = |part: usize, start: usize, count: usize| (start..start + count).map(move |row| (part, row));
        let (q, kv) = (HEADS * SIZE, self.groups * SIZE);
        if self.rows == Rows::Parts {
            return run(0, 0, q).chain(run(1, 0, kv)).chain(run(2, 0, kv)).collect();
        }
        let each = HEADS / self.groups * SIZE;
        let group = |g: usize| run(0, g * each, each).chain(run(1, g * SIZE, SIZE)).chain(run(2, g * SIZE, SIZE));
        (0..self.groups).flat_map(group).collect()
    }

    /// Weights of q, k, v, o `[out, in]` and biases of q, k, v, as a file of this scheme.
    fn file(&self, weights: &[Mat; 4], biases: &[Vec<f64>; 3]) -> Vec<u8> {
        let at = |name: &str| format!("model.layers.3.{name}");
        let bytes = |values: &[f64]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let matrix = |name: &str, w: &Mat| {
            let w = if self.transposed { w.transpose().to_owned() } else { w.clone() };
            let values: Vec<f64> = (0..w.nrows() * w.ncols()).map(|k| w[(k / w.ncols(), k % w.ncols())]).collect();
            (at(name), vec![w.nrows(), w.ncols()], bytes(&values))
        };
        let vector = |name: &str, values: &[f64]| {
            let end = name.strip_suffix("weight").expect("a weight");
            (at(&format!("{end}bias")), vec![values.len()], bytes(values))
        };
        let mut tensors = vec![matrix(self.output, &weights[3])];
        if self.is_fused() {
            let rows = self.stacked();
            tensors.push(matrix(
                self.names[0],
                &Mat::from_fn(rows.len(), MODEL, |i, j| weights[rows[i].0][(rows[i].1, j)]),
            ));
            if self.bias {
                tensors.push(vector(self.names[0], &rows.iter().map(|&(p, row)| biases[p][row]).collect::<Vec<f64>>()));
            }
        } else {
            for (i, name) in self.names.iter().enumerate() {
                tensors.push(matrix(name, &weights[i]));
                if self.bias {
                    tensors.push(vector(name, &biases[i]));
                }
            }
        }
        serialize(&tensors).unwrap()
    }
}

fn pairs(scheme: &Scheme, file: &[u8]) -> Vec<ProductPair> {
    let heads = Heads { given: Some(HEADS), config: serde_json::from_str(scheme.config).ok() };
    let checkpoint = Checkpoint::from_bytes(file, "net", &Disk).unwrap();
    Pairs::find(&checkpoint, &heads).unwrap().each(|pair| pair, &|_, _, _| ()).unwrap().0
}

fn tensor(values: Vec<f64>, rows: usize, cols: usize) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, [rows, cols]), (&Device::flex().autodiff(), DType::F64))
}

/// Each plane of the first numbers of a head turned by its position along the rows.
fn rotated(scheme: &Scheme, x: Tensor<2>) -> Tensor<2> {
    let r = scheme.rotated;
    let half = r / 2;
    // Of a number: its plane, its partner, and the sign of the partner's share.
    let plane = |i: usize| match scheme.neighbours {
        true => (i / 2, i ^ 1, if i.is_multiple_of(2) { -1.0 } else { 1.0 }),
        false => (i % half, (i + half) % r, if i < half { -1.0 } else { 1.0 }),
    };
    let angle = |t: usize, p: usize| t as f64 / 100f64.powf(p as f64 / half as f64);
    let turn = |t: usize| {
        let mut matrix = vec![0.0; SIZE * SIZE];
        for i in 0..SIZE {
            matrix[i * SIZE + i] = if i < r { angle(t, plane(i).0).cos() } else { 1.0 };
            if i < r {
                matrix[plane(i).1 * SIZE + i] = plane(i).2 * angle(t, plane(i).0).sin();
            }
        }
        tensor(matrix, SIZE, SIZE)
    };
    Tensor::cat((0..TOKENS).map(|t| x.clone().slice([t..t + 1, 0..SIZE]).matmul(turn(t))).collect(), 0)
}

/// Gradients of a loss of the block's outputs on one sequence.
fn gradients(scheme: &Scheme, weights: &[Mat; 4], biases: &[Vec<f64>; 3], x: &[f64]) -> ([Mat; 4], [Vec<f64>; 3]) {
    let values = |w: &Mat| (0..w.nrows() * w.ncols()).map(|k| w[(k / w.ncols(), k % w.ncols())]).collect::<Vec<f64>>();
    let w = weights.each_ref().map(|w| tensor(values(w), w.nrows(), w.ncols()).require_grad());
    let b = biases.each_ref().map(|b| tensor(b.clone(), 1, b.len()).require_grad());
    let x = tensor(x.to_vec(), TOKENS, MODEL);
    let [q, k, v] = [0, 1, 2].map(|i| {
        let z = x.clone().matmul(w[i].clone().transpose());
        if scheme.bias { z + b[i].clone() } else { z }
    });
    let head = |z: &Tensor<2>, h: usize| z.clone().slice([0..TOKENS, h * SIZE..(h + 1) * SIZE]);
    let mixed: Vec<Tensor<2>> = (0..HEADS)
        .map(|h| {
            let group = h * scheme.groups / HEADS;
            let (mut query, mut key) = (head(&q, h), head(&k, group));
            if scheme.rotated > 0 {
                (query, key) = (rotated(scheme, query), rotated(scheme, key));
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

fn start(scheme: &Scheme) -> ([Mat; 4], [Vec<f64>; 3]) {
    let stream = Stream::root(5).fork("attention");
    let draw = |name: &str, rows: usize, cols: usize| {
        let values = stream.fork(name).normals(rows * cols);
        Mat::from_fn(rows, cols, |i, j| 0.5 * values[i * cols + j])
    };
    let kv = scheme.groups * SIZE;
    let weights =
        [draw("q", HEADS * SIZE, MODEL), draw("k", kv, MODEL), draw("v", kv, MODEL), draw("o", MODEL, HEADS * SIZE)];
    let bias = |name: &str, n: usize| stream.fork(name).normals(n);
    (weights, [bias("bq", HEADS * SIZE), bias("bk", kv), bias("bv", kv)])
}

/// |D+ - (1 - lr λ)²D - lr²E| over max |W|², the largest over pairs and 20 steps of sgd on a sequence each.
fn residuals(scheme: &Scheme, of: &dyn Fn(&ProductPair) -> Mat) -> Vec<(String, f64)> {
    let (mut weights, mut biases) = start(scheme);
    let stream = Stream::root(6).fork("tokens");
    let mut worst: Vec<(String, f64)> = Vec::new();
    for step in 0..20u64 {
        let x = stream.fork_index(step).normals(TOKENS * MODEL);
        let (g_weights, g_biases) = gradients(scheme, &weights, &biases, &x);
        let before = pairs(scheme, &scheme.file(&weights, &biases));
        let forced = pairs(scheme, &scheme.file(&g_weights, &g_biases));
        for (w, g) in weights.iter_mut().zip(&g_weights) {
            *w = &*w * (1.0 - RATE * DECAY) - g * RATE;
        }
        for (b, g) in biases.iter_mut().zip(&g_biases) {
            b.iter_mut().zip(g).for_each(|(b, g)| *b = *b * (1.0 - RATE * DECAY) - RATE * g);
        }
        let after = pairs(scheme, &scheme.file(&weights, &biases));
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
    for scheme in &schemes() {
        let found = residuals(scheme, &ProductPair::imbalance);
        assert_eq!(found.len(), 2 * scheme.groups, "{scheme:?}");
        for (name, residual) in found {
            assert!(residual <= 1e-14, "{scheme:?} {name}: {residual:e}");
            assert_eq!(name.contains("rotary"), scheme.rotated > 0 && name.contains("query_key"));
        }
    }
}

#[test]
fn rotations_leave_no_more_than_their_planes() {
    // All of D, where only a part is protected: values and outputs yes, queries and keys no.
    let whole = |pair: &ProductPair| pair.upper.transpose() * &pair.upper - &pair.lower * pair.lower.transpose();
    for scheme in schemes().iter().filter(|scheme| scheme.rotated > 0) {
        for (name, residual) in residuals(scheme, &whole) {
            let protected = name.contains("value_output");
            assert_eq!(residual <= 1e-14, protected, "{name}: {residual:e}");
            assert!(protected || residual > 1e-5, "{name}: {residual:e}");
        }
    }
    // What isn't rotated is protected whole: of D more is left than its diagonal.
    let partial = &schemes()[1];
    let (weights, biases) = start(partial);
    let pair = pairs(partial, &partial.file(&weights, &biases)).remove(1);
    let d = pair.imbalance();
    assert!(pair.name.contains("query_key") && d[(2, 3)].abs() > 0.1 && d[(0, 1)] == 0.0 && d[(0, 2)] == 0.0, "{d:?}");
}

#[test]
fn measure_reads_heads_from_the_configuration_or_asks() {
    let (weights, biases) = start(&GPT2);
    let folder = Folder::new();
    folder.write("model.safetensors", GPT2.file(&weights, &biases));
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
    assert!(wrong.stderr.contains("config.json says 4"), "{}", wrong.stderr);
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
