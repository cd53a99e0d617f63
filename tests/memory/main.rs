//! AGOPs over more rows than fit: what is held doesn't grow with them.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed
#![allow(clippy::print_stdout)] // the peaks are a result, too

mod allocator;

use allocator::peak_of;
use burn::tensor::{DType, Device, Tensor, TensorData, activation};
use nfa_metrics::observe::jacobian::jacobian;
use nfa_metrics::{Accumulator, AgopOptions, Mat, observe_network};
use nfa_models::{Activation, Mlp, Stream};

const ROWS: usize = 200_000;
const DIM: usize = 64;
const HIDDEN: usize = 32;
const OUTPUTS: usize = 2;
const BATCH: usize = 1000;

/// 32 matrices of d × d (what a factor keeps beyond, and what its triangulation takes), and 10 of a batch
/// (inputs, activations, tape, Jacobian, host copies), in f64.
const CAP: usize = 8 * (32 * DIM * DIM + 10 * BATCH * DIM);
/// The engine works on up to eight parts at a time, each with a sum and a block of its own.
const ENGINE_CAP: usize = 8 * CAP;
/// All inputs; the Jacobians are twice as much.
const NAIVE: usize = 8 * ROWS * DIM;

/// f(x) = V tanh(Wx).
struct Net {
    w: Mat,
    v: Mat,
}

impl Net {
    fn new() -> Self {
        let normal = |name: &str, rows: usize, cols: usize| {
            let values = Stream::root(61).fork(name).normals(rows * cols);
            Mat::from_fn(rows, cols, |i, j| values[i * cols + j] / (cols as f64).sqrt())
        };
        Net { w: normal("w", HIDDEN, DIM), v: normal("v", OUTPUTS, HIDDEN) }
    }

    /// Σ JᵀJ = Wᵀ (Σ_i D_i VᵀV D_i) W over a batch, D = diag(1 - tanh²): the closed form, on the host.
    fn add_to(&self, inner: &mut Mat, inputs: &Mat) {
        let gram = self.v.transpose() * &self.v;
        let z = inputs * self.w.transpose();
        let slopes = Mat::from_fn(z.nrows(), HIDDEN, |i, j| 1.0 - z[(i, j)].tanh().powi(2));
        let overlap = slopes.transpose() * &slopes;
        *inner += Mat::from_fn(HIDDEN, HIDDEN, |a, b| gram[(a, b)] * overlap[(a, b)]);
    }
}

/// Rows of a batch, made where they are needed; the scale of a column falls, so that the AGOP is no multiple of 1.
fn inputs(batch: usize) -> Vec<f64> {
    let mut draws = Stream::root(62).fork_index(batch as u64).draws();
    (0..BATCH * DIM).map(|k| (2.0 * draws.uniform() - 1.0) / (1.0 + (k % DIM) as f64 / 16.0)).collect()
}

fn tensor(matrix: &Mat, dtype: DType) -> Tensor<2> {
    let (rows, cols) = (matrix.nrows(), matrix.ncols());
    let data: Vec<f64> = (0..rows * cols).map(|k| matrix[(k / cols, k % cols)]).collect();
    Tensor::from_data(TensorData::new(data, [rows, cols]), (&Device::flex(), dtype))
}

/// What each accumulator of the Jacobian's rows holds after so many batches, and the closed form.
fn stream(net: &Net, batches: usize, accumulators: &mut [(Accumulator, DType)]) -> Mat {
    let weights: Vec<(Tensor<2>, Tensor<2>)> =
        accumulators.iter().map(|(_, dtype)| (tensor(&net.w, *dtype), tensor(&net.v, *dtype))).collect();
    let mut inner = Mat::zeros(HIDDEN, HIDDEN);
    for batch in 0..batches {
        let values = inputs(batch);
        net.add_to(&mut inner, &Mat::from_fn(BATCH, DIM, |i, j| values[i * DIM + j]));
        for ((accumulator, dtype), (w, v)) in accumulators.iter_mut().zip(&weights) {
            let data = TensorData::new(values.clone(), [BATCH, 1, DIM]);
            let x = Tensor::<3>::from_data(data, (&Device::flex(), *dtype));
            let f = |x: Tensor<3>| {
                let hidden = activation::tanh(x.reshape([BATCH, DIM]).matmul(w.clone().transpose()));
                hidden.matmul(v.clone().transpose())
            };
            jacobian(f, &x).into_iter().for_each(|rows| accumulator.push_tensor(rows));
        }
    }
    net.w.transpose() * inner * &net.w * (1.0 / (batches * BATCH) as f64)
}

// One test: the bytes of another at the same time would count, too.
#[test]
fn an_agop_over_200_000_streamed_rows_holds_no_more_than_over_4_000() {
    const { assert!(CAP * 16 < NAIVE && ENGINE_CAP * 2 < NAIVE) }
    let net = Net::new();
    let all =
        || [(Accumulator::factor(DIM), DType::F64), (Accumulator::gram(DIM, f64::from(f32::EPSILON)), DType::F32)];
    // Whatever threads and products keep from their first call on.
    stream(&net, 1, &mut all());
    let (mut few, mut many) = (all(), all());
    let (_, of_few) = peak_of(|| stream(&net, 4, &mut few));
    let (exact, of_many) = peak_of(|| stream(&net, ROWS / BATCH, &mut many));
    println!("streamed: {of_few} bytes over 4 batches, {of_many} over 200, cap {CAP}, all inputs {NAIVE}");
    assert!(of_many <= CAP, "{of_many} bytes, more than {CAP}");
    assert!(of_many <= of_few + of_few / 4, "{of_many} bytes over 200 batches, {of_few} over 4");
    for ((accumulator, dtype), tolerance) in many.into_iter().zip([1e-13, 1e-6]) {
        assert_eq!(accumulator.rows(), ROWS * OUTPUTS);
        let got = accumulator.finish(ROWS, None);
        let error = (got.matrix() - &exact).norm_l2() / exact.norm_l2();
        println!("{dtype:?}: {error:.1e}");
        assert!(error <= tolerance, "{dtype:?}: {error:e}");
    }

    // A network's engine, over inputs that are there already.
    let values: Vec<f64> = (0..ROWS / BATCH).flat_map(inputs).collect();
    let x = Tensor::<2>::from_data(TensorData::new(values, [ROWS, DIM]), (&Device::flex(), DType::F64));
    let weights = vec![tensor(&net.w, DType::F64), tensor(&net.v, DType::F64)];
    let network = Mlp::new(weights, vec![None, None], vec![Activation::Tanh]).unwrap();
    let options = AgopOptions { batch: Some(BATCH), layers: Some(vec![0]), ..AgopOptions::default() };
    let few = x.clone().slice([0..ROWS / 5]);
    let (_, of_few) = peak_of(|| observe_network(&network, &few, None, &options).expect("has sites"));
    let (observation, peak) = peak_of(|| observe_network(&network, &x, None, &options).expect("has sites"));
    println!("a network's engine: {peak} bytes beside its inputs, {of_few} beside a fifth of them");
    assert!(peak <= ENGINE_CAP, "{peak} bytes, more than {ENGINE_CAP}");
    assert!(peak <= of_few + of_few / 2, "{peak} bytes over all rows, {of_few} over a fifth");
    let got = observation.layers[0].agop.as_ref().unwrap();
    assert!((got.matrix() - &exact).norm_l2() <= 1e-13 * exact.norm_l2());
}
