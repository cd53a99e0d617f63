//! AGOPs of chains of dense layers on the host, without Burn.

use std::ops::Range;

use nfa_models::host::Real;

use crate::matrix::Mat;
use crate::matrix::accumulator::Accumulator;
use crate::observation::Observation;
use crate::observe::agop::host::{HostSweep, Rows, Wanted, to_mat};
use crate::observe::agop::options::AgopOptions;
use crate::observe::agop::plan::ChainPlan;
use crate::observe::agop::rows::{quadratic_forms, sign_rows};
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
    plan.constant_contributions(layer, weights, functionals).unwrap_or_else(|| {
        let mapped = plan.onto_rows(layer, functionals);
        quadratic_forms(plan.samples, &mapped.iter().collect::<Vec<_>>(), |sink| {
            in_blocks(plan, x, weights, Some(plan.batch()), |sweep| {
                sweep.visit(&mut |_, samples, rows| sink(samples, to_mat(rows)));
            });
        })
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
