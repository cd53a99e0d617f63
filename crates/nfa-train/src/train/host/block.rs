//! Forward and backward of some rows of a step.

use std::ops::Range;

use nfa_models::Activation;
use nfa_models::host::gemm::View;
use nfa_models::host::{Cores, Real};

use crate::train::host::shape::Shape;
use crate::train::loss::criterion::Criterion;

/// The rows that a step reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Data<'a, T> {
    /// `[n, d]`
    pub(super) inputs: &'a [T],
    /// `[n, c]`
    pub(super) targets: &'a [T],
    /// `[n]`
    pub(super) weights: Option<&'a [T]>,
    /// n of the mean.
    pub(super) count: usize,
}

/// What a layer leaves behind for the way back.
#[derive(Debug)]
struct Trace<T> {
    /// h = φ(z); in the last layer z, then ∂loss/∂z.
    value: Vec<T>,
    /// φ'(z), where it is not 1 everywhere.
    slope: Vec<T>,
    /// ∂loss/∂z, but for the last layer.
    delta: Vec<T>,
}

/// Buffers for so many rows; nothing is allocated after [`Block::new`].
#[derive(Debug)]
pub(super) struct Block<T> {
    traces: Vec<Trace<T>>,
    /// Of the step's rows, those that this block has.
    rows: Range<usize>,
    /// Of these rows.
    pub(super) loss: f64,
}

impl<T: Real> Block<T> {
    pub(super) fn new(shape: &Shape, rows: usize) -> Self {
        let last = shape.layers.len() - 1;
        let zeros = |wanted: bool, width: usize| vec![T::from_f64(0.0); if wanted { rows * width } else { 0 }];
        let trace = |(l, layer): (usize, &crate::train::host::shape::Layer)| Trace {
            value: zeros(true, layer.out),
            slope: zeros(layer.activation != Activation::Linear, layer.out),
            delta: zeros(l < last, layer.out),
        };
        Block { traces: shape.layers.iter().enumerate().map(trace).collect(), rows: 0..0, loss: 0.0 }
    }

    /// The loss of some rows, and its gradient in every layer's z. `turned` are the transposed weights of the
    /// layers that have them.
    pub(super) fn run(
        &mut self,
        shape: &Shape,
        parameters: &[T],
        turned: &[Vec<T>],
        criterion: Criterion,
        data: Data<'_, T>,
        rows: Range<usize>,
    ) {
        let (b, last) = (rows.len(), shape.layers.len() - 1);
        self.rows = rows;
        for (l, layer) in shape.layers.iter().enumerate() {
            let (before, here) = self.traces.split_at_mut(l);
            let Trace { value, slope, .. } = &mut here[0];
            let input = match before.last() {
                None => &data.inputs[self.rows.start * layer.into..],
                Some(trace) => &trace.value,
            };
            let input = View::new(input, b, layer.into);
            layer.dense(parameters, &turned[l]).forward(input, &mut value[..b * layer.out], slope, Cores::One);
        }
        let c = shape.outputs();
        let targets = &data.targets[self.rows.start * c..self.rows.end * c];
        let weights = data.weights.map(|weights| &weights[self.rows.clone()]);
        let outputs = &mut self.traces[last].value[..b * c];
        self.loss = criterion.differentiate(outputs, targets, weights, c, data.count);
        for l in (1..=last).rev() {
            let (layer, behind) = (&shape.layers[l], &shape.layers[l - 1]);
            let (before, here) = self.traces.split_at_mut(l);
            let at_z = if l == last { &here[0].value } else { &here[0].delta };
            let Trace { slope, delta, .. } = &mut before[l - 1];
            let delta = &mut delta[..b * layer.into];
            layer.dense(parameters, &turned[l]).back_to_h(View::new(at_z, b, layer.out), delta, Cores::One);
            let slope = slope.get(..b * layer.into).unwrap_or_default();
            behind.dense(parameters, &turned[l - 1]).back_to_z(delta, slope);
        }
    }

    /// ∂loss/∂z of a layer, `[rows, out]`.
    pub(super) fn delta(&self, shape: &Shape, layer: usize) -> View<'_, T> {
        let trace = &self.traces[layer];
        let values = if layer + 1 == self.traces.len() { &trace.value } else { &trace.delta };
        View::new(values, self.rows.len(), shape.layers[layer].out)
    }

    /// What a layer reads, `[rows, into]`.
    pub(super) fn input<'a>(&'a self, shape: &Shape, data: Data<'a, T>, layer: usize) -> View<'a, T> {
        let width = shape.layers[layer].into;
        match layer.checked_sub(1) {
            None => View::new(&data.inputs[self.rows.start * width..], self.rows.len(), width),
            Some(before) => View::new(&self.traces[before].value, self.rows.len(), width),
        }
    }
}
