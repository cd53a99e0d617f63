//! Rows of a step: all of them, second moments that stand for them, or batches.

use std::cell::RefCell;

use burn::tensor::{Tensor, TensorData};
use nfa_metrics::Mat;
use nfa_metrics::matrix::factor::triangle;
use nfa_metrics::to_host;
use nfa_models::{AnyNetwork, Stream};

use crate::data::split::Split;

pub(crate) enum Rows {
    Full { inputs: Tensor<2>, targets: Tensor<2>, weights: Option<Tensor<2>> },
    Batches { split: Split, batches: RefCell<Batches> },
}

/// Which rows a step reads: every epoch in another order.
#[derive(Clone, Debug)]
pub struct Batches {
    size: usize,
    count: usize,
    stream: Stream,
    epoch: Option<u64>,
    order: Vec<usize>,
}

impl Batches {
    /// `size` of `count` rows at a time.
    pub fn new(size: usize, count: usize, stream: Stream) -> Self {
        Batches { size, count, stream, epoch: None, order: Vec::new() }
    }

    /// Rows of a batch, at most.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The rows of a step; the last batch of an epoch may have fewer.
    pub fn rows(&mut self, step: u64) -> &[usize] {
        let per_epoch = self.count.div_ceil(self.size) as u64;
        let (epoch, slot) = (step / per_epoch, (step % per_epoch) as usize);
        if self.epoch != Some(epoch) {
            self.order = self.stream.fork_index(epoch).permutation(self.count);
            self.epoch = Some(epoch);
        }
        &self.order[slot * self.size..((slot + 1) * self.size).min(self.count)]
    }
}

/// The rows of an objective on the host, for the host engine.
#[derive(Debug)]
pub struct HostRows {
    /// `[n, d]`, row-major.
    pub inputs: Vec<f64>,
    /// `[n, c]`, row-major.
    pub targets: Vec<f64>,
    /// `[n]`
    pub weights: Option<Vec<f64>>,
    /// The n of the mean over all rows: these may stand for more than there are.
    pub count: usize,
    /// The batches, if not all rows are read at once.
    pub batches: Option<Batches>,
}

/// Whether the network is linear without biases.
pub(crate) fn is_linear_map(network: &dyn AnyNetwork) -> bool {
    network.chain().is_some_and(|chain| chain.is_linear() && chain.biases.iter().all(Option::is_none))
}

pub(crate) fn compress(split: &Split) -> Rows {
    let (inputs, targets) = (to_host(split.inputs.clone()), to_host(split.targets.clone()));
    let (n, d, c) = (inputs.nrows(), inputs.ncols(), targets.ncols());
    if n <= d + c {
        return Rows::Full {
            inputs: split.inputs.clone(),
            targets: split.targets.clone(),
            weights: split.weight_column(),
        };
    }
    let root = |i: usize| split.weights.as_ref().map_or(1.0, |w| w[i].sqrt());
    let both = Mat::from_fn(n, d + c, |i, j| root(i) * if j < d { inputs[(i, j)] } else { targets[(i, j - d)] });
    let r = triangle(&both);
    let upload = |from: usize, to: usize| {
        let data = (0..r.nrows()).flat_map(|i| (from..to).map(move |j| (i, j))).map(|at| r[at]).collect::<Vec<f64>>();
        Tensor::from_data(TensorData::new(data, [r.nrows(), to - from]), (&split.inputs.device(), split.inputs.dtype()))
    };
    Rows::Full { inputs: upload(0, d), targets: upload(d, d + c), weights: None }
}
