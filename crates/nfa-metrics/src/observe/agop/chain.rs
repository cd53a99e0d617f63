//! Chains of dense layers on Burn: read for the host's sweep, or swept on their own device.

use std::ops::Range;

use burn::tensor::{DType, Tensor};
use nfa_models::Chain;
use nfa_models::host::Real;
use nfa_models::place::is_on_host;

use crate::matrix::Mat;
use crate::matrix::accumulator::Accumulator;
use crate::observe::agop::on_host;
use crate::observe::agop::options::{AgopOptions, Path};
use crate::observe::agop::plan::ChainPlan;
use crate::observe::agop::tensors::{Sink, centered, mean_rows, roots, signs};
use crate::observe::host_chain::HostChain;
use crate::observe::jacobian::{beside, epsilon, to_host};

/// A chain on a device, on rows.
pub(crate) struct TensorChain<'a> {
    pub(crate) plan: ChainPlan<'a>,
    chain: &'a Chain,
    x: &'a Tensor<2>,
    weights: Option<&'a [f64]>,
}

impl<'a> TensorChain<'a> {
    pub(crate) fn new(
        chain: &'a Chain,
        x: &'a Tensor<2>,
        weights: Option<&'a [f64]>,
        options: &'a AgopOptions,
    ) -> Self {
        let plan = ChainPlan::new(HostChain::read(chain), x.dims()[0], epsilon(x.dtype()), options);
        TensorChain { plan, chain, x, weights }
    }

    /// What the host's sweep computes in, where it is taken.
    fn on_host(&self) -> Option<DType> {
        let (path, dtype) = (self.plan.options.path, self.x.dtype());
        let asked = path == Path::Host || (path == Path::Auto && is_on_host(&self.x.device()));
        let known = matches!(dtype, DType::F32 | DType::F64) && !self.plan.options.centered;
        (asked && known).then_some(dtype)
    }

    /// Some rows of x, on the host.
    fn rows<T: Real>(&self, rows: Range<usize>) -> Vec<T> {
        match self.x.clone().slice([rows]).inner().into_data().try_into_vec() {
            Ok(values) => values,
            Err(error) => panic!("the device did not hand out a tensor: {error:?}"),
        }
    }

    /// The sums of the rows of every layer in front of the linear tail; `None` for those not asked for.
    pub(crate) fn sums(&self) -> Vec<Option<Accumulator>> {
        match self.on_host() {
            Some(DType::F32) => on_host::sweep(&self.plan, &|rows| self.rows::<f32>(rows), self.weights),
            Some(_) => on_host::sweep(&self.plan, &|rows| self.rows::<f64>(rows), self.weights),
            None => self.on_device(),
        }
    }

    /// See [`contributions`](crate::contributions); of a plan for this layer alone.
    pub(crate) fn contributions(&self, layer: usize, functionals: &[&Mat]) -> Vec<Vec<f64>> {
        let Self { plan, weights, .. } = self;
        match self.on_host() {
            Some(DType::F32) => {
                on_host::contributions(plan, &|rows| self.rows::<f32>(rows), *weights, layer, functionals)
            }
            Some(_) => on_host::contributions(plan, &|rows| self.rows::<f64>(rows), *weights, layer, functionals),
            None => plan.contributions(*weights, layer, functionals, |sink| {
                self.sweep(&mut |_, samples, rows| sink(samples, to_host(rows)));
            }),
        }
    }

    /// The same from [`TensorChain::sweep`].
    fn on_device(&self) -> Vec<Option<Accumulator>> {
        let (n, last, options) = (self.plan.samples, self.plan.linear_from, self.plan.options);
        let means: Vec<Option<Tensor<2>>> = (0..last)
            .map(|l| {
                let only = |sink: &mut Sink<'_>| {
                    self.sweep(&mut |layer, samples, rows| {
                        if layer == l {
                            sink(samples, rows);
                        }
                    });
                };
                (options.centered && options.wants(l)).then(|| mean_rows(n, self.weights, only)).flatten()
            })
            .collect();
        let mut rows: Vec<Option<Accumulator>> =
            (0..last).map(|l| options.wants(l).then(|| self.plan.accumulator(l))).collect();
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
        let &Self { ref plan, chain, x, weights } = self;
        let (n, last, options) = (plan.samples, plan.linear_from, plan.options);
        let Some(first) = (0..last).find(|&l| options.wants(l)) else { return };
        let tail = plan.tail();
        let (outputs, c, batch) = (tail.nrows(), plan.rows_per_sample(), plan.batch());
        let tail_data = (0..outputs).flat_map(|k| (0..tail.ncols()).map(move |j| (k, j))).map(|at| tail[at]).collect();
        let tail = beside(tail_data, x).reshape([1, outputs, tail.ncols()]);
        for start in (0..n).step_by(batch) {
            let samples = start..(start + batch).min(n);
            let b = samples.len();
            let mut h = x.clone().slice([samples.clone()]);
            let mut slopes: Vec<Option<Tensor<2>>> = Vec::with_capacity(last);
            for l in 0..last {
                let z = h.matmul(chain.weights[l].clone().transpose());
                let z = match &chain.biases[l] {
                    Some(bias) => z + bias.clone().unsqueeze(),
                    None => z,
                };
                let (a, slope) = chain.activations[l].with_slope(z);
                h = a;
                slopes.push(slope);
            }
            // ∂f/∂h_last for each sample and output (or each random combination of outputs).
            let mut delta: Tensor<3> = match options.sketch {
                None => tail.clone(),
                Some(draws) => {
                    let into = tail.dims()[2];
                    let signs = signs(&samples, draws, outputs, x).reshape([b * draws, outputs]);
                    signs.matmul(tail.clone().reshape([outputs, into])).reshape([b, draws, into])
                }
            };
            if let Some(weights) = weights {
                delta = delta * roots(weights, &samples, x);
            }
            for l in (first..last).rev() {
                let width = plan.chain.weights[l].nrows();
                // ∂f/∂z_l = ∂f/∂h_{l+1} ∘ φ'(z_l)
                if let Some(slope) = slopes[l].take() {
                    delta = delta * slope.reshape([b, 1, width]);
                }
                let at_z = if delta.dims()[0] == b { delta } else { delta.expand([b, c, width]) };
                let at_z = at_z.reshape([b * c, width]);
                let goes_on = l > first;
                let wanted = options.wants(l);
                let through =
                    (goes_on || (wanted && !plan.before[l])).then(|| at_z.clone().matmul(chain.weights[l].clone()));
                if wanted {
                    match &through {
                        Some(through) if !plan.before[l] => sink(l, samples.clone(), through.clone()),
                        _ => sink(l, samples.clone(), at_z),
                    }
                }
                delta = match through {
                    Some(through) if goes_on => through.reshape([b, c, plan.chain.weights[l].ncols()]),
                    _ => break,
                };
            }
        }
    }
}
