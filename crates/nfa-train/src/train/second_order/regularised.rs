//! Cubic regularisation as a solver of networks.

use burn::tensor::{DType, Tensor, TensorData};
use nfa_models::network::placement;
use nfa_models::{AnyNetwork, Parameters, SpecError};

use crate::minimise::columns::{self, COLUMNS};
use crate::minimise::{Arc, Block, Costs, Function, Settings, Stop};
use crate::train::decay::Decay;
use crate::train::objective::Objective;
use crate::train::second_order::by_gradients::ByGradients;
use crate::train::second_order::curvature::Curvature;
use crate::train::second_order::host_chain::HostChain;
use crate::train::second_order::state::{Remembered, of_state, to_state};
use crate::train::second_order::tensor_chain::TensorChain;
use crate::train::setting::Setting;
use crate::train::solver::{End, Solver, State, StateError, Step, StepError};
use crate::train::surface::penalised::{flatten, spread};

/// What of a network is minimised, where that is more than its gradient.
enum Known {
    /// A chain of dense layers on the host.
    Host(Box<dyn Function + Send>),
    /// One on a device.
    Tensors(Box<TensorChain>),
    /// A function of its own.
    Own(Box<dyn Function + Send>),
    /// Its gradient alone.
    Gradient,
}

/// A function of its own with a penalty.
struct Penalised {
    own: Box<dyn Function + Send>,
    decay: Vec<f64>,
    /// Whether its unknowns are kept in single precision.
    single: bool,
}

impl Function for Penalised {
    fn dimension(&self) -> usize {
        self.own.dimension()
    }

    fn value(&mut self, x: &[f64]) -> f64 {
        self.own.value(x)
    }

    fn gradient(&mut self, x: &[f64]) -> Vec<f64> {
        self.own.gradient(x)
    }

    fn products(&mut self, x: &[f64], rows: &[f64]) -> Vec<f64> {
        self.own.products(x, rows)
    }

    fn block(&mut self, x: &[f64], rows: &[f64]) -> Block {
        self.own.block(x, rows)
    }

    fn precision(&self) -> f64 {
        self.own.precision()
    }

    fn costs(&self) -> Costs {
        self.own.costs()
    }

    fn decay(&self) -> &[f64] {
        &self.decay
    }

    fn epsilon(&self) -> f64 {
        if self.single { f64::from(f32::EPSILON) } else { self.own.epsilon() }
    }

    fn round(&self, x: &mut [f64]) {
        if self.single {
            x.iter_mut().for_each(|x| *x = f64::from(*x as f32));
        }
    }
}

/// Cubic regularisation at work.
pub(super) struct Regularised {
    arc: Arc,
    curvature: Curvature,
    decay: Decay,
    steps: u64,
    kept: Remembered,
    known: Option<Known>,
    on_host: bool,
    /// Names and shapes of the parameters, once known.
    like: Parameters,
}

impl Regularised {
    /// At its start; on the host where there is a problem.
    pub(super) fn boxed(
        settings: Settings,
        curvature: Curvature,
        setting: &Setting<'_>,
    ) -> Result<Box<dyn Solver>, SpecError> {
        let settings = Settings { seed: setting.seed, ..settings };
        let arc = Arc::new(settings).map_err(|error| SpecError::value("", error.to_string()))?;
        let decay = setting.decay;
        let host = setting.problem.as_ref().and_then(|problem| {
            let rows = problem.training.host_rows().filter(|rows| rows.batches.is_none())?;
            let each = problem.decays(decay);
            Some(match problem.dtype {
                DType::F64 => Known::Host(Box::new(HostChain::<f64>::new(problem, rows, each, curvature))),
                _ => Known::Host(Box::new(HostChain::<f32>::new(problem, rows, each, curvature))),
            })
        });
        Ok(Box::new(Regularised {
            arc,
            curvature,
            decay,
            steps: 0,
            kept: Remembered::default(),
            on_host: host.is_some(),
            known: host,
            like: Parameters::default(),
        }))
    }

    /// Finds out what there is to know of a network.
    fn learn(&mut self, network: &dyn AnyNetwork, objective: &dyn Objective) {
        self.like = network.parameters();
        if self.known.is_some() {
            return;
        }
        let decays = decays(&self.like, self.decay);
        self.known = Some(match objective.function() {
            Some(own) => Known::Own(Box::new(Penalised { own, decay: decays, single: is_single(network) })),
            None => match (network.chain().filter(|_| is_chain(network)), objective.rows()) {
                (Some(chain), Some((rows, criterion))) => {
                    Known::Tensors(Box::new(TensorChain::new(&chain, rows, criterion, decays, self.curvature)))
                }
                _ => Known::Gradient,
            },
        });
    }

    /// `f` of the function that is minimised; what it could not have is an error.
    fn with<R>(
        &mut self,
        network: &mut dyn AnyNetwork,
        objective: &dyn Objective,
        step: u64,
        f: impl FnOnce(&mut Arc, &mut dyn Function) -> R,
    ) -> Result<R, StepError> {
        let fault = |fault: Option<String>| fault.map_or(Ok(()), |what| Err(StepError::Device(what)));
        match &mut self.known {
            Some(Known::Host(function) | Known::Own(function)) => Ok(f(&mut self.arc, function.as_mut())),
            Some(Known::Tensors(chain)) => {
                let found = f(&mut self.arc, chain.as_mut());
                fault(chain.fault.take())?;
                Ok(found)
            }
            _ => {
                let decay = decays(&self.like, self.decay);
                let epsilon = placement(network).map_or(f64::EPSILON, |(_, dtype)| nfa_metrics::epsilon(dtype));
                let like = &self.like;
                let mut function = ByGradients { network, objective, step, like, decay: &decay, epsilon, fault: None };
                let found = f(&mut self.arc, &mut function);
                fault(function.fault.take())?;
                Ok(found)
            }
        }
    }

