//! AGOPs of networks on Burn.

use burn::tensor::Tensor;
use nfa_models::{AnyNetwork, Chain, Sites, SitesError};

use crate::matrix::Mat;
use crate::matrix::psd::Psd;
use crate::observation::{Layer, Observation};
use crate::observe::agop::chain::TensorChain;
use crate::observe::agop::options::{AgopOptions, Path};
use crate::observe::agop::sites::SitesOnRows;
use crate::observe::jacobian::{epsilon, to_host};
use crate::observe::layout::{Forward, Layout};

/// The AGOP of any row-wise map at its input.
///
/// ```
/// use burn::tensor::{Device, DType, Tensor};
/// let device = Device::flex();
/// let w = Tensor::<2>::from_data([[1.0, 2.0, 0.0], [0.0, 1.0, -1.0]], (&device, DType::F64));
/// let x = Tensor::<2>::from_data([[0.3, 0.1, 0.7], [1.0, 2.0, 3.0]], (&device, DType::F64));
/// let agop = nfa_metrics::agop(|x| x.matmul(w.clone().transpose()), &x);
/// assert!((agop.matrix()[(1, 1)] - 5.0).abs() < 1e-14); // WᵀW for a linear map
/// ```
///
/// # Shapes
/// x: `[n, d]`, f: `[m, d]` → `[m, c]` of any number of rows; returns `[d, d]`
pub fn agop(f: impl Fn(Tensor<2>) -> Tensor<2> + Sync, x: &Tensor<2>) -> Psd {
    let forward = |x, at: &mut Sites| f(at.value("input", x));
    let layout = Layout::of_input(&f, x);
    let options = AgopOptions::default();
    let sites = SitesOnRows { forward: &forward, layout: &layout, x, weights: None, options: &options };
    let agop = sites.agops().ok().and_then(|agops| agops.into_iter().next().flatten());
    agop.unwrap_or_else(|| Psd::gram(Mat::zeros(x.dims()[1], x.dims()[1])))
}

/// Weights and AGOPs of every layer of a network: of a chain its layers, of any other its sites with weights.
///
/// `weights` are sample weights of mean 1, one per row of x.
///
/// # Shapes
/// x: `[n, d]`
///
/// # Errors
/// Sites that can't be measured: see [`SitesError`].
pub fn observe_network(
    network: &dyn AnyNetwork,
    x: &Tensor<2>,
    weights: Option<&[f64]>,
    options: &AgopOptions,
) -> Result<Observation, SitesError> {
    let chain = network.chain();
    if let Some(chain) = chain.as_ref().filter(|_| options.path != Path::Autodiff) {
        let chain = TensorChain::new(chain, x, weights, options);
        let sums = chain.sums();
        return Ok(chain.plan.observation(sums));
    }
    let mut observation = observe_forward(&|x, at| network.forward(x, at), x, weights, options)?;
    if let Some(chain) = chain {
        observation.linear = chain.is_linear();
        let depth = observation.layers.len();
        for (l, layer) in observation.layers.iter_mut().enumerate() {
            layer.depth_from_here = Some(depth - l);
        }
    }
    Ok(observation)
}

/// Weights and AGOPs at every site with weights of a forward pass: [`observe_network`] of a model that is no
/// [`Network`](nfa_models::Network).
///
/// # Shapes
/// x: `[n, d]`, forward: `[n, d]` → `[n, c]`
///
/// # Errors
/// Sites that can't be measured: see [`SitesError`].
pub fn observe_forward(
    forward: &Forward<'_>,
    x: &Tensor<2>,
    weights: Option<&[f64]>,
    options: &AgopOptions,
) -> Result<Observation, SitesError> {
    let layout = Layout::new(forward, x)?.with_weights();
    let agops = SitesOnRows { forward, layout: &layout, x, weights, options }.agops()?;
    let layer = |((i, placed), agop): ((usize, &crate::observe::layout::Placed), Option<Psd>)| {
        let weight = placed.weight.clone()?;
        let (last, readers) = (placed.last.is_some(), layout.readers(i));
        Some(Layer { agop, last, readers, ..Layer::new(placed.site.name.clone(), weight) })
    };
    let layers = layout.sites.iter().enumerate().zip(agops).filter_map(layer).collect();
    Ok(Observation { layers, linear: false, eps: epsilon(x.dtype()) })
}

