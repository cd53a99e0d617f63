//! The average gradient outer product, exactly, at the input of every layer.
//!
//! AGOP_l = (1/n) Σ_i w_i Σ_p J_ipᵀJ_ip with J_ip the Jacobian of the outputs in layer l's input
//! (summed over outputs; w_i sample weights of mean 1). Two ways, held equal by tests:
//!
//! - **autodiff**: one backward pass per output, any [`AnyNetwork`];
//! - **factored**, for chains of dense layers: one forward, then Δ_l = ∂f/∂z_l for all layers in
//!   one backward sweep of matrix products; at layer l the sweep stops at z_l, whose Gram matrix K_l
//!   is small, and AGOP_l = W_lᵀ K_l W_l (f reads its input through W_l alone). Where everything
//!   behind a layer is linear its Jacobian is a product of weights and no data is touched.
//!
//! In `f64` the rows are kept as a factor ([`Stack`]) as long as that is affordable, so that
//! small eigenvalues, and with them powers, keep their digits.

use burn::tensor::{DType, Tensor};
use nfa_models::{AnyNetwork, Chain, Site};

use crate::Mat;
use crate::factor::Stack;
use crate::jacobian::{beside, epsilon, jacobian, to_host};
use crate::observation::{Layer, Observation};
use crate::psd::{Psd, RankRule};

/// How an AGOP is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Path {
    /// Factored where the network is a chain of dense layers, else autodiff.
    #[default]
    Auto,
    /// The sweep of matrix products; chains only.
    Factored,
    /// Burn's autodiff, one backward pass per output.
    Autodiff,
}

/// Options of the AGOP engine.
#[derive(Clone, Debug, PartialEq)]
pub struct AgopOptions {
    /// Which way.
    pub path: Path,
    /// At the inputs of which layers, from 0; `None` for all. The others' weights are observed too.
    pub layers: Option<Vec<usize>>,
    /// Rows per batch; `None` takes what fits into [`AgopOptions::memory`].
    pub batch: Option<usize>,
    /// Bytes that a batch's temporaries may take.
    pub memory: usize,
    /// Up to how many multiply-adds the rows are kept as a factor (`f64` only); beyond, and in
    /// other dtypes, Gram matrices are summed.
    pub factor_work: f64,
}

impl AgopOptions {
    fn wants(&self, layer: usize) -> bool {
        self.layers.as_ref().is_none_or(|layers| layers.contains(&layer))
    }
}

impl Default for AgopOptions {
    fn default() -> Self {
        AgopOptions { path: Path::Auto, layers: None, batch: None, memory: 64 << 20, factor_work: 2e9 }
    }
}

/// The AGOP of any row-wise map at its input.
///
/// ```
/// use burn::tensor::{Device, DType, Distribution, Tensor};
/// let device = Device::flex();
/// let w = Tensor::<2>::from_data([[1.0, 2.0, 0.0], [0.0, 1.0, -1.0]], (&device, DType::F64));
/// let x = Tensor::<2>::from_data([[0.3, 0.1, 0.7], [1.0, 2.0, 3.0]], (&device, DType::F64));
/// let agop = nfa_metrics::agop(|x| x.matmul(w.clone().transpose()), &x);
/// assert!((agop.matrix()[(1, 1)] - 5.0).abs() < 1e-14); // WᵀW for a linear map
/// ```
///
/// # Shapes
/// x: `[n, d]`, f: `[n, d]` → `[n, c]`; returns `[d, d]`
pub fn agop(f: impl Fn(Tensor<2>) -> Tensor<2>, x: &Tensor<2>) -> Psd {
    let h = x.clone().unsqueeze_dim(1);
    by_autodiff(|h| f(h.squeeze_dim(1)), &h, None, &AgopOptions::default())
}

