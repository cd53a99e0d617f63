//! Sites of networks that are no chains, against NumPy (tests/oracle/sites.py): Jacobians by complex steps.

use std::sync::atomic::{AtomicUsize, Ordering};

use burn::module::Param;
use burn::nn::conv::{Conv1d, Conv1dConfig, Conv2d, Conv2dConfig};
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, PaddingConfig1d, PaddingConfig2d};
use burn::tensor::activation::{relu, softmax, tanh};
use burn::tensor::{DType, Device, Tensor, TensorData};
use nfa_metrics::{
    AgopOptions, Capture, Capturing, Forward, LossOnRows, Mat, Needs, Observation, Psd, Sites, capture, moments,
    observe_forward,
};
use nfa_tests::golden::{index, list, matrix, number, numbers, read, text};
use serde_json::Value;

/// One of the golden networks.
struct Golden(Value);

impl Golden {
    fn all() -> Vec<Golden> {
        list(&read("sites.json")["networks"]).iter().map(|network| Golden(network.clone())).collect()
    }

    fn named(name: &str) -> Golden {
        Golden::all().into_iter().find(|golden| golden.name() == name).expect("there")
    }

    fn name(&self) -> &str {
        text(&self.0["name"])
    }

    /// A tensor of any rank from nested lists.
    fn tensor<const D: usize>(&self, name: &str, dtype: DType) -> Tensor<D> {
        fn flat(value: &Value, values: &mut Vec<f64>) {
            match value {
                Value::Array(list) => list.iter().for_each(|value| flat(value, values)),
                value => values.push(number(value)),
            }
        }
        let value = &self.0["parameters"][name];
        let value = if value.is_null() { &self.0[name] } else { value };
        let (mut shape, mut at, mut values) = ([0; D], value, Vec::new());
        for size in &mut shape {
            *size = list(at).len();
            at = &list(at)[0];
        }
        flat(value, &mut values);
        Tensor::from_data(TensorData::new(values, shape), (&Device::flex(), dtype))
    }

    fn linear(&self, name: &str, dtype: DType) -> Linear {
        Linear {
            weight: Param::from_tensor(self.tensor::<2>(&format!("{name}.weight"), dtype).transpose()),
            bias: Some(Param::from_tensor(self.tensor(&format!("{name}.bias"), dtype))),
        }
    }

    fn norm(&self, name: &str, dtype: DType) -> LayerNorm {
        let gamma: Tensor<1> = self.tensor(&format!("{name}.gamma"), dtype);
        let config = LayerNormConfig::new(gamma.dims()[0]).with_epsilon(number(&self.0["settings"]["eps"]));
        let mut norm = config.init(&Device::flex());
        norm.gamma = Param::from_tensor(gamma);
        norm.beta = Some(Param::from_tensor(self.tensor(&format!("{name}.beta"), dtype)));
        norm
    }

    fn conv2d(&self, name: &str, dtype: DType) -> Conv2d {
        let about = &self.0["settings"][name];
        let weight: Tensor<4> = self.tensor(&format!("{name}.weight"), dtype);
        let ([out, into, rows, cols], groups) = (weight.dims(), index(&about["groups"]));
        let [top, bottom, left, right] = list(&about["padding"]).iter().map(index).collect::<Vec<_>>()[..] else {
            panic!("four sides")
        };
        let config = Conv2dConfig::new([into * groups, out], [rows, cols])
            .with_stride([index(&about["stride"]); 2])
            .with_dilation([index(&about["dilation"]); 2])
            .with_groups(groups)
            .with_padding(PaddingConfig2d::Explicit(top, left, bottom, right));
        let mut layer = config.init(&Device::flex());
        layer.weight = Param::from_tensor(weight);
        layer.bias = Some(Param::from_tensor(self.tensor(&format!("{name}.bias"), dtype)));
        layer
    }

