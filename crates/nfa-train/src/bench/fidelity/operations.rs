//! The operations, each with its definition on the host.

use burn::tensor::{Bool, Int, Tensor, TensorData, activation};
use nfa_models::Stream;

use crate::bench::fidelity::entrywise::{self, LIBM, TWOFOLD, rounded};
use crate::bench::fidelity::twofold::Twofold;
use crate::bench::fidelity::worst::{Finding, Place, Unit, Worst};
use crate::machine::devices::Dtype;

/// Something that is held against its definition: a name, and what was found in a place.
pub struct Operation {
    /// Its name.
    pub name: String,
    /// What its rows call the device, where that isn't the one that holds its arguments.
    pub device: Option<&'static str>,
    /// Does it, forward and backward.
    #[allow(clippy::type_complexity)] // written once
    pub check: Box<dyn Fn(&Place<'_>) -> Vec<Finding>>,
}

/// Every operation that is not entry by entry, its name in front.
#[allow(clippy::type_complexity)] // a table
const OTHERS: [(&str, fn(&Place<'_>) -> Vec<Finding>); 9] = [
    ("sum", |place| reduction(place, "sum")),
    ("mean", |place| reduction(place, "mean")),
    ("matmul", |place| product(place, false)),
    ("transpose_matmul", |place| product(place, true)),
    ("log_softmax", log_softmax),
    ("mask_fill", |place| moved(place, "mask_fill")),
    ("select", |place| moved(place, "select")),
    ("cat", |place| moved(place, "cat")),
    ("slice", |place| moved(place, "slice")),
];

/// Every operation.
pub fn all() -> Vec<Operation> {
    let entries = entrywise::all().into_iter().map(|entry| Operation {
        name: entry.name.clone(),
        device: None,
        check: Box::new(move |place: &Place<'_>| entry.check(place)),
    });
    let others = OTHERS.map(|(name, check)| Operation { name: name.into(), device: None, check: Box::new(check) });
    entries.chain(others).collect()
}

fn numbers(name: &str, count: usize, dtype: Dtype) -> Vec<f64> {
    let stream = Stream::root(0).fork("fidelity").fork(name);
    stream.normals(count).into_iter().map(|v| rounded(v, dtype)).collect()
}

/// Short and long, the long one no multiple of a vector's length.
const LENGTHS: [usize; 3] = [7, 1000, 100_003];

fn reduction(place: &Place<'_>, name: &str) -> Vec<Finding> {
    let (mut forward, mut backward) = (Worst::default(), Worst::default());
    for n in LENGTHS {
        let x = numbers(name, n, place.dtype);
        let exact = x.iter().fold(Twofold::new(0.0), |sum, &v| sum.plus(Twofold::new(v)));
        let size: f64 = x.iter().map(|v| v.abs()).sum();
        let (count, mean) = (Twofold::new(n as f64), name == "mean");
        let apply = |x: Tensor<1>| if mean { x.mean() } else { x.sum() };
        let (exact, size, slope) = match mean {
            true => (exact.over(count), size / n as f64, Twofold::new(1.0).over(count)),
            false => (exact, size, Twofold::new(1.0)),
        };
        let leaf = place.vector(&x).autodiff().require_grad();
        let value = apply(leaf.clone());
        let got = forward.read(place, value.clone().inner());
        forward.hold(got.first().copied().unwrap_or(f64::NAN), exact, size, place.dtype, || format!("{n} terms"));
        let gradient = leaf.grad_remove(&mut value.backward());
        let got = gradient.map(|gradient| backward.read(place, gradient)).unwrap_or_default();
        for got in got {
            backward.hold(got, slope, 0.0, place.dtype, || format!("{n} terms"));
        }
    }
    vec![
        Finding::new("forward", forward, &Unit::TERMS, TWOFOLD),
        Finding::new("backward", backward, &Unit::RESULT, TWOFOLD),
    ]
}

/// Rows, inner size, columns: small, thin, long, and beyond where kernels take several threads.
const SHAPES: [[usize; 3]; 5] = [[3, 5, 4], [17, 1, 9], [64, 64, 64], [8, 4096, 8], [130, 300, 200]];

/// A matrix on the host.
struct Host {
    columns: usize,
    data: Vec<f64>,
}

impl Host {
    fn new(name: &str, rows: usize, columns: usize, dtype: Dtype) -> Self {
        Host { columns, data: numbers(name, rows * columns, dtype) }
    }

    fn at(&self, i: usize, j: usize) -> f64 {
        self.data[i * self.columns + j]
    }
}

/// Σ_k a(k) b(k), and the sum of the terms' sizes.
fn inner(count: usize, dtype: Dtype, a: impl Fn(usize) -> f64, b: impl Fn(usize) -> f64) -> (Twofold, f64) {
    let size = (0..count).map(|k| (a(k) * b(k)).abs()).sum();
    let exact = match dtype {
        // Products of f32 are exact in f64, and its rounding of their sum is nothing beside f32's.
        Dtype::F32 => Twofold::new((0..count).map(|k| a(k) * b(k)).sum()),
        Dtype::F64 => (0..count).fold(Twofold::new(0.0), |sum, k| sum.plus(Twofold::product(a(k), b(k)))),
    };
    (exact, size)
}

/// A B, or AᵀB: forward, and both gradients of Σ R ∘ (A B) for a random R.
fn product(place: &Place<'_>, transposed: bool) -> Vec<Finding> {
    let (mut forward, mut backward) = (Worst::default(), Worst::default());
    for [m, k, n] in SHAPES {
        let dtype = place.dtype;
        let shape = format!("{m} x {k} x {n}");
        let (rows, columns) = if transposed { (k, m) } else { (m, k) };
        let a = Host::new("matmul.a", rows, columns, dtype);
        let (b, r) = (Host::new("matmul.b", k, n, dtype), Host::new("matmul.r", m, n, dtype));
        let of_a = |i: usize, l: usize| if transposed { a.at(l, i) } else { a.at(i, l) };
        let left = place.matrix(&a.data, rows).autodiff().require_grad();
        let right = place.matrix(&b.data, k).autodiff().require_grad();
        let product = if transposed { left.clone().transpose() } else { left.clone() }.matmul(right.clone());
        let got = forward.read(place, product.clone().inner());
        for (at, &got) in got.iter().enumerate() {
            let (exact, size) = inner(k, dtype, |l| of_a(at / n, l), |l| b.at(l, at % n));
            forward.hold(got, exact, size, dtype, || shape.clone());
        }
        let mut gradients = (product * place.matrix(&r.data, m).autodiff()).sum().backward();
        let got = left.grad_remove(&mut gradients).map(|g| backward.read(place, g)).unwrap_or_default();
        for (at, &got) in got.iter().enumerate() {
            let (row, column) = (at / columns, at % columns);
            let (i, l) = if transposed { (column, row) } else { (row, column) };
            let (exact, size) = inner(n, dtype, |j| r.at(i, j), |j| b.at(l, j));
            backward.hold(got, exact, size, dtype, || shape.clone());
        }
        let got = right.grad_remove(&mut gradients).map(|g| backward.read(place, g)).unwrap_or_default();
        for (at, &got) in got.iter().enumerate() {
            let (exact, size) = inner(m, dtype, |i| of_a(i, at / n), |i| r.at(i, at % n));
            backward.hold(got, exact, size, dtype, || shape.clone());
        }
    }
    let finding = |direction, worst| Finding::new(direction, worst, &Unit::TERMS, TWOFOLD);
    vec![finding("forward", forward), finding("backward", backward)]
}

fn log_softmax(place: &Place<'_>) -> Vec<Finding> {
    let (mut forward, mut backward) = (Worst::default(), Worst::default());
    let (n, c) = (60, 10);
    let scaled = numbers("log_softmax", n * c, place.dtype);
    // Rows of logits of size 1, 10 and 100.
    let z: Vec<f64> =
        scaled.iter().enumerate().map(|(k, v)| rounded(v * 10f64.powi((k / c % 3) as i32), place.dtype)).collect();
    let r = numbers("log_softmax.r", n * c, place.dtype);
    let leaf = place.matrix(&z, n).autodiff().require_grad();
    let value = activation::log_softmax(leaf.clone(), 1);
    let got = forward.read(place, value.clone().inner());
    let mut gradients = (value * place.matrix(&r, n).autodiff()).sum().backward();
    let slopes = leaf.grad_remove(&mut gradients).map(|g| backward.read(place, g)).unwrap_or_default();
    for (i, row) in z.chunks(c).enumerate() {
        let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let log_sum = libm::log(row.iter().map(|v| libm::exp(v - top)).sum());
        let weights = &r[i * c..(i + 1) * c];
        let (all, size) = (weights.iter().sum::<f64>(), weights.iter().map(|w| w.abs()).sum::<f64>());
        for (k, v) in row.iter().enumerate() {
            let exact = (v - top) - log_sum;
            let point = || format!("row {i}");
            let entry = |list: &[f64]| list.get(i * c + k).copied().unwrap_or(f64::NAN);
            forward.hold(entry(&got), Twofold::new(exact), v.abs() + top.abs(), place.dtype, point);
            let p = libm::exp(exact);
            let (slope, terms) = (Twofold::new(weights[k] - p * all), weights[k].abs() + p * size);
            backward.hold(entry(&slopes), slope, terms, place.dtype, point);
        }
    }
    let finding = |direction, worst| Finding::new(direction, worst, &Unit::TERMS, LIBM);
    vec![finding("forward", forward), finding("backward", backward)]
}

/// Operations that move numbers and change none: every entry exactly, with weights' gradients where
/// it came from.
fn moved(place: &Place<'_>, name: &str) -> Vec<Finding> {
    let (rows, columns) = (6, 5);
    let x = numbers(name, rows * columns, place.dtype);
    let r = numbers("moved.r", 2 * rows * columns, place.dtype);
    let device = place.device;
    // Where each entry of the result comes from; none: it is 7.
    let (result_rows, sources): (usize, Vec<Option<usize>>) = match name {
        "mask_fill" => (rows, (0..rows * columns).map(|k| (k % 3 != 0).then_some(k)).collect()),
        "select" => {
            let from = [4, 0, 0, 5];
            (4, from.iter().flat_map(|row| (0..columns).map(move |j| Some(row * columns + j))).collect())
        }
        "cat" => (2 * rows, (0..2 * rows * columns).map(|k| Some(k % (rows * columns))).collect()),
        _ => (3, (2 * columns..5 * columns).map(Some).collect()),
    };
    let leaf = place.matrix(&x, rows).autodiff().require_grad();
    let result = match name {
        "mask_fill" => {
            let mask: Vec<bool> = sources.iter().map(Option::is_none).collect();
            let mask = Tensor::<2, Bool>::from_data(TensorData::new(mask, [rows, columns]), device);
            leaf.clone().mask_fill(mask, 7.0)
        }
        "select" => {
            let at = Tensor::<1, Int>::from_data(TensorData::new(vec![4i64, 0, 0, 5], [4]), device);
            leaf.clone().select(0, at)
        }
        "cat" => Tensor::cat(vec![leaf.clone(), leaf.clone()], 0),
        _ => leaf.clone().slice([2..5]),
    };
    let (mut forward, mut backward) = (Worst::default(), Worst::default());
    let got = forward.read(place, result.clone().inner());
    let mut slopes = vec![Twofold::new(0.0); x.len()];
    for (k, source) in sources.iter().enumerate() {
        let exact = source.map_or(7.0, |from| x[from]);
        let here = got.get(k).copied().unwrap_or(f64::NAN);
        forward.hold(here, Twofold::new(exact), 0.0, place.dtype, || format!("entry {k}"));
        if let Some(from) = source {
            slopes[*from] = slopes[*from].plus(Twofold::new(r[k]));
        }
    }
    let weights = place.matrix(&r[..sources.len()], result_rows).autodiff();
    let mut gradients = (result * weights).sum().backward();
    let got = leaf.grad_remove(&mut gradients).map(|g| backward.read(place, g)).unwrap_or_default();
    for (k, &got) in got.iter().enumerate() {
        backward.hold(got, slopes[k], 0.0, place.dtype, || format!("entry {k}"));
    }
    let finding = |direction, worst| Finding::new(direction, worst, &Unit::RESULT, TWOFOLD);
    vec![finding("forward", forward), finding("backward", backward)]
}
