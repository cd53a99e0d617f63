//! AGOPs of chains of dense layers on the host, without Burn.

use std::ops::Range;

use nfa_models::host::Real;

use crate::matrix::Mat;
use crate::matrix::accumulator::Accumulator;
use crate::observation::Observation;
use crate::observe::agop::host::{HostSweep, Rows, Wanted};
use crate::observe::agop::options::AgopOptions;
use crate::observe::agop::plan::ChainPlan;
use crate::observe::agop::rows::sign_rows;
use crate::observe::agop::sum::to_mat;
use crate::observe::host_chain::HostChain;

impl HostChain {
    /// Weights and AGOPs of every layer, computed in T; [`AgopOptions::path`] says nothing here.
    ///
    /// `weights` are sample weights of mean 1, one per row of x.
    ///
    /// # Shapes
    /// x: `[n, d]`, row-major
    pub fn observe<T: Real>(&self, x: &[T], weights: Option<&[f64]>, options: &AgopOptions) -> Observation {
        let plan = self.plan(x, options);
        let swept = sweep(&plan, &rows_of(x, self.inputs()), weights);
        plan.observation(swept)
    }

    /// How much each sample contributes to linear functionals of a layer's AGOP G = (1/n) Σ_i G_i:
    /// tr(Γ G_i) for each Γ, one list per Γ.
    ///
    /// # Shapes
    /// x: `[n, d]`, row-major, each Γ: `[d_in, d_in]` symmetric; returns n numbers per Γ
    pub fn contributions<T: Real>(
        &self,
        x: &[T],
        weights: Option<&[f64]>,
        layer: usize,
        functionals: &[&Mat],
        options: &AgopOptions,
    ) -> Vec<Vec<f64>> {
        let options = AgopOptions { layers: Some(vec![layer]), ..options.clone() };
        contributions(&self.plan(x, &options), &rows_of(x, self.inputs()), weights, layer, functionals)
    }

    fn plan<'a, T: Real>(&self, x: &[T], options: &'a AgopOptions) -> ChainPlan<'a> {
        ChainPlan::new(self.clone(), x.len() / self.inputs().max(1), T::EPS.to_f64(), options)
    }
}

fn rows_of<T: Real>(x: &[T], d: usize) -> impl Fn(Range<usize>) -> Vec<T> + Sync {
    move |rows| x[rows.start * d..rows.end * d].to_vec()
}

/// The sums of the rows of every layer in front of the linear tail; `None` for those not asked for.
pub(crate) fn sweep<T: Real>(
    plan: &ChainPlan<'_>,
    x: &Rows<'_, T>,
    weights: Option<&[f64]>,
) -> Vec<Option<Accumulator>> {
    if !plan.wants_sweep() {
        return vec![None; plan.linear_from];
    }
    in_blocks(plan, x, weights, plan.options.batch, |sweep| match plan.options.centered {
        true => sweep.centered().run(),
        false => sweep.run(),
    })
}

/// See [`HostChain::contributions`]; of a plan for this layer alone.
pub(crate) fn contributions<T: Real>(
    plan: &ChainPlan<'_>,
    x: &Rows<'_, T>,
    weights: Option<&[f64]>,
    layer: usize,
    functionals: &[&Mat],
) -> Vec<Vec<f64>> {
    plan.contributions(weights, layer, functionals, |sink| {
        in_blocks(plan, x, weights, Some(plan.batch()), |sweep| {
            sweep.visit(&mut |_, samples, rows| sink(samples, to_mat(rows)));
        });
    })
}

