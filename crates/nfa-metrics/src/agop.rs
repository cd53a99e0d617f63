//! The average gradient outer product, exactly, at the input of every layer.
//!
//! AGOP_l = (1/n) Σ_i w_i Σ_p J_ipᵀJ_ip with J_ip the Jacobian of the outputs in layer l's input
//! (summed over outputs; w_i sample weights of mean 1). Three ways, held equal by tests:
//!
//! - **autodiff**: one backward pass per output, any [`AnyNetwork`];
//! - **factored**, for chains of dense layers: one forward, then Δ_l = ∂f/∂z_l for all layers in
//!   one backward sweep of matrix products; at layer l the sweep stops at z_l, whose Gram matrix K_l
//!   is small, and AGOP_l = W_lᵀ K_l W_l (f reads its input through W_l alone). Where everything
//!   behind a layer is linear its Jacobian is a product of weights and no data is touched;
//! - **host**: the factored way on the CPU without Burn, which is what CPU devices take.
//!
//! In `f64` the rows are kept as a factor ([`Accumulator`]) as long as that is affordable, so that
//! small eigenvalues, and with them powers, keep their digits.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{DType, Tensor, TensorData};
use nfa_models::host::Real;
use nfa_models::network::is_on_host;
use nfa_models::{AnyNetwork, Chain, Site, Stream};

use crate::Mat;
use crate::accumulator::Accumulator;
use crate::host_sweep::{HostSweep, Wanted};
use crate::jacobian::{beside, epsilon, jacobian, to_host};
use crate::observation::{Layer, Observation};
use crate::psd::{Psd, RankRule, frame};

/// How an AGOP is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Path {
    /// For chains of dense layers on the host where the device is a CPU, else factored; autodiff for
    /// all other networks.
    #[default]
    Auto,
    /// The sweep of matrix products on the CPU without Burn; chains only. Centred sums take the factored way.
    Host,
    /// The sweep of matrix products on the network's device; chains only.
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
    /// Subtract each output's mean Jacobian row over the samples.
    pub centered: bool,
    /// Random signs over the outputs instead of every output: so many draws per sample, unbiased,
    /// with relative standard error about √(2 / (draws · n)); `None` is exact.
    pub sketch: Option<usize>,
    /// Rows per batch; `None` takes what fits into [`AgopOptions::memory`].
    pub batch: Option<usize>,
    /// Bytes that a batch's temporaries may take; on the host half of it for each of up to eight batches in
    /// flight, and four times as much for the sums.
    pub memory: usize,
    /// Whether a wide layer is kept in the space that its weights span, which makes its spectrum cheap
    /// and the matrix itself dear.
    pub frames: bool,
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
        AgopOptions {
            path: Path::Auto,
            layers: None,
            centered: false,
            sketch: None,
            batch: None,
            memory: 64 << 20,
            frames: true,
            factor_work: 2e9,
        }
    }
}

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
/// x: `[n, d]`, f: `[n, d]` → `[n, c]`; returns `[d, d]`
pub fn agop(f: impl Fn(Tensor<2>) -> Tensor<2>, x: &Tensor<2>) -> Psd {
    let options = AgopOptions::default();
    let h = x.clone().unsqueeze_dim(1);
    let f = |h: Tensor<3>| f(h.squeeze_dim(1));
    let site = AutodiffSite { f: &f, h: &h, weights: None, options: &options };
    accumulate(&site, &options, x.dtype())
}

