//! The iteration of L-BFGS.

use std::collections::VecDeque;

use nfa_models::{AnyNetwork, Parameters};

use crate::train::decay::Decay;
use crate::train::objective::Objective;
use crate::train::rate::Rate;
use crate::train::setting::Setting;
use crate::train::solver::{Solver, State, StateError, Step, StepError};
use crate::train::surface::lbfgs::Lbfgs;
use crate::train::surface::line_search::strong_wolfe;
use crate::train::surface::penalised::{Point, Surface, dot, flatten, norm, spread};

/// Iterations in a row without a new low of the objective or of its gradient's norm, after which
/// what moves is rounding.
const PATIENCE: u64 = 10;

/// A step s and the change y of the gradient along it.
#[derive(Clone, Debug)]
struct Pair {
    s: Vec<f64>,
    y: Vec<f64>,
}

/// The least that was seen so far.
#[derive(Clone, Copy, Debug)]
struct Low {
    value: f64,
    norm: f64,
    /// Steps since either fell.
    idle: u64,
}

/// [`Lbfgs`] at work.
#[derive(Debug)]
pub(super) struct LimitedMemory {
    config: Lbfgs,
    rate: Rate,
    decay: Decay,
    steps: u64,
    /// Oldest first.
    pairs: VecDeque<Pair>,
    low: Option<Low>,
    /// The step from which on nothing moves.
    rests: Option<u64>,
    /// Names and shapes of the parameters, once known.
    like: Parameters,
}

impl LimitedMemory {
    /// At its start.
    pub(super) fn new(config: Lbfgs, setting: &Setting<'_>) -> Self {
        LimitedMemory {
            config,
            rate: setting.rate.clone(),
            decay: setting.decay,
            steps: 0,
            pairs: VecDeque::new(),
            low: None,
            rests: None,
            like: Parameters::default(),
        }
    }

    /// -H g by the two-loop recursion (Nocedal and Wright, Algorithm 7.4).
    fn direction(&self, slope: &[f64]) -> Vec<f64> {
        let mut q: Vec<f64> = slope.iter().map(|g| -g).collect();
        let mut shares = Vec::with_capacity(self.pairs.len());
        for Pair { s, y } in self.pairs.iter().rev() {
            let share = dot(s, &q) / dot(s, y);
            q.iter_mut().zip(y).for_each(|(q, y)| *q -= share * y);
            shares.push(share);
        }
        if let Some(Pair { s, y }) = self.pairs.back() {
            let scale = dot(s, y) / dot(y, y);
            q.iter_mut().for_each(|q| *q *= scale);
        }
        for (Pair { s, y }, share) in self.pairs.iter().zip(shares.into_iter().rev()) {
            let correction = share - dot(y, &q) / dot(s, y);
            q.iter_mut().zip(s).for_each(|(q, s)| *q += correction * s);
        }
        q
    }

    /// Whether objective and gradient have stopped falling.
    fn has_settled(&mut self, value: f64, norm: f64) -> bool {
        let low = self.low.get_or_insert(Low { value, norm, idle: 0 });
        if value < low.value || norm < low.norm {
            *low = Low { value: value.min(low.value), norm: norm.min(low.norm), idle: 0 };
        } else {
            low.idle += 1;
        }
        norm == 0.0 || low.idle > PATIENCE
    }