    /// The loss alone where loss and penalty are `value`, as a tensor of the network's.
    fn loss(&self, value: f64, x: &[f64]) -> Tensor<1> {
        let decays = decays(&self.like, self.decay);
        let penalty: f64 = decays.iter().zip(x).map(|(decay, x)| 0.5 * decay * x * x).sum();
        let place = self.like.iter().next().map(|first| (first.value.device(), first.value.dtype()));
        let data = TensorData::new(vec![value - penalty], [1]);
        match place {
            Some((device, dtype)) => Tensor::from_data(data, (&device, dtype)),
            None => Tensor::from_data(data, &Default::default()),
        }
    }
}

fn is_single(network: &dyn AnyNetwork) -> bool {
    placement(network).is_some_and(|(_, dtype)| dtype == DType::F32)
}

/// λ of each number.
fn decays(like: &Parameters, decay: Decay) -> Vec<f64> {
    let each = like.iter().map(|parameter| (decay.of(parameter.is_bias()), parameter.value.dims()[0]));
    each.flat_map(|(decay, count)| std::iter::repeat_n(decay, count)).collect()
}

/// Whether the parameters of a network are its layers', one by one and in order.
fn is_chain(network: &dyn AnyNetwork) -> bool {
    let Some(chain) = network.chain() else { return false };
    let shapes = chain.weights.iter().zip(&chain.biases).flat_map(|(weight, bias)| {
        let bias = bias.as_ref().map(|bias| bias.dims().to_vec());
        std::iter::once(weight.dims().to_vec()).chain(bias)
    });
    network.parameters().iter().map(|parameter| parameter.shape.clone()).eq(shapes)
}

impl Solver for Regularised {
    fn step(&mut self, network: &mut dyn AnyNetwork, objective: &dyn Objective, step: u64) -> Result<Step, StepError> {
        self.learn(network, objective);
        let knows_outputs = matches!(self.known, Some(Known::Host(_) | Known::Tensors(_)));
        if self.curvature == Curvature::GaussNewton && !knows_outputs {
            let what = "curvature = \"gauss_newton\" is known of chains of dense layers under half_mse, mse and \
                        cross_entropy alone; leave it out";
            return Err(StepError::Refused(what.into()));
        }
        let mut x = flatten(&network.parameters())?;
        let before = self.arc.memory.work;
        let (start, mut value) = (x.clone(), self.arc.memory.value.unwrap_or(f64::NAN));
        if self.arc.memory.rests.is_none() {
            let iteration = self.with(network, objective, step, |arc, f| arc.step(f, &mut x))?;
            let iteration = iteration.map_err(|error| StepError::Diverged(error.to_string()))?;
            network.set_parameters(&spread(&self.like, &x))?;
            self.kept.last = columns::values(&iteration).map(|value| Some(value).filter(|v| v.is_finite()));
            self.kept.since = iteration.stop.map(|_| step);
            value = iteration.value;
        }
        self.steps += 1;
        let note = self.arc.memory.rests.zip(self.kept.since).map(|(stop, since)| match stop {
            Stop::Gradient => format!("at rest since step {since}: the gradient is small, and no curvature negative"),
            Stop::Curvature => format!(
                "not done: at rest since step {since} with negative curvature left, along which no step lowers the objective"
            ),
            _ => format!("at rest since step {since}: no step lowers the objective or its gradient beyond rounding"),
        });
        Ok(Step {
            loss: self.loss(value, &start),
            gradient: Parameters::default(),
            lr: 1.0,
            evaluations: (self.arc.memory.work.ceil() - before.ceil()) as u64,
            note,
        })
    }

    fn has_host_form(&self) -> bool {
        true
    }

    fn engine(&self) -> &'static str {
        if self.on_host { "host" } else { "autodiff" }
    }

    fn state(&self) -> State {
        let kept = Remembered { memory: self.arc.memory.clone(), ..self.kept.clone() };
        to_state(self.steps, &kept, &self.like)
    }

    fn restore(&mut self, state: State) -> Result<(), StateError> {
        let kept = of_state(&state)?;
        self.arc.restore(kept.memory.clone());
        self.kept = kept;
        self.steps = state.steps;
        Ok(())
    }

    fn decay(&self) -> Decay {
        self.decay
    }

    fn takes_batches(&self) -> bool {
        false
    }

    fn takes_rate(&self) -> bool {
        false
    }

    fn columns(&self) -> Vec<(&'static str, Option<f64>)> {
        COLUMNS.iter().map(|(name, ..)| *name).zip(self.kept.last).collect()
    }

    fn work(&self) -> Option<f64> {
        Some(self.arc.memory.work)
    }

    fn end(&mut self, network: &mut dyn AnyNetwork, objective: &dyn Objective) -> Result<Option<End>, StepError> {
        self.learn(network, objective);
        let x = flatten(&network.parameters())?;
        let stop = self.arc.memory.rests.unwrap_or(Stop::Budget);
        let steps = self.steps;
        let certificate = self.with(network, objective, steps, |arc, f| arc.certify(f, &x, stop))?;
        network.set_parameters(&spread(&self.like, &x))?;
        let value = serde_json::to_value(certificate).unwrap_or_default();
        Ok(Some(End { words: certificate.to_string(), certificate: value }))
    }
}