/// Weights and AGOPs of every layer of a network.
///
/// `weights` are sample weights of mean 1, one per row of x.
///
/// # Shapes
/// x: `[n, d]`
pub fn observe_network(
    network: &dyn AnyNetwork,
    x: &Tensor<2>,
    weights: Option<&[f64]>,
    options: &AgopOptions,
) -> Observation {
    let chain = network.chain();
    let mut host = None;
    let agops: Vec<Option<Psd>> = match (&chain, options.path) {
        (Some(chain), Path::Auto | Path::Host | Path::Factored) => {
            let plan = ChainPlan::new(chain, x, weights, options);
            let mut agops = plan.constant();
            let swept = plan.sweep_agops();
            agops.splice(..swept.len(), swept);
            host = Some(plan.host.into_iter());
            agops
        }
        _ => (0..network.sites())
            .map(|site| {
                options.wants(site).then(|| {
                    let h = network.encode(Site(site), x.clone());
                    let f = |h: Tensor<3>| network.decode(Site(site), h);
                    accumulate(&AutodiffSite { f: &f, h: &h, weights, options }, options, x.dtype())
                })
            })
            .collect(),
    };
    let layers = agops
        .into_iter()
        .enumerate()
        .filter_map(|(site, agop)| {
            let read = || network.weight(Site(site)).map(to_host);
            Some(Layer {
                name: format!("layers.{site}"),
                // A chain's weights are here already.
                weight: host.as_mut().map_or_else(read, Iterator::next)?,
                agop,
                depth_from_here: chain.as_ref().map(|chain| chain.weights.len() - site),
            })
        })
        .collect();
    Observation { layers, linear: chain.is_some_and(|chain| chain.is_linear()), eps: epsilon(x.dtype()) }
}

/// How much each sample contributes to linear functionals of a layer's AGOP G = (1/n) Σ_i G_i:
/// tr(Γ G_i) for each Γ, one list per Γ. What intervals over the inputs are made of.
///
/// # Shapes
/// x: `[n, d]`, each Γ: `[d_in, d_in]` symmetric; returns n numbers per Γ
pub fn contributions(
    network: &dyn AnyNetwork,
    x: &Tensor<2>,
    weights: Option<&[f64]>,
    layer: usize,
    functionals: &[&Mat],
    options: &AgopOptions,
) -> Vec<Vec<f64>> {
    let n = x.dims()[0];
    let options = &AgopOptions { layers: Some(vec![layer]), ..options.clone() };
    let chain = network.chain().filter(|_| options.path != Path::Autodiff);
    let Some(chain) = chain else {
        let h = network.encode(Site(layer), x.clone());
        let f = |h: Tensor<3>| network.decode(Site(layer), h);
        let site = AutodiffSite { f: &f, h: &h, weights, options };
        return quadratic_forms(n, functionals, |sink| site.visit(sink));
    };
    let plan = ChainPlan::new(&chain, x, weights, options);
    if let Some(agop) = plan.constant().into_iter().nth(layer).flatten() {
        // The same Jacobian everywhere: only the sample weights differ.
        let value = |functional: &Mat| -> f64 {
            let places = (0..functional.ncols()).flat_map(|j| (0..functional.nrows()).map(move |i| (i, j)));
            places.map(|at| functional[at] * agop.matrix()[at]).sum()
        };
        let each = |value: f64| (0..n).map(|i| value * weights.map_or(1.0, |w| w[i])).collect();
        return functionals.iter().map(|functional| each(value(functional))).collect();
    }
    let w = &plan.host[layer];
    let mapped: Vec<Mat> = functionals
        .iter()
        .map(|functional| if plan.before[layer] { w * *functional * w.transpose() } else { (*functional).clone() })
        .collect();
    quadratic_forms(n, &mapped.iter().collect::<Vec<_>>(), |sink| {
        plan.sweep(&mut |_, samples, rows| sink(samples, rows));
    })
}

