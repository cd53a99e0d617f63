//! Solvers: whatever advances the parameters. One file each, one line each in [`solvers`].
//!
//! The boundary is a closure, not a gradient: a solver may evaluate its [`Objective`] as often as
//! it likes and reject steps. First-order rules are written once per tensor ([`Rule`]) and wrapped
//! by [`FirstOrder`]; they have PyTorch's semantics and defaults, with hyper-parameters in `f64`
//! (Burn's own optimisers hold them in `f32`).

use std::fmt;
use std::ops::Range;

use burn::tensor::Tensor;
use nfa_models::host::Real;
use nfa_models::network::{Parameter, ParameterError, is_on_host, placement};
use nfa_models::spec::Component;
use nfa_models::{AnyNetwork, Parameters, Registry, SpecError};
use serde::{Deserialize, Serialize};

use crate::host::{self, Slices};
use crate::objective::scalar;
use crate::schedule::Rate;

pub mod adam;
pub mod adamw;
pub mod flow;
pub mod gd;
pub mod lbfgs;
mod line_search;
pub mod momentum;
pub mod muon;
pub mod nesterov;
pub mod rmsprop;
pub mod sgd;
mod surface;

/// Every built-in solver: one line each.
pub fn solvers() -> Registry<dyn Solver> {
    Registry::new("solver")
        .with::<gd::Gd>()
        .with::<sgd::Sgd>()
        .with::<momentum::Momentum>()
        .with::<nesterov::Nesterov>()
        .with::<rmsprop::RmsProp>()
        .with::<adam::Adam>()
        .with::<adamw::AdamW>()
        .with::<muon::Muon>()
        .with::<lbfgs::Lbfgs>()
        .with::<flow::Flow>()
}

/// What is minimised, without the penalty: solvers add decay in their own way.
pub trait Objective {
    /// The loss on the rows of this step, shape `[1]`, and its gradient.
    fn evaluate(&self, network: &dyn AnyNetwork, step: u64) -> (Tensor<1>, Parameters);
}

/// What a step did.
#[derive(Debug)]
pub struct Step {
    /// The loss before the step, on its rows; shape `[1]`.
    pub loss: Tensor<1>,
    /// The gradient there, without decay.
    pub gradient: Parameters,
    /// The learning rate that was used.
    pub lr: f64,
    /// How many gradients it took.
    pub evaluations: u64,
    /// What a person should know of it: that nothing moves any more.
    pub note: Option<String>,
}

/// What some steps did.
#[derive(Debug)]
pub struct Stretch {
    /// The first step that was not done.
    pub next: u64,
    /// The gradient of the last one, without decay.
    pub gradient: Parameters,
    /// Its learning rate.
    pub lr: f64,
    /// How many gradients they took.
    pub evaluations: u64,
    /// What a person should know of the last one.
    pub note: Option<String>,
}

/// Told each step and the loss before it; `false` asks to stop there.
pub type Watch<'a> = dyn FnMut(u64, f64) -> bool + Send + 'a;

/// Steps whose losses wait on a device until they are read together: reading one makes host and
/// device wait for each other.
const UNREAD: usize = 32;

