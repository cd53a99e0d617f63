//! FACT and its rivals: against their definitions, where they can't be asked, and in the mean over steps.

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor, TensorData, activation};
use nfa_metrics::laws::stationary;
use nfa_metrics::{
    AgopOptions, Asked, Finding, HostChain, HostLoss, Judged, Layer, LossOnRows, Mat, Moments, Needs, Observation,
    Penalty, Sites, Thresholds, Verdict, join, laws, moments, sharing, survey, to_host,
};
use nfa_models::{Activation, AnyNetwork, Mlp, Network, Stream};
use nfa_train::data::split::Split;
use nfa_train::observe::average::Averages;
use nfa_train::observe::loss::LossSeen;
use nfa_train::observe::plan::AveragePlan;
use nfa_train::record::Record;
use nfa_train::train::loss::Loss;
use nfa_train::train::loss::cross_entropy::CrossEntropy;
use nfa_train::train::loss::half_mse::HalfMse;
use nfa_train::train::loss::mse::Mse;
use nfa_train::train::rate::Rate;

use crate::binary::Folder;

const LAMBDA: f64 = 0.03;

fn draws(name: &str, rows: usize, cols: usize) -> Vec<f64> {
    Stream::root(15).fork(name).normals(rows * cols)
}

fn tensor(name: &str, rows: usize, cols: usize, dtype: DType) -> Tensor<2> {
    Tensor::from_data(TensorData::new(draws(name, rows, cols), [rows, cols]), (&Device::flex(), dtype))
}

fn relative(got: &Mat, expected: &Mat, scale: f64) -> f64 {
    assert_eq!(got.shape(), expected.shape());
    (got - expected).norm_l2() / scale
}

/// Half the squared error of each sample, times a factor of its own.
fn squares(y: Tensor<2>, targets: &Tensor<2>, factors: &[f64]) -> Tensor<1> {
    let place = (&y.device().inner(), y.dtype());
    let factors = Tensor::<2>::from_data(TensorData::new(factors.to_vec(), [factors.len(), 1]), place);
    ((y - targets.clone()).powi_scalar(2) * factors).sum().mul_scalar(0.5)
}

/// A mean over samples of -(∂ℓ_i/∂h) hᵀ/λ, one sample at a time and differentiated at h itself: what FACT is defined as.
fn defined(h: &Tensor<2>, loss: impl Fn(Tensor<2>, usize) -> Tensor<1>) -> Mat {
    let [n, d] = h.dims();
    let mut sum = Mat::zeros(d, d);
    for i in 0..n {
        let leaf = h.clone().slice([i..i + 1]).autodiff().require_grad();
        let slope = leaf.grad(&loss(leaf.clone(), i).backward()).expect("depends on it");
        sum += to_host(slope).transpose() * to_host(h.clone().slice([i..i + 1]));
    }
    sum * (-1.0 / (n as f64 * LAMBDA))
}

#[test]
fn fact_is_what_per_sample_gradients_at_the_input_of_a_map_make_it() {
    for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 1e-4)] {
        let (w, v) = (tensor("w", 7, 5, dtype), tensor("v", 3, 7, dtype));
        let (x, y) = (tensor("x", 11, 5, dtype), tensor("y", 11, 3, dtype));
        let target = |i: usize| y.clone().slice([i..i + 1]);
        let behind = |h: Tensor<2>| activation::tanh(h).matmul(v.clone().transpose());
        let first = defined(&x, |h, i| squares(behind(h.matmul(w.clone().transpose())), &target(i), &[1.0]));
        let hidden = activation::tanh(x.clone().matmul(w.clone().transpose()));
        let second = defined(&hidden, |h, i| squares(h.matmul(v.clone().transpose()), &target(i), &[1.0]));
        let network = Mlp::new(vec![w.clone(), v.clone()], vec![None, None], vec![Activation::Tanh]).expect("chains");
        let split = Split { inputs: x.clone(), targets: y.clone(), weights: None };
        let chain = LossSeen::new(&HalfMse {}, &split).moments(&network, Needs::LOSS).expect("has sites");
        let losses = |out: Tensor<2>, rows: std::ops::Range<usize>, factors: &[f64]| {
            squares(out, &y.clone().slice([rows]), factors)
        };
        let asked = LossOnRows { loss: &losses, weights: None, targets: None, needs: Needs::LOSS };
        let forward = |x: Tensor<2>, at: &mut Sites| AnyNetwork::forward(&network, x, at);
        let sites = moments(&forward, &x, &asked, &AgopOptions::default()).expect("has sites");
        for ((weight, expected), found) in [(w, first), (v, second)].into_iter().zip(chain.iter().zip(&sites)) {
            let weight = to_host(weight);
            for gradient in [&found.0.gradient, &found.1.gradient] {
                let fact = stationary::fact(&weight, gradient, LAMBDA);
                let scale = expected.norm_l2().max((weight.transpose() * &weight).norm_l2());
                let error = relative(&fact, &expected, scale);
                assert!(error <= tolerance, "{dtype:?}: {error:e}");
                // The backward form, by its own product: tr FACT = tr bFACT = -<W, G>/λ.
                let bfact = stationary::bfact(&weight, gradient, LAMBDA);
                let trace = |m: &Mat| (0..m.nrows()).map(|i| m[(i, i)]).sum::<f64>();
                assert!((trace(&fact) - trace(&bfact)).abs() <= tolerance * scale);
            }
        }
    }
}

