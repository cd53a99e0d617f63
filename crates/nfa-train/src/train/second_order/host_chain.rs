//! The loss of a chain of dense layers with its second derivatives, on the host.

use std::ops::Range;

use nfa_models::Activation;
use nfa_models::host::gemm::{Into, View, product};
use nfa_models::host::{Cores, Real};
use rayon::prelude::*;

use crate::minimise::{Block, Costs, Function};
use crate::train::host::shape::Shape;
use crate::train::loss::criterion::{Bend, Criterion};
use crate::train::problem::Problem;
use crate::train::rows::HostRows;
use crate::train::second_order::curvature::Curvature;

/// Numbers that the tangents of one chunk of rows may have in a layer: so that they stay near the core.
const NUMBERS: usize = 1 << 18;
/// Rows of a chunk, at least and at most.
const ROWS: (usize, usize) = (8, 256);
/// Chunks whose results are held at once. Neither depends on the number of threads, so no sum does.
const WAVE: usize = 8;

/// The loss as a function of all parameters.
pub(super) struct HostChain<T> {
    pub(super) shape: Shape,
    criterion: Criterion,
    inputs: Vec<T>,
    targets: Vec<T>,
    weights: Option<Vec<T>>,
    count: usize,
    decay: Vec<f64>,
    curvature: Curvature,
}

/// What forward and backward of some rows leave: of each layer what it reads, and ∂loss/∂z.
pub(super) struct Base<T> {
    pub(super) n: usize,
    /// Of each layer, `[n, into]`.
    pub(super) inputs: Vec<Vec<T>>,
    /// Of each layer, `[n, out]`.
    pub(super) deltas: Vec<Vec<T>>,
    /// φ' of each layer but the last, `[n, out]`; empty where it is 1.
    pub(super) slopes: Vec<Vec<T>>,
    /// ∂loss/∂a · φ'' of each layer but the last, `[n, out]`; empty where φ'' is 0.
    pub(super) bends: Vec<Vec<T>>,
    /// The loss's own.
    pub(super) bend: Bend<T>,
    loss: f64,
}

impl<T: Real> HostChain<T> {
    /// Of a problem whose rows are at hand; λ of each parameter.
    pub(super) fn new(problem: &Problem<'_>, rows: HostRows, decay: Vec<f64>, curvature: Curvature) -> Self {
        let narrow = |values: Vec<f64>| values.into_iter().map(T::from_f64).collect::<Vec<T>>();
        let mut shape = Shape::new(&problem.widths, &problem.biases, &problem.activations, true);
        // Weights change with every call: no copy of them is kept.
        shape.layers.iter_mut().for_each(|layer| layer.turned = false);
        HostChain {
            shape,
            criterion: problem.criterion,
            inputs: narrow(rows.inputs),
            targets: narrow(rows.targets),
            weights: rows.weights.map(narrow),
            count: rows.count,
            decay,
            curvature,
        }
    }

    fn rows(&self) -> usize {
        self.inputs.len() / self.shape.inputs().max(1)
    }

    fn narrow(values: &[f64]) -> Vec<T> {
        values.iter().map(|&v| T::from_f64(v)).collect()
    }

    /// Chunks of rows for l tangents.
    fn chunks(&self, l: usize) -> Vec<Range<usize>> {
        let widest = self.shape.layers.iter().map(|layer| layer.out.max(layer.into)).max().unwrap_or(1);
        let each = (NUMBERS / (l * widest).max(1)).clamp(ROWS.0, ROWS.1);
        let n = self.rows();
        (0..n).step_by(each).map(|start| start..(start + each).min(n)).collect()
    }

    /// Sums what each chunk gives, in order; a wave of chunks at a time on the cores of the current pool.
    fn sum(&self, l: usize, mut total: Vec<f64>, of: impl Fn(Range<usize>) -> Vec<T> + Sync) -> Vec<f64> {
        for wave in self.chunks(l).chunks(WAVE) {
            let parts: Vec<Vec<T>> = wave.par_iter().with_max_len(1).map(|rows| of(rows.clone())).collect();
            for part in parts {
                total.iter_mut().zip(part).for_each(|(sum, term)| *sum += term.to_f64());
            }
        }
        total
    }

