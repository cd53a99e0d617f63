//! The Runge-Kutta pair that integrates gradient flow.

use nfa_models::AnyNetwork;

use crate::record::theory::{Clock, DecayLaw};
use crate::train::decay::Decay;
use crate::train::objective::Objective;
use crate::train::rate::Rate;
use crate::train::setting::Setting;
use crate::train::solver::{Solver, State, StateError, Step, StepError};
use crate::train::surface::flow::Flow;
use crate::train::surface::penalised::{Surface, norm};

/// Stages 2 to 7 from the slopes before them; the last row is the fifth-order solution itself, so
/// its slope is the next sub-step's first.
const STAGES: [&[f64]; 6] = [
    &[1.0 / 5.0],
    &[3.0 / 40.0, 9.0 / 40.0],
    &[44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0],
    &[19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0],
    &[9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0],
    &[35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0],
];
/// Fifth order minus fourth.
const ERROR: [f64; 7] =
    [71.0 / 57600.0, 0.0, -71.0 / 16695.0, 71.0 / 1920.0, -17253.0 / 339_200.0, 22.0 / 525.0, -1.0 / 40.0];
/// Exponents of the error and of the one before it (Gustafsson's PI control).
const CONTROL: (f64, f64) = (0.17, 0.04);
/// A proposal's share of the size that the error would allow, and how far it may move at once.
const SAFETY: f64 = 0.9;
const FACTORS: (f64, f64) = (0.2, 10.0);
/// An error below this share of its tolerance says nothing of the trend.
const LEAST_ERROR: f64 = 1e-4;
/// An interval that takes more is stiff: explicit sub-steps are then as short as the fastest
/// direction asks for, however little happens.
const MAX_SUBSTEPS: u32 = 10_000;

/// [`Flow`] at work.
#[derive(Debug)]
pub(super) struct DormandPrince {
    flow: Flow,
    rate: Rate,
    decay: Decay,
    steps: u64,
    control: Option<Control>,
}

/// What a sub-step hands to the next.
#[derive(Clone, Copy, Debug)]
struct Control {
    /// The size to try.
    size: f64,
    /// The error of the last one over its tolerance.
    error: f64,
}

impl DormandPrince {
    /// At its start.
    pub(super) fn new(flow: Flow, setting: &Setting<'_>) -> Self {
        DormandPrince { flow, rate: setting.rate.clone(), decay: setting.decay, steps: 0, control: None }
    }
}

impl Solver for DormandPrince {
    fn step(&mut self, network: &mut dyn AnyNetwork, objective: &dyn Objective, step: u64) -> Result<Step, StepError> {
        let span = self.rate.at(step);
        let mut surface = Surface::new(network, objective, step, self.decay);
        let start = surface.here()?;
        if !start.is_finite() {
            return Err(StepError::Diverged("the loss or its gradient is not finite".into()));
        }
        let rtol = self.flow.rtol.max(16.0 * surface.epsilon());
        let (mut x, mut slope) = (start.x, start.slope);
        let floor = self.flow.atol * (x.len() as f64).sqrt();
        // At first, what moves the parameters by about a hundredth.
        let speed = norm(&slope);
        let first = if speed > 0.0 { (0.01 * norm(&x) / speed).clamp(f64::MIN_POSITIVE, span) } else { span };
        let mut control = self.control.unwrap_or(Control { size: first, error: LEAST_ERROR });
        let (mut done, mut rejected) = (0.0, false);
        for _ in 0..MAX_SUBSTEPS {
            // Sub-steps of equal length to the end, so that no sliver is left for the last.
            let left = span - done;
            let count = (left / control.size).ceil().max(1.0);
            let size = if count > 1.0 { left / count } else { left };
            if size <= f64::EPSILON * span {
                surface.go(&x)?;
                return Err(StepError::Diverged(format!(
                    "the flow cannot go on: accurate sub-steps are shorter than {size:.1e}, rounding in lr = {span}; \
                     the weights blow up there, or rtol = {rtol:.1e} is too strict"
                )));
            }
            let mut slopes = vec![slope.clone()];
            let mut candidate = Vec::new();
            for stage in STAGES {
                candidate = (0..x.len())
                    .map(|i| {
                        let push: f64 = stage.iter().zip(&slopes).map(|(weight, slope)| weight * slope[i]).sum();
                        x[i] - size * push
                    })
                    .collect();
                slopes.push(surface.at(&candidate)?.slope);
            }
            let error = (0..x.len()).map(|i| ERROR.iter().zip(&slopes).map(|(w, slope)| w * slope[i]).sum::<f64>());
            let error = size * error.map(|e| e * e).sum::<f64>().sqrt();
            let error = error / (floor + rtol * norm(&x).max(norm(&candidate)));
            if error <= 1.0 {
                let factor = SAFETY * error.powf(-CONTROL.0) * control.error.powf(CONTROL.1);
                let most = if rejected { 1.0 } else { FACTORS.1 };
                control = Control { size: size * factor.clamp(FACTORS.0, most), error: error.max(LEAST_ERROR) };
                (x, slope, rejected) = (candidate, slopes.swap_remove(ERROR.len() - 1), false);
                done += size;
                if count <= 1.0 {
                    self.steps += 1;
                    self.control = Some(control);
                    let (loss, gradient, evaluations) = (start.loss, start.gradient, surface.evaluations);
                    return Ok(Step { loss, gradient, lr: span, evaluations, note: None });
                }
            } else {
                // Also where a stage is not finite.
                let factor = SAFETY * error.powf(-CONTROL.0);
                control.size = size * if factor.is_finite() { factor.max(FACTORS.0) } else { FACTORS.0 };
                rejected = true;
            }
        }
        surface.go(&x)?;
        Err(StepError::Diverged(format!(
            "the flow is stiff: {MAX_SUBSTEPS} sub-steps (the last {:.1e} long) did not reach the end of lr = {span}; \
             give a shorter lr, or a larger rtol than {rtol:.1e}",
            control.size
        )))
    }

    fn state(&self) -> State {
        let numbers = self.control.map(|control| vec![("size".into(), control.size), ("error".into(), control.error)]);
        State { steps: self.steps, numbers: numbers.unwrap_or_default(), slots: Vec::new() }
    }

    fn restore(&mut self, state: State) -> Result<(), StateError> {
        if let Some((extra, _)) = state.slots.first() {
            return Err(StateError::Unexpected(format!("entry {extra}")));
        }
        state.expect_numbers(&["size", "error"])?;
        self.control = match (state.steps, state.number("size"), state.number("error")) {
            (0, None, None) => None,
            (_, Some(size), Some(error)) => Some(Control { size, error }),
            _ => return Err(StateError::Missing("number for the size and the error of the last sub-step".into())),
        };
        self.steps = state.steps;
        Ok(())
    }

    fn decay(&self) -> Decay {
        self.decay
    }

    fn decay_law(&self) -> Option<DecayLaw> {
        Some(DecayLaw::Continuous)
    }

    fn clock(&self) -> Clock {
        Clock::Time
    }

    fn takes_batches(&self) -> bool {
        false
    }
}