#[test]
fn on_the_host_a_chain_has_the_moments_that_autodiff_finds() {
    let weights: Vec<f64> = (0..9).map(|i| [0.5, 1.0, 1.5][i % 3]).collect();
    for kind in Activation::ALL {
        let (w, v) = (tensor("w", 6, 4, DType::F64), tensor("v", 3, 6, DType::F64));
        let bias = tensor("b", 1, 6, DType::F64).reshape([6]);
        let network = Mlp::new(vec![w, v], vec![Some(bias), None], vec![kind]).expect("chains");
        let x = tensor("x", 9, 4, DType::F64);
        // Rows of mass 1, as cross entropy takes them.
        let y = activation::softmax(tensor("y", 9, 3, DType::F64), 1);
        for loss in [&HalfMse {} as &dyn Loss, &Mse {}, &CrossEntropy {}] {
            for weights in [None, Some(weights.clone())] {
                let split = Split { inputs: x.clone(), targets: y.clone(), weights: weights.clone() };
                let seen = LossSeen::new(loss, &split);
                let host = seen.moments(&network, Needs::LOSS).expect("has sites");
                let each = seen.each();
                let targets = to_host(y.clone());
                let (weights, needs) = (weights.as_deref(), Needs::LOSS);
                let asked = LossOnRows { loss: &*each, weights, targets: Some(&targets), needs };
                let forward = |x: Tensor<2>, at: &mut Sites| AnyNetwork::forward(&network, x, at);
                let sites = moments(&forward, &x, &asked, &AgopOptions::default()).expect("has sites");
                // And the parameters' own gradient: the mean loss as it is trained.
                let column = split.weight_column();
                let (_, own) = network.gradient(&|net| loss.value(net.outputs(x.clone()), &y, column.as_ref(), 9));
                let own = [own.iter().next(), own.iter().find(|p| p.shape == [3, 6])];
                for (l, (a, b)) in host.iter().zip(&sites).enumerate() {
                    let all = |m: &Moments| {
                        [Some(m.gradient.clone()), m.values.clone(), m.gradients.clone(), m.behind.clone()]
                    };
                    for (a, b) in all(a).into_iter().zip(all(b)) {
                        let (a, b) = (a.expect("asked for"), b.expect("asked for"));
                        assert!(relative(&a, &b, b.norm_l2()) <= 1e-12, "{} layer {l}", kind.name());
                    }
                    let (a_r2, b_r2) = (a.linearity.expect("varies"), b.linearity.expect("varies"));
                    assert!((a_r2 - b_r2).abs() <= 1e-12);
                    let own = to_host(own[l].expect("there").matrix());
                    assert!(relative(&a.gradient, &own, own.norm_l2()) <= 1e-12, "{} layer {l}: G", kind.name());
                }
            }
        }
    }
}