    /// z = hWᵀ + b of each layer and what follows; the loss alone, or all that its derivatives need.
    fn base(&self, x: &[T], rows: Range<usize>, value_only: bool) -> Base<T> {
        let (n, last, c) = (rows.len(), self.shape.layers.len() - 1, self.shape.outputs());
        let first = self.shape.inputs();
        let mut inputs = vec![self.inputs[rows.start * first..rows.end * first].to_vec()];
        let (mut slopes, mut zs) = (Vec::new(), Vec::new());
        let mut outputs = Vec::new();
        for (l, layer) in self.shape.layers.iter().enumerate() {
            let mut z = vec![T::from_f64(0.0); n * layer.out];
            let mut slope = vec![T::from_f64(0.0); if layer.activation == Activation::Linear { 0 } else { z.len() }];
            let plain = nfa_models::host::Dense { activation: Activation::Linear, ..layer.dense(x, &[]) };
            plain.forward(View::new(&inputs[l], n, layer.into), &mut z, &mut [], Cores::One);
            if l == last {
                outputs = z;
                break;
            }
            zs.push(if layer.activation.is_piecewise_linear() || value_only { Vec::new() } else { z.clone() });
            if layer.activation != Activation::Linear {
                let wanted = if value_only { None } else { Some(&mut slope[..]) };
                nfa_models::host::vector::activate(layer.activation, &mut z, wanted, Cores::One);
            }
            slopes.push(slope);
            inputs.push(z);
        }
        let targets = &self.targets[rows.start * c..rows.end * c];
        let weights = self.weights.as_ref().map(|weights| &weights[rows.clone()]);
        let loss = self.criterion.differentiate(&mut outputs, targets, weights, c, self.count);
        let bend = self.criterion.bend(&outputs, targets, weights, c, self.count);
        let mut base = Base { n, inputs, deltas: vec![outputs], slopes, bends: vec![Vec::new(); last], bend, loss };
        if !value_only {
            self.back(x, &mut base, &zs);
        }
        base
    }

    /// ∂loss/∂z of every layer, from that of the last.
    fn back(&self, x: &[T], base: &mut Base<T>, zs: &[Vec<T>]) {
        let last = self.shape.layers.len() - 1;
        let mut deltas = vec![Vec::new(); last + 1];
        deltas[last] = std::mem::take(&mut base.deltas[0]);
        for l in (0..last).rev() {
            let (layer, next) = (&self.shape.layers[l], &self.shape.layers[l + 1]);
            let mut delta = vec![T::from_f64(0.0); base.n * layer.out];
            let at_z = View::new(&deltas[l + 1], base.n, next.out);
            next.dense(x, &[]).back_to_h(at_z, &mut delta, Cores::One);
            let seen = zs[l].iter().zip(&base.inputs[l + 1]).zip(&base.slopes[l]);
            let second = |((z, a), s): ((&T, &T), &T)| {
                layer.activation.second_derivative_from(z.to_f64(), a.to_f64(), s.to_f64())
            };
            base.bends[l] = delta.iter().zip(seen).map(|(&e, seen)| e * T::from_f64(second(seen))).collect();
            layer.dense(x, &[]).back_to_z(&mut delta, &base.slopes[l]);
            deltas[l] = delta;
        }
        base.deltas = deltas;
    }

    /// Rz of a layer for each row of V: what the layer's own numbers change, and what those below did.
    ///
    /// # Shapes
    /// v: `[l, D]`; below: `[l, n, into]` of the layer before, empty for the first; returns `[l, n, out]`
    fn forward(&self, x: &[T], base: &Base<T>, layer: usize, v: &[T], below: &[T]) -> Vec<T> {
        let (at, n, d) = (&self.shape.layers[layer], base.n, self.shape.numbers);
        let l = v.len() / d;
        let mut rz = vec![T::from_f64(0.0); l * n * at.out];
        let h = View::new(&base.inputs[layer], n, at.into);
        for (v, rz) in v.chunks_exact(d).zip(rz.chunks_exact_mut(n * at.out)) {
            let how = match at.biases(v) {
                None => Into::Set,
                Some(biases) => {
                    rz.chunks_exact_mut(at.out).for_each(|row| row.copy_from_slice(biases));
                    Into::Add
                }
            };
            product(rz, at.out, how, h, View::new(at.weights(v), at.out, at.into).t(), Cores::One);
        }
        if layer > 0 {
            let weights = View::new(at.weights(x), at.out, at.into).t();
            product(&mut rz, at.out, Into::Add, View::new(below, l * n, at.into), weights, Cores::One);
        }
        rz
    }

    /// δ V of the layer above for each row of V: how ∂loss/∂a of this one changes with the weights above it.
    ///
    /// # Shapes
    /// `[l, n, out]`
    fn above(&self, base: &Base<T>, layer: usize, v: &[T]) -> Vec<T> {
        let (next, n, d) = (&self.shape.layers[layer + 1], base.n, self.shape.numbers);
        let mut t = vec![T::from_f64(0.0); v.len() / d * n * next.into];
        let delta = View::new(&base.deltas[layer + 1], n, next.out);
        for (v, t) in v.chunks_exact(d).zip(t.chunks_exact_mut(n * next.into)) {
            product(t, next.into, Into::Set, delta, View::new(next.weights(v), next.out, next.into), Cores::One);
        }
        t
    }

