//! The factored AGOP on the CPU, without a tensor library between the products.
//!
//! Blocks of samples go forward and back on a core each, with buffers that are allocated once and so
//! small that they stay in its cache; Gram matrices are formed at half the work. Sums are kept in a
//! number of parts that depends on the problem alone, so the bytes are the same on any number of cores.

use std::ops::Range;

use nfa_models::Activation;
use nfa_models::host::dense::worth_transposing;
use nfa_models::host::gemm::{Into, View, product};
use nfa_models::host::{Cores, Dense, Real};
use rayon::prelude::*;

use crate::matrix::Mat;
use crate::matrix::accumulator::Accumulator;
use crate::matrix::sandwich::{column_major, row_major};
use crate::observe::agop::sum::Sum;
use crate::observe::host_chain::HostChain;

/// What is swept: a chain up to where its Jacobian is constant, and from which layers rows are wanted.
pub(crate) struct HostSweep<'a, T> {
    layers: Vec<Layer<'a, T>>,
    /// ∂f/∂h where the linear tail begins, `[outputs, width]`.
    tail: Vec<T>,
    outputs: usize,
    /// n.
    samples: usize,
    x: &'a Rows<'a, T>,
    /// √w, one per sample.
    roots: Option<Vec<T>>,
    /// Samples that are swept together, at most.
    block: usize,
    /// Bytes that may be taken by sums that are added up at the end.
    memory: usize,
    /// Random combinations of the outputs instead of all of them.
    sketch: Option<Sketch<'a>>,
    /// What is taken away from every sample's rows, by layer, `[rows per sample, dim]`.
    means: Vec<Option<Vec<T>>>,
}

/// Some rows of x, `[b, d]`, brought here when their turn comes.
pub(crate) type Rows<'a, T> = dyn Fn(Range<usize>) -> Vec<T> + Sync + 'a;

/// Rows of some samples at a layer, `[b * rows per sample, dim]`, grouped by sample.
type Sink<'a, T> = dyn FnMut(usize, Range<usize>, View<'_, T>) + 'a;

/// Draws a sample, and random signs / √draws for a range of samples, `[b * draws, outputs]`.
pub(crate) type Sketch<'a> = (usize, &'a (dyn Fn(Range<usize>) -> Vec<f64> + Sync));

/// A layer in front of the linear tail.
struct Layer<'a, T> {
    out: usize,
    into: usize,
    weights: Vec<T>,
    /// For the way forward, where that is worth it.
    transposed: Option<Vec<T>>,
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

/// A block's rows stay in a core's cache ...
const CACHE: usize = 512 << 10;
/// ... unless there were fewer than this many times the widest layer: then most of the time would go
/// into packing weights.
const ROWS_PER_WIDTH: usize = 5;
/// Sums that are added up at the end, at most.
const PARTS: usize = 8;

