//! The factored AGOP on the CPU, without a tensor library between the products.
//!
//! Blocks of samples go forward and back on a core each, with buffers that are allocated once and so
//! small that they stay in its cache; Gram matrices are formed at half the work. Sums are kept in a
//! number of parts that depends on the problem alone, so the bytes are the same on any number of cores.

use std::ops::Range;

use burn::tensor::Tensor;
use nfa_models::host::gemm::{Into, View, mirror, product, product_on_all_cores, symmetric, symmetric_on_all_cores};
use nfa_models::host::{Real, vector};
use nfa_models::{Activation, Chain};
use rayon::prelude::*;

use crate::Mat;
use crate::matrix::accumulator::Accumulator;
use crate::matrix::sandwich::{column_major, row_major};
use crate::matrix::tiles::tiles;

/// What is swept: a chain up to where its Jacobian is constant, and from which layers rows are wanted.
pub(crate) struct HostSweep<'a, T> {
    layers: Vec<Dense<'a, T>>,
    /// ∂f/∂h where the linear tail begins, `[outputs, width]`.
    tail: Vec<T>,
    outputs: usize,
    /// `[n, d]`; a block of it is copied when its turn comes.
    x: &'a Tensor<2>,
    /// √w, one per sample.
    roots: Option<Vec<T>>,
    /// Samples that are swept together, at most.
    block: usize,
    /// Bytes that may be taken by sums that are added up at the end.
    memory: usize,
    /// Random combinations of the outputs instead of all of them.
    sketch: Option<Sketch<'a>>,
}

/// Draws a sample, and random signs / √draws for a range of samples, `[b * draws, outputs]`.
pub(crate) type Sketch<'a> = (usize, &'a (dyn Fn(Range<usize>) -> Vec<f64> + Sync));

/// A layer in front of the linear tail.
struct Dense<'a, T> {
    out: usize,
    into: usize,
    weights: Vec<T>,
    /// Transposed, for the way forward.
    turned: Vec<T>,
    biases: Option<Vec<T>>,
    activation: Activation,
    /// Rows for its AGOP, where that is wanted.
    wanted: Option<Wanted<'a>>,
}

/// Rows ∂f/∂z (`before` the multiplication by W) or ∂f/∂h, and a fresh sum for them.
pub(crate) struct Wanted<'a> {
    pub(crate) before: bool,
    pub(crate) new: &'a (dyn Fn() -> Accumulator + Sync),
}

/// Narrower weights are not worth a transposed copy.
const TURNED_WIDTH: usize = 64;
/// A block's rows stay in a core's cache ...
const CACHE: usize = 512 << 10;
/// ... unless there were fewer than this many times the widest layer: then most of the time would go
/// into packing weights.
const ROWS_PER_WIDTH: usize = 5;
/// Sums that are added up at the end, at most.
const PARTS: usize = 8;

/// The numbers of a tensor of this dtype.
///
/// # Panics
/// Where the device fails to hand out its data.
fn read<T: Real, const D: usize>(tensor: Tensor<D>) -> Vec<T> {
    match tensor.inner().into_data().try_into_vec() {
        Ok(values) => values,
        Err(error) => panic!("the device did not hand out a tensor: {error:?}"),
    }
}

impl<'a, T: Real> HostSweep<'a, T> {
    /// `weights` are the chain's, and `wanted` one per layer of those that are swept.
    pub(crate) fn new(
        chain: &Chain,
        weights: &[Mat],
        tail: &Mat,
        x: &'a Tensor<2>,
        samples: Option<&[f64]>,
        wanted: Vec<Option<Wanted<'a>>>,
    ) -> Self {
        let bias = |l: usize| Some(read::<T, 1>(chain.biases[l].as_ref()?.clone()));
        let dense = |(l, wanted): (usize, Option<Wanted<'a>>)| {
            let (out, into) = (weights[l].nrows(), weights[l].ncols());
            Dense {
                out,
                into,
                weights: row_major(&weights[l]),
                turned: if out.min(into) >= TURNED_WIDTH { column_major(&weights[l]) } else { Vec::new() },
                biases: bias(l),
                activation: chain.activations[l],
                wanted,
            }
        };
        HostSweep {
            layers: wanted.into_iter().enumerate().map(dense).collect(),
            outputs: tail.nrows(),
            tail: row_major(tail),
            x,
            roots: samples.map(|weights| weights.iter().map(|w| T::from_f64(w.sqrt())).collect()),
            block: 0,
            memory: 0,
            sketch: None,
        }
    }

    /// Random combinations instead of every output.
    pub(crate) fn sketched(mut self, sketch: Option<Sketch<'a>>) -> Self {
        self.sketch = sketch;
        self
    }

    /// Samples per block: as asked for, else what the cache and `memory` hold.
    pub(crate) fn in_blocks(mut self, batch: Option<usize>, memory: usize) -> Self {
        let widest = self.widest();
        let along: usize = self.layers.iter().map(|layer| layer.out).sum::<usize>() + 2 * widest;
        let rows = self.rows_per_sample();
        // Forward buffers have a row per sample, backward ones a row per sample and output.
        let bytes = std::mem::size_of::<T>() * (along + 2 * rows * widest);
        let wanted = (CACHE / bytes).max((ROWS_PER_WIDTH * widest).div_ceil(rows));
        let block = batch.unwrap_or_else(|| wanted.min(memory / 2 / bytes));
        self.block = block.clamp(1, self.samples().max(1));
        self.memory = memory;
        self
    }