    /// Vg and half of VHVᵀ of some rows, forward only: VHVᵀ is what it gives plus its transpose.
    ///
    /// With Rz the change of a layer's z along a row of V and δ the gradient in z, the second derivative is
    /// ⟨Rz_L, Hl Rz_L⟩ of the outputs, ⟨∂loss/∂a φ'' Rz, Rz⟩ of every activation, and ⟨Ra, δV⟩ twice of every pair of
    /// layers. Gauss-Newton is the first alone.
    fn forward_only(&self, x: &[T], v: &[T], rows: Range<usize>) -> Vec<T> {
        let base = self.base(x, rows, false);
        let (n, last, l) = (base.n, self.shape.layers.len() - 1, v.len() / self.shape.numbers);
        let mut found = vec![T::from_f64(0.0); l + l * l];
        let (slopes, gram) = found.split_at_mut(l);
        let half = T::from_f64(0.5);
        let mut add = |rz: &[T], u: &[T], width: usize| {
            product(gram, l, Into::Add, View::new(rz, l, width), View::new(u, l, width).t(), Cores::One);
        };
        let mut below = Vec::new();
        for layer in 0..=last {
            let mut rz = self.forward(x, &base, layer, v, &below);
            let width = n * self.shape.layers[layer].out;
            if layer == last {
                let delta = View::new(&base.deltas[last], width, 1);
                product(slopes, 1, Into::Set, View::new(&rz, l, width), delta, Cores::One);
                let mut u = rz.clone();
                base.bend.apply(&mut u, self.shape.outputs());
                u.iter_mut().for_each(|u| *u *= half);
                add(&rz, &u, width);
                break;
            }
            if self.curvature == Curvature::Hessian {
                let mut u = self.above(&base, layer, v);
                scale(&mut u, &base.slopes[layer]);
                if !base.bends[layer].is_empty() {
                    for (u, rz) in u.chunks_exact_mut(width).zip(rz.chunks_exact(width)) {
                        let each = u.iter_mut().zip(rz).zip(&base.bends[layer]);
                        each.for_each(|((u, &rz), &bend)| *u += half * bend * rz);
                    }
                }
                add(&rz, &u, width);
            }
            scale(&mut rz, &base.slopes[layer]);
            below = rz;
        }
        found
    }

    /// HVᵀ of some rows, forward and back (Pearlmutter 1994).
    fn forward_and_back(&self, x: &[T], v: &[T], rows: Range<usize>, curvature: Curvature) -> Vec<T> {
        let base = self.base(x, rows, false);
        let (n, last, d) = (base.n, self.shape.layers.len() - 1, self.shape.numbers);
        let l = v.len() / d;
        let (mut rzs, mut ras): (Vec<Vec<T>>, Vec<Vec<T>>) = (Vec::new(), vec![Vec::new()]);
        for layer in 0..=last {
            let rz = self.forward(x, &base, layer, v, &ras[layer]);
            let mut ra = rz.clone();
            if layer < last {
                scale(&mut ra, &base.slopes[layer]);
            }
            rzs.push(rz);
            ras.push(ra);
        }
        let is_exact = curvature == Curvature::Hessian;
        let mut found = vec![T::from_f64(0.0); l * d];
        let mut rdelta = ras.pop().unwrap_or_default();
        base.bend.apply(&mut rdelta, self.shape.outputs());
        for layer in (0..=last).rev() {
            let at = &self.shape.layers[layer];
            let (wide, narrow) = (n * at.out, n * at.into);
            let h = View::new(&base.inputs[layer], n, at.into);
            let delta = View::new(&base.deltas[layer], n, at.out).t();
            for (i, found) in found.chunks_exact_mut(d).enumerate() {
                let own = View::new(&rdelta[i * wide..], n, at.out);
                let weights = &mut found[at.weights..at.weights + at.out * at.into];
                product(weights, at.into, Into::Set, own.t(), h, Cores::One);
                if layer > 0 && is_exact {
                    let ra = View::new(&ras[layer][i * narrow..], n, at.into);
                    product(weights, at.into, Into::Add, delta, ra, Cores::One);
                }
                if let Some(biases) = at.biases {
                    let sums = &mut found[biases..biases + at.out];
                    own.row_slices().for_each(|row| sums.iter_mut().zip(row).for_each(|(sum, &term)| *sum += term));
                }
            }
            if layer == 0 {
                break;
            }
            let mut next = if is_exact { self.above(&base, layer - 1, v) } else { vec![T::from_f64(0.0); l * narrow] };
            let weights = View::new(at.weights(x), at.out, at.into);
            product(&mut next, at.into, Into::Add, View::new(&rdelta, l * n, at.out), weights, Cores::One);
            scale(&mut next, &base.slopes[layer - 1]);
            if is_exact && !base.bends[layer - 1].is_empty() {
                for (next, rz) in next.chunks_exact_mut(narrow).zip(rzs[layer - 1].chunks_exact(narrow)) {
                    let each = next.iter_mut().zip(rz).zip(&base.bends[layer - 1]);
                    each.for_each(|((next, &rz), &bend)| *next += bend * rz);
                }
            }
            rdelta = next;
        }
        found
    }
}

