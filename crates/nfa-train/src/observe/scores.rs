//! How well a network does its job: loss, accuracy, penalty.

use nfa_metrics::to_host;
use nfa_metrics::{Mat, Scores};
use nfa_models::{AnyNetwork, Parameters};

use crate::data::split::Split;
use crate::train::decay::Decay;
use crate::train::loss::Loss;
use crate::train::objective::scalar;

/// Loss and accuracy on a split, and the network's outputs read once for both.
pub fn scores(network: &dyn AnyNetwork, split: &Split, loss: &dyn Loss, classes: bool) -> Scores {
    let outputs = network.outputs(split.inputs.clone()).inner();
    let value = loss.value(outputs.clone(), &split.targets, split.weight_column().as_ref(), split.rows());
    let accuracy = (classes && split.targets.dims()[1] > 1).then(|| {
        let (outputs, targets) = (to_host(outputs), to_host(split.targets.clone()));
        let weight = |i: usize| split.weights.as_ref().map_or(1.0, |w| w[i]);
        let right: f64 = (0..split.rows()).filter(|&i| largest(&outputs, i) == largest(&targets, i)).map(weight).sum();
        right / split.rows() as f64
    });
    Scores { loss: scalar(value), accuracy }
}

fn largest(rows: &Mat, i: usize) -> usize {
    (0..rows.ncols()).fold(0, |best, j| if rows[(i, j)] > rows[(i, best)] { j } else { best })
}

/// (λ/2)|W|² of what decays.
pub fn penalty(parameters: &Parameters, decay: Decay) -> f64 {
    let lambda = decay.weight_decay;
    if lambda == 0.0 {
        return 0.0;
    }
    let decaying = parameters.iter().filter(|p| decay.decay_bias || !p.is_bias());
    0.5 * lambda * decaying.map(|p| scalar(p.value.clone().powi_scalar(2).sum())).sum::<f64>()
}
