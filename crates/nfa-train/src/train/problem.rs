//! What the host engine trains: a network's layers, rows and loss.

use burn::tensor::{DType, Device, Tensor};
use nfa_models::{AnyNetwork, Chain};
use nfa_models::{network::placement, place::is_on_host};

use crate::train::decay::Decay;
use crate::train::loss::Loss;
use crate::train::loss::criterion::Criterion;
use crate::train::objective::Training;

/// What is to be trained on the host: a network's layers, rows and loss.
#[derive(Clone)]
pub struct Problem<'a> {
    pub(crate) widths: Vec<usize>,
    pub(crate) biases: Vec<bool>,
    pub(crate) activations: Vec<nfa_models::Activation>,
    pub(crate) names: Vec<String>,
    pub(crate) device: Device,
    pub(crate) dtype: DType,
    pub(crate) criterion: Criterion,
    /// Where the rows are read from, by the solver that wants them.
    pub(crate) training: &'a Training<'a>,
}

impl<'a> Problem<'a> {
    /// `None` where the network is no chain of dense layers with one parameter each, is not in f32 or
    /// f64 on a CPU, or the loss is none that the host engine knows.
    pub fn new(network: &dyn AnyNetwork, training: &'a Training<'a>) -> Option<Self> {
        let chain = chain(network)?;
        let (device, dtype) = placement(network)?;
        let parameters = network.parameters();
        let first = chain.weights.first()?.dims()[1];
        Some(Problem {
            widths: std::iter::once(first).chain(chain.weights.iter().map(|w| w.dims()[0])).collect(),
            biases: chain.biases.iter().map(Option::is_some).collect(),
            activations: chain.activations,
            names: parameters.iter().map(|parameter| parameter.name.clone()).collect(),
            device,
            dtype,
            criterion: training.loss().criterion()?,
            training,
        })
    }

    /// λ of each parameter, one behind the other.
    pub(crate) fn decays(&self, decay: Decay) -> Vec<f64> {
        let layers = self.widths.windows(2).zip(&self.biases);
        let each = layers.flat_map(|(pair, &bias)| {
            let biases = if bias { pair[1] } else { 0 };
            [(decay.of(false), pair[0] * pair[1]), (decay.of(true), biases)]
        });
        each.flat_map(|(decay, count)| std::iter::repeat_n(decay, count)).collect()
    }

    /// Whether there is one for this network and loss, before rows are at hand.
    pub fn fits(network: &dyn AnyNetwork, loss: &dyn Loss) -> bool {
        chain(network).is_some() && loss.criterion().is_some()
    }
}

/// The chain of a network on the CPU whose parameters are its layers', one by one.
fn chain(network: &dyn AnyNetwork) -> Option<Chain> {
    let chain = network.chain()?;
    let (device, dtype) = placement(network)?;
    if !is_on_host(&device) || !matches!(dtype, DType::F32 | DType::F64) {
        return None;
    }
    let parameters = network.parameters();
    let mut own = parameters.iter();
    // The chain may be made of other things than the parameters, in a network of one's own.
    let mut is_next = |shape: &[usize], value: Tensor<1>| {
        own.next().is_some_and(|parameter| {
            let read = |value: &Tensor<1>| value.clone().inner().try_into_vec_as::<f64>().ok();
            parameter.shape == shape && read(&parameter.value) == read(&value)
        })
    };
    for (weight, bias) in chain.weights.iter().zip(&chain.biases) {
        let [out, into] = weight.dims();
        let same = is_next(&[out, into], weight.clone().reshape([out * into]))
            && bias.as_ref().is_none_or(|bias| is_next(&[out], bias.clone()));
        if !same {
            return None;
        }
    }
    own.next().is_none().then_some(chain)
}

/// Why there is no host engine for a run.
pub const REFUSAL: &str = "the host engine trains chains of dense layers on a CPU device (flex, ndarray) under first-order \
                           and cubic solvers and the losses half_mse, mse and cross_entropy; use engine = \"auto\" or \"autodiff\"";