/// Σ rᵀΓr over each sample's rows.
fn quadratic_forms(n: usize, functionals: &[&Mat], visit: impl Fn(&mut Sink<'_>)) -> Vec<Vec<f64>> {
    let mut found = vec![vec![0.0; n]; functionals.len()];
    visit(&mut |samples, rows| {
        let rows = to_host(rows);
        let each = rows.nrows() / samples.len();
        for (functional, found) in functionals.iter().zip(&mut found) {
            let image = &rows * *functional;
            for r in 0..rows.nrows() {
                let value: f64 = (0..rows.ncols()).map(|j| rows[(r, j)] * image[(r, j)]).sum();
                found[samples.start + r / each] += value;
            }
        }
    });
    found
}

/// Weights alone, for what needs no Jacobians.
pub fn weights_of(network: &dyn AnyNetwork) -> Vec<Mat> {
    (0..network.sites()).filter_map(|site| network.weight(Site(site))).map(to_host).collect()
}

/// Rows of so many numbers each that a few temporaries of them fit into `memory`.
fn rows_within(memory: usize, numbers: usize) -> usize {
    (memory / (8 * numbers.max(1))).max(1)
}

/// Random signs / √draws for a batch, `[b, draws, c]`.
fn sign_rows(samples: &Range<usize>, draws: usize, c: usize) -> Vec<f64> {
    let stream = Stream::root(0).fork("agop.sketch");
    let scale = 1.0 / (draws as f64).sqrt();
    samples
        .clone()
        .flat_map(|i| {
            let mut draw = stream.fork_index(i as u64).draws();
            (0..draws * c).map(move |_| scale * draw.sign()).collect::<Vec<_>>()
        })
        .collect()
}

/// [`sign_rows`] beside a tensor.
fn signs<const D: usize>(samples: &Range<usize>, draws: usize, c: usize, like: &Tensor<D>) -> Tensor<3> {
    let data = TensorData::new(sign_rows(samples, draws, c), [samples.len(), draws, c]);
    Tensor::from_data(data, (&like.device().inner(), like.dtype()))
}

/// The rows of a sample range, several per sample and grouped by sample: `[b * rows, dim]`.
type Sink<'a> = dyn FnMut(Range<usize>, Tensor<2>) + 'a;

/// A site of any row-wise map, differentiated by Burn.
struct AutodiffSite<'a> {
    f: &'a dyn Fn(Tensor<3>) -> Tensor<2>,
    h: &'a Tensor<3>,
    weights: Option<&'a [f64]>,
    options: &'a AgopOptions,
}

impl AutodiffSite<'_> {
    /// Hands out the rows of every sample's Jacobian, each times the root of its sample weight.
    fn visit(&self, sink: &mut Sink<'_>) {
        let [n, p, d] = self.h.dims();
        let batch =
            self.options.batch.unwrap_or_else(|| rows_within(self.options.memory, 8 * p * d)).clamp(1, n.max(1));
        for start in (0..n).step_by(batch) {
            let samples = start..(start + batch).min(n);
            let b = samples.len();
            let part = self.h.clone().slice([samples.clone()]);
            let blocks = match self.options.sketch {
                None => jacobian(self.f, &part),
                Some(draws) => {
                    let sketched = |h: Tensor<3>| {
                        let y = (self.f)(h);
                        let [b, c] = y.dims();
                        let signs = signs(&samples, draws, c, &y);
                        signs.matmul(y.reshape([b, c, 1])).reshape([b, draws])
                    };
                    jacobian(sketched, &part)
                }
            };
            let rows = blocks.len();
            let stacked: Vec<Tensor<3>> = blocks.into_iter().map(|block| block.reshape([b, p, d])).collect();
            let mut all = Tensor::cat(stacked, 1);
            if let Some(weights) = self.weights {
                all = all * roots(weights, &samples, self.h);
            }
            sink(samples, all.reshape([b * rows * p, d]));
        }
    }
}

/// The AGOP of a site from its rows.
fn accumulate(site: &AutodiffSite<'_>, options: &AgopOptions, dtype: DType) -> Psd {
    let [n, _, d] = site.h.dims();
    let mean = options.centered.then(|| mean_rows(n, site.weights, |sink| site.visit(sink))).flatten();
    let mut rows: Option<Accumulator> = None;
    site.visit(&mut |samples, block| {
        let each = block.dims()[0] / samples.len();
        let block = centered(block, mean.as_ref(), site.weights, &samples);
        let new = || Accumulator::new(d, n * each, epsilon(dtype), options.factor_work);
        rows.get_or_insert_with(new).push_tensor(block);
    });
    rows.unwrap_or_else(|| Accumulator::factor(d)).finish(n, None)
}