/// Weights and AGOPs of every layer of a network.
///
/// `weights` are sample weights of mean 1, one per row of x.
///
/// # Shapes
/// x: `[n, d]`
pub fn observe(network: &dyn AnyNetwork, x: &Tensor<2>, weights: Option<&[f64]>, options: &AgopOptions) -> Observation {
    let chain = network.chain();
    let sites = network.sites();
    let agops: Vec<Option<Psd>> = match (&chain, options.path) {
        (Some(chain), Path::Auto | Path::Factored) => factored(chain, x, weights, options),
        _ => (0..sites)
            .map(|site| {
                options.wants(site).then(|| {
                    let h = network.encode(Site(site), x.clone());
                    by_autodiff(|h| network.decode(Site(site), h), &h, weights, options)
                })
            })
            .collect(),
    };
    let layers = agops
        .into_iter()
        .enumerate()
        .filter_map(|(site, agop)| {
            let weight = network.weight(Site(site))?;
            Some(Layer {
                name: format!("layers.{site}"),
                weight: to_host(weight),
                agop,
                depth_from_here: chain.as_ref().map(|chain| chain.weights.len() - site),
            })
        })
        .collect();
    Observation { layers, linear: chain.is_some_and(|chain| chain.is_linear()) }
}

/// Weights alone, for what needs no Jacobians.
pub fn weights_of(network: &dyn AnyNetwork) -> Vec<Mat> {
    (0..network.sites()).filter_map(|site| network.weight(Site(site))).map(to_host).collect()
}

/// Rows with their Gram matrix, kept as a factor while that is affordable.
enum Rows {
    Factor(Stack),
    Gram { sum: Mat, eps: f64 },
}

impl Rows {
    /// For about `rows` rows of length `dim`.
    fn new(dim: usize, rows: usize, dtype: DType, options: &AgopOptions) -> Self {
        let work = 2.0 * rows as f64 * (dim * dim) as f64;
        if dtype == DType::F64 && work <= options.factor_work {
            Rows::Factor(Stack::new(dim))
        } else {
            Rows::Gram { sum: Mat::zeros(dim, dim), eps: epsilon(dtype) }
        }
    }

    /// # Shapes
    /// block: `[rows, dim]`
    fn push(&mut self, block: Tensor<2>) {
        match self {
            Rows::Factor(stack) => stack.push(&to_host(block)),
            Rows::Gram { sum, .. } => *sum += to_host(block.clone().transpose().matmul(block)),
        }
    }

    /// (1/n) Mᵀ (Σ rᵀr) M.
    fn finish(self, n: usize, map: Option<&Mat>) -> Psd {
        match self {
            Rows::Factor(stack) => stack.finish(n as f64, map),
            Rows::Gram { sum, eps } => {
                let gram = match map {
                    Some(map) => map.transpose() * sum * map,
                    None => sum,
                };
                Psd::gram_of(gram * (1.0 / n as f64), eps)
            }
        }
    }
}

fn by_autodiff(
    f: impl Fn(Tensor<3>) -> Tensor<2>,
    h: &Tensor<3>,
    weights: Option<&[f64]>,
    options: &AgopOptions,
) -> Psd {
    let [n, p, d] = h.dims();
    let batch = options.batch.unwrap_or_else(|| rows_within(options.memory, 8 * p * d)).clamp(1, n.max(1));
    let mut rows: Option<Rows> = None;
    for start in (0..n).step_by(batch) {
        let end = (start + batch).min(n);
        let part = h.clone().slice([start..end]);
        let scale = weights.map(|w| {
            let roots = w[start..end].iter().flat_map(|w| std::iter::repeat_n(w.sqrt(), p)).collect();
            beside(roots, h).reshape([(end - start) * p, 1])
        });
        let blocks = jacobian(&f, &part);
        let rows = rows.get_or_insert_with(|| Rows::new(d, n * p * blocks.len(), h.dtype(), options));
        for block in blocks {
            rows.push(match &scale {
                Some(scale) => block * scale.clone(),
                None => block,
            });
        }
    }
    rows.unwrap_or_else(|| Rows::new(d, 0, h.dtype(), options)).finish(n, None)
}

