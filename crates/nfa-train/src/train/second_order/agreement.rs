//! The second derivatives of a loss in all their forms: forward only, forward and back, on the host, on tensors and
//! by differences of autodiff's gradients, which know nothing of the others.

use burn::tensor::{DType, Device, Tensor, TensorData};
use nfa_models::{Activation, AnyNetwork, Mlp, Stream};
use toml::Table;

use crate::data::split::Split;
use crate::minimise::{Block, Function};
use crate::train::decay::Decay;
use crate::train::loss::Loss;
use crate::train::losses::losses;
use crate::train::objective::{Objective, Training};
use crate::train::problem::Problem;
use crate::train::second_order::by_gradients::ByGradients;
use crate::train::second_order::curvature::Curvature;
use crate::train::second_order::host_chain::HostChain;
use crate::train::second_order::tensor_chain::TensorChain;
use crate::train::surface::penalised::flatten;

const WIDTHS: [usize; 4] = [5, 7, 6, 3];
/// So wide that other solvers keep transposed copies of the weights.
const WIDE: [usize; 4] = [70, 66, 65, 3];
const ROWS: usize = 11;
const L: usize = 4;

struct Case {
    network: Mlp,
    split: Split,
    loss: Box<dyn Loss>,
}

fn case(activation: Activation, loss: &str, biases: bool, dtype: DType) -> Case {
    sized(WIDTHS, activation, loss, biases, dtype)
}

fn sized(widths: [usize; 4], activation: Activation, loss: &str, biases: bool, dtype: DType) -> Case {
    let device = Device::flex();
    let stream = Stream::root(11).fork(loss);
    let place = (&device, dtype);
    let tensor = |name: &str, rows: usize, cols: usize| -> Tensor<2> {
        Tensor::from_data(TensorData::new(stream.fork(name).normals(rows * cols), [rows, cols]), place)
    };
    let weight =
        |l: usize| tensor(&format!("w{l}"), widths[l + 1], widths[l]).mul_scalar(1.3 / (widths[l] as f64).sqrt());
    let bias = |l: usize| biases.then(|| tensor(&format!("b{l}"), 1, widths[l + 1]).reshape([widths[l + 1]]));
    let network = Mlp::new((0..3).map(weight).collect(), (0..3).map(bias).collect(), vec![activation; 2]);
    let classes: Vec<f64> = (0..ROWS * 3).map(|i| f64::from(u8::from(i % 3 == i / 3 % 3))).collect();
    let targets = match loss {
        "cross_entropy" => Tensor::from_data(TensorData::new(classes, [ROWS, 3]), place),
        _ => tensor("y", ROWS, 3),
    };
    // Row weights of mean 1, one of them 0.
    let weights: Vec<f64> = (0..ROWS).map(|i| i as f64 * 2.0 / (ROWS - 1) as f64).collect();
    let table = Table::from_iter([("kind".to_string(), loss.into())]);
    Case {
        network: network.expect("widths chain"),
        split: Split { inputs: tensor("x", ROWS, widths[0]), targets, weights: biases.then_some(weights) },
        loss: losses().build(table, &()).expect("known"),
    }
}

/// What each form is given: all numbers of the network, and some orthonormal directions.
fn with<R>(case: &Case, curvature: Curvature, f: impl FnOnce(&[f64], &mut [&mut dyn Function]) -> R) -> R {
    let rows = Training::new(&case.split, case.loss.as_ref(), None, &case.network, &Stream::root(0));
    let like = AnyNetwork::parameters(&case.network);
    let x = flatten(&like).expect("readable");
    let problem = Problem::new(&case.network, &rows).expect("a chain on a CPU");
    let decay = problem.decays(Decay { weight_decay: 0.0, decay_bias: false });
    let host = rows.host_rows().expect("readable");
    let (seen, criterion) = rows.rows().expect("all rows");
    let chain = AnyNetwork::chain(&case.network).expect("a chain");
    let mut tensors = TensorChain::new(&chain, seen, criterion, decay.clone(), curvature);
    let mut network = case.network.clone();
    let mut differences = ByGradients {
        network: &mut network,
        objective: &rows,
        step: 0,
        like: &like,
        decay: &decay,
        epsilon: f64::EPSILON,
        fault: None,
    };
    if case.split.inputs.dtype() == DType::F64 {
        let mut host = HostChain::<f64>::new(&problem, host, decay.clone(), curvature);
        f(&x, &mut [&mut host, &mut tensors, &mut differences])
    } else {
        let mut host = HostChain::<f32>::new(&problem, host, decay.clone(), curvature);
        f(&x, &mut [&mut host, &mut tensors, &mut differences])
    }
}