#[test]
fn behind_and_before_a_map_second_moments_are_one_anothers_images() {
    let weight = Mat::from_fn(4, 6, |i, j| draws("w", 4, 6)[6 * i + j]);
    let chain = HostChain::new(vec![weight.clone()], vec![None], Vec::new()).expect("chains");
    let (x, y) = (draws("x", 20, 6), draws("y", 20, 4));
    let gradients = |out: &mut [f64], rows: std::ops::Range<usize>| {
        out.iter_mut().zip(&y[rows.start * 4..]).for_each(|(f, y)| *f -= y);
    };
    let asked = HostLoss { gradients: &gradients, weights: None, targets: None, needs: Needs::LOSS };
    let found = &chain.moments(&x, &asked)[0];
    let z = Mat::from_fn(20, 4, |i, k| (0..6).map(|j| x[6 * i + j] * weight[(k, j)]).sum::<f64>());
    let delta = Mat::from_fn(20, 4, |i, k| z[(i, k)] - y[4 * i + k]);
    let through = &delta * &weight;
    let close = |a: &Mat, rows: &Mat| relative(a, &(rows.transpose() * rows * (1.0 / 20.0)), a.norm_l2()) <= 1e-13;
    assert!(close(found.gradients.as_ref().expect("asked for"), &through), "G_a = WᵀG_bW");
    let behind = found.values_behind(&weight, f64::EPSILON).expect("asked for");
    assert!(close(behind.matrix(), &z), "H_b = WH_aWᵀ");
}

/// What is said of a law at the first layer of an observation.
fn said(observation: &Observation, name: &str) -> Finding {
    let known = laws();
    let thresholds = Thresholds::default();
    let asked = Asked {
        layers: &[0],
        thresholds: &thresholds,
        alphas: &[],
        init: &|_, _| None,
        rows: None,
        predicts: true,
        spread: &|_, _, _| None,
    };
    let mut found: Vec<Judged> = survey([known.get(name).expect("known")], observation, &asked);
    found.remove(0).finding
}

fn alone(weight: Mat, gradient: Mat, penalty: Penalty) -> Observation {
    let layer = Layer { loss: Some(Moments::of_gradient(gradient)), penalty, ..Layer::new("w", weight) };
    Observation { layers: vec![layer], linear: false, eps: f64::EPSILON }
}

#[test]
fn a_stationary_point_holds_the_wrong_sign_fails_and_what_has_no_penalty_is_refused() {
    let weight = Mat::from_fn(5, 8, |i, j| draws("w", 5, 8)[8 * i + j]);
    for law in ["fact", "bfact"] {
        let at = |factor: f64, penalty| said(&alone(weight.clone(), &weight * factor, penalty), law);
        assert_eq!(at(-LAMBDA, Penalty::Coupled(LAMBDA)).verdict, Verdict::Holds);
        let wrong = at(LAMBDA, Penalty::Coupled(LAMBDA));
        assert_eq!(wrong.verdict, Verdict::Fails);
        assert!((wrong.misfit.expect("measured") - 2.0).abs() < 1e-14);
        for (penalty, word) in [
            (Penalty::None, "no weight decay"),
            (Penalty::Coupled(0.0), "no weight decay"),
            (Penalty::Decoupled(0.1), "decoupled"),
            (Penalty::Unknown, "not known"),
        ] {
            let found = at(-LAMBDA, penalty);
            assert_eq!((found.verdict, found.misfit), (Verdict::NotApplicable, None));
            assert!(found.reason.starts_with("refused: ") && found.reason.contains(word), "{}", found.reason);
        }
    }
    // Gradients across the weights: <W, G> is rounding.
    let gradient = Mat::from_fn(5, 8, |i, j| draws("g", 5, 8)[8 * i + j]);
    let inner: f64 = (0..8).map(|j| weight.col(j).transpose() * gradient.col(j)).sum();
    let across = &gradient - &weight * (inner / weight.squared_norm_l2());
    let found = said(&alone(weight.clone(), across, Penalty::Coupled(LAMBDA)), "fact");
    assert_eq!(found.verdict, Verdict::NotApplicable);
    assert!(found.reason.starts_with("scale-invariant"), "{}", found.reason);
    // A dead layer has no gradient, and that is no invariance.
    let dead = said(&alone(weight.clone(), &weight * 0.0, Penalty::Coupled(LAMBDA)), "fact");
    assert_ne!(dead.verdict, Verdict::NotApplicable, "{}", dead.reason);
}