/// Why there is no next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepError {
    /// Parameters that don't fit the network: a solver's own mistake.
    Parameters(ParameterError),
    /// The device did not hand out its numbers.
    Device(String),
    /// The run has diverged, in words; the network stands at its last sound parameters.
    Diverged(String),
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StepError::Parameters(error) => error.fmt(f),
            StepError::Device(what) => write!(f, "the device did not hand out a tensor: {what}"),
            StepError::Diverged(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for StepError {}

impl From<ParameterError> for StepError {
    fn from(error: ParameterError) -> Self {
        StepError::Parameters(error)
    }
}

/// Anything that advances the parameters of a network.
pub trait Solver: Send {
    /// Does step number `step` (from 0).
    ///
    /// # Errors
    /// Where there is no next step: the run has diverged, or cannot go on.
    fn step(&mut self, network: &mut dyn AnyNetwork, objective: &dyn Objective, step: u64) -> Result<Step, StepError>;

    /// Does `steps`, or fewer where `watch` asks to stop. On a device of its own some more may be done
    /// by then.
    ///
    /// # Errors
    /// As [`Solver::step`], with the number of the step.
    fn advance(
        &mut self,
        network: &mut dyn AnyNetwork,
        objective: &dyn Objective,
        steps: Range<u64>,
        watch: &mut Watch<'_>,
    ) -> Result<Stretch, (u64, StepError)> {
        let wait = if placement(network).is_none_or(|(device, _)| is_on_host(&device)) { 1 } else { UNREAD };
        let mut unread = Vec::with_capacity(wait);
        let (mut evaluations, mut last) = (0, None);
        let mut next = steps.start;
        for step in steps.clone() {
            let done = self.step(network, objective, step).map_err(|error| (step, error))?;
            next = step + 1;
            evaluations += done.evaluations;
            unread.push((step, done.loss.clone()));
            last = Some(done);
            if unread.len() == wait || next == steps.end {
                // Not all(): every loss is told, in order, up to the one that ends it.
                let mut goes_on = unread.drain(..).map(|(step, loss)| watch(step, scalar(loss)));
                if goes_on.any(|on| !on) {
                    break;
                }
            }
        }
        let (gradient, lr, note) = last.map_or_else(Default::default, |step| (step.gradient, step.lr, step.note));
        Ok(Stretch { next, gradient, lr, evaluations, note })
    }

    /// Whether it is a [`Rule`], with one gradient a step: then [`Solver::fused`] is there.
    fn is_first_order(&self) -> bool {
        false
    }

    /// The same solver on the host engine, where it has one.
    fn fused(&self, _problem: host::Problem) -> Option<Box<dyn Solver>> {
        None
    }

    /// What its gradients come from.
    fn engine(&self) -> &'static str {
        "autodiff"
    }

    /// Everything beside the parameters that the next step depends on.
    fn state(&self) -> State;

    /// Takes up a state.
    ///
    /// # Errors
    /// A missing or unexpected entry, in words; nothing is initialised silently.
    fn restore(&mut self, state: State) -> Result<(), String>;

    /// λ of the penalty.
    fn weight_decay(&self) -> f64;

    /// Whether biases decay too.
    fn decays_biases(&self) -> bool;

    /// Whether a step is W - lr (g + λW): then the imbalance obeys its recurrence exactly.
    fn is_plain(&self) -> bool {
        false
    }

    /// Whether it can work on batches.
    fn takes_batches(&self) -> bool {
        true
    }
}

impl Component for dyn Solver {
    type Context<'a> = Rate;
}

/// A solver's memory: counters, numbers and, per slot (a momentum, a second moment), one tensor
/// per parameter, in the network's dtype.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Steps done.
    pub steps: u64,
    /// By name; finite.
    pub numbers: Vec<(String, f64)>,
    /// By slot name.
    pub slots: Vec<(String, Parameters)>,
}

impl State {
    /// The number of this name.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.numbers.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }
}

/// Weight decay, for every solver.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decay {
    /// λ of the penalty (λ/2)|W|².
    pub weight_decay: f64,
    /// Whether it also takes biases.
    pub decay_bias: bool,
}

impl Decay {
    /// Checks λ.
    ///
    /// # Errors
    /// Where it is negative or not finite.
    pub fn check(self) -> Result<(), SpecError> {
        at_least(0.0, "weight_decay", self.weight_decay)
    }
}

/// Checks a lower bound.
pub(crate) fn at_least(low: f64, key: &str, value: f64) -> Result<(), SpecError> {
    if value.is_finite() && value >= low {
        Ok(())
    } else {
        Err(SpecError::value(key, format!("must be finite and at least {low}, not {value}")))
    }
}

/// Checks 0 <= value < 1.
pub(crate) fn below_one(key: &str, value: f64) -> Result<(), SpecError> {
    if (0.0..1.0).contains(&value) {
        Ok(())
    } else {
        Err(SpecError::value(key, format!("must lie in [0, 1), not {value}")))
    }
}

/// One tensor's turn in a first-order step.
#[derive(Debug)]
pub struct Turn<'a> {
    /// The parameter, flat.
    pub value: Tensor<1>,
    /// Its gradient, without decay.
    pub gradient: Tensor<1>,
    /// η.
    pub lr: f64,
    /// λ for this parameter: 0 for biases that don't decay.
    pub decay: f64,
    /// The parameter's true shape.
    pub shape: &'a [usize],
    /// The number of this step, from 1.
    pub t: u64,
    /// This parameter's memory, in the order of [`Rule::SLOTS`]; `None` before the first step.
    pub memory: &'a mut [Option<Tensor<1>>],
}