impl<'a, T: Real> HostSweep<'a, T> {
    /// `tail` is ∂f/∂h behind the swept layers, of which there is one in `wanted` each.
    pub(crate) fn new(
        chain: &HostChain,
        tail: &Mat,
        samples: usize,
        x: &'a Rows<'a, T>,
        weights: Option<&[f64]>,
        wanted: Vec<Option<Wanted<'a>>>,
    ) -> Self {
        let narrow = |values: &Vec<f64>| values.iter().map(|&value| T::from_f64(value)).collect();
        let layer = |(l, wanted): (usize, Option<Wanted<'a>>)| {
            let weights = &chain.weights[l];
            let (out, into) = (weights.nrows(), weights.ncols());
            Layer {
                out,
                into,
                weights: row_major(weights),
                transposed: worth_transposing(out, into).then(|| column_major(weights)),
                biases: chain.biases[l].as_ref().map(narrow),
                activation: chain.activations[l],
                wanted,
            }
        };
        HostSweep {
            means: wanted.iter().map(|_| None).collect(),
            layers: wanted.into_iter().enumerate().map(layer).collect(),
            outputs: tail.nrows(),
            tail: row_major(tail),
            samples,
            x,
            roots: weights.map(|weights| weights.iter().map(|w| T::from_f64(w.sqrt())).collect()),
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
        self.block = block.clamp(1, self.samples.max(1));
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

    fn rows_per_sample(&self) -> usize {
        self.sketch.map_or(self.outputs, |(draws, _)| draws)
    }

    /// The sums of every layer's rows; `None` where none are wanted.
    pub(crate) fn run(&self) -> Vec<Option<Accumulator>> {
        let n = self.samples;
        let wanted = || self.layers.iter().filter(|layer| layer.wanted.is_some());
        let sums: usize = wanted().map(|layer| 8 * layer.rows_length().pow(2)).sum();
        // Powers of two are shared out evenly.
        let most = PARTS.min(4 * self.memory / sums.max(1)).max(1);
        let parts = n.div_ceil(self.block).max(1).next_power_of_two().min(1 << most.ilog2());
        let blocks = parts * n.div_ceil(parts * self.block).max(1);
        let block = n.div_ceil(blocks).max(1);
        let cores = if parts == 1 { Cores::All } else { Cores::One };
        let part = |p: usize| self.part(p * blocks / parts..(p + 1) * blocks / parts, block, cores);
        let found: Vec<Vec<Option<Sum<T>>>> = match parts == 1 || rayon::current_num_threads() == 1 {
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
            .into_iter()
            .map(|sum| sum.map(Sum::finish))
            .collect()
    }

    /// Hands out the rows of every layer that is wanted, block by block in order.
    pub(crate) fn visit(&self, sink: &mut Sink<'_, T>) {
        self.sweep(0..self.samples.div_ceil(self.block), self.block, Cores::All, sink);
    }

    /// The same sweep with every sample's rows less their mean over the samples.
    pub(crate) fn centered(mut self) -> Self {
        let each = self.rows_per_sample();
        let zeros = |layer: &Layer<'_, T>| layer.wanted.as_ref().map(|_| vec![0.0; each * layer.rows_length()]);
        let mut sums: Vec<Option<Vec<f64>>> = self.layers.iter().map(zeros).collect();
        self.visit(&mut |l, samples, rows| {
            let Some(sum) = &mut sums[l] else { return };
            for (k, row) in rows.row_slices().enumerate() {
                let root = self.root(samples.start + k / each);
                let sum = &mut sum[k % each * row.len()..];
                sum.iter_mut().zip(row).for_each(|(sum, &value)| *sum += (value * root).to_f64());
            }
        });
        let mean = |sum: Vec<f64>| sum.into_iter().map(|sum| T::from_f64(sum / self.samples as f64)).collect();
        self.means = sums.into_iter().map(|sum| sum.map(mean)).collect();
        self
    }

    /// √w of a sample.
    fn root(&self, sample: usize) -> T {
        self.roots.as_ref().map_or(T::from_f64(1.0), |roots| roots[sample])
    }

    /// The sums over some blocks of so many samples.
    fn part(&self, blocks: Range<usize>, block: usize, cores: Cores) -> Vec<Option<Sum<T>>> {
        let mut sums: Vec<Option<Sum<T>>> = self
            .layers
            .iter()
            .map(|layer| layer.wanted.as_ref().map(|wanted| Sum::new((wanted.new)(), layer.rows_length())))
            .collect();
        self.sweep(blocks, block, cores, &mut |l, samples, rows| {
            let Some(sum) = &mut sums[l] else { return };
            let Some(mean) = &self.means[l] else { return sum.push(rows, cores) };
            let [count, dim] = rows.size();
            let own = |(k, row): (usize, &[T])| {
                let each = mean.len() / dim;
                let (root, mean) = (self.root(samples.start + k / each), &mean[k % each * dim..]);
                row.iter().zip(mean).map(|(&value, &mean)| value - root * mean).collect::<Vec<T>>()
            };
            let centered: Vec<T> = rows.row_slices().enumerate().flat_map(own).collect();
            sum.push(View::new(&centered, count, dim), cores);
        });
        sums
    }

    /// Some blocks of so many samples forward and back.
    fn sweep(&self, blocks: Range<usize>, block: usize, cores: Cores, sink: &mut Sink<'_, T>) {
        let mut buffers = Buffers::new(self);
        for k in blocks {
            let samples = (k * block).min(self.samples)..((k + 1) * block).min(self.samples);
            self.forward(samples.clone(), &mut buffers, cores);
            self.backward(samples, &mut buffers, cores, sink);
        }
    }

    fn forward(&self, samples: Range<usize>, buffers: &mut Buffers<T>, cores: Cores) {
        let b = samples.len();
        let Buffers { here, next, slopes, .. } = buffers;
        let x = (self.x)(samples);
        for (l, layer) in self.layers.iter().enumerate() {
            let input = View::new(if l == 0 { &x } else { here }, b, layer.into);
            layer.dense().forward(input, &mut next[..b * layer.out], &mut slopes[l], cores);
            std::mem::swap(here, next);
        }
    }

    fn backward(&self, samples: Range<usize>, buffers: &mut Buffers<T>, cores: Cores, sink: &mut Sink<'_, T>) {
        let (b, c) = (samples.len(), self.rows_per_sample());
        let Buffers { delta, through, slopes, .. } = buffers;
        let Some(last) = self.layers.last() else { return };
        self.start(samples.clone(), &mut delta[..b * c * last.out]);
        let first = self.layers.iter().position(|layer| layer.wanted.is_some()).unwrap_or(0);
        for (l, layer) in self.layers.iter().enumerate().skip(first).rev() {
            let at_z = &mut delta[..b * c * layer.out];
            layer.dense().back_to_z(at_z, &slopes[l][..b * layer.out]);
            let at_z = View::new(at_z, b * c, layer.out);
            let after = layer.wanted.as_ref().is_some_and(|wanted| !wanted.before);
            if l > first || after {
                layer.dense().back_to_h(at_z, &mut through[..b * c * layer.into], cores);
            }
            if layer.wanted.is_some() {
                sink(l, samples.clone(), if after { View::new(through, b * c, layer.into) } else { at_z });
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
                product(rows, width, Into::Set, signs, View::new(&self.tail, self.outputs, width), Cores::One);
            }
        }
        if let Some(roots) = &self.roots {
            for (rows, &root) in rows.chunks_exact_mut(c * width).zip(&roots[samples]) {
                rows.iter_mut().for_each(|value| *value *= root);
            }
        }
    }
}

impl<T: Real> Layer<'_, T> {
    fn dense(&self) -> Dense<'_, T> {
        Dense {
            weights: View::new(&self.weights, self.out, self.into),
            transposed: self.transposed.as_ref().map(|values| View::new(values, self.into, self.out)),
            biases: self.biases.as_deref(),
            activation: self.activation,
        }
    }

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