    /// One iteration; the step length, or `None` where nothing lowers the objective.
    fn iterate(&mut self, surface: &mut Surface<'_>, start: &Point, lr: f64) -> Result<Option<f64>, StepError> {
        let mut direction = self.direction(&start.slope);
        if dot(&direction, &start.slope) >= 0.0 {
            self.pairs.clear();
            direction = start.slope.iter().map(|g| -g).collect();
        }
        let steepest = |slope: &[f64]| lr * (1.0 / slope.iter().map(|g| g.abs()).sum::<f64>()).min(1.0);
        let first = if self.pairs.is_empty() { steepest(&start.slope) } else { lr };
        let mut found = strong_wolfe(surface, start, &direction, first)?;
        if found.is_none() && !self.pairs.is_empty() {
            // The memory may mislead; the gradient does not.
            self.pairs.clear();
            direction = start.slope.iter().map(|g| -g).collect();
            found = strong_wolfe(surface, start, &direction, steepest(&start.slope))?;
        }
        let Some((length, end)) = found else {
            surface.go(&start.x)?;
            return Ok(None);
        };
        surface.go(&end.x)?;
        let change = |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a - b).collect() };
        let s = surface.rounded(&change(&end.x, &start.x));
        let y = surface.rounded(&change(&end.slope, &start.slope));
        // Positive by the curvature condition, but for rounding.
        if dot(&s, &y) > f64::EPSILON * norm(&s) * norm(&y) {
            self.pairs.push_back(Pair { s, y });
            while self.pairs.len() > self.config.history {
                self.pairs.pop_front();
            }
        }
        Ok(Some(length))
    }
}

impl Solver for LimitedMemory {
    fn step(&mut self, network: &mut dyn AnyNetwork, objective: &dyn Objective, step: u64) -> Result<Step, StepError> {
        let mut surface = Surface::new(network, objective, step, self.decay);
        let start = surface.here()?;
        if !start.is_finite() {
            return Err(StepError::Diverged("the loss or its gradient is not finite".into()));
        }
        self.like = surface.like().clone();
        self.steps += 1;
        let slope = norm(&start.slope);
        let mut lr = 0.0;
        if self.rests.is_none() && !self.has_settled(start.value, slope) {
            match self.iterate(&mut surface, &start, self.rate.at(step))? {
                Some(length) => lr = length,
                None => self.rests = Some(step),
            }
        } else {
            self.rests.get_or_insert(step);
        }
        let note = self.rests.map(|since| {
            format!(
                "at rest since step {since}: |gradient| = {slope:.1e}, and no step lowers the objective beyond rounding"
            )
        });
        Ok(Step { loss: start.loss, gradient: start.gradient, lr, evaluations: surface.evaluations, note })
    }

    fn state(&self) -> State {
        let mut numbers = Vec::new();
        if let Some(Low { value, norm, idle }) = self.low {
            numbers.extend([("value", value), ("norm", norm), ("idle", idle as f64)]);
        }
        numbers.extend(self.rests.map(|since| ("rests", since as f64)));
        let slots = self.pairs.iter().enumerate().flat_map(|(k, Pair { s, y })| {
            [(format!("s.{k}"), spread(&self.like, s)), (format!("y.{k}"), spread(&self.like, y))]
        });
        let numbers = numbers.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
        State { steps: self.steps, numbers, slots: slots.collect() }
    }

    fn restore(&mut self, state: State) -> Result<(), StateError> {
        state.expect_numbers(&["value", "norm", "idle", "rests"])?;
        self.low = match [state.number("value"), state.number("norm"), state.number("idle")] {
            [Some(value), Some(norm), Some(idle)] => Some(Low { value, norm, idle: idle as u64 }),
            [None, None, None] if state.steps == 0 => None,
            _ => return Err(StateError::Missing("numbers for the least objective and gradient".into())),
        };
        self.rests = state.number("rests").map(|since| since as u64);
        self.pairs.clear();
        for (k, pair) in state.slots.chunks(2).enumerate() {
            let [(s_name, s), (y_name, y)] = pair else {
                return Err(StateError::Missing(format!("entry for y.{k}")));
            };
            if *s_name != format!("s.{k}") || *y_name != format!("y.{k}") {
                let what = format!("entries {s_name} and {y_name} instead of s.{k} and y.{k}");
                return Err(StateError::Mismatch(what));
            }
            self.pairs.push_back(Pair { s: flatten(s)?, y: flatten(y)? });
            self.like = s.clone();
        }
        self.steps = state.steps;
        Ok(())
    }

    fn decay(&self) -> Decay {
        self.decay
    }

    fn takes_batches(&self) -> bool {
        false
    }
}