impl<T: Real> HostChain<T> {
    fn all_products(&self, x: &[f64], rows: &[f64], curvature: Curvature) -> Vec<f64> {
        let (x, v) = (Self::narrow(x), Self::narrow(rows));
        let zeros = vec![0.0; v.len()];
        self.sum(v.len() / x.len(), zeros, |rows| self.forward_and_back(&x, &v, rows, curvature))
    }
}

/// Each of several `[n, out]` times the factors; nothing where there are none.
fn scale<T: Real>(values: &mut [T], factors: &[T]) {
    if !factors.is_empty() {
        values.chunks_exact_mut(factors.len()).for_each(|values| nfa_models::host::vector::scale(values, factors));
    }
}

impl<T: Real> Function for HostChain<T> {
    fn dimension(&self) -> usize {
        self.shape.numbers
    }

    fn value(&mut self, x: &[f64]) -> f64 {
        let x = Self::narrow(x);
        let chunks = self.chunks(1);
        let losses: Vec<f64> = chunks.par_iter().map(|rows| self.base(&x, rows.clone(), true).loss).collect();
        losses.iter().sum()
    }

    fn gradient(&mut self, x: &[f64]) -> Vec<f64> {
        let x = Self::narrow(x);
        self.sum(1, vec![0.0; x.len()], |rows| {
            let base = self.base(&x, rows, false);
            let mut gradient = vec![T::from_f64(0.0); x.len()];
            for (layer, at) in self.shape.layers.iter().enumerate() {
                let delta = View::new(&base.deltas[layer], base.n, at.out);
                let weights = &mut gradient[at.weights..at.weights + at.out * at.into];
                let h = View::new(&base.inputs[layer], base.n, at.into);
                product(weights, at.into, Into::Set, delta.t(), h, Cores::One);
                if let Some(biases) = at.biases {
                    let sums = &mut gradient[biases..biases + at.out];
                    delta.row_slices().for_each(|row| sums.iter_mut().zip(row).for_each(|(sum, &term)| *sum += term));
                }
            }
            gradient
        })
    }

    fn products(&mut self, x: &[f64], rows: &[f64]) -> Vec<f64> {
        self.all_products(x, rows, Curvature::Hessian)
    }

    fn model_products(&mut self, x: &[f64], rows: &[f64]) -> Vec<f64> {
        self.all_products(x, rows, self.curvature)
    }

    fn block(&mut self, x: &[f64], rows: &[f64]) -> Block {
        let (x, v) = (Self::narrow(x), Self::narrow(rows));
        let l = v.len() / x.len();
        let mut gradient = self.sum(l, vec![0.0; l + l * l], |rows| self.forward_only(&x, &v, rows));
        let half = gradient.split_off(l);
        let hessian = nfa_metrics::Mat::from_fn(l, l, |i, j| half[i * l + j] + half[j * l + i]);
        Block { gradient, hessian }
    }

    fn models_itself(&self) -> bool {
        self.curvature == Curvature::Hessian
    }

    fn precision(&self) -> f64 {
        self.epsilon()
    }

    fn costs(&self) -> Costs {
        Costs::default()
    }

    fn decay(&self) -> &[f64] {
        &self.decay
    }

    fn epsilon(&self) -> f64 {
        T::EPS.to_f64()
    }

    fn round(&self, x: &mut [f64]) {
        x.iter_mut().for_each(|x| *x = T::from_f64(*x).to_f64());
    }

    /// One layer is convex in its numbers.
    fn least_curvature(&self) -> Option<f64> {
        let least = self.decay.iter().copied().fold(f64::INFINITY, f64::min);
        (self.shape.layers.len() == 1).then_some(if least.is_finite() { least } else { 0.0 })
    }
}