/// How much each sample contributes to linear functionals of a layer's AGOP G = (1/n) Σ_i G_i:
/// tr(Γ G_i) for each Γ, one list per Γ. What intervals over the inputs are made of.
///
/// # Shapes
/// x: `[n, d]`, each Γ: `[d_in, d_in]` symmetric; returns n numbers per Γ
///
/// # Errors
/// Sites that can't be measured: see [`SitesError`].
pub fn contributions(
    network: &dyn AnyNetwork,
    x: &Tensor<2>,
    weights: Option<&[f64]>,
    layer: usize,
    functionals: &[&Mat],
    options: &AgopOptions,
) -> Result<Vec<Vec<f64>>, SitesError> {
    let options = &AgopOptions { layers: Some(vec![layer]), ..options.clone() };
    if let Some(chain) = fast(network, options) {
        return Ok(TensorChain::new(&chain, x, weights, options).contributions(layer, functionals));
    }
    let forward = |x, at: &mut Sites| network.forward(x, at);
    let layout = Layout::new(&forward, x)?.with_weights();
    SitesOnRows { forward: &forward, layout: &layout, x, weights, options }.contributions(layer, functionals)
}

/// The chain, where it is to be taken.
fn fast(network: &dyn AnyNetwork, options: &AgopOptions) -> Option<Chain> {
    network.chain().filter(|_| options.path != Path::Autodiff)
}