/// f(x) = V z/|z| and a head that is the first map turned round, each as a site or not.
#[derive(Module, Debug)]
struct Odd {
    w: Param<Tensor<2>>,
    v: Param<Tensor<2>>,
    kind: u8,
}

impl Network for Odd {
    fn forward(&self, x: Tensor<2>, at: &mut Sites) -> Tensor<2> {
        let (w, v) = (self.w.val(), self.v.val());
        match self.kind {
            // What the map puts out is normalised.
            0 => {
                let z = at.dense("w", x, w, None);
                let size = z.clone().powi_scalar(2).sum_dim(1).sqrt();
                at.dense("v", z / size, v, None)
            }
            // One weight, both ways, and both are sites.
            1 => {
                let h = activation::tanh(at.dense("w", x, w.clone(), None));
                at.dense("out", h, w.transpose(), None)
            }
            // One of them is none.
            2 => activation::tanh(at.dense("w", x, w.clone(), None)).matmul(w),
            // The map's weights are made of a parameter.
            _ => at.dense("w", x, w.mul_scalar(0.5), None),
        }
    }
}

#[test]
fn normalised_maps_and_weights_that_are_shared_are_found_by_looking() {
    let place = (&Device::flex(), DType::F64);
    let odd = |kind| Odd {
        w: Param::from_tensor(Tensor::from_data(TensorData::new(draws("w", 6, 5), [6, 5]), place)),
        v: Param::from_tensor(Tensor::from_data(TensorData::new(draws("v", 3, 6), [3, 6]), place)),
        kind,
    };
    let x = tensor("x", 13, 5, DType::F64);
    let observed = |kind: u8| {
        let network = odd(kind);
        let y = tensor(
            "y",
            13,
            if kind == 0 {
                3
            } else if kind == 3 {
                6
            } else {
                5
            },
            DType::F64,
        );
        let losses = |out: Tensor<2>, rows: std::ops::Range<usize>, factors: &[f64]| {
            squares(out, &y.clone().slice([rows]), factors)
        };
        let asked = LossOnRows { loss: &losses, weights: None, targets: None, needs: Needs::LOSS };
        let forward = |x: Tensor<2>, at: &mut Sites| Network::forward(&network, x, at);
        let found = moments(&forward, &x, &asked, &AgopOptions::default()).expect("has sites");
        let weights = nfa_metrics::weights_of(&network, &x).expect("has sites");
        let layer =
            |(weight, found)| Layer { loss: Some(found), penalty: Penalty::Coupled(LAMBDA), ..Layer::new("w", weight) };
        let layers = weights.into_iter().zip(found).map(layer).collect();
        let mut observation = Observation { layers, linear: false, eps: f64::EPSILON };
        join(&mut observation, &sharing(&network, &x).expect("has sites"));
        let (_, own) = network.gradient(&|net| squares(net.outputs(x.clone()), &y, &[1.0 / 13.0; 13]));
        (observation, to_host(own.get("w").expect("a parameter").matrix()))
    };
    let (normalised, _) = observed(0);
    let found = said(&normalised, "fact");
    assert!(found.verdict == Verdict::NotApplicable && found.reason.starts_with("scale-invariant"), "{}", found.reason);
    // Recorded whole, both sites have the whole gradient of the parameter.
    let (tied, own) = observed(1);
    for (layer, own) in tied.layers.iter().zip([own.clone(), own.transpose().to_owned()]) {
        let gradient = &layer.loss.as_ref().expect("observed").gradient;
        assert!(layer.unsound.is_none() && relative(gradient, &own, own.norm_l2()) <= 1e-12);
    }
    assert!(said(&tied, "fact").misfit.is_some());
    for (kind, word) in [(2, "recorded in part"), (3, "no parameter")] {
        let found = said(&observed(kind).0, "bfact");
        assert_eq!((found.verdict, found.misfit), (Verdict::NotApplicable, None));
        assert!(found.reason.contains(word), "{}", found.reason);
    }
}

