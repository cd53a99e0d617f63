//! The loss as what is differentiated: moments of values and of per-sample loss gradients at every site.

use std::ops::Range;

use burn::tensor::{Int, Tensor};
use nfa_models::SitesError;
use nfa_models::sites::{Input, Site};

use crate::matrix::Mat;
use crate::matrix::psd::Psd;
use crate::observe::agop::options::AgopOptions;
use crate::observe::agop::sweep::{Delta, Sweep};
use crate::observe::jacobian::to_host;
use crate::observe::layout::{Forward, Layout};

/// The sum of some samples' losses, each times a factor of its own, from their outputs `[b, c]`.
///
/// What a sample contributes depends on its own outputs alone, and does not shrink with the number of samples.
pub type SampleLosses<'a> = dyn Fn(Tensor<2>, Range<usize>, &[f64]) -> Tensor<1> + Sync + 'a;

/// Moments at one site, over samples i and positions p; δ = ∂ℓ_i/∂z is the loss gradient in what the map puts out.
#[derive(Clone, Debug)]
pub struct Moments {
    /// The site's name.
    pub name: String,
    /// G = mean Σ_p δᵀh, the gradient of the mean loss in the weights, through this map alone: `[d_out, d_in]`.
    pub gradient: Mat,
    /// mean Σ_p hhᵀ of what the map reads, `[d_in, d_in]`.
    pub values: Mat,
    /// mean Σ_p δᵀδ, `[d_out, d_out]`; with W it gives the gradients in h: Wᵀ(·)W.
    pub gradients: Mat,
    /// W, `[d_out, d_in]`.
    pub weight: Mat,
}

impl Moments {
    /// mean Σ_p (∂ℓ_i/∂h)(∂ℓ_i/∂h)ᵀ through this map alone.
    ///
    /// # Shapes
    /// `[d_in, d_in]`
    pub fn loss_gradients(&self, eps: f64) -> Psd {
        Psd::gram_of(self.weight.transpose() * &self.gradients * &self.weight, eps)
    }
}

/// Moments at every site with weights: one forward and one backward pass.
///
/// `weights` are sample weights of mean 1.
///
/// # Shapes
/// x: `[n, d]`, forward: `[n, d]` → `[n, c]`
///
/// # Errors
/// Sites that can't be measured: see [`SitesError`].
pub fn moments(
    forward: &Forward<'_>,
    x: &Tensor<2>,
    loss: &SampleLosses<'_>,
    weights: Option<&[f64]>,
    options: &AgopOptions,
) -> Result<Vec<Moments>, SitesError> {
    let layout = Layout::new(forward, x)?.with_weights();
    let mut maps: Vec<String> = layout.sites.iter().map(|placed| placed.site.map.clone()).collect();
    maps.dedup();
    // δ with the root of the sample's weight: products of two have the weight.
    let select = |y: Tensor<2>, samples: Range<usize>, _: Range<usize>| {
        let roots: Vec<f64> = match weights {
            Some(weights) => weights[samples.clone()].iter().map(|w| w.sqrt()).collect(),
            None => vec![1.0; samples.len()],
        };
        loss(y, samples, &roots)
    };
    let rows = Sweep::rows_within(options.memory, &layout, x.dtype());
    let batch = options.batch;
    let sweep = Sweep { forward, x, maps, select: &select, outputs: 1, rows, batch, inputs: true, uses: &layout.uses };
    let zeros = |rows: usize, cols: usize| Mat::zeros(rows, cols);
    let new = |placed: &crate::observe::layout::Placed| {
        let weight = placed.weight.clone()?;
        let (k, d) = (weight.nrows(), weight.ncols());
        let name = placed.site.name.clone();
        Some(Moments { name, gradient: zeros(k, d), values: zeros(d, d), gradients: zeros(k, k), weight })
    };
    let mut found: Vec<Moments> = layout.sites.iter().filter_map(new).collect();
    for samples in sweep.parts(1).into_iter().flatten() {
        sweep.visit(&samples, &mut |delta| {
            for (placed, moments) in layout.sites.iter().zip(&mut found) {
                if placed.site.map == sweep.maps[delta.map] {
                    moments.add(&delta, &placed.site, weights);
                }
            }
        })?;
    }
    let mean = 1.0 / x.dims()[0] as f64;
    for moments in &mut found {
        for sum in [&mut moments.gradient, &mut moments.values, &mut moments.gradients] {
            *sum *= faer::Scale(mean);
        }
    }
    Ok(found)
}

impl Moments {
    fn add(&mut self, delta: &Delta<'_>, site: &Site, weights: Option<&[f64]>) {
        let (count, d) = (delta.count(), self.weight.ncols());
        let rows = delta.rows().slice([0..count, site.rows.clone()]);
        self.gradients += to_host(rows.clone().transpose().matmul(rows.clone()));
        let positions = delta.positions().max(1);
        let weight = |row: usize| weights.map_or(1.0, |weights| weights[delta.samples.start + row / positions]);
        match &delta.used.input {
            Some(Input::Rows(h)) => {
                let h = h.clone().slice([0..count, site.group * d..(site.group + 1) * d]);
                let h = match weights {
                    None => h,
                    Some(_) => {
                        let roots: Vec<f64> = (0..count).map(|row| weight(row).sqrt()).collect();
                        h.clone() * crate::observe::jacobian::beside(roots, &h).reshape([count, 1])
                    }
                };
                self.gradient += to_host(rows.transpose().matmul(h.clone()));
                self.values += to_host(h.clone().transpose().matmul(h));
            }
            Some(Input::Ids(ids)) => {
                let rows = to_host(rows);
                for (row, id) in whole(ids).into_iter().enumerate() {
                    self.values[(id, id)] += weight(row);
                    (0..rows.ncols()).for_each(|k| self.gradient[(k, id)] += weight(row).sqrt() * rows[(row, k)]);
                }
            }
            None => {}
        }
    }
}

fn whole(ids: &Tensor<1, Int>) -> Vec<usize> {
    let ids = ids.clone().try_into_vec_as::<i64>().unwrap_or_default();
    ids.into_iter().map(|id| id as usize).collect()
}