/// A first-order update rule, one tensor at a time; written twice, for tensors and for the host
/// engine, and held equal by a test.
pub trait Rule: Clone + Send + Sync + 'static {
    /// Names of its memories.
    const SLOTS: &'static [&'static str];
    /// See [`Solver::is_plain`].
    const PLAIN: bool = false;
    /// See [`Solver::takes_batches`].
    const BATCHES: bool = true;
    /// Whether a weight matrix is updated as a whole, not entry by entry.
    const WHOLE: bool = false;

    /// Its decay.
    fn decay(&self) -> Decay;

    /// The parameter's next value.
    fn update(&self, turn: Turn<'_>) -> Tensor<1>;

    /// [`Rule::update`], in place.
    fn advance<T: Real>(&self, turn: Slices<'_, T>);
}

/// A [`Rule`] as a [`Solver`].
#[derive(Debug)]
pub struct FirstOrder<R> {
    rule: R,
    rate: Rate,
    steps: u64,
    /// Names and shapes of the parameters, once known.
    like: Parameters,
    /// Per parameter, per slot.
    memory: Vec<Vec<Option<Tensor<1>>>>,
}

impl<R: Rule> FirstOrder<R> {
    /// At the start.
    pub fn new(rule: R, rate: Rate) -> Self {
        FirstOrder { rule, rate, steps: 0, like: Parameters::default(), memory: Vec::new() }
    }
}

/// The values of every slot of a state, in order.
///
/// # Errors
/// A missing or unexpected entry, in words.
pub(crate) fn check_entries<'a>(state: &'a State, slots: &[&str]) -> Result<Vec<&'a Parameters>, String> {
    let find = |name: &&str| {
        let entry = state.slots.iter().find(|(slot, _)| slot == name);
        entry.map(|(_, values)| values).ok_or(format!("no entry for {name}"))
    };
    let values = slots.iter().map(find).collect::<Result<_, _>>()?;
    if let Some((extra, _)) = state.slots.iter().find(|(slot, _)| !slots.contains(&slot.as_str())) {
        return Err(format!("an unexpected entry {extra}"));
    }
    if let Some((extra, _)) = state.numbers.first() {
        return Err(format!("an unexpected number {extra}"));
    }
    Ok(values)
}

impl<R: Rule> Solver for FirstOrder<R> {
    fn step(&mut self, network: &mut dyn AnyNetwork, objective: &dyn Objective, step: u64) -> Result<Step, StepError> {
        let (loss, gradient) = objective.evaluate(network, step);
        let parameters = network.parameters();
        if self.memory.is_empty() {
            self.memory = vec![vec![None; R::SLOTS.len()]; parameters.len()];
        }
        self.steps += 1;
        let (lr, t) = (self.rate.at(step), self.steps);
        let Decay { weight_decay, decay_bias } = self.rule.decay();
        let mut memories = self.memory.iter_mut();
        let next = parameters.zip(&gradient, |parameter: &Parameter, gradient: &Parameter| {
            let decay = if parameter.is_bias() && !decay_bias { 0.0 } else { weight_decay };
            let mut none = Vec::new();
            let memory = memories.next().unwrap_or(&mut none);
            self.rule.update(Turn {
                value: parameter.value.clone(),
                gradient: gradient.value.clone(),
                lr,
                decay,
                shape: &parameter.shape,
                t,
                memory,
            })
        });
        network.set_parameters(&next)?;
        self.like = parameters;
        Ok(Step { loss, gradient, lr, evaluations: 1, note: None })
    }

    fn is_first_order(&self) -> bool {
        true
    }

    fn fused(&self, problem: host::Problem) -> Option<Box<dyn Solver>> {
        Some(host::fused(self.rule.clone(), self.rate.clone(), problem))
    }

    fn state(&self) -> State {
        let slots = R::SLOTS.iter().enumerate().map(|(slot, name)| {
            let mut memories = self.memory.iter();
            let values = self.like.map(|parameter| {
                let held = memories.next().and_then(|memory| memory[slot].clone());
                held.unwrap_or_else(|| parameter.value.zeros_like())
            });
            (name.to_string(), values)
        });
        State { steps: self.steps, numbers: Vec::new(), slots: slots.collect() }
    }

    fn restore(&mut self, state: State) -> Result<(), String> {
        self.steps = state.steps;
        self.memory.clear();
        if state.steps == 0 {
            return Ok(());
        }
        let slots = check_entries(&state, R::SLOTS)?;
        if let Some(first) = slots.first() {
            self.like = (*first).clone();
            self.memory = (0..first.len())
                .map(|i| slots.iter().map(|values| values.iter().nth(i).map(|p| p.value.clone())).collect())
                .collect();
        }
        Ok(())
    }

    fn weight_decay(&self) -> f64 {
        self.rule.decay().weight_decay
    }

    fn decays_biases(&self) -> bool {
        self.rule.decay().decay_bias
    }

    fn is_plain(&self) -> bool {
        R::PLAIN
    }

    fn takes_batches(&self) -> bool {
        R::BATCHES
    }
}