/// Weights alone, for what needs no Jacobians: of a chain its layers', of any other network those of its sites, found
/// by letting some of the rows through.
///
/// # Shapes
/// x: `[n, d]`
///
/// # Errors
/// Sites that can't be measured: see [`SitesError`].
pub fn weights_of(network: &dyn AnyNetwork, x: &Tensor<2>) -> Result<Vec<Mat>, SitesError> {
    if let Some(chain) = network.chain() {
        return Ok(chain.weights.into_iter().map(to_host).collect());
    }
    let layout = Layout::new(&|x, at| network.forward(x, at), x)?;
    Ok(layout.sites.into_iter().filter_map(|placed| placed.weight).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::laws::nfa;
    use crate::observe::host_chain::HostChain;
    use crate::observe::inputs::{Inputs, OnBurn, OnHost, Sampled};
    use crate::observe::jacobian::{jacobian, numbers};
    use burn::tensor::{DType, Device, TensorData};
    use nfa_models::testing::layers;
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

    fn observe_network(network: &Mlp, x: &Tensor<2>, weights: Option<&[f64]>, options: &AgopOptions) -> Observation {
        super::observe_network(network, x, weights, options).expect("has sites")
    }

    fn weights_of(network: &Mlp) -> Vec<Mat> {
        AnyNetwork::chain(network).expect("an Mlp is one").weights.into_iter().map(to_host).collect()
    }

    /// ∂f/∂h at a layer's input, `[n, d]` per output.
    fn jacobians(network: &Mlp, layer: usize, x: &Tensor<2>) -> Vec<Mat> {
        let chain = AnyNetwork::chain(network).expect("an Mlp is one");
        let h = layers(&chain, 0..layer, x.clone()).unsqueeze_dim(1);
        let rows = jacobian(|h| layers(&chain, layer..chain.weights.len(), h.squeeze_dim(1)), &h);
        rows.into_iter().map(to_host).collect()
    }

    fn relative(a: &Mat, b: &Mat) -> f64 {
        (crate::matrix::squared_norm(&(a - b)) / crate::matrix::squared_norm(b)).sqrt()
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
                        let slow = observe_network(&network, &x, weights, &options(Path::Autodiff));
                        for path in [Path::Factored, Path::Host] {
                            let fast = observe_network(&network, &x, weights, &options(path));
                            assert_eq!((fast.layers.len(), slow.layers.len()), (widths.len() - 1, widths.len() - 1));
                            for (l, (fast, slow)) in fast.layers.iter().zip(&slow.layers).enumerate() {
                                let (fast, slow) =
                                    (fast.agop.as_ref().expect("observed"), slow.agop.as_ref().expect("observed"));
                                let error = relative(fast.matrix(), slow.matrix());
                                let name = activation.name();
                                assert!(error <= 1e-12, "{path:?}, {name} layer {l} of {widths:?}: {error:e}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn centring_takes_the_mean_jacobian_away() {
        let network = network(&[5, 7, 6, 3], Activation::Tanh, true, DType::F64);
        let x = tensor(&Stream::root(28), "x", 11, 5, DType::F64);
        let weights: Vec<f64> = (0..11).map(|i| 0.5 + i as f64 / 10.0).collect();
        for layer in 0..3 {
            let blocks = jacobians(&network, layer, &x);
            let d = blocks[0].ncols();
            let mut expected = Mat::zeros(d, d);
            for rows in &blocks {
                let mean: Vec<f64> =
                    (0..d).map(|j| (0..11).map(|i| weights[i] * rows[(i, j)]).sum::<f64>() / 11.0).collect();
                expected += Mat::from_fn(d, d, |a, b| {
                    (0..11).map(|i| weights[i] * (rows[(i, a)] - mean[a]) * (rows[(i, b)] - mean[b])).sum::<f64>()
                        / 11.0
                });
            }
            for path in [Path::Host, Path::Factored, Path::Autodiff] {
                let options = AgopOptions { path, centered: true, batch: Some(4), ..AgopOptions::default() };
                let observation = observe_network(&network, &x, Some(&weights), &options);
                let got = observation.layers[layer].agop.as_ref().expect("observed");
                let error = crate::matrix::squared_norm(&(got.matrix() - &expected)).sqrt();
                assert!(
                    error <= 1e-13 * (1.0 + crate::matrix::squared_norm(&expected).sqrt()),
                    "layer {layer}: {error:e}"
                );
            }
        }
    }

    #[test]
    fn a_host_chain_is_seen_as_its_network_is() {
        let mlp = network(&[6, 70, 66, 3], Activation::Gelu, true, DType::F32);
        let x = tensor(&Stream::root(34), "x", 40, 6, DType::F32);
        let chain = AnyNetwork::chain(&mlp).expect("an Mlp is one");
        let biases = chain.biases.iter().map(|bias| bias.clone().map(numbers)).collect();
        let host = HostChain::new(weights_of(&mlp), biases, chain.activations).expect("it chains");
        let rows: Vec<f32> = numbers(x.clone()).into_iter().map(|v| v as f32).collect();
        let weights: Vec<f64> = (0..40).map(|i| 0.5 + i as f64 / 39.0).collect();
        let weights = Some(&weights[..]);
        for options in [AgopOptions::default(), AgopOptions { sketch: Some(2), ..AgopOptions::default() }] {
            let (a, b) = (observe_network(&mlp, &x, weights, &options), host.observe(&rows, weights, &options));
            assert_eq!((a.linear, a.eps), (b.linear, b.eps));
            let sides: [(&dyn Sampled, &Observation); 2] =
                [(&OnBurn { network: &mlp, x: &x }, &a), (&OnHost { chain: &host, x: &rows }, &b)];
            for (layer, (a, b)) in a.layers.iter().zip(&b.layers).enumerate() {
                assert_eq!((&a.name, &a.weight, a.depth_from_here), (&b.name, &b.weight, b.depth_from_here));
                let (a, b) = (a.agop.as_ref().expect("observed"), b.agop.as_ref().expect("observed"));
                assert_eq!(a.matrix(), b.matrix());
                let spreads = sides.map(|(rows, observation)| {
                    let inputs = Inputs { rows, weights, options: &options, observation };
                    let pair = nfa::LAW.at(observation, layer).expect("applies");
                    inputs.spread(&nfa::LAW, layer, &pair)
                });
                assert!(spreads[0].is_some() || options.sketch.is_some(), "layer {layer}");
                assert_eq!(spreads[0], spreads[1]);
            }
        }
        let options = AgopOptions { centered: true, ..AgopOptions::default() };
        let (a, b) = (observe_network(&mlp, &x, weights, &options), host.observe(&rows, weights, &options));
        for (a, b) in a.layers.iter().zip(&b.layers) {
            let (a, b) = (a.agop.as_ref().expect("observed"), b.agop.as_ref().expect("observed"));
            assert!((a.matrix() - b.matrix()).norm_l2() <= 1e-5 * a.matrix().norm_l2());
        }
    }

    #[test]
    fn sketches_are_unbiased_and_as_good_as_stated() {
        let network = network(&[6, 8, 5], Activation::Tanh, false, DType::F64);
        let x = tensor(&Stream::root(29), "x", 400, 6, DType::F64);
        let exact = observe_network(&network, &x, None, &AgopOptions::default());
        let exact = exact.layers[0].agop.as_ref().expect("observed");
        for path in [Path::Host, Path::Factored, Path::Autodiff] {
            for draws in [1, 16] {
                let options = AgopOptions { path, sketch: Some(draws), ..AgopOptions::default() };
                let observation = observe_network(&network, &x, None, &options);
                let got = observation.layers[0].agop.as_ref().expect("observed");
                let error = relative(got.matrix(), exact.matrix());
                // About √(2 / (draws n)) in each of a few directions; four times that is far out.
                let bound = 4.0 * (2.0 * 5.0 / (draws as f64 * 400.0)).sqrt();
                assert!(error > 0.0 && error < bound, "{draws} draws: {error:e} against {bound:e}");
            }
        }
    }

    #[test]
    fn contributions_of_the_samples_add_up_to_the_whole() {
        for activation in [Activation::Tanh, Activation::Linear] {
            let network = network(&[5, 7, 4, 3], activation, true, DType::F64);
            let x = tensor(&Stream::root(30), "x", 13, 5, DType::F64);
            let weights: Vec<f64> = (0..13).map(|i| 0.5 + i as f64 / 12.0).collect();
            for layer in 0..3 {
                let whole = observe_network(&network, &x, Some(&weights), &AgopOptions::default());
                let agop = whole.layers[layer].agop.as_ref().expect("observed").matrix().clone();
                let d = agop.nrows();
                let functional = Mat::from_fn(d, d, |i, j| ((i + j) as f64).cos());
                let expected: f64 =
                    (0..d).flat_map(|i| (0..d).map(move |j| (i, j))).map(|at| functional[at] * agop[at]).sum();
                for path in [Path::Host, Path::Factored, Path::Autodiff] {
                    let options = AgopOptions { path, batch: Some(5), ..AgopOptions::default() };
                    let each = contributions(&network, &x, Some(&weights), layer, &[&functional], &options)
                        .expect("has sites");
                    let mean = each[0].iter().sum::<f64>() / 13.0;
                    assert!((mean - expected).abs() <= 1e-13 * (1.0 + expected.abs()), "{mean} against {expected}");
                    // One sample alone: its contribution is what it adds to n G.
                    let one = x.clone().slice([4..5]);
                    let alone = observe_network(&network, &one, None, &AgopOptions::default());
                    let alone = alone.layers[layer].agop.as_ref().expect("observed").matrix().clone();
                    let own: f64 =
                        (0..d).flat_map(|i| (0..d).map(move |j| (i, j))).map(|at| functional[at] * alone[at]).sum();
                    assert!((each[0][4] - weights[4] * own).abs() <= 1e-12 * (1.0 + own.abs()));
                }
            }
        }
    }

    #[test]
    fn layers_that_are_not_asked_for_change_nothing_about_the_others() {
        let network = network(&[7, 5, 6, 4, 3], Activation::Tanh, true, DType::F64);
        let x = tensor(&Stream::root(27), "x", 9, 7, DType::F64);
        let all = observe_network(&network, &x, None, &AgopOptions::default());
        for path in [Path::Host, Path::Factored, Path::Autodiff] {
            for layers in [vec![0], vec![2], vec![1, 3], vec![]] {
                let options = AgopOptions { path, layers: Some(layers.clone()), ..AgopOptions::default() };
                for (l, layer) in observe_network(&network, &x, None, &options).layers.iter().enumerate() {
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
        for path in [Path::Host, Path::Factored, Path::Autodiff] {
            let observation = observe_network(&network, &x, None, &AgopOptions { path, ..AgopOptions::default() });
            let agop = observation.layers[0].agop.as_ref().expect("observed");
            assert!(relative(agop.matrix(), &expected) <= 1e-13);
        }
    }

    #[test]
    fn a_relu_network_without_biases_is_its_own_jacobian() {
        // f(x) = J(x) x for a 1-homogeneous network: no finite differences needed.
        let network = network(&[6, 10, 10, 3], Activation::Relu, false, DType::F64);
        let x = tensor(&Stream::root(24), "x", 12, 6, DType::F64);
        let jacobian = jacobians(&network, 0, &x);
        let values = to_host(network.outputs(x.clone()));
        let x = to_host(x);
        for (k, rows) in jacobian.into_iter().enumerate() {
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
        let at = |path| observe_network(&network, &x, None, &AgopOptions { path, ..AgopOptions::default() });
        for path in [Path::Factored, Path::Host] {
            for (fast, slow) in at(path).layers.iter().zip(&at(Path::Autodiff).layers) {
                let (fast, slow) = (fast.agop.as_ref().expect("observed"), slow.agop.as_ref().expect("observed"));
                assert!(relative(fast.matrix(), slow.matrix()) < 1e-5);
            }
        }
    }

    #[test]
    fn threads_leave_every_bit_of_the_host_sweep() {
        let network = network(&[30, 140, 90, 5], Activation::Gelu, true, DType::F32);
        let x = tensor(&Stream::root(31), "x", 3000, 30, DType::F32);
        for memory in [1 << 10, 1 << 17, 64 << 20] {
            let options = AgopOptions { memory, frames: false, ..AgopOptions::default() };
            let on = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
                pool.install(|| observe_network(&network, &x, None, &options))
            };
            let (one, many) = (on(1), on(5));
            for (one, many) in one.layers.iter().zip(&many.layers) {
                let (one, many) = (one.agop.as_ref().expect("observed"), many.agop.as_ref().expect("observed"));
                assert!(one.matrix() == many.matrix(), "with {memory} bytes");
            }
        }
    }

    #[test]
    fn a_map_that_ignores_its_input_has_agop_zero() {
        let x = tensor(&Stream::root(26), "x", 4, 3, DType::F64);
        let constant = tensor(&Stream::root(26), "y", 1, 2, DType::F64);
        assert_eq!(agop(|x| constant.clone().repeat(&[x.dims()[0], 1]), &x).trace(), 0.0);
    }
}