    fn conv1d(&self, name: &str, dtype: DType) -> Conv1d {
        let about = &self.0["settings"][name];
        let weight: Tensor<3> = self.tensor(&format!("{name}.weight"), dtype);
        let [out, into, kernel] = weight.dims();
        let [_, _, left, right] = list(&about["padding"]).iter().map(index).collect::<Vec<_>>()[..] else {
            panic!("four sides")
        };
        let config = Conv1dConfig::new(into, out, kernel)
            .with_stride(index(&about["stride"]))
            .with_padding(PaddingConfig1d::Explicit(left, right));
        let mut layer = config.init(&Device::flex());
        layer.weight = Param::from_tensor(weight);
        layer.bias = Some(Param::from_tensor(self.tensor(&format!("{name}.bias"), dtype)));
        layer
    }

    /// Its forward pass, as a user would write it: with Burn's functions between the maps.
    fn forward(&self, dtype: DType) -> Box<Forward<'static>> {
        self.written(dtype, false)
    }

    /// With Burn's functions between the maps, or with those that are computed once for all copies.
    fn written(&self, dtype: DType, once: bool) -> Box<Forward<'static>> {
        let (linear, norm) = (|name: &str| self.linear(name, dtype), |name: &str| self.norm(name, dtype));
        match self.name() {
            "residual" => {
                let block = |i: usize| {
                    let part = |name: &str| format!("blocks.{i}.{name}");
                    (norm(&part("norm")), linear(&part("up")), linear(&part("down")))
                };
                let (stem, head, blocks) = (linear("stem"), linear("head"), [block(0), block(1)]);
                Box::new(move |x, at| {
                    let mut h = at.linear("stem", x, &stem);
                    for (i, (norm, up, down)) in blocks.iter().enumerate() {
                        let normed = if once { at.layer_norm(h.clone(), norm) } else { norm.forward(h.clone()) };
                        let u = at.linear(format!("blocks.{i}.up"), normed, up);
                        let u = if once { at.activation(u, tanh) } else { tanh(u) };
                        h = h + at.linear(format!("blocks.{i}.down"), u, down);
                    }
                    at.linear("head", h, &head)
                })
            }
            "attention" => {
                let (q, k, v, o, head) = (linear("q"), linear("k"), linear("v"), linear("o"), linear("head"));
                Box::new(move |x, at| {
                    let n = x.dims()[0];
                    let x: Tensor<3> = x.reshape([n, 3, 4]);
                    // [n, heads, tokens, size]
                    let apart = |z: Tensor<3>| -> Tensor<4> { z.reshape([n, 3, 2, 2]).swap_dims(1, 2) };
                    let mut part = |name: &str, layer: &Linear| {
                        let z = at.linear(name, x.clone(), layer);
                        at.heads(name, 2);
                        apart(z)
                    };
                    let (q, k, v) = (part("q", &q), part("k", &k), part("v", &v));
                    let k = k.swap_dims(2, 3);
                    let scores = if once { at.matmul(q, k) } else { q.matmul(k) }.mul_scalar(0.5f64.sqrt());
                    let shares = if once { at.softmax(scores) } else { softmax(scores, 3) };
                    let mix = if once { at.matmul(shares, v) } else { shares.matmul(v) };
                    let mix: Tensor<3> = mix.swap_dims(1, 2).reshape([n, 3, 4]);
                    let h = x + at.linear("o", mix, &o);
                    at.linear("head", h.mean_dim(1).reshape([n, 4]), &head)
                })
            }
            "convolution" => {
                let (conv1, conv2) = (self.conv2d("conv1", dtype), self.conv2d("conv2", dtype));
                let head = linear("head");
                Box::new(move |x, at| {
                    let n = x.dims()[0];
                    let h = at.conv2d("conv1", x.reshape([n, 1, 7, 7]), &conv1);
                    let h = if once { at.activation(h, relu) } else { relu(h) };
                    let h = at.conv2d("conv2", h, &conv2);
                    let h = if once { at.activation(h, tanh) } else { tanh(h) };
                    at.linear("head", h.flatten(1, 3), &head)
                })
            }
            "conv1d" => {
                let (conv1, conv2) = (self.conv1d("conv1", dtype), self.conv1d("conv2", dtype));
                let head = linear("head");
                Box::new(move |x, at| {
                    let n = x.dims()[0];
                    let h = tanh(at.conv1d("conv1", x.reshape([n, 2, 9]), &conv1));
                    let h = at.conv1d("conv2", h, &conv2);
                    at.linear("head", h.flatten(1, 2), &head)
                })
            }
            "recurrent" => {
                let table: Tensor<2> = self.tensor("embedding", dtype);
                let mut embedding: Embedding = EmbeddingConfig::new(5, 3).init(&Device::flex());
                embedding.weight = Param::from_tensor(table.clone());
                let cell = linear("recurrent");
                Box::new(move |x, at| {
                    let n = x.dims()[0];
                    let tokens = at.embedding("embedding", x.int(), &embedding);
                    let mut h: Tensor<2> = Tensor::zeros([n, 3], (&Device::flex(), tokens.dtype()));
                    for t in 0..4 {
                        let token: Tensor<2> = tokens.clone().slice([0..n, t..t + 1]).reshape([n, 3]);
                        h = tanh(at.linear("recurrent", h, &cell) + token);
                    }
                    at.dense("head", h, table.clone(), None)
                })
            }
            other => panic!("no network {other}"),
        }
    }

    fn sites(&self) -> &[Value] {
        list(&self.0["sites"])
    }
}

