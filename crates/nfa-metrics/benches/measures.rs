//! What a probe is made of, function by function: `cargo bench --workspace --bench measures`.

#![allow(missing_docs, clippy::unwrap_used)] // a program of one page

use burn::tensor::{DType, Device, Tensor, TensorData};
use divan::Bencher;
use nfa_metrics::judge::misfit::{Fit, Seen};
use nfa_metrics::{AgopOptions, Family, Mat, Pair, Path, Psd, Thresholds, assess, observe_network};
use nfa_models::{Activation, Mlp, Stream};

fn main() {
    divan::main();
}

/// Rows with column scales 1, 1/2, 1/3, ...: the decay that AGOPs have.
fn rows(name: &str, n: usize, d: usize) -> Mat {
    let data = Stream::root(0).fork(name).normals(n * d);
    Mat::from_fn(n, d, |i, j| data[i * d + j] / (j + 1) as f64)
}

fn gram(name: &str, d: usize) -> Psd {
    let rows = rows(name, 2 * d, d);
    Psd::gram(rows.transpose() * &rows)
}

#[divan::bench(args = [20, 64, 256, 784])]
fn spectrum_of_a_gram(bencher: Bencher<'_, '_>, d: usize) {
    let gram = gram("gram", d);
    bencher.with_inputs(|| gram.clone()).bench_refs(|gram| gram.spectrum().unwrap().rank);
}

#[divan::bench(args = [20, 64, 256])]
fn spectrum_of_a_factor(bencher: Bencher<'_, '_>, d: usize) {
    let factor = Psd::nfm(&rows("factor", d, d));
    bencher.with_inputs(|| factor.clone()).bench_refs(|factor| factor.spectrum().unwrap().rank);
}

#[divan::bench(args = [20, 64, 256])]
fn fit_of_a_power(bencher: Bencher<'_, '_>, d: usize) {
    let seen = Seen::new(&gram("a", d), &gram("b", d)).unwrap();
    bencher.bench(|| Fit::new(&seen, Family::Power).unwrap());
}

#[divan::bench(args = [20, 64, 256])]
fn finding_with_verdict(bencher: Bencher<'_, '_>, d: usize) {
    let pair = Pair::new(gram("a", d), gram("b", d));
    let again = || Pair::new(Psd::gram(pair.a.matrix().clone()), Psd::gram(pair.b.matrix().clone()));
    bencher.with_inputs(again).bench_refs(|pair| assess(pair, Family::Power, None, &Thresholds::default()).verdict);
}

#[divan::bench(args = [Path::Factored, Path::Autodiff], consts = [1, 3])]
fn agop<const LAYERS: usize>(bencher: Bencher<'_, '_>, path: Path) {
    let (widths, samples, device) = ([64, 128, 128, 10], 512, Device::flex());
    let tensor = |name: &str, rows: usize, columns: usize| {
        let data = Stream::root(0).fork(name).normals(rows * columns);
        let scaled: Vec<f64> = data.into_iter().map(|v| v / (columns as f64).sqrt()).collect();
        Tensor::<2>::from_data(TensorData::new(scaled, [rows, columns]), (&device, DType::F32))
    };
    let weights = widths.windows(2).enumerate().map(|(l, pair)| tensor(&format!("w{l}"), pair[1], pair[0]));
    let network = Mlp::new(weights.collect(), vec![None; 3], vec![Activation::Relu; 2]).unwrap();
    let x = tensor("x", samples, widths[0]);
    let options = AgopOptions { path, layers: Some((0..LAYERS).collect()), ..AgopOptions::default() };
    bencher.bench(|| observe_network(&network, &x, None, &options));
}
