//! The training loss as solvers see it: rows of a step, one evaluation at a time.

use std::cell::RefCell;
use std::ops::Range;

use burn::tensor::{Int, Tensor, TensorData};
use nfa_models::{AnyNetwork, Parameters, Stream};

use crate::data::split::Split;
use crate::minimise::Function;
use crate::minimise::problems::Rotated;
use crate::train::loss::Loss;
use crate::train::loss::criterion::Criterion;
use crate::train::rows::{Batches, HostRows, Rows, compress, is_linear_map};
use crate::train::second_order::function::FunctionNetwork;

/// A loss on the training rows, whole or in batches.
///
/// The batch of a step is a function of the seed and the step alone, so a resumed run sees the
/// rows that an unbroken one would.
pub struct Training<'a> {
    loss: &'a dyn Loss,
    rows: Rows,
    count: usize,
    /// What the network is a form of, where it is one.
    function: Option<Rotated>,
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
            None if loss.is_squared() && is_linear_map(network) => compress(split),
            None => Rows::Full {
                inputs: split.inputs.clone(),
                targets: split.targets.clone(),
                weights: split.weight_column(),
            },
        };
        let function = network.as_any().downcast_ref::<FunctionNetwork>().map(FunctionNetwork::function);
        Training { loss, rows, count, function: function.filter(|_| loss.is_output()) }
    }

    /// On all rows at once, every one of them read at every step, also where second moments would do:
    /// what a benchmark of steps on n rows counts.
    pub fn of_all_rows(split: &Split, loss: &'a dyn Loss) -> Self {
        let rows =
            Rows::Full { inputs: split.inputs.clone(), targets: split.targets.clone(), weights: split.weight_column() };
        Training { loss, rows, count: split.rows(), function: None }
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

impl Objective for Training<'_> {
    fn evaluate(&self, network: &dyn AnyNetwork, step: u64) -> (Tensor<1>, Parameters) {
        match &self.rows {
            Rows::Full { inputs, targets, weights } => network
                .gradient(&|net| self.loss.value(net.outputs(inputs.clone()), targets, weights.as_ref(), self.count)),
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
                    self.loss.value(net.outputs(inputs.clone()), &targets, weights.as_ref(), rows.len())
                })
            }
        }
    }

    fn rows(&self) -> Option<(LossRows, Criterion)> {
        let criterion = self.loss.criterion()?;
        match &self.rows {
            Rows::Full { inputs, targets, weights } => {
                let rows = LossRows {
                    inputs: inputs.clone(),
                    targets: targets.clone(),
                    weights: weights.clone(),
                    count: self.count,
                };
                Some((rows, criterion))
            }
            Rows::Batches { .. } => None,
        }
    }

    fn function(&self) -> Option<Box<dyn Function + Send>> {
        let function = self.function.clone()?;
        Some(Box::new(function))
    }
}

/// The value of a one-element tensor; NaN where the device hands out nothing.
pub fn scalar(tensor: Tensor<1>) -> f64 {
    tensor.inner().try_into_vec_as::<f64>().ok().and_then(|values| values.first().copied()).unwrap_or(f64::NAN)
}

/// What is minimised, without the penalty: solvers add decay in their own way.
pub trait Objective {
    /// The loss on the rows of this step, shape `[1]`, and its gradient.
    fn evaluate(&self, network: &dyn AnyNetwork, step: u64) -> (Tensor<1>, Parameters);

    /// The rows and the loss themselves, for solvers that derive second derivatives of their own: where every step
    /// has the same rows and the loss is one that is known on slices.
    fn rows(&self) -> Option<(LossRows, Criterion)> {
        None
    }

    /// The loss as a function of the network's parameters with second derivatives of its own, where it is such a
    /// function.
    fn function(&self) -> Option<Box<dyn Function + Send>> {
        None
    }
}

/// Rows of a loss.
#[derive(Clone, Debug)]
pub struct LossRows {
    /// `[n, d]`
    pub inputs: Tensor<2>,
    /// `[n, c]`
    pub targets: Tensor<2>,
    /// `[n, 1]`
    pub weights: Option<Tensor<2>>,
    /// The n of the mean: rows may stand for more than there are.
    pub count: usize,
}

impl LossRows {
    /// Some of them, of the same mean.
    pub fn only(&self, rows: Range<usize>) -> Self {
        let cut = |tensor: &Tensor<2>| {
            let [_, width] = tensor.dims();
            tensor.clone().slice([rows.clone(), 0..width])
        };
        LossRows {
            inputs: cut(&self.inputs),
            targets: cut(&self.targets),
            weights: self.weights.as_ref().map(cut),
            count: self.count,
        }
    }
}
