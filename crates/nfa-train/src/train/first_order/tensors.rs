//! A rule on tensors of any device.

use burn::tensor::Tensor;
use nfa_models::parameters::Parameter;
use nfa_models::{AnyNetwork, Parameters};

use crate::record::theory::DecayLaw;
use crate::train::decay::Decay;
use crate::train::first_order::rule::{Rule, Turn};
use crate::train::objective::Objective;
use crate::train::rate::Rate;
use crate::train::setting::Setting;
use crate::train::solver::{Solver, State, StateError, Step, StepError};

/// A [`Rule`] as a [`Solver`].
#[derive(Debug)]
pub struct FirstOrder<R, const N: usize> {
    rule: R,
    rate: Rate,
    decay: Decay,
    steps: u64,
    /// Names and shapes of the parameters, once known.
    like: Parameters,
    /// Per parameter, once known.
    memory: Vec<[Tensor<1>; N]>,
}

impl<R: Rule<N>, const N: usize> FirstOrder<R, N> {
    /// At the start.
    pub fn new(rule: R, setting: &Setting<'_>) -> Self {
        let (rate, decay) = (setting.rate.clone(), setting.decay);
        FirstOrder { rule, rate, decay, steps: 0, like: Parameters::default(), memory: Vec::new() }
    }
}

impl<R: Rule<N>, const N: usize> Solver for FirstOrder<R, N> {
    fn step(&mut self, network: &mut dyn AnyNetwork, objective: &dyn Objective, step: u64) -> Result<Step, StepError> {
        let (loss, gradient) = objective.evaluate(network, step);
        let parameters = network.parameters();
        self.steps += 1;
        let (lr, t) = (self.rate.at(step), self.steps);
        let mut held = std::mem::take(&mut self.memory).into_iter();
        let next = parameters.zip(&gradient, |parameter: &Parameter, gradient: &Parameter| {
            let matrix = match parameter.shape.as_slice() {
                [rows, rest @ ..] if !rest.is_empty() => Some([*rows, rest.iter().product()]),
                _ => None,
            };
            let turn = Turn { lr, decay: self.decay.of(parameter.is_bias()), matrix, t };
            let memory = held.next().unwrap_or_else(|| std::array::from_fn(|_| parameter.value.zeros_like()));
            let (next, memory) = self.rule.update(&turn, parameter.value.clone(), gradient.value.clone(), memory);
            self.memory.push(memory);
            next
        });
        network.set_parameters(&next)?;
        self.like = parameters;
        Ok(Step { loss, gradient, lr, evaluations: 1, note: None })
    }

    fn has_host_form(&self) -> bool {
        true
    }

    fn state(&self) -> State {
        let slots = R::SLOTS.iter().enumerate().map(|(slot, name)| {
            let mut memory = self.memory.iter();
            let held =
                |parameter: &Parameter| memory.next().map_or(parameter.value.zeros_like(), |held| held[slot].clone());
            (name.to_string(), self.like.map(held))
        });
        State { steps: self.steps, numbers: Vec::new(), slots: slots.collect() }
    }

    fn restore(&mut self, state: State) -> Result<(), StateError> {
        self.steps = state.steps;
        self.memory.clear();
        if state.steps == 0 {
            return Ok(());
        }
        let slots = state.entries(&R::SLOTS)?;
        if let Some(first) = slots.first() {
            self.like = (*first).clone();
            let held = |at: usize, like: &Parameter| {
                std::array::from_fn(|slot| slots[slot].iter().nth(at).unwrap_or(like).value.clone())
            };
            self.memory = first.iter().enumerate().map(|(at, like)| held(at, like)).collect();
        }
        Ok(())
    }

    fn decay(&self) -> Decay {
        self.decay
    }

    fn decay_law(&self) -> Option<DecayLaw> {
        R::LAW
    }

    fn decouples(&self) -> bool {
        R::DECOUPLED
    }

    fn takes_batches(&self) -> bool {
        R::BATCHES
    }
}
