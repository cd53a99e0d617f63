//! The training loss as laws look at it.

use std::ops::Range;
use std::sync::OnceLock;

use burn::tensor::{Tensor, TensorData};
use nfa_metrics::{LossOnRows, Mat, Moments, Needs, Penalty, SampleLosses, SitesError, network_moments, to_host};
use nfa_models::AnyNetwork;

use crate::data::split::Split;
use crate::train::decay::Decay;
use crate::train::loss::Loss;
use crate::train::solver::Solver;

/// How a solver's decay acts on weights.
pub fn penalty_of(solver: &dyn Solver) -> Penalty {
    match (solver.decay().weight_decay, solver.decouples()) {
        (0.0, _) => Penalty::None,
        (lambda, true) => Penalty::Decoupled(lambda),
        (lambda, false) => Penalty::Coupled(lambda),
    }
}

/// A loss on the rows that are trained on.
pub struct LossSeen<'a> {
    /// What is minimised.
    pub loss: &'a dyn Loss,
    /// All rows.
    pub rows: &'a Split,
    targets: OnceLock<Mat>,
    on_slices: OnceLock<Vec<f64>>,
}

impl<'a> LossSeen<'a> {
    /// Of a loss on rows.
    pub fn new(loss: &'a dyn Loss, rows: &'a Split) -> Self {
        LossSeen { loss, rows, targets: OnceLock::new(), on_slices: OnceLock::new() }
    }

    /// Moments at every layer, beside the gradient those that are needed.
    ///
    /// # Errors
    /// Sites that can't be measured.
    pub fn moments(&self, network: &dyn AnyNetwork, needs: Needs) -> Result<Vec<Moments>, SitesError> {
        let targets = needs.contains(Needs::TARGETS).then(|| self.targets());
        let each = self.each();
        let asked = LossOnRows { loss: &*each, weights: self.rows.weights.as_deref(), targets, needs };
        let criterion = self.loss.criterion();
        let c = self.rows.targets.dims()[1];
        let on_slices = |outputs: &mut [f64], samples: Range<usize>| {
            if let Some(criterion) = criterion {
                let targets = &self.on_slices()[samples.start * c..samples.end * c];
                // The mean over one row is each row's own loss.
                criterion.differentiate(outputs, targets, None, c, 1);
            }
        };
        network_moments(network, &self.rows.inputs, &asked, criterion.is_some().then_some(&on_slices))
    }

    /// |gradient| of loss and penalty in every parameter.
    pub fn slope(&self, network: &dyn AnyNetwork, decay: Decay) -> f64 {
        let rows = self.rows;
        let (_, gradient) = network.gradient(&|net| {
            self.loss.value(net.outputs(rows.inputs.clone()), &rows.targets, rows.weight_column().as_ref(), rows.rows())
        });
        let slope = gradient
            .zip(&network.parameters(), |g, w| g.value.clone() + w.value.clone().mul_scalar(decay.of(w.is_bias())));
        let squares =
            |values: Tensor<1>| values.inner().try_into_vec_as::<f64>().ok().map(|v| v.iter().map(|g| g * g).sum());
        slope.iter().map(|g| squares(g.value.clone()).unwrap_or(f64::NAN)).sum::<f64>().sqrt()
    }

    /// The sum of some samples' losses, each times a factor of its own.
    pub fn each(&self) -> Box<SampleLosses<'_>> {
        Box::new(|y: Tensor<2>, samples: Range<usize>, factors: &[f64]| {
            let targets = &self.rows.targets;
            let factors = TensorData::new(factors.to_vec(), [factors.len(), 1]);
            let factors = Tensor::from_data(factors, (&targets.device(), targets.dtype()));
            // The mean over one row is the sum over all of them.
            self.loss.value(y, &targets.clone().slice([samples]), Some(&factors), 1)
        })
    }

    fn targets(&self) -> &Mat {
        self.targets.get_or_init(|| to_host(self.rows.targets.clone()))
    }

    /// The targets row by row.
    fn on_slices(&self) -> &[f64] {
        self.on_slices.get_or_init(|| {
            let targets = self.targets();
            (0..targets.nrows()).flat_map(|i| (0..targets.ncols()).map(move |k| targets[(i, k)])).collect()
        })
    }
}
