//! The loss of any network, with second derivatives by differences of its gradients.

use nfa_models::{AnyNetwork, Parameters};

use crate::minimise::{Costs, Function};
use crate::train::objective::{Objective, scalar};
use crate::train::surface::penalised::{flatten, spread};

/// The loss as a function of all parameters, through the network itself.
pub(super) struct ByGradients<'a> {
    pub(super) network: &'a mut dyn AnyNetwork,
    pub(super) objective: &'a dyn Objective,
    pub(super) step: u64,
    pub(super) like: &'a Parameters,
    pub(super) decay: &'a [f64],
    pub(super) epsilon: f64,
    /// Why a number could not be had.
    pub(super) fault: Option<String>,
}

impl ByGradients<'_> {
    fn evaluate(&mut self, x: &[f64]) -> (f64, Vec<f64>) {
        let nothing = (f64::NAN, vec![f64::NAN; x.len()]);
        if let Err(error) = self.network.set_parameters(&spread(self.like, x)) {
            self.fault = Some(error.to_string());
            return nothing;
        }
        let (loss, gradient) = self.objective.evaluate(self.network, self.step);
        match flatten(&gradient) {
            Ok(gradient) => (scalar(loss), gradient),
            Err(error) => {
                self.fault = Some(error.to_string());
                nothing
            }
        }
    }
}

impl Function for ByGradients<'_> {
    fn dimension(&self) -> usize {
        self.like.iter().map(|parameter| parameter.value.dims()[0]).sum()
    }

    fn value(&mut self, x: &[f64]) -> f64 {
        self.evaluate(x).0
    }

    fn gradient(&mut self, x: &[f64]) -> Vec<f64> {
        self.evaluate(x).1
    }

    /// A value comes with its gradient.
    fn costs(&self) -> Costs {
        Costs { value: 1.0, product: 2.0, block: [1.0, 2.0] }
    }

    fn decay(&self) -> &[f64] {
        self.decay
    }

    fn epsilon(&self) -> f64 {
        self.epsilon
    }

    fn round(&self, x: &mut [f64]) {
        if self.epsilon > 1e-10 {
            x.iter_mut().for_each(|x| *x = f64::from(*x as f32));
        }
    }
}
