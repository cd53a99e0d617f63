//! The training loss as solvers see it: rows of a step, one evaluation at a time.

use std::cell::RefCell;

use burn::tensor::{Int, Tensor, TensorData};
use nfa_metrics::factor::triangle;
use nfa_metrics::jacobian::to_host;
use nfa_metrics::{Mat, Scores};
use nfa_models::{AnyNetwork, Parameters, Stream};

use crate::data::Split;
use crate::loss::Loss;
use crate::solver::Objective;

/// A loss on the training rows, whole or in batches.
///
/// The batch of a step is a function of the seed and the step alone, so a resumed run sees the
/// rows that an unbroken one would.
pub struct Training<'a> {
    loss: &'a dyn Loss,
    rows: Rows,
    count: usize,
}

enum Rows {
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

impl<'a> Training<'a> {
    /// On all rows at once, or on batches of `batch`.
    ///
    /// A linear network without biases reads a squared loss's data through second moments alone:
    /// [X Y] = QR gives |XPᵀ - Y|² = |R_xPᵀ - R_y|² exactly, so full-batch steps run on the at most
    /// d + c rows of R, whatever the sample size.
    pub fn new(
        split: &Split,
        loss: &'a dyn Loss,
        batch: Option<usize>,
        network: &dyn AnyNetwork,
        stream: &Stream,
    ) -> Self {
        let count = split.rows();
        let rows = match batch.filter(|&size| size < count) {
            Some(size) => Rows::Batches {
                split: split.clone(),
                batches: RefCell::new(Batches::new(size, count, stream.fork("batches"))),
            },
            None if loss.is_squared() && reads_moments(network) => compress(split),
            None => Rows::Full {
                inputs: split.inputs.clone(),
                targets: split.targets.clone(),
                weights: split.weight_column(),
            },
        };
        Training { loss, rows, count }
    }

    /// On all rows at once, every one of them read at every step, also where second moments would do:
    /// what a benchmark of steps on n rows counts.
    pub fn of_all_rows(split: &Split, loss: &'a dyn Loss) -> Self {
        let rows =
            Rows::Full { inputs: split.inputs.clone(), targets: split.targets.clone(), weights: split.weight_column() };
        Training { loss, rows, count: split.rows() }
    }

    /// What is minimised.
    pub fn loss(&self) -> &dyn Loss {
        self.loss
    }

    /// The rows on the host; `None` where the device does not hand them out.
    pub fn host_rows(&self) -> Option<HostRows> {
        let read = |tensor: &Tensor<2>| tensor.clone().inner().try_into_vec_as::<f64>().ok();
        let (inputs, targets, weights, batches) = match &self.rows {
            Rows::Full { inputs, targets, weights } => (inputs, targets, weights.clone(), None),
            Rows::Batches { split, batches } => {
                (&split.inputs, &split.targets, split.weight_column(), Some(batches.borrow().clone()))
            }
        };
        let weights = match weights {
            Some(weights) => Some(read(&weights)?),
            None => None,
        };
        Some(HostRows { inputs: read(inputs)?, targets: read(targets)?, weights, count: self.count, batches })
    }

    /// How many rows a full-batch step reads, where they were compressed.
    pub fn compressed_rows(&self) -> Option<usize> {
        match &self.rows {
            Rows::Full { inputs, .. } => Some(inputs.dims()[0]).filter(|&rows| rows != self.count),
            Rows::Batches { .. } => None,
        }
    }
}

/// Whether the network is linear without biases.
fn reads_moments(network: &dyn AnyNetwork) -> bool {
    network.chain().is_some_and(|chain| chain.is_linear() && chain.biases.iter().all(Option::is_none))
}

fn compress(split: &Split) -> Rows {
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

impl Objective for Training<'_> {
    fn evaluate(&self, network: &dyn AnyNetwork, step: u64) -> (Tensor<1>, Parameters) {
        match &self.rows {
            Rows::Full { inputs, targets, weights } => network
                .gradient(&|net| self.loss.value(net.forward(inputs.clone()), targets, weights.as_ref(), self.count)),
            Rows::Batches { split, batches } => {
                let mut batches = batches.borrow_mut();
                let rows = batches.rows(step);
                let device = split.inputs.device();
                let indices: Vec<i64> = rows.iter().map(|&i| i as i64).collect();
                let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [rows.len()]), &device);
                let inputs = split.inputs.clone().select(0, indices.clone());
                let targets = split.targets.clone().select(0, indices.clone());
                let weights = split.weight_column().map(|w| w.select(0, indices));
                network.gradient(&|net| {
                    self.loss.value(net.forward(inputs.clone()), &targets, weights.as_ref(), rows.len())
                })
            }
        }
    }
}

/// Loss and accuracy on a split, and the network's outputs read once for both.
pub fn scores(network: &dyn AnyNetwork, split: &Split, loss: &dyn Loss, classes: bool) -> Scores {
    let outputs = network.forward(split.inputs.clone()).inner();
    let value = loss.value(outputs.clone(), &split.targets, split.weight_column().as_ref(), split.rows());
    let accuracy = (classes && split.targets.dims()[1] > 1).then(|| {
        let (outputs, targets) = (to_host(outputs), to_host(split.targets.clone()));
        let weight = |i: usize| split.weights.as_ref().map_or(1.0, |w| w[i]);
        let right: f64 = (0..split.rows()).filter(|&i| largest(&outputs, i) == largest(&targets, i)).map(weight).sum();
        right / split.rows() as f64
    });
    Scores { loss: scalar(value), accuracy }
}

fn largest(rows: &Mat, i: usize) -> usize {
    (0..rows.ncols()).fold(0, |best, j| if rows[(i, j)] > rows[(i, best)] { j } else { best })
}

/// The value of a one-element tensor; NaN where the device hands out nothing.
pub fn scalar(tensor: Tensor<1>) -> f64 {
    tensor.inner().try_into_vec_as::<f64>().ok().and_then(|values| values.first().copied()).unwrap_or(f64::NAN)
}

/// (λ/2)|W|² of what decays.
pub fn penalty(parameters: &Parameters, decay: f64, biases: bool) -> f64 {
    if decay == 0.0 {
        return 0.0;
    }
    let decaying = parameters.iter().filter(|p| biases || !p.is_bias());
    0.5 * decay * decaying.map(|p| scalar(p.value.clone().powi_scalar(2).sum())).sum::<f64>()
}
