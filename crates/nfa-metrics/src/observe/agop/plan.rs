//! What the AGOPs of a chain of dense layers are made from, before a sample is looked at.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use nfa_models::Activation;

use crate::matrix::Mat;
use crate::matrix::accumulator::Accumulator;
use crate::matrix::psd::{Psd, RankRule, frame};
use crate::observation::{Layer, Observation};
use crate::observe::agop::options::AgopOptions;
use crate::observe::agop::rows::{quadratic_forms, rows_within};
use crate::observe::host_chain::HostChain;

/// A chain, how it is to be observed, and on how many rows.
pub(crate) struct ChainPlan<'a> {
    pub(crate) chain: HostChain,
    pub(crate) options: &'a AgopOptions,
    /// n.
    pub(crate) samples: usize,
    /// The machine epsilon of what the chain computes in.
    eps: f64,
    /// From this layer on everything is linear: its Jacobian is a product of weights.
    pub(crate) linear_from: usize,
    /// Whether a layer's rows are handed out before the multiplication by W_l: rows of length
    /// min(d, h) either way.
    pub(crate) before: Vec<bool>,
    /// What each layer's weights span, where that is worth it.
    frames: Vec<Option<Arc<Mat>>>,
}

impl<'a> ChainPlan<'a> {
    pub(crate) fn new(chain: HostChain, samples: usize, eps: f64, options: &'a AgopOptions) -> Self {
        let depth = chain.weights.len();
        let is_linear = |l: usize| chain.activations.get(l).is_none_or(|&a| a == Activation::Linear);
        let linear_from = (0..depth).rev().take_while(|&l| is_linear(l)).last().unwrap_or(0);
        let before = chain.weights.iter().map(|w| w.nrows() <= w.ncols()).collect();
        let wanted = |(l, w): (usize, &Mat)| (options.frames && options.wants(l)).then(|| frame(w)).flatten();
        let frames = chain.weights.iter().enumerate().map(wanted).collect();
        ChainPlan { chain, options, samples, eps, linear_from, before, frames }
    }

    /// A layer's weights in its frame.
    fn in_frame(&self, layer: usize) -> Cow<'_, Mat> {
        match &self.frames[layer] {
            Some(q) => Cow::Owned(&self.chain.weights[layer] * &**q),
            None => Cow::Borrowed(&self.chain.weights[layer]),
        }
    }

    /// The product of the weights where the linear tail begins: ∂f/∂h there.
    pub(crate) fn tail(&self) -> Mat {
        self.product_onto(self.linear_from, &self.chain.weights[self.linear_from])
    }

    /// The product of the weights behind a layer and what stands for its own.
    fn product_onto(&self, layer: usize, first: &Mat) -> Mat {
        match self.chain.weights[layer + 1..].split_last() {
            None => first.clone(),
            Some((last, between)) => between.iter().rev().fold(last.clone(), |product, w| &product * w) * first,
        }
    }

    /// The AGOP of a layer whose Jacobian is the same everywhere; `None` for all others.
    pub(crate) fn constant(&self, layer: usize) -> Option<Psd> {
        (layer >= self.linear_from && self.options.wants(layer)).then(|| {
            let mut product = self.product_onto(layer, &self.in_frame(layer));
            let rows = self.samples * product.nrows();
            if self.options.centered {
                product = Mat::zeros(1, product.ncols());
            }
            Psd::factor(product, rows, RankRule::Product, self.eps).within(self.frames[layer].clone())
        })
    }

    /// Whether a layer in front of the linear tail is asked for.
    pub(crate) fn wants_sweep(&self) -> bool {
        (0..self.linear_from).any(|l| self.options.wants(l))
    }

    /// Rows per sample of the sweep.
    pub(crate) fn rows_per_sample(&self) -> usize {
        self.options.sketch.unwrap_or_else(|| self.chain.outputs())
    }

    /// Samples per batch, where rows are handed out.
    pub(crate) fn batch(&self) -> usize {
        let widest = self.chain.weights.iter().map(|w| w.nrows().max(w.ncols())).max().unwrap_or(1);
        let fitting = || rows_within(self.options.memory, self.rows_per_sample() * widest);
        self.options.batch.unwrap_or_else(fitting).clamp(1, self.samples.max(1))
    }

    /// An empty sum for the rows of a layer.
    pub(crate) fn accumulator(&self, layer: usize) -> Accumulator {
        let w = &self.chain.weights[layer];
        let count = self.samples * self.rows_per_sample();
        Accumulator::new(w.nrows().min(w.ncols()), count, self.eps, self.options.factor_work)
    }

    /// Weights and AGOPs of every layer, of those in front of the linear tail from their rows' sums.
    pub(crate) fn observation(self, swept: Vec<Option<Accumulator>>) -> Observation {
        let from_rows = |(l, rows): (usize, Option<Accumulator>)| {
            let map = self.before[l].then(|| self.in_frame(l));
            rows.map(|rows| rows.finish(self.samples, map.as_deref()).within(self.frames[l].clone()))
        };
        let mut agops: Vec<Option<Psd>> = swept.into_iter().enumerate().map(from_rows).collect();
        let depth = self.chain.weights.len();
        agops.extend((self.linear_from..depth).map(|l| self.constant(l)));
        let (linear, eps) = (self.chain.is_linear(), self.eps);
        let layer = |(l, (weight, agop))| Layer { agop, ..Layer::new(format!("layers.{l}"), weight) };
        let layers = self.chain.weights.into_iter().zip(agops).enumerate().map(layer).collect();
        Observation { layers, linear, eps }.in_a_row()
    }

    /// What each sample contributes to functionals of a layer's AGOP, from its rows in host `f64`.
    pub(crate) fn contributions(
        &self,
        weights: Option<&[f64]>,
        layer: usize,
        functionals: &[&Mat],
        visit: impl FnOnce(&mut dyn FnMut(Range<usize>, Mat)),
    ) -> Vec<Vec<f64>> {
        if let Some(agop) = self.constant(layer) {
            // The same Jacobian everywhere: only the sample weights differ.
            let value = |functional: &Mat| -> f64 {
                let places = (0..functional.ncols()).flat_map(|j| (0..functional.nrows()).map(move |i| (i, j)));
                places.map(|at| functional[at] * agop.matrix()[at]).sum()
            };
            let each = |value: f64| (0..self.samples).map(|i| value * weights.map_or(1.0, |w| w[i])).collect();
            return functionals.iter().map(|functional| each(value(functional))).collect();
        }
        let w = &self.chain.weights[layer];
        let mapped: Vec<Mat> = functionals
            .iter()
            .map(|functional| if self.before[layer] { w * *functional * w.transpose() } else { (*functional).clone() })
            .collect();
        quadratic_forms(self.samples, &mapped.iter().collect::<Vec<_>>(), visit)
    }
}