fn relative(got: &Mat, expected: &Mat) -> f64 {
    assert_eq!(got.shape(), expected.shape());
    (got - expected).norm_l2() / expected.norm_l2()
}

fn agop(observation: &Observation, layer: usize) -> &Mat {
    observation.layers[layer].agop.as_ref().map(Psd::matrix).expect("observed")
}

/// WᵀKW of a site.
fn expected(site: &Value, k: &str) -> Mat {
    let (w, k) = (matrix(&site["W"]), matrix(&site[k]));
    w.transpose() * k * &w
}

#[test]
fn every_site_of_every_kind_of_network_is_what_numpy_finds() {
    let mut count = 0;
    let all = || Golden::all().into_iter();
    for (golden, once) in all().map(|golden| (golden, false)).chain(all().map(|golden| (golden, true))) {
        let (forward, x) = (golden.written(DType::F64, once), golden.tensor::<2>("inputs", DType::F64));
        let y = nfa_metrics::to_host(forward(x.clone(), &mut Sites::off()));
        assert!(relative(&y, &matrix(&golden.0["outputs"])) <= 1e-13, "{}: the outputs", golden.name());
        for (batch, factor_work, memory) in [(None, 2e9, 64 << 20), (Some(2), 0.0, 64 << 20), (Some(4), 2e9, 1)] {
            let options = AgopOptions { batch, factor_work, memory, ..AgopOptions::default() };
            let observed = observe_forward(&forward, &x, None, &options).expect("has sites");
            let names: Vec<&str> = observed.layers.iter().map(|layer| layer.name.as_str()).collect();
            assert_eq!(names, golden.sites().iter().map(|site| text(&site["name"])).collect::<Vec<_>>());
            for (l, site) in golden.sites().iter().enumerate() {
                let what = format!("{} {}, batch {batch:?}, once {once}", golden.name(), names[l]);
                assert_eq!(observed.layers[l].weight, matrix(&site["W"]), "{what}");
                assert_eq!(observed.layers[l].last, site["last"].as_bool().unwrap(), "{what}");
                let error = relative(agop(&observed, l), &expected(site, "K"));
                assert!(error <= 1e-12, "{what}: {error:e}");
                count += 1;
            }
        }
    }
    assert!(count > 160, "{count}");
}

