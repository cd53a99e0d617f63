//! Solvers: whatever advances the parameters. One file each, one line each in
//! [`solvers`](crate::train::solvers::solvers).
//!
//! The boundary is a closure, not a gradient: a solver may evaluate its [`Objective`] as often as
//! it likes and reject steps. First-order rules are written once, entry by entry
//! ([`Rule`](crate::train::first_order::rule::Rule)); they have PyTorch's semantics and defaults, with
//! hyper-parameters in `f64` (Burn's own optimisers hold them in `f32`).

use std::fmt;
use std::ops::Range;

use burn::tensor::Tensor;
use nfa_models::network::placement;
use nfa_models::parameters::ParameterError;
use nfa_models::place::is_on_host;
use nfa_models::spec::Component;
use nfa_models::{AnyNetwork, Parameters};

use crate::record::theory::{Clock, DecayLaw};
use crate::train::decay::Decay;
use crate::train::objective::{Objective, scalar};
use crate::train::setting::Setting;

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
    /// What was asked for does not go with this network, in words.
    Refused(String),
    /// The run has diverged, in words; the network stands at its last sound parameters.
    Diverged(String),
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StepError::Parameters(error) => error.fmt(f),
            StepError::Device(what) => write!(f, "the device did not hand out a tensor: {what}"),
            StepError::Refused(what) | StepError::Diverged(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for StepError {}

impl From<ParameterError> for StepError {
    fn from(error: ParameterError) -> Self {
        StepError::Parameters(error)
    }
}

/// Anything that advances the parameters of a network. What takes one gradient a step and works entry by entry
/// is written as a [`Rule`](crate::train::first_order::rule::Rule) instead.
///
/// # Example
///
/// ```
/// use nfa_models::{AnyNetwork, Spec, SpecError};
/// use nfa_train::train::decay::Decay;
/// use nfa_train::train::objective::{Objective, scalar};
/// use nfa_train::train::rate::Rate;
/// use nfa_train::train::setting::Setting;
/// use nfa_train::train::solver::{Solver, State, StateError, Step, StepError};
/// use serde::{Deserialize, Serialize};
///
/// /// A step of length lr along the gradient of loss + (λ/2)|W|².
/// struct Walk {
///     rate: Rate,
///     decay: Decay,
///     steps: u64,
/// }
///
/// impl Solver for Walk {
///     fn step(&mut self, net: &mut dyn AnyNetwork, objective: &dyn Objective, step: u64) -> Result<Step, StepError> {
///         let (loss, gradient) = objective.evaluate(net, step);
///         let weights = net.parameters();
///         let slope = weights.zip(&gradient, |w, g| {
///             g.value.clone() + w.value.clone().mul_scalar(self.decay.of(w.is_bias()))
///         });
///         let squares = slope.iter().map(|g| scalar(g.value.clone().powi_scalar(2).sum()));
///         let lr = self.rate.at(step) / squares.sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
///         net.set_parameters(&weights.zip(&slope, |w, g| w.value.clone() - g.value.clone().mul_scalar(lr)))?;
///         self.steps += 1;
///         Ok(Step { loss, gradient, lr, evaluations: 1, note: None })
///     }
///
///     fn state(&self) -> State {
///         State { steps: self.steps, ..State::default() }
///     }
///
///     fn restore(&mut self, state: State) -> Result<(), StateError> {
///         state.entries(&[])?; // nothing but the count
///         self.steps = state.steps;
///         Ok(())
///     }
///
///     fn decay(&self) -> Decay {
///         self.decay
///     }
/// }
///
/// #[derive(Serialize, Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct WalkSpec {}
///
/// impl Spec<dyn Solver> for WalkSpec {
///     const KIND: &'static str = "walk";
///     const DOC: &'static str = "Steps of length lr along the penalised gradient.";
///     const REFERENCE: &'static str = "Nesterov, Lectures on Convex Optimization, 2018, 3.2.3";
///     const EXAMPLE: &'static str = "";
///
///     fn build(&self, setting: &Setting<'_>) -> Result<Box<dyn Solver>, SpecError> {
///         Ok(Box::new(Walk { rate: setting.rate.clone(), decay: setting.decay, steps: 0 }))
///     }
/// }
///
/// let known = nfa_train::train::solvers::solvers().with::<WalkSpec>();
/// assert!(known.get("walk").is_some());
/// ```
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

    /// Whether it trains on the host engine where it is built with a [`Problem`](crate::train::problem::Problem).
    fn has_host_form(&self) -> bool {
        false
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
    /// A missing or unexpected entry; nothing is initialised silently.
    fn restore(&mut self, state: State) -> Result<(), StateError>;

    /// The penalty's weight, as it was built with.
    fn decay(&self) -> Decay;

    /// How decay shrinks the imbalance of neighbouring linear layers, where theory says.
    /// [`DecayLaw::Discrete`] tells that a step is W - lr (g + λW): then the imbalance obeys its recurrence.
    fn decay_law(&self) -> Option<DecayLaw> {
        None
    }

    /// Whether decay is no penalty's gradient but acts beside the step, as AdamW's: then no stationary point of a
    /// penalised loss is approached.
    fn decouples(&self) -> bool {
        false
    }

    /// What t counts in formulas.
    fn clock(&self) -> Clock {
        Clock::Step
    }

    /// Whether it can work on batches.
    fn takes_batches(&self) -> bool {
        true
    }

    /// Whether it has a learning rate.
    fn takes_rate(&self) -> bool {
        true
    }

    /// Columns of its own, of its last step: those that its [`Spec::COLUMNS`](nfa_models::Spec::COLUMNS) name, all and
    /// in their order at any time. Records have them as `iteration.<name>`.
    fn columns(&self) -> Vec<(&'static str, Option<f64>)> {
        Vec::new()
    }

    /// What its steps took so far, in gradients, where that is no whole number of them.
    fn work(&self) -> Option<f64> {
        None
    }

    /// What it knows of the network that its steps have ended at; the network is left as it is.
    ///
    /// # Errors
    /// The device did not hand out its numbers.
    fn end(&mut self, network: &mut dyn AnyNetwork, objective: &dyn Objective) -> Result<Option<End>, StepError> {
        let _ = (network, objective);
        Ok(None)
    }
}

/// What a solver knows of its end.
#[derive(Clone, Debug)]
pub struct End {
    /// In a sentence.
    pub words: String,
    /// For programs: `certificate` of `status.json`.
    pub certificate: serde_json::Value,
}

impl Component for dyn Solver {
    type Context<'a> = Setting<'a>;
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

    /// The values of these slots, of a state that has nothing else.
    ///
    /// # Errors
    /// A missing or unexpected entry.
    pub fn entries(&self, slots: &[&str]) -> Result<Vec<&Parameters>, StateError> {
        let find = |name: &&str| {
            let entry = self.slots.iter().find(|(slot, _)| slot == name);
            entry.map(|(_, values)| values).ok_or_else(|| StateError::Missing(format!("entry for {name}")))
        };
        let values = slots.iter().map(find).collect::<Result<_, _>>()?;
        if let Some((extra, _)) = self.slots.iter().find(|(slot, _)| !slots.contains(&slot.as_str())) {
            return Err(StateError::Unexpected(format!("entry {extra}")));
        }
        self.expect_numbers(&[])?;
        Ok(values)
    }

    /// Refuses numbers of other names.
    ///
    /// # Errors
    /// An unexpected number.
    pub fn expect_numbers(&self, known: &[&str]) -> Result<(), StateError> {
        match self.numbers.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((extra, _)) => Err(StateError::Unexpected(format!("number {extra}"))),
            None => Ok(()),
        }
    }
}

/// Why a state is not taken up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateError {
    /// It lacks something, in words: `entry for momentum`.
    Missing(String),
    /// It has something that the solver does not know: `entry momentum`.
    Unexpected(String),
    /// Its entries have other names or sizes than the solver's, in words.
    Mismatch(String),
    /// The device did not hand out its numbers.
    Device(String),
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateError::Missing(what) => write!(f, "no {what}"),
            StateError::Unexpected(what) => write!(f, "an unexpected {what}"),
            StateError::Mismatch(what) | StateError::Device(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for StateError {}

impl From<StepError> for StateError {
    fn from(error: StepError) -> Self {
        StateError::Device(error.to_string())
    }
}