/// (1/n) Σ_i w_i J_i from rows √w_i J_i, `[rows per sample, dim]`; `None` without samples.
fn mean_rows(n: usize, weights: Option<&[f64]>, visit: impl Fn(&mut Sink<'_>)) -> Option<Tensor<2>> {
    let mut sum: Option<Tensor<2>> = None;
    visit(&mut |samples, block| {
        let [rows, dim] = block.dims();
        let (b, each) = (samples.len(), rows / samples.len());
        let mut part = block.reshape([b, each, dim]);
        if let Some(weights) = weights {
            part = part.clone() * roots(weights, &samples, &part);
        }
        let part = part.sum_dim(0).reshape([each, dim]);
        sum = Some(match sum.take() {
            Some(sum) => sum + part,
            None => part,
        });
    });
    sum.map(|sum| sum.mul_scalar(1.0 / n as f64))
}

/// √w of a sample range, `[b, 1, 1]`.
fn roots<const D: usize>(weights: &[f64], samples: &Range<usize>, like: &Tensor<D>) -> Tensor<3> {
    let roots = weights[samples.clone()].iter().map(|w| w.sqrt()).collect();
    beside(roots, like).reshape([samples.len(), 1, 1])
}

fn centered(block: Tensor<2>, mean: Option<&Tensor<2>>, weights: Option<&[f64]>, samples: &Range<usize>) -> Tensor<2> {
    let Some(mean) = mean else { return block };
    let [rows, dim] = block.dims();
    let (b, each) = (samples.len(), rows / samples.len());
    let mut mean = mean.clone().reshape([1, each, dim]).expand([b, each, dim]);
    if let Some(weights) = weights {
        mean = mean * roots(weights, samples, &block);
    }
    block - mean.reshape([rows, dim])
}

/// Whether the activation after layer l (from 0) is linear.
fn is_linear(chain: &Chain, l: usize) -> bool {
    chain.activations.get(l).is_none_or(|&a| a == nfa_models::Activation::Linear)
}

/// What a chain's AGOPs are made from.
struct ChainPlan<'a> {
    chain: &'a Chain,
    x: &'a Tensor<2>,
    weights: Option<&'a [f64]>,
    options: &'a AgopOptions,
    /// The weights on the host.
    host: Vec<Mat>,
    /// From this layer on everything is linear: its Jacobian is a product of weights.
    linear_from: usize,
    /// Whether a layer's rows are handed out before the multiplication by W_l: rows of length
    /// min(d, h) either way.
    before: Vec<bool>,
    /// What each layer's weights span, where that is worth it.
    frames: Vec<Option<Arc<Mat>>>,
}

impl<'a> ChainPlan<'a> {
    fn new(chain: &'a Chain, x: &'a Tensor<2>, weights: Option<&'a [f64]>, options: &'a AgopOptions) -> Self {
        let depth = chain.weights.len();
        let host: Vec<Mat> = chain.weights.iter().map(|w| to_host(w.clone())).collect();
        let linear_from = (0..depth).rev().take_while(|&l| l == depth - 1 || is_linear(chain, l)).last().unwrap_or(0);
        let before = host.iter().map(|w| w.nrows() <= w.ncols()).collect();
        let wanted = |(l, w): (usize, &Mat)| (options.frames && options.wants(l)).then(|| frame(w)).flatten();
        let frames = host.iter().enumerate().map(wanted).collect();
        ChainPlan { chain, x, weights, options, host, linear_from, before, frames }
    }