fn directions(d: usize) -> Vec<f64> {
    let normals = Stream::root(5).fork("v").normals(L * d);
    let tall = nfa_metrics::Mat::from_fn(d, L, |i, k| normals[k * d + i]);
    let q = tall.qr().compute_thin_Q();
    (0..L).flat_map(|k| (0..d).map(move |i| (i, k))).map(|at| q[at]).collect()
}

/// The largest difference, relative to the largest number of the second.
fn apart(found: &[f64], exact: &[f64]) -> f64 {
    let top = exact.iter().fold(0.0, |top: f64, v| top.max(v.abs()));
    found.iter().zip(exact).fold(0.0, |most: f64, (a, b)| most.max((a - b).abs())) / top
}

fn flat(block: &Block) -> Vec<f64> {
    let hessian = block.hessian.col_iter().flat_map(|col| col.iter().copied().collect::<Vec<f64>>());
    block.gradient.iter().copied().chain(hessian).collect()
}

#[test]
fn every_form_of_every_activation_and_loss_is_the_same_hessian() {
    for activation in Activation::ALL {
        for loss in ["half_mse", "mse", "cross_entropy"] {
            for biases in [false, true] {
                let case = case(activation, loss, biases, DType::F64);
                let what = format!("{activation}, {loss}, biases {biases}");
                with(&case, Curvature::Hessian, |x, forms| {
                    let v = directions(x.len());
                    // Pearlmutter's, on the host.
                    let exact = (forms[0].gradient(x), forms[0].products(x, &v));
                    let block = flat(&Block::of(&v, &exact.0, &exact.1));
                    for (form, name) in forms.iter_mut().zip(["host", "tensors"]) {
                        let off = apart(&flat(&form.block(x, &v)), &block);
                        assert!(off <= 1e-12, "{what}: forward only on {name} is {off:.1e} beside");
                        let off = apart(&form.gradient(x), &exact.0).max(apart(&form.products(x, &v), &exact.1));
                        assert!(off <= 1e-12, "{what}: forward and back on {name} is {off:.1e} beside");
                    }
                    let by_autodiff = forms[2].gradient(x);
                    let off = apart(&exact.0, &by_autodiff);
                    assert!(off <= 1e-12, "{what}: the gradient is {off:.1e} beside autodiff's");
                    assert!((forms[0].value(x) - forms[2].value(x)).abs() <= 1e-13 * (1.0 + forms[2].value(x)));
                    assert!((forms[1].value(x) - forms[2].value(x)).abs() <= 1e-13 * (1.0 + forms[2].value(x)));
                    let off = apart(&exact.1, &forms[2].products(x, &v));
                    assert!(off <= 1e-6, "{what}: the Hessian is {off:.1e} beside differences of autodiff's gradients");
                });
            }
        }
    }
}

#[test]
fn wide_layers_too() {
    let case = sized(WIDE, Activation::Silu, "mse", true, DType::F64);
    with(&case, Curvature::Hessian, |x, forms| {
        let v = directions(x.len());
        let exact = forms[0].products(x, &v);
        assert!(apart(&forms[1].products(x, &v), &exact) <= 1e-12);
        assert!(apart(&forms[2].products(x, &v), &exact) <= 1e-6);
        let (host, tensors) = (forms[0].block(x, &v), forms[1].block(x, &v));
        assert!(apart(&flat(&host), &flat(&tensors)) <= 1e-12);
        assert!((forms[0].value(x) - forms[2].value(x)).abs() <= 1e-13 * (1.0 + forms[2].value(x)));
    });
}