/// Rows of so many numbers each that a few temporaries of them fit into `memory`.
fn rows_within(memory: usize, numbers: usize) -> usize {
    (memory / (8 * numbers.max(1))).max(1)
}

/// The AGOPs of a chain's layers, in one sweep; `None` for layers that are not asked for.
fn factored(chain: &Chain, x: &Tensor<2>, sample_weights: Option<&[f64]>, options: &AgopOptions) -> Vec<Option<Psd>> {
    let depth = chain.weights.len();
    let n = x.dims()[0];
    let host: Vec<Mat> = chain.weights.iter().map(|w| to_host(w.clone())).collect();
    let outputs = host[depth - 1].nrows();
    // From this layer on everything is linear: the Jacobian is a product of weights.
    let linear_from = (0..depth).rev().take_while(|&l| l == depth - 1 || is_linear(chain, l)).last().unwrap_or(0);
    let eps = epsilon(x.dtype());
    let mut agops: Vec<Option<Psd>> = vec![None; depth];
    let mut product: Option<Mat> = None;
    for l in (linear_from..depth).rev() {
        let through = match product {
            Some(behind) => &behind * &host[l],
            None => host[l].clone(),
        };
        agops[l] = options.wants(l).then(|| Psd::factor(through.clone(), n * outputs, RankRule::Product, eps));
        product = Some(through);
    }
    if (0..linear_from).any(|l| options.wants(l)) {
        // ∂f/∂h at the first layer of the linear tail is the same for every sample: c rows.
        let tail = product.unwrap_or_else(|| Mat::zeros(outputs, 0));
        let swept = sweep(chain, &host, &tail, linear_from, x, sample_weights, options);
        agops.splice(..linear_from, swept);
    }
    agops
}

/// Whether the activation after layer l (from 0) is linear.
fn is_linear(chain: &Chain, l: usize) -> bool {
    chain.activations.get(l).is_none_or(|&a| a == nfa_models::Activation::Linear)
}

