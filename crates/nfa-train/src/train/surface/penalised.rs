//! The penalised objective as a function of one vector on the host: for solvers that measure a step
//! as a whole.

use burn::tensor::{DType, Tensor, TensorData};
use nfa_models::{AnyNetwork, Parameters};

use crate::train::decay::Decay;
use crate::train::objective::Objective;
use crate::train::solver::StepError;

/// All parameters behind each other, in `f64`.
pub(in crate::train) fn flatten(parameters: &Parameters) -> Result<Vec<f64>, StepError> {
    read(values(parameters))
}

fn values(parameters: &Parameters) -> Vec<Tensor<1>> {
    parameters.iter().map(|parameter| parameter.value.clone().inner()).collect()
}

/// Tensors behind each other, waiting for the device once.
fn read(tensors: Vec<Tensor<1>>) -> Result<Vec<f64>, StepError> {
    if tensors.is_empty() {
        return Ok(Vec::new());
    }
    Tensor::cat(tensors, 0).try_into_vec_as::<f64>().map_err(|error| StepError::Device(error.to_string()))
}

/// The inverse of [`flatten`], on the device and in the dtype of `like`.
pub(in crate::train) fn spread(like: &Parameters, values: &[f64]) -> Parameters {
    let mut rest = values;
    like.map(|parameter| {
        let (own, after) = rest.split_at(parameter.value.dims()[0]);
        rest = after;
        let data = TensorData::new(own.to_vec(), [own.len()]);
        Tensor::from_data(data, (&parameter.value.device(), parameter.value.dtype()))
    })
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(super) fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

/// x + t·d.
pub(super) fn along(x: &[f64], t: f64, d: &[f64]) -> Vec<f64> {
    x.iter().zip(d).map(|(x, d)| x + t * d).collect()
}

/// Loss + (λ/2)|W|² over the parameters of a network, at one step's rows.
pub(super) struct Surface<'a> {
    network: &'a mut dyn AnyNetwork,
    objective: &'a dyn Objective,
    step: u64,
    like: Parameters,
    /// λ of each entry: 0 in biases that don't decay.
    decay: Vec<f64>,
    /// How many gradients were evaluated.
    pub(super) evaluations: u64,
}

/// The surface at a point.
#[derive(Debug)]
pub(super) struct Point {
    /// The parameters as the network holds them, rounded to its dtype.
    pub(super) x: Vec<f64>,
    /// Loss and penalty.
    pub(super) value: f64,
    /// The gradient of both.
    pub(super) slope: Vec<f64>,
    /// The loss alone, shape `[1]`.
    pub(super) loss: Tensor<1>,
    /// Its gradient.
    pub(super) gradient: Parameters,
}

impl Point {
    pub(super) fn is_finite(&self) -> bool {
        self.value.is_finite() && self.slope.iter().all(|v| v.is_finite())
    }
}

impl<'a> Surface<'a> {
    pub(super) fn new(network: &'a mut dyn AnyNetwork, objective: &'a dyn Objective, step: u64, decay: Decay) -> Self {
        let like = network.parameters();
        let decay = like
            .iter()
            .flat_map(|parameter| std::iter::repeat_n(decay.of(parameter.is_bias()), parameter.value.dims()[0]));
        let decay = decay.collect();
        Surface { network, objective, step, like, decay, evaluations: 0 }
    }

    /// The surface where the network stands.
    pub(super) fn here(&mut self) -> Result<Point, StepError> {
        let x = flatten(&self.network.parameters())?;
        self.evaluate(x)
    }

    /// Moves the network.
    pub(super) fn go(&mut self, x: &[f64]) -> Result<(), StepError> {
        Ok(self.network.set_parameters(&spread(&self.like, x))?)
    }

    /// Moves the network and evaluates there.
    pub(super) fn at(&mut self, x: &[f64]) -> Result<Point, StepError> {
        self.go(x)?;
        self.evaluate(self.rounded(x))
    }

    /// The surface where the network stands, which is `x`: the device is waited for once.
    fn evaluate(&mut self, x: Vec<f64>) -> Result<Point, StepError> {
        let (loss, gradient) = self.objective.evaluate(self.network, self.step);
        self.evaluations += 1;
        let mut tensors = values(&gradient);
        tensors.push(loss.clone().inner());
        let mut raw = read(tensors)?;
        let value = raw.pop().unwrap_or(f64::NAN);
        let slope: Vec<f64> = raw.iter().zip(&x).zip(&self.decay).map(|((g, x), decay)| g + decay * x).collect();
        let penalty: f64 = x.iter().zip(&self.decay).map(|(x, decay)| 0.5 * decay * x * x).sum();
        Ok(Point { value: value + penalty, x, slope, loss, gradient })
    }

    /// A vector rounded to what the network's dtype, and so a checkpoint, can hold.
    pub(super) fn rounded(&self, values: &[f64]) -> Vec<f64> {
        TensorData::new(values.to_vec(), [values.len()]).convert_dtype(self.dtype()).iter::<f64>().collect()
    }

    /// Names and shapes.
    pub(super) fn like(&self) -> &Parameters {
        &self.like
    }

    /// The machine epsilon of what the network computes in.
    pub(super) fn epsilon(&self) -> f64 {
        nfa_metrics::epsilon(self.dtype())
    }

    fn dtype(&self) -> DType {
        self.like.iter().next().map_or(DType::F64, |parameter| parameter.value.dtype())
    }
}