    /// The longest row that is held: the first layer's input is x itself, and rows are carried to it only
    /// where they are wanted there.
    fn widest(&self) -> usize {
        let held = self.layers.iter().enumerate().map(|(l, layer)| match &layer.wanted {
            Some(wanted) if !wanted.before => layer.out.max(layer.into),
            _ if l > 0 => layer.out.max(layer.into),
            _ => layer.out,
        });
        held.max().unwrap_or(1)
    }

    fn samples(&self) -> usize {
        self.x.dims()[0]
    }

    fn rows_per_sample(&self) -> usize {
        self.sketch.map_or(self.outputs, |(draws, _)| draws)
    }

    /// The sums of every layer's rows; `None` where none are wanted.
    pub(crate) fn run(&self) -> Vec<Option<Accumulator>> {
        let n = self.samples();
        let wanted = || self.layers.iter().filter(|layer| layer.wanted.is_some());
        let sums: usize = wanted().map(|layer| 8 * layer.rows_length().pow(2)).sum();
        // Powers of two are shared out evenly.
        let most = PARTS.min(4 * self.memory / sums.max(1)).max(1);
        let parts = n.div_ceil(self.block).max(1).next_power_of_two().min(1 << most.ilog2());
        let blocks = parts * n.div_ceil(parts * self.block).max(1);
        let block = n.div_ceil(blocks).max(1);
        let part = |p: usize| self.part(p * blocks / parts..(p + 1) * blocks / parts, block, parts == 1);
        let found: Vec<Vec<Option<Accumulator>>> = match parts == 1 || rayon::current_num_threads() == 1 {
            true => (0..parts).map(part).collect(),
            false => (0..parts).into_par_iter().with_max_len(1).map(part).collect(),
        };
        found
            .into_iter()
            .reduce(|mut all, part| {
                for (all, part) in all.iter_mut().zip(&part) {
                    if let (Some(all), Some(part)) = (all, part) {
                        all.merge(part);
                    }
                }
                all
            })
            .unwrap_or_default()
    }

    /// The sums over some blocks of so many samples; with `alone` every product on all cores.
    fn part(&self, blocks: Range<usize>, block: usize, alone: bool) -> Vec<Option<Accumulator>> {
        let mut buffers = Buffers::new(self);
        let mut sums: Vec<Option<Sum<T>>> = self
            .layers
            .iter()
            .map(|layer| layer.wanted.as_ref().map(|wanted| Sum::new((wanted.new)(), layer.rows_length())))
            .collect();
        let n = self.samples();
        for k in blocks {
            let samples = (k * block).min(n)..((k + 1) * block).min(n);
            self.forward(samples.clone(), &mut buffers, alone);
            self.backward(samples, &mut buffers, &mut sums, alone);
        }
        sums.into_iter().map(|sum| sum.map(Sum::finish)).collect()
    }

    fn forward(&self, samples: Range<usize>, buffers: &mut Buffers<T>, alone: bool) {
        let b = samples.len();
        let Buffers { here, next, slopes, .. } = buffers;
        let x = read::<T, 2>(self.x.clone().slice([samples]));
        for (l, layer) in self.layers.iter().enumerate() {
            let input = match l {
                0 => &x[..],
                _ => &here[..b * layer.into],
            };
            let z = &mut next[..b * layer.out];
            let how = match &layer.biases {
                None => Into::Set,
                Some(biases) => {
                    z.chunks_exact_mut(layer.out).for_each(|row| row.copy_from_slice(biases));
                    Into::Add
                }
            };
            let weights = match layer.turned.is_empty() {
                true => View::new(&layer.weights, layer.out, layer.into).t(),
                false => View::new(&layer.turned, layer.into, layer.out),
            };
            multiply(z, layer.out, how, View::new(input, b, layer.into), weights, alone);
            if layer.activation != Activation::Linear {
                vector::activate(layer.activation, z, Some(&mut slopes[l][..b * layer.out]));
            }
            std::mem::swap(here, next);
        }
    }