    /// A layer's weights in its frame.
    fn in_frame(&self, layer: usize) -> Cow<'_, Mat> {
        match &self.frames[layer] {
            Some(q) => Cow::Owned(&self.host[layer] * &**q),
            None => Cow::Borrowed(&self.host[layer]),
        }
    }

    /// The product of the weights from a layer on: ∂f/∂h there, where everything behind is linear.
    fn product(&self, layer: usize) -> Mat {
        self.product_onto(layer, &self.host[layer])
    }

    /// The product of the weights behind a layer and what stands for its own.
    fn product_onto(&self, layer: usize, first: &Mat) -> Mat {
        match self.host[layer + 1..].split_last() {
            None => first.clone(),
            Some((last, between)) => between.iter().rev().fold(last.clone(), |product, w| &product * w) * first,
        }
    }

    /// AGOPs of the layers whose Jacobian is the same everywhere; `None` for all others.
    fn constant(&self) -> Vec<Option<Psd>> {
        let depth = self.host.len();
        let eps = epsilon(self.x.dtype());
        (0..depth)
            .map(|l| {
                (l >= self.linear_from && self.options.wants(l)).then(|| {
                    let mut product = self.product_onto(l, &self.in_frame(l));
                    let rows = self.x.dims()[0] * product.nrows();
                    if self.options.centered {
                        product = Mat::zeros(1, product.ncols());
                    }
                    Psd::factor(product, rows, RankRule::Product, eps).within(self.frames[l].clone())
                })
            })
            .collect()
    }

    /// Rows per sample of the sweep.
    fn rows_per_sample(&self) -> usize {
        self.options.sketch.unwrap_or_else(|| self.host.last().map_or(1, |w| w.nrows()))
    }

    /// AGOPs of the layers in front of the linear tail; `None` for those not asked for.
    fn sweep_agops(&self) -> Vec<Option<Psd>> {
        let n = self.x.dims()[0];
        let asked = match self.options.path {
            Path::Host => true,
            _ => self.options.path == Path::Auto && is_on_host(&self.x.device()),
        };
        let rows = match self.x.dtype() {
            DType::F32 if asked && !self.options.centered => self.on_host::<f32>(),
            DType::F64 if asked && !self.options.centered => self.on_host::<f64>(),
            _ => self.on_device(),
        };
        rows.into_iter()
            .enumerate()
            .map(|(l, rows)| {
                let map = self.before[l].then(|| self.in_frame(l));
                rows.map(|rows| rows.finish(n, map.as_deref()).within(self.frames[l].clone()))
            })
            .collect()
    }

    /// An empty sum for the rows of a layer.
    fn accumulator(&self, layer: usize) -> Accumulator {
        let dim = self.host[layer].nrows().min(self.host[layer].ncols());
        let count = self.x.dims()[0] * self.rows_per_sample();
        Accumulator::new(dim, count, epsilon(self.x.dtype()), self.options.factor_work)
    }

    /// The sums of [`HostSweep`].
    fn on_host<T: Real>(&self) -> Vec<Option<Accumulator>> {
        let last = self.linear_from;
        if !(0..last).any(|l| self.options.wants(l)) {
            return vec![None; last];
        }
        let outputs = self.host.last().map_or(1, |w| w.nrows());
        let new: Vec<_> = (0..last).map(|l| move || self.accumulator(l)).collect();
        let wanted = (0..last).map(|l| self.options.wants(l).then(|| Wanted { before: self.before[l], new: &new[l] }));
        let draws = self.options.sketch.unwrap_or(0);
        let signs = |samples: Range<usize>| sign_rows(&samples, draws, outputs);
        HostSweep::<T>::new(self.chain, &self.host, &self.product(last), self.x, self.weights, wanted.collect())
            .sketched(self.options.sketch.map(|draws| (draws, &signs as _)))
            .in_blocks(self.options.batch, self.options.memory)
            .run()
    }

    /// The sums of [`ChainPlan::sweep`].
    fn on_device(&self) -> Vec<Option<Accumulator>> {
        let n = self.x.dims()[0];
        let last = self.linear_from;
        let means: Vec<Option<Tensor<2>>> = (0..last)
            .map(|l| {
                let only = |sink: &mut Sink<'_>| {
                    self.sweep(&mut |layer, samples, rows| {
                        if layer == l {
                            sink(samples, rows);
                        }
                    });
                };
                (self.options.centered && self.options.wants(l)).then(|| mean_rows(n, self.weights, only)).flatten()
            })
            .collect();
        let mut rows: Vec<Option<Accumulator>> =
            (0..last).map(|l| self.options.wants(l).then(|| self.accumulator(l))).collect();
        self.sweep(&mut |layer, samples, block| {
            if let Some(rows) = &mut rows[layer] {
                rows.push_tensor(centered(block, means[layer].as_ref(), self.weights, &samples));
            }
        });
        rows
    }

    /// One forward and one backward sweep per batch; hands out, for each layer that is asked for
    /// in front of the linear tail, the rows √w_i ∂f/∂z_l or (where that is shorter) √w_i ∂f/∂h_l.
    ///
    /// # Shapes
    /// rows: `[b * c, min(d, h)]`, grouped by sample
    fn sweep(&self, sink: &mut dyn FnMut(usize, Range<usize>, Tensor<2>)) {
        let last = self.linear_from;
        let Some(first) = (0..last).find(|&l| self.options.wants(l)) else { return };
        let n = self.x.dims()[0];
        let tail = self.product(last);
        let outputs = tail.nrows();
        let c = self.rows_per_sample();
        let widest = self.host.iter().map(|w| w.nrows().max(w.ncols())).max().unwrap_or(1);
        let batch =
            self.options.batch.unwrap_or_else(|| rows_within(self.options.memory, c * widest)).clamp(1, n.max(1));
        let tail_data = (0..outputs).flat_map(|k| (0..tail.ncols()).map(move |j| (k, j))).map(|at| tail[at]).collect();
        let tail = beside(tail_data, self.x).reshape([1, outputs, tail.ncols()]);
        for start in (0..n).step_by(batch) {
            let samples = start..(start + batch).min(n);
            let b = samples.len();
            let mut h = self.x.clone().slice([samples.clone()]);
            let mut slopes: Vec<Option<Tensor<2>>> = Vec::with_capacity(last);
            for l in 0..last {
                let z = h.matmul(self.chain.weights[l].clone().transpose());
                let z = match &self.chain.biases[l] {
                    Some(bias) => z + bias.clone().unsqueeze(),
                    None => z,
                };
                let (a, slope) = self.chain.activations[l].with_slope(z);
                h = a;
                slopes.push(slope);
            }
            // ∂f/∂h_last for each sample and output (or each random combination of outputs).
            let mut delta: Tensor<3> = match self.options.sketch {
                None => tail.clone(),
                Some(draws) => {
                    let into = tail.dims()[2];
                    let signs = signs(&samples, draws, outputs, self.x).reshape([b * draws, outputs]);
                    signs.matmul(tail.clone().reshape([outputs, into])).reshape([b, draws, into])
                }
            };
            if let Some(weights) = self.weights {
                delta = delta * roots(weights, &samples, self.x);
            }
            for l in (first..last).rev() {
                let width = self.host[l].nrows();
                // ∂f/∂z_l = ∂f/∂h_{l+1} ∘ φ'(z_l)
                if let Some(slope) = slopes[l].take() {
                    delta = delta * slope.reshape([b, 1, width]);
                }
                let at_z = if delta.dims()[0] == b { delta } else { delta.expand([b, c, width]) };
                let at_z = at_z.reshape([b * c, width]);
                let goes_on = l > first;
                let wanted = self.options.wants(l);
                let through = (goes_on || (wanted && !self.before[l]))
                    .then(|| at_z.clone().matmul(self.chain.weights[l].clone()));
                if wanted {
                    match &through {
                        Some(through) if !self.before[l] => sink(l, samples.clone(), through.clone()),
                        _ => sink(l, samples.clone(), at_z),
                    }
                }
                delta = match through {
                    Some(through) if goes_on => through.reshape([b, c, self.host[l].ncols()]),
                    _ => break,
                };
            }
        }
    }
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
            let blocks: Vec<Mat> =
                jacobian(|h| network.decode(Site(layer), h), &AnyNetwork::encode(&network, Site(layer), x.clone()))
                    .into_iter()
                    .map(to_host)
                    .collect();
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
                let error = crate::squared_norm(&(got.matrix() - &expected)).sqrt();
                assert!(error <= 1e-13 * (1.0 + crate::squared_norm(&expected).sqrt()), "layer {layer}: {error:e}");
            }
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
                    let each = contributions(&network, &x, Some(&weights), layer, &[&functional], &options);
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
        let constant = tensor(&Stream::root(26), "y", 4, 2, DType::F64);
        assert_eq!(agop(|_| constant.clone(), &x).trace(), 0.0);
    }
}
