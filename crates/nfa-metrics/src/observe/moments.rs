//! The loss as what is differentiated: moments of values and of per-sample loss gradients at every site.

use std::ops::Range;

use burn::tensor::{Int, Tensor};
use nfa_models::SitesError;
use nfa_models::sites::Input;

use crate::laws::needs::Needs;
use crate::matrix::Mat;
use crate::observation::moments::Moments;
use crate::observe::agop::options::AgopOptions;
use crate::observe::agop::sweep::{Delta, Sweep};
use crate::observe::jacobian::to_host;
use crate::observe::layout::{Forward, Layout, Placed};
use crate::observe::linearity::Linearity;

/// The sum of some samples' losses, each times a factor of its own, from their outputs `[b, c]`.
///
/// What a sample contributes depends on its own outputs alone, and does not shrink with the number of samples.
pub type SampleLosses<'a> = dyn Fn(Tensor<2>, Range<usize>, &[f64]) -> Tensor<1> + Sync + 'a;

/// What is asked of a loss on rows.
#[derive(Clone, Copy)]
pub struct LossOnRows<'a> {
    /// The loss.
    pub loss: &'a SampleLosses<'a>,
    /// Sample weights of mean 1, one per row.
    pub weights: Option<&'a [f64]>,
    /// Targets, `[n, c]`, where it is asked how linear they are.
    pub targets: Option<&'a Mat>,
    /// Which moments, beside the gradient.
    pub needs: Needs,
}

/// Moments at every site with weights: one forward and one backward pass.
///
/// # Shapes
/// x: `[n, d]`, forward: `[n, d]` → `[n, c]`
///
/// # Errors
/// Sites that can't be measured: see [`SitesError`].
pub fn moments(
    forward: &Forward<'_>,
    x: &Tensor<2>,
    asked: &LossOnRows<'_>,
    options: &AgopOptions,
) -> Result<Vec<Moments>, SitesError> {
    let layout = Layout::new(forward, x)?.with_weights();
    let mut maps: Vec<String> = layout.sites.iter().map(|placed| placed.site.map.clone()).collect();
    maps.dedup();
    // δ with the root of the sample's weight: products of two have the weight.
    let select = |y: Tensor<2>, samples: Range<usize>, _: Range<usize>| {
        let roots: Vec<f64> = match asked.weights {
            Some(weights) => weights[samples.clone()].iter().map(|w| w.sqrt()).collect(),
            None => vec![1.0; samples.len()],
        };
        (asked.loss)(y, samples, &roots)
    };
    let rows = Sweep::rows_within(options.memory, &layout, x.dtype());
    let batch = options.batch;
    let sweep = Sweep { forward, x, maps, select: &select, outputs: 1, rows, batch, inputs: true, uses: &layout.uses };
    let mut found: Vec<Sums<'_>> = layout.sites.iter().filter_map(|placed| Sums::new(placed, asked)).collect();
    for samples in sweep.parts(1).into_iter().flatten() {
        sweep.visit(&samples, &mut |delta| {
            for sums in &mut found {
                if sums.placed.site.map == sweep.maps[delta.map] {
                    sums.add(&delta);
                }
            }
        })?;
    }
    let n = x.dims()[0];
    Ok(found.into_iter().map(|sums| sums.finish(n)).collect())
}

/// Of one site.
struct Sums<'a> {
    placed: &'a Placed,
    weight: &'a Mat,
    asked: &'a LossOnRows<'a>,
    gradient: Mat,
    values: Option<Mat>,
    behind: Option<Mat>,
    linearity: Option<Linearity>,
}

impl<'a> Sums<'a> {
    fn new(placed: &'a Placed, asked: &'a LossOnRows<'a>) -> Option<Self> {
        let weight = placed.weight.as_ref()?;
        let (k, d) = (weight.nrows(), weight.ncols());
        let square = |need: Needs, size: usize| asked.needs.contains(need).then(|| Mat::zeros(size, size));
        let targets = asked.targets.filter(|_| asked.needs.contains(Needs::TARGETS) && placed.positions == 1);
        Some(Sums {
            placed,
            weight,
            asked,
            gradient: Mat::zeros(k, d),
            values: square(Needs::INPUT_MOMENTS, d),
            behind: square(Needs::GRADIENT_MOMENTS, k),
            linearity: targets.map(|targets| Linearity::new(d, targets.ncols())),
        })
    }

    fn add(&mut self, delta: &Delta<'_>) {
        let (count, d) = (delta.count(), self.weight.ncols());
        let site = &self.placed.site;
        let rows = delta.rows().slice([0..count, site.rows.clone()]);
        if let Some(behind) = &mut self.behind {
            *behind += to_host(rows.clone().transpose().matmul(rows.clone()));
        }
        let (positions, from) = (delta.positions().max(1), delta.samples.start);
        let weight = |row: usize| self.asked.weights.map_or(1.0, |weights| weights[from + row / positions]);
        match &delta.used.input {
            Some(Input::Rows(h)) => {
                let h = h.clone().slice([0..count, site.group * d..(site.group + 1) * d]);
                if let (Some(linearity), Some(targets)) = (&mut self.linearity, self.asked.targets) {
                    linearity.add(&to_host(h.clone()), &targets.subrows(from, count).to_owned(), weight);
                }
                let h = match self.asked.weights {
                    None => h,
                    Some(_) => {
                        let roots: Vec<f64> = (0..count).map(|row| weight(row).sqrt()).collect();
                        h.clone() * crate::observe::jacobian::beside(roots, &h).reshape([count, 1])
                    }
                };
                self.gradient += to_host(rows.transpose().matmul(h.clone()));
                if let Some(values) = &mut self.values {
                    *values += to_host(h.clone().transpose().matmul(h));
                }
            }
            Some(Input::Ids(ids)) => {
                // A row of the table for each position; its targets are no linear map of words that were never said.
                self.linearity = None;
                let rows = to_host(rows);
                for (row, id) in whole(ids).into_iter().enumerate() {
                    if let Some(values) = &mut self.values {
                        values[(id, id)] += weight(row);
                    }
                    (0..rows.ncols()).for_each(|k| self.gradient[(k, id)] += weight(row).sqrt() * rows[(row, k)]);
                }
            }
            None => {}
        }
    }

    fn finish(self, n: usize) -> Moments {
        let mean = |sum: Mat| sum * (1.0 / n as f64);
        let behind = self.behind.map(mean);
        Moments {
            gradient: mean(self.gradient),
            values: self.values.map(mean),
            gradients: behind.as_ref().map(|behind| self.weight.transpose() * behind * self.weight),
            behind,
            linearity: self.linearity.and_then(|linearity| linearity.share()),
        }
    }
}

fn whole(ids: &Tensor<1, Int>) -> Vec<usize> {
    let ids = ids.clone().try_into_vec_as::<i64>().unwrap_or_default();
    ids.into_iter().map(|id| id as usize).collect()
}