/// What `f` makes of the sweep in blocks.
fn in_blocks<T: Real, R>(
    plan: &ChainPlan<'_>,
    x: &Rows<'_, T>,
    weights: Option<&[f64]>,
    batch: Option<usize>,
    f: impl FnOnce(HostSweep<'_, T>) -> R,
) -> R {
    let (last, outputs, options) = (plan.linear_from, plan.chain.outputs(), plan.options);
    let new: Vec<_> = (0..last).map(|l| move || plan.accumulator(l)).collect();
    let wanted = (0..last).map(|l| options.wants(l).then(|| Wanted { before: plan.before[l], new: &new[l] }));
    let draws = options.sketch.unwrap_or(0);
    let signs = |samples: Range<usize>| sign_rows(&samples, draws, outputs);
    let sweep = HostSweep::new(&plan.chain, &plan.tail(), plan.samples, x, weights, wanted.collect())
        .sketched(options.sketch.map(|draws| (draws, &signs as _)))
        .in_blocks(batch, options.memory);
    f(sweep)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nfa_models::{Activation, Stream};

    /// J of the outputs in a layer's input, by central differences: `[n * c, d]`.
    fn differences(chain: &HostChain, x: &Mat, layer: usize) -> Mat {
        let layers = |from: usize, to: usize, h: &Mat| {
            (from..to).fold(h.clone(), |h, l| {
                let bias = |j: usize| chain.biases[l].as_ref().map_or(0.0, |bias| bias[j]);
                let z = h * chain.weights[l].transpose();
                let last = l + 1 == chain.weights.len();
                Mat::from_fn(z.nrows(), z.ncols(), |i, j| {
                    let z = z[(i, j)] + bias(j);
                    if last { z } else { z.tanh() }
                })
            })
        };
        let (h, c) = (layers(0, layer, x), chain.outputs());
        let column = |j: usize| {
            let moved = |step: f64| {
                let h = Mat::from_fn(h.nrows(), h.ncols(), |i, k| h[(i, k)] + if k == j { step } else { 0.0 });
                layers(layer, chain.weights.len(), &h)
            };
            (moved(1e-5) - moved(-1e-5)) * 5e4
        };
        let columns: Vec<Mat> = (0..h.ncols()).map(column).collect();
        Mat::from_fn(h.nrows() * c, h.ncols(), |r, j| columns[j][(r / c, r % c)])
    }

    #[test]
    fn agops_and_contributions_are_those_of_differences() {
        let (widths, n, c) = ([4, 7, 3, 2], 11, 2);
        let draw = |name: &str, rows: usize, cols: usize| {
            let values = Stream::root(51).fork(name).normals(rows * cols);
            Mat::from_fn(rows, cols, |i, j| values[i * cols + j] / (cols as f64).sqrt())
        };
        let weights = (0..3).map(|l| draw(&format!("w{l}"), widths[l + 1], widths[l])).collect();
        let bias = |l: usize| Some(draw(&format!("b{l}"), widths[l + 1], 1).col_as_slice(0).to_vec());
        let chain = HostChain::new(weights, vec![bias(0), None, bias(2)], vec![Activation::Tanh; 2]).expect("chains");
        let x = draw("x", n, 4);
        let rows: Vec<f64> = x.row_iter().flat_map(|row| row.iter().copied().collect::<Vec<_>>()).collect();
        let of_rows: Vec<f64> = (0..n).map(|i| 0.5 + i as f64 / 10.0).collect();
        for layer in 0..3 {
            let jacobian = differences(&chain, &x, layer);
            let d = jacobian.ncols();
            let mean =
                |r: usize, j: usize| (0..n).map(|i| of_rows[i] * jacobian[(i * c + r, j)]).sum::<f64>() / n as f64;
            for centered in [false, true] {
                let row = Mat::from_fn(n * c, d, |r, j| {
                    let less = if centered { mean(r % c, j) } else { 0.0 };
                    of_rows[r / c].sqrt() * (jacobian[(r, j)] - less)
                });
                let expected = row.transpose() * &row * (1.0 / n as f64);
                let options = AgopOptions { centered, batch: Some(4), ..AgopOptions::default() };
                let observation = chain.observe(&rows, Some(&of_rows), &options);
                let agop = observation.layers[layer].agop.as_ref().expect("asked for");
                assert!((agop.matrix() - &expected).norm_max() < 1e-9, "layer {layer}, centered {centered}");
            }
            let functional = Mat::from_fn(d, d, |i, j| ((i + j) as f64).cos());
            let each = &chain.contributions(&rows, Some(&of_rows), layer, &[&functional], &AgopOptions::default())[0];
            for i in 0..n {
                let own = jacobian.subrows(i * c, c);
                let expected =
                    of_rows[i] * (own * &functional * own.transpose()).diagonal().column_vector().iter().sum::<f64>();
                assert!((each[i] - expected).abs() < 1e-8, "layer {layer}, sample {i}");
            }
        }
    }
}