/// AGOPs of layers 0..last, behind which `tail` = ∂f/∂h_last, `[c, d_last]`, is constant.
fn sweep(
    chain: &Chain,
    host: &[Mat],
    tail: &Mat,
    last: usize,
    x: &Tensor<2>,
    sample_weights: Option<&[f64]>,
    options: &AgopOptions,
) -> Vec<Option<Psd>> {
    let n = x.dims()[0];
    let c = tail.nrows();
    // The sweep ends at the first layer that is asked for.
    let first = (0..last).find(|&l| options.wants(l)).unwrap_or(0);
    let widest = chain.weights.iter().map(|w| w.dims()[0].max(w.dims()[1])).max().unwrap_or(1);
    let batch = options.batch.unwrap_or_else(|| rows_within(options.memory, c * widest)).clamp(1, n.max(1));
    // Rows of length min(d, h) either way: before or after the multiplication by W_l.
    let before: Vec<bool> = host[..last].iter().map(|w| w.nrows() <= w.ncols()).collect();
    let mut rows: Vec<Option<Rows>> = (0..last)
        .map(|l| {
            let (out, into) = (host[l].nrows(), host[l].ncols());
            options.wants(l).then(|| Rows::new(out.min(into), n * c, x.dtype(), options))
        })
        .collect();
    let tail_data = (0..c).flat_map(|k| (0..tail.ncols()).map(move |j| tail[(k, j)])).collect();
    let tail = beside(tail_data, x).reshape([1, c, tail.ncols()]);
    for start in (0..n).step_by(batch) {
        let end = (start + batch).min(n);
        let b = end - start;
        let mut h = x.clone().slice([start..end]);
        let mut slopes: Vec<Option<Tensor<2>>> = Vec::with_capacity(last);
        for l in 0..last {
            let z = h.matmul(chain.weights[l].clone().transpose());
            let z = match &chain.biases[l] {
                Some(bias) => z + bias.clone().unsqueeze(),
                None => z,
            };
            h = chain.activations[l].forward(z.clone());
            slopes.push(chain.activations[l].derivative(&z, &h));
        }
        // ∂f/∂h_last for each sample and output, its rows scaled by the root of the sample weight.
        let mut delta: Tensor<3> = match sample_weights {
            Some(w) => {
                let roots = w[start..end].iter().map(|w| w.sqrt()).collect();
                tail.clone() * beside(roots, x).reshape([b, 1, 1])
            }
            None => tail.clone(),
        };
        for l in (first..last).rev() {
            let width = host[l].nrows();
            // ∂f/∂z_l = ∂f/∂h_{l+1} ∘ φ'(z_l)
            if let Some(slope) = slopes[l].take() {
                delta = delta * slope.reshape([b, 1, width]);
            }
            let at_z = if delta.dims()[0] == b { delta } else { delta.expand([b, c, width]) }.reshape([b * c, width]);
            let goes_on = l > first;
            let through = (goes_on || !before[l]).then(|| at_z.clone().matmul(chain.weights[l].clone()));
            if let Some(rows) = &mut rows[l] {
                match &through {
                    Some(through) if !before[l] => rows.push(through.clone()),
                    _ => rows.push(at_z),
                }
            }
            delta = match through {
                Some(through) if goes_on => through.reshape([b, c, host[l].ncols()]),
                _ => break,
            };
        }
    }
    rows.into_iter()
        .zip(host)
        .zip(&before)
        .map(|((rows, w), &before)| rows.map(|rows| rows.finish(n, before.then_some(w))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};
    use nfa_models::{Activation, Mlp, Stream};

    fn tensor(stream: &Stream, name: &str, rows: usize, cols: usize, dtype: DType) -> Tensor<2> {
        let data = stream.fork(name).normals(rows * cols).into_iter().map(|v| v / (cols as f64).sqrt()).collect();
        Tensor::from_data(TensorData::new::<f64, _>(data, [rows, cols]), (&Device::flex(), dtype))
    }

    fn network(widths: &[usize], activation: Activation, bias: bool, dtype: DType) -> Mlp {
        let stream = Stream::root(21).fork(activation.name());
        let layers = widths.len() - 1;
        let weights = (0..layers).map(|l| tensor(&stream, &format!("w{l}"), widths[l + 1], widths[l], dtype)).collect();
        let biases = (0..layers)
            .map(|l| bias.then(|| tensor(&stream, &format!("b{l}"), 1, widths[l + 1], dtype).reshape([widths[l + 1]])))
            .collect();
        Mlp::new(weights, biases, vec![activation; layers - 1]).expect("shapes chain")
    }

    fn relative(a: &Mat, b: &Mat) -> f64 {
        (crate::squared_norm(&(a - b)) / crate::squared_norm(b)).sqrt()
    }

    #[test]
    fn the_fast_path_equals_autodiff_on_every_activation_and_layer() {
        for activation in Activation::ALL {
            for (widths, bias) in
                [(vec![7, 5, 6, 4, 3], true), (vec![4, 9, 3], false), (vec![6, 2], true), (vec![3, 8, 8, 1], false)]
            {
                let network = network(&widths, activation, bias, DType::F64);
                let x = tensor(&Stream::root(22), "x", 23, widths[0], DType::F64);
                let weights: Vec<f64> = (0..23).map(|i| 0.5 + i as f64 / 22.0).collect();
                for weights in [None, Some(weights.as_slice())] {
                    for factor_work in [0.0, 2e9] {
                        let options =
                            |path| AgopOptions { path, batch: Some(10), factor_work, ..AgopOptions::default() };
                        let fast = observe(&network, &x, weights, &options(Path::Factored));
                        let slow = observe(&network, &x, weights, &options(Path::Autodiff));
                        assert_eq!((fast.layers.len(), slow.layers.len()), (widths.len() - 1, widths.len() - 1));
                        for (l, (fast, slow)) in fast.layers.iter().zip(&slow.layers).enumerate() {
                            let (fast, slow) =
                                (fast.agop.as_ref().expect("observed"), slow.agop.as_ref().expect("observed"));
                            let error = relative(fast.matrix(), slow.matrix());
                            assert!(error <= 1e-12, "{} layer {l} of {widths:?}: {error:e}", activation.name());
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn layers_that_are_not_asked_for_change_nothing_about_the_others() {
        let network = network(&[7, 5, 6, 4, 3], Activation::Tanh, true, DType::F64);
        let x = tensor(&Stream::root(27), "x", 9, 7, DType::F64);
        let all = observe(&network, &x, None, &AgopOptions::default());
        for path in [Path::Factored, Path::Autodiff] {
            for layers in [vec![0], vec![2], vec![1, 3], vec![]] {
                let options = AgopOptions { path, layers: Some(layers.clone()), ..AgopOptions::default() };
                for (l, layer) in observe(&network, &x, None, &options).layers.iter().enumerate() {
                    assert_eq!(layer.agop.is_some(), layers.contains(&l));
                    if let (Some(got), Some(expected)) = (&layer.agop, &all.layers[l].agop) {
                        assert!(relative(got.matrix(), expected.matrix()) <= 1e-12);
                    }
                }
            }
        }
    }

    #[test]
    fn a_linear_network_has_agop_of_its_product() {
        let network = network(&[7, 9, 8, 4], Activation::Linear, false, DType::F64);
        let x = tensor(&Stream::root(23), "x", 5, 7, DType::F64);
        let w = weights_of(&network);
        let product = &w[2] * &w[1] * &w[0];
        let expected = product.transpose() * &product;
        for path in [Path::Factored, Path::Autodiff] {
            let observation = observe(&network, &x, None, &AgopOptions { path, ..AgopOptions::default() });
            let agop = observation.layers[0].agop.as_ref().expect("observed");
            assert!(relative(agop.matrix(), &expected) <= 1e-13);
        }
    }

    #[test]
    fn a_relu_network_without_biases_is_its_own_jacobian() {
        // f(x) = J(x) x for a 1-homogeneous network: no finite differences needed.
        let network = network(&[6, 10, 10, 3], Activation::Relu, false, DType::F64);
        let x = tensor(&Stream::root(24), "x", 12, 6, DType::F64);
        let jacobian = jacobian(|h| network.decode(Site(0), h), &x.clone().unsqueeze_dim(1));
        let values = to_host(AnyNetwork::forward(&network, x.clone()));
        let x = to_host(x);
        for (k, rows) in jacobian.into_iter().enumerate() {
            let rows = to_host(rows);
            for i in 0..12 {
                let euler: f64 = (0..6).map(|j| rows[(i, j)] * x[(i, j)]).sum();
                assert!((euler - values[(i, k)]).abs() <= 1e-13 * (1.0 + euler.abs()));
            }
        }
    }

    #[test]
    fn in_f32_the_paths_agree_to_its_rounding() {
        // tanh: a ReLU gate at the rounding of its own argument is a visible part of one sample.
        let network = network(&[20, 16, 12, 4], Activation::Tanh, true, DType::F32);
        let x = tensor(&Stream::root(25), "x", 200, 20, DType::F32);
        let at = |path| observe(&network, &x, None, &AgopOptions { path, ..AgopOptions::default() });
        for (fast, slow) in at(Path::Factored).layers.iter().zip(&at(Path::Autodiff).layers) {
            let (fast, slow) = (fast.agop.as_ref().expect("observed"), slow.agop.as_ref().expect("observed"));
            assert!(relative(fast.matrix(), slow.matrix()) < 1e-5);
        }
    }

    #[test]
    fn a_map_that_ignores_its_input_has_agop_zero() {
        let x = tensor(&Stream::root(26), "x", 4, 3, DType::F64);
        let constant = tensor(&Stream::root(26), "y", 4, 2, DType::F64);
        assert_eq!(agop(|_| constant.clone(), &x).trace(), 0.0);
    }
}
