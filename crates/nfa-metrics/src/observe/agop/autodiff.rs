//! AGOP of any row-wise map, differentiated by Burn: one backward pass per output.

use burn::tensor::{DType, Tensor};

use crate::matrix::accumulator::Accumulator;
use crate::matrix::psd::Psd;
use crate::observe::agop::options::AgopOptions;
use crate::observe::agop::rows::rows_within;
use crate::observe::agop::tensors::{Sink, centered, mean_rows, roots, signs};
use crate::observe::jacobian::{epsilon, jacobian};

/// A site of any row-wise map, differentiated by Burn.
pub(crate) struct AutodiffSite<'a> {
    pub(crate) f: &'a dyn Fn(Tensor<3>) -> Tensor<2>,
    pub(crate) h: &'a Tensor<3>,
    pub(crate) weights: Option<&'a [f64]>,
    pub(crate) options: &'a AgopOptions,
}

impl AutodiffSite<'_> {
    /// Hands out the rows of every sample's Jacobian, each times the root of its sample weight.
    pub(crate) fn visit(&self, sink: &mut Sink<'_>) {
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
pub(crate) fn accumulate(site: &AutodiffSite<'_>, options: &AgopOptions, dtype: DType) -> Psd {
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
