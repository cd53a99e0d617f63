//! A rule on tensors of any device.

use burn::tensor::Tensor;
use nfa_models::parameters::Parameter;
use nfa_models::{AnyNetwork, Parameters};

use crate::train::decay::Decay;
use crate::train::first_order::rule::{Rule, Turn};
use crate::train::host;
use crate::train::objective::Objective;
use crate::train::problem::Problem;
use crate::train::rate::Rate;
use crate::train::solver::{Solver, State, Step, StepError, check_entries};

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

    fn fused(&self, problem: Problem) -> Option<Box<dyn Solver>> {
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