#[test]
fn single_precision_is_double_precision_to_its_digits() {
    for (activation, loss) in [(Activation::Gelu, "half_mse"), (Activation::Tanh, "cross_entropy")] {
        let [wide, narrow] = [DType::F64, DType::F32].map(|dtype| {
            with(&case(activation, loss, true, dtype), Curvature::Hessian, |x, forms| {
                let v = directions(x.len());
                [0, 1].map(|form| [flat(&forms[form].block(x, &v)), forms[form].products(x, &v)].concat())
            })
        });
        for (narrow, wide) in narrow.iter().zip(&wide) {
            let off = apart(narrow, wide);
            assert!(off > 0.0 && off <= 1e-4, "{activation}, {loss}: {off:.1e}");
        }
    }
}

/// JᵀHlJ from the Jacobian of the outputs by differences.
#[test]
fn gauss_newton_is_the_outputs_part_alone() {
    for loss in ["mse", "cross_entropy"] {
        let case = case(Activation::Tanh, loss, true, DType::F64);
        with(&case, Curvature::GaussNewton, |x, forms| {
            let v = directions(x.len());
            let block = flat(&forms[0].block(x, &v));
            for form in &mut forms[..2] {
                let off = apart(&flat(&form.block(x, &v)), &block);
                assert!(off <= 1e-12, "{loss}: {off:.1e}");
                let products = form.model_products(x, &v);
                let off = apart(&flat(&Block::of(&v, &form.gradient(x), &products)), &block);
                assert!(off <= 1e-12, "{loss}: {off:.1e}");
            }
            // What certifies is the Hessian all the same.
            let exact = forms[2].products(x, &v);
            for form in &mut forms[..2] {
                assert!(!form.models_itself() && apart(&form.products(x, &v), &exact) <= 1e-6, "{loss}");
                assert!(apart(&form.model_products(x, &v), &exact) > 1e-2, "{loss}: the outputs' part is all");
            }
            let mut network = case.network.clone();
            let like = AnyNetwork::parameters(&network);
            let mut outputs = |x: &[f64]| -> Vec<f64> {
                let values = crate::train::surface::penalised::spread(&like, x);
                AnyNetwork::set_parameters(&mut network, &values).expect("fits");
                AnyNetwork::outputs(&network, case.split.inputs.clone()).try_into_vec_as::<f64>().expect("readable")
            };
            let h = 1e-5;
            let changes: Vec<Vec<f64>> = v
                .chunks(x.len())
                .map(|v| {
                    let at = |h: f64| x.iter().zip(v).map(|(x, v)| x + h * v).collect::<Vec<f64>>();
                    let (up, down) = (outputs(&at(h)), outputs(&at(-h)));
                    up.iter().zip(&down).map(|(up, down)| (up - down) / (2.0 * h)).collect()
                })
                .collect();
            let now = outputs(x);
            let weights = case.split.weights.clone().expect("weights");
            let bent = |row: usize, v: &[f64]| -> Vec<f64> {
                let f = &now[row * 3..row * 3 + 3];
                let total: f64 = f.iter().map(|f| f.exp()).sum();
                let p: Vec<f64> = f.iter().map(|f| f.exp() / total).collect();
                let mean: f64 = p.iter().zip(v).map(|(p, v)| p * v).sum();
                let n = ROWS as f64;
                (0..3)
                    .map(|k| match loss {
                        "mse" => weights[row] * 2.0 * v[k] / (3.0 * n),
                        _ => weights[row] * p[k] * (v[k] - mean) / n,
                    })
                    .collect()
            };
            let mut expected = vec![0.0; L * L];
            for (i, j) in (0..L).flat_map(|i| (0..L).map(move |j| (i, j))) {
                for row in 0..ROWS {
                    let (a, b) = (&changes[i][row * 3..row * 3 + 3], &changes[j][row * 3..row * 3 + 3]);
                    expected[j * L + i] += a.iter().zip(bent(row, b)).map(|(a, b)| a * b).sum::<f64>();
                }
            }
            let off = apart(&block[L..], &expected);
            assert!(off <= 1e-8, "{loss}: {off:.1e}");
        });
    }
}