#[test]
fn sample_weights_centring_sketches_and_subsets_are_those_of_the_definition() {
    let golden = Golden::named("residual");
    let (forward, x) = (golden.forward(DType::F64), golden.tensor::<2>("inputs", DType::F64));
    let weights = numbers(&golden.0["sample_weights"]);
    let at = |options: &AgopOptions| observe_forward(&forward, &x, Some(&weights), options).expect("has sites");
    let whole = at(&AgopOptions::default());
    for (l, site) in golden.sites().iter().enumerate() {
        let error = relative(agop(&whole, l), &expected(site, "K_weighted"));
        assert!(error <= 1e-12, "{}: {error:e}", whole.layers[l].name);
    }
    // Var = E[JJ] - E[J]E[J]: never more than the whole, and nothing where the Jacobian is the same everywhere.
    let centered = at(&AgopOptions { centered: true, batch: Some(4), ..AgopOptions::default() });
    for l in 0..whole.layers.len() {
        let rest = agop(&whole, l) - agop(&centered, l);
        let lowest = Psd::gram_of(rest, f64::EPSILON).lowest().expect("finite");
        assert!(lowest >= -1e-13, "layer {l}: {lowest:e}");
    }
    assert!(agop(&centered, 5).norm_l2() == 0.0, "the head's Jacobian is its weights");
    // Of one sample nothing is left.
    let one = x.clone().slice([2..3]);
    let options = AgopOptions { centered: true, ..AgopOptions::default() };
    let alone = observe_forward(&forward, &one, None, &options).expect("has sites");
    assert!((0..6).all(|l| agop(&alone, l).norm_l2() <= 1e-30));
    // Signs of three outputs in every combination would be exact; many draws come near.
    let sketched = at(&AgopOptions { sketch: Some(4000), ..AgopOptions::default() });
    for l in 0..5 {
        let error = relative(agop(&sketched, l), agop(&whole, l));
        assert!(error > 0.0 && error < 0.08, "layer {l}: {error}");
    }
    let some = at(&AgopOptions { layers: Some(vec![1, 3]), ..AgopOptions::default() });
    for (l, layer) in some.layers.iter().enumerate() {
        assert_eq!(layer.agop.is_some(), [1, 3].contains(&l));
        assert!(layer.agop.is_none() || relative(agop(&some, l), agop(&whole, l)) <= 1e-13);
    }
}

#[test]
fn a_probe_of_many_sites_costs_a_pass_and_not_one_for_each_site_and_output() {
    let golden = Golden::named("residual");
    let (inner, x) = (golden.forward(DType::F64), golden.tensor::<2>("inputs", DType::F64));
    let (passes, rows) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let forward = |x: Tensor<2>, at: &mut Sites| {
        passes.fetch_add(1, Ordering::Relaxed);
        rows.fetch_add(x.dims()[0], Ordering::Relaxed);
        inner(x, at)
    };
    let count = |layers: Option<Vec<usize>>| {
        passes.store(0, Ordering::Relaxed);
        rows.store(0, Ordering::Relaxed);
        let options = AgopOptions { layers, ..AgopOptions::default() };
        observe_forward(&forward, &x, None, &options).expect("has sites");
        (passes.load(Ordering::Relaxed), rows.load(Ordering::Relaxed))
    };
    // Four looks at the network's form with at most 6 rows; then 6 samples times 3 outputs, in one pass.
    let (none, form) = count(Some(vec![]));
    assert!(none <= 4 && form <= 15, "{none} passes, {form} rows");
    assert_eq!(count(None), (none + 1, form + 18), "all six sites");
    assert_eq!(count(Some(vec![0])), (none + 1, form + 18), "the first alone");
    assert_eq!(count(Some(vec![5])), (none, form), "the last: by definition");
}

