//! AGOPs of chains of dense layers: one forward and one backward sweep of matrix products.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{DType, Tensor};
use nfa_models::Chain;
use nfa_models::host::Real;
use nfa_models::place::is_on_host;

use crate::Mat;
use crate::matrix::accumulator::Accumulator;
use crate::matrix::psd::{Psd, RankRule, frame};
use crate::observe::agop::host::{HostSweep, Wanted};
use crate::observe::agop::options::{AgopOptions, Path};
use crate::observe::agop::rows::{Sink, centered, mean_rows, roots, rows_within, sign_rows, signs};
use crate::observe::jacobian::{beside, epsilon, to_host};

/// Whether the activation after layer l (from 0) is linear.
pub(crate) fn is_linear(chain: &Chain, l: usize) -> bool {
    chain.activations.get(l).is_none_or(|&a| a == nfa_models::Activation::Linear)
}

/// What a chain's AGOPs are made from.
pub(crate) struct ChainPlan<'a> {
    chain: &'a Chain,
    x: &'a Tensor<2>,
    weights: Option<&'a [f64]>,
    options: &'a AgopOptions,
    /// The weights on the host.
    pub(crate) host: Vec<Mat>,
    /// From this layer on everything is linear: its Jacobian is a product of weights.
    linear_from: usize,
    /// Whether a layer's rows are handed out before the multiplication by W_l: rows of length
    /// min(d, h) either way.
    pub(crate) before: Vec<bool>,
    /// What each layer's weights span, where that is worth it.
    frames: Vec<Option<Arc<Mat>>>,
}

impl<'a> ChainPlan<'a> {
    pub(crate) fn new(
        chain: &'a Chain,
        x: &'a Tensor<2>,
        weights: Option<&'a [f64]>,
        options: &'a AgopOptions,
    ) -> Self {
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
    pub(crate) fn constant(&self) -> Vec<Option<Psd>> {
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
    pub(crate) fn sweep_agops(&self) -> Vec<Option<Psd>> {
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
    pub(crate) fn sweep(&self, sink: &mut dyn FnMut(usize, Range<usize>, Tensor<2>)) {
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