#[test]
fn averages_of_gradient_descent_meet_their_identity() {
    let (plan, probes, lr) = (AveragePlan { last: 40, every: 1 }, [0, 60], 0.05);
    let rate = Rate::Constant(lr);
    let (mut w, mut v) = (tensor("w", 6, 4, DType::F64), tensor("v", 2, 6, DType::F64));
    let split =
        Split { inputs: tensor("x", 15, 4, DType::F64), targets: tensor("y", 15, 2, DType::F64), weights: None };
    let seen = LossSeen::new(&HalfMse {}, &split);
    let mut sums = Averages::default();
    let mut kicks = Mat::zeros(4, 4);
    let gram = |w: &Tensor<2>| to_host(w.clone()).transpose() * to_host(w.clone());
    let mut first = None;
    for step in 0..60 {
        let network = Mlp::new(vec![w.clone(), v.clone()], vec![None, None], vec![Activation::Relu]).expect("chains");
        let found = seen.moments(&network, Needs::LOSS_GRADIENT).expect("has sites");
        let layers: Vec<(Mat, Mat)> =
            [&w, &v].into_iter().zip(found).map(|(w, found)| (to_host(w.clone()), found.gradient)).collect();
        if plan.wants(step, &probes) {
            sums.add(plan, step, &probes, &layers, LAMBDA);
        }
        if step == 20 {
            first = Some(gram(&w));
        }
        let (_, own) = network.gradient(&|net| {
            let error = net.outputs(split.inputs.clone()) - split.targets.clone();
            error.powi_scalar(2).sum().mul_scalar(0.5 / 15.0)
        });
        let mut own = own.iter().map(|parameter| parameter.matrix());
        let mut step_of =
            |w: &Tensor<2>| (own.next().expect("one each") + w.clone().mul_scalar(LAMBDA)).mul_scalar(-lr);
        let (dw, dv) = (step_of(&w), step_of(&v));
        if step >= 20 {
            kicks += gram(&dw);
        }
        (w, v) = (w + dw, v + dv);
    }
    let now = gram(&w);
    let averaged = &sums.take(plan, 60, &[to_host(w), to_host(v)], &rate, LAMBDA)[0];
    let symmetric = (&averaged.fact + averaged.fact.transpose()) * 0.5;
    let (window, first) = (2.0 * LAMBDA * lr * 40.0, first.expect("step 20"));
    assert!((averaged.window - window).abs() <= 1e-14);
    assert!((averaged.drift - (&now - &first).norm_l2() / now.norm_l2()).abs() <= 1e-14);
    let expected = &averaged.nfm + (now - first - kicks) * (1.0 / window);
    let error = relative(&symmetric, &expected, symmetric.norm_l2().max(expected.norm_l2()));
    assert!(error <= 1e-12, "{error:e}");
    assert!(sums.windows.is_empty());
}

/// Everything of the loss, by name.
const SPEC: &str = r#"name = "rivals"
[model]
kind = "mlp"
depth = 2
width = 6
activation = "relu"
init = { kind = "gaussian", scale = 1.0 }
[data]
kind = "linear_teacher"
inputs = 5
outputs = 3
samples = 40
spectrum = [1.0, 0.5]
[solver]
kind = "gd"
lr = 0.05
weight_decay = 0.02
steps = 40
[probe]
at = { every = 10 }
metrics = ["fact", "bfact", "fact.averaged", "enfa", "nfa.centered", "virtual", "crh.rw.before", "crh.rg.behind", "target_linearity"]
average = { last = 15, every = 4 }
capture = true
"#;

#[test]
fn every_rival_is_recorded_and_the_first_steps_have_no_average() {
    let folder = Folder::with(SPEC);
    folder.run(&["run", "spec.toml"]).expect(0);
    let text = folder.text(&format!("{}/metrics.csv", folder.runs("out/rivals")[0]));
    let record = Record::from_csv(&text).expect("a record");
    let rows = record.len().cast_signed();
    let number = |row: isize, name: &str| record.number(row, name);
    for name in [
        "fact.stationarity.layer0",
        "bfact.spearman.layer1",
        "enfa.pearson@0.5.layer1",
        "virtual.share.layer0",
        "crh.rw.before.misfit.layer0",
        "crh.rg.behind.misfit.layer1",
        "target_linearity.layer1",
        "fact.null.init.layer0",
    ] {
        assert!((0..rows).all(|row| number(row, name).is_some()), "{name}");
    }
    // The windows of 20, 30 and 40 begin after step 0.
    let averaged: Vec<bool> = (0..rows).map(|row| number(row, "fact.averaged.misfit.layer0").is_some()).collect();
    assert_eq!(averaged, [false, false, true, true, true]);
    let window = number(4, "fact.averaged.window.layer0").expect("a number");
    assert!((window - 2.0 * 0.02 * 0.05 * 15.0).abs() < 1e-15);
    assert_eq!(record.text(0, "fact.averaged.verdict.layer0"), Some("undetermined"));
    // The capture that the run leaves says of its end what the record does.
    let capture = format!("{}/capture.safetensors", folder.runs("out/rivals")[0]);
    let asked = ["measure", "--capture", &capture, "--law", "fact,bfact,enfa,nfa.centered,crh.rw.before", "--json"];
    let found = &folder.run(&asked).expect(0).lines()[0]["layers"];
    for (law, layer) in [("fact", 0), ("fact", 1), ("bfact", 1), ("enfa", 0), ("nfa.centered", 0), ("crh.rw.before", 0)]
    {
        let here = found[layer]["laws"][law]["misfit"].as_f64().expect(law);
        let there = number(-1, &format!("{law}.misfit.layer{layer}")).expect(law);
        assert!((here - there).abs() <= 1e-9 * there, "{law} of layer {layer}: {here} against {there}");
    }
}