#[test]
fn moments_of_values_and_loss_gradients_are_what_numpy_finds() {
    for golden in Golden::all() {
        let (forward, x) = (golden.forward(DType::F64), golden.tensor::<2>("inputs", DType::F64));
        let targets = golden.tensor::<2>("targets", DType::F64);
        let losses = |y: Tensor<2>, samples: std::ops::Range<usize>, factors: &[f64]| {
            let factors = Tensor::<2>::from_data(
                TensorData::new(factors.to_vec(), [factors.len(), 1]),
                (&y.device().inner(), y.dtype()),
            );
            ((y - targets.clone().slice([samples])).powi_scalar(2) * factors).sum().mul_scalar(0.5)
        };
        for batch in [None, Some(4)] {
            let options = AgopOptions { batch, ..AgopOptions::default() };
            let asked = LossOnRows { loss: &losses, weights: None, targets: None, needs: Needs::LOSS };
            let found = moments(&forward, &x, &asked, &options).expect("has sites");
            assert_eq!(found.len(), golden.sites().len());
            for (found, site) in found.iter().zip(golden.sites()) {
                let what = format!("{} {}", golden.name(), site["name"]);
                assert!(relative(&found.gradient, &matrix(&site["grad"])) <= 1e-12, "{what}: G");
                assert!(
                    relative(found.behind.as_ref().expect("asked for"), &matrix(&site["gg_z"])) <= 1e-12,
                    "{what}: loss gradients"
                );
                assert!(
                    relative(found.values.as_ref().expect("asked for"), &matrix(&site["hh"])) <= 1e-12,
                    "{what}: values"
                );
            }
        }
    }
}

#[test]
fn a_run_its_capture_and_a_capture_made_elsewhere_are_one() {
    for name in ["residual", "attention", "convolution"] {
        let golden = Golden::named(name);
        let (forward, x) = (golden.forward(DType::F64), golden.tensor::<2>("inputs", DType::F64));
        let bytes = capture(&forward, &x, &Capturing::default()).expect("has sites");
        let own = Capture::from_bytes(&bytes).expect("valid");
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/captures");
        let other = std::fs::read(folder.join(format!("{name}.safetensors"))).expect("committed");
        let other = Capture::from_bytes(&other).expect("valid");
        let run = observe_forward(&forward, &x, None, &AgopOptions::default()).expect("has sites");
        let (own, other) = (own.observation(), other.observation());
        for l in 0..run.layers.len() {
            for capture in [&own, &other] {
                assert_eq!(
                    (&capture.layers[l].name, capture.layers[l].last),
                    (&run.layers[l].name, run.layers[l].last)
                );
                let error = relative(agop(capture, l), agop(&run, l));
                assert!(error <= 1e-12, "{name} {}: {error:e}", run.layers[l].name);
            }
        }
    }
}

#[test]
fn rows_without_weight_are_in_no_block_of_a_capture() {
    let golden = Golden::named("residual");
    let (forward, x) = (golden.forward(DType::F64), golden.tensor::<2>("inputs", DType::F64));
    let weights = [0.0, 3.0, 0.0, 0.0, 2.0, 1.0];
    let what = Capturing { weights: Some(&weights), ..Capturing::default() };
    let kept = Capture::from_bytes(&capture(&forward, &x, &what).expect("has sites")).expect("valid");
    assert_eq!(kept.sites[0].counts.len(), 3);
    let run = observe_forward(&forward, &x, Some(&weights), &AgopOptions::default()).expect("has sites");
    let captured = kept.observation();
    for l in 0..run.layers.len() {
        assert!(relative(agop(&captured, l), agop(&run, l)) <= 1e-13, "{}", run.layers[l].name);
    }
    let none = Capturing { weights: Some(&[0.0; 6]), ..Capturing::default() };
    assert!(capture(&forward, &x, &none).is_err_and(|error| error.to_string().contains("no row has a weight")));
}

#[test]
fn in_f32_every_site_agrees_to_its_rounding_on_any_number_of_cores() {
    for golden in Golden::all() {
        let (forward, x) = (golden.forward(DType::F32), golden.tensor::<2>("inputs", DType::F32));
        let on = |threads: usize, batch: Option<usize>| {
            let options = AgopOptions { batch, ..AgopOptions::default() };
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(|| observe_forward(&forward, &x, None, &options).expect("has sites"))
        };
        let (one, many) = (on(1, Some(1)), on(4, Some(1)));
        for (l, site) in golden.sites().iter().enumerate() {
            let what = format!("{} {}", golden.name(), one.layers[l].name);
            assert!(relative(agop(&one, l), &expected(site, "K")) <= 1e-5, "{what}");
            assert!(agop(&one, l) == agop(&many, l), "{what}: bits");
        }
    }
}