    fn backward(&self, samples: Range<usize>, buffers: &mut Buffers<T>, sums: &mut [Option<Sum<T>>], alone: bool) {
        let (b, c) = (samples.len(), self.rows_per_sample());
        let Buffers { delta, through, slopes, .. } = buffers;
        let Some(last) = self.layers.len().checked_sub(1) else { return };
        self.start(samples, &mut delta[..b * c * self.layers[last].out]);
        let first = sums.iter().position(Option::is_some).unwrap_or(0);
        for (l, layer) in self.layers.iter().enumerate().skip(first).rev() {
            let at_z = &mut delta[..b * c * layer.out];
            if layer.activation != Activation::Linear {
                // ∂f/∂z = ∂f/∂h ∘ φ'(z), the same φ' for every output of a sample.
                for (rows, slope) in at_z.chunks_exact_mut(c * layer.out).zip(slopes[l].chunks_exact(layer.out)) {
                    rows.chunks_exact_mut(layer.out).for_each(|row| vector::scale(row, slope));
                }
            }
            let at_z = View::new(at_z, b * c, layer.out);
            let after = layer.wanted.as_ref().is_some_and(|wanted| !wanted.before);
            if l > first || after {
                let into = &mut through[..b * c * layer.into];
                multiply(into, layer.into, Into::Set, at_z, View::new(&layer.weights, layer.out, layer.into), alone);
            }
            if let Some(sum) = &mut sums[l] {
                match after {
                    true => sum.push(View::new(through, b * c, layer.into), alone),
                    false => sum.push(at_z, alone),
                }
            }
            std::mem::swap(delta, through);
        }
    }

    /// √w ∂f/∂h at the linear tail, for each sample and output (or each random combination of outputs).
    fn start(&self, samples: Range<usize>, rows: &mut [T]) {
        let width = self.tail.len() / self.outputs.max(1);
        let c = self.rows_per_sample();
        match &self.sketch {
            None => rows.chunks_exact_mut(self.tail.len()).for_each(|rows| rows.copy_from_slice(&self.tail)),
            Some((draws, signs)) => {
                let signs: Vec<T> = signs(samples.clone()).into_iter().map(T::from_f64).collect();
                let signs = View::new(&signs, samples.len() * draws, self.outputs);
                product(rows, width, Into::Set, signs, View::new(&self.tail, self.outputs, width));
            }
        }
        if let Some(roots) = &self.roots {
            for (rows, &root) in rows.chunks_exact_mut(c * width).zip(&roots[samples]) {
                rows.iter_mut().for_each(|value| *value *= root);
            }
        }
    }
}

fn multiply<T: Real>(c: &mut [T], stride: usize, how: Into, a: View<'_, T>, b: View<'_, T>, alone: bool) {
    match alone {
        true => product_on_all_cores(c, stride, how, a, b),
        false => product(c, stride, how, a, b),
    }
}

impl<T> Dense<'_, T> {
    /// Numbers in each of its rows.
    fn rows_length(&self) -> usize {
        match &self.wanted {
            Some(wanted) if !wanted.before => self.into,
            _ => self.out,
        }
    }
}

/// Everything that a block needs, allocated once a part.
struct Buffers<T> {
    here: Vec<T>,
    next: Vec<T>,
    /// φ'(z), by layer.
    slopes: Vec<Vec<T>>,
    delta: Vec<T>,
    through: Vec<T>,
}

impl<T: Real> Buffers<T> {
    fn new(sweep: &HostSweep<'_, T>) -> Self {
        let zeros = |count: usize| vec![T::from_f64(0.0); count];
        let b = sweep.block;
        let out = sweep.layers.iter().map(|layer| layer.out).max().unwrap_or(0);
        let rows = b * sweep.rows_per_sample() * sweep.widest();
        Buffers {
            here: zeros(b * out),
            next: zeros(b * out),
            slopes: sweep.layers.iter().map(|layer| zeros(b * layer.out)).collect(),
            delta: zeros(rows),
            through: zeros(rows),
        }
    }
}

/// An accumulator, and where Gram matrices are summed the lower triangle so far, row-major.
struct Sum<T> {
    total: Accumulator,
    lower: Vec<f64>,
    block: Vec<T>,
    dim: usize,
    rows: usize,
}

impl<T: Real> Sum<T> {
    fn new(total: Accumulator, dim: usize) -> Self {
        let size = if total.is_factor() { 0 } else { dim * dim };
        Sum { total, lower: vec![0.0; size], block: vec![T::from_f64(0.0); size], dim, rows: 0 }
    }

    fn push(&mut self, rows: View<'_, T>, alone: bool) {
        let Sum { total, lower, block, dim, rows: count } = self;
        if total.is_factor() {
            return total.push(&to_mat(rows));
        }
        match alone {
            true => symmetric_on_all_cores(block, Into::Set, rows, rows),
            false => symmetric(block, Into::Set, rows, rows),
        }
        // A block's sum is in its precision, all of them together in f64.
        for (i, (lower, block)) in lower.chunks_exact_mut(*dim).zip(block.chunks_exact(*dim)).enumerate() {
            lower[..=i].iter_mut().zip(block).for_each(|(sum, term)| *sum += term.to_f64());
        }
        *count += rows.size()[0];
    }

    fn finish(mut self) -> Accumulator {
        if !self.total.is_factor() {
            mirror(&mut self.lower, self.dim);
            self.total.push_gram(&Mat::from_fn(self.dim, self.dim, |i, j| self.lower[j * self.dim + i]), self.rows);
        }
        self.total
    }
}

fn to_mat<T: Real>(rows: View<'_, T>) -> Mat {
    let [count, dim] = rows.size();
    let mut matrix = Mat::zeros(count, dim);
    let values: Vec<&[T]> = rows.row_slices().collect();
    tiles(count, dim, |i, j| matrix[(i, j)] = values[i][j].to_f64());
    matrix
}