#[test]
fn runs_and_measure_refuse_alike() {
    let folder = Folder::with(SPEC);
    let refused = |arguments: &[&str], words: &[&str]| {
        let message = folder.run(arguments).expect(2).stderr;
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    };
    let run = |set: &[&str], words: &[&str]| {
        let sets = set.iter().flat_map(|set| ["--set", set]);
        refused(&["run", "spec.toml"].into_iter().chain(sets).collect::<Vec<_>>(), words);
    };
    run(&["solver.weight_decay=0"], &["probe.metrics", "fact", "refused", "no weight decay"]);
    run(&["solver.kind=adamw", "solver.weight_decay=0.1"], &["probe.metrics", "fact", "refused", "decoupled"]);
    run(&["solver.kind=muon"], &["refused", "decoupled"]);
    run(&["probe.average={last=3, every=4}"], &["probe.average", "at most last"]);
    assert!(!folder.has("out"), "nothing was started");
    folder.run(&["run", "spec.toml"]).expect(0);
    let weights = format!("{}/model.safetensors", folder.runs("out/rivals")[0]);
    let x: String = (0..40).map(|i| format!("{},{},{},1,2\n", i, i % 7, i % 3)).collect();
    let y: String = (0..40).map(|i| format!("{},{},0.5\n", i % 5, i % 2)).collect();
    folder.write("x.csv", format!("a,b,c,d,e\n{x}"));
    folder.write("y.csv", format!("p,q,r\n{y}"));
    let measure = |more: &[&str], words: &[&str]| {
        let base = ["measure", "--weights", &weights, "--inputs", "x.csv", "--activation", "relu"];
        refused(&[&base[..], more].concat(), words);
    };
    let given = ["--targets", "y.csv", "--loss", "half_mse"];
    measure(&[&given[..], &["--weight-decay", "0"]].concat(), &["--weight-decay 0", "refused", "no weight decay"]);
    measure(&["--weight-decay", "0.02"], &["--weight-decay", "--targets and --loss"]);
    measure(&[&given[..], &["--law", "fact"]].concat(), &["--law fact", "--weight-decay"]);
    measure(&[&given[..], &["--law", "fcat"]].concat(), &["--law fcat", "fact.averaged"]);
    // The run beside them says what they were trained with.
    let other = ["--targets", "y.csv", "--loss", "mse", "--weight-decay", "0.02"];
    measure(&other, &["--loss mse", "refused", "trained with half_mse"]);
    measure(&[&given[..], &["--weight-decay", "0.03"]].concat(), &["refused", "trained with 0.02"]);
    // And what is not refused is FACT of these rows.
    let base = ["measure", "--weights", &weights, "--inputs", "x.csv", "--activation", "relu", "--json"];
    let asked = [&base[..], &given[..], &["--weight-decay", "0.02"]].concat();
    let found = &folder.run(&asked).expect(0).lines()[0]["layers"][0];
    assert!(found["laws"]["fact"]["details"]["stationarity"].as_f64().is_some_and(|residual| residual > 1.0));
    assert_eq!(found["laws"]["fact"]["details"]["pearson"], found["details"]["fact"]["pearson"]);
}
