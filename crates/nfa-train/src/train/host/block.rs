//! Forward and backward of some rows of a step.

use std::ops::Range;

use nfa_models::Activation;
use nfa_models::host::gemm::{Into, View, product};
use nfa_models::host::{Real, vector};

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
            let trace = &mut here[0];
            let input = match before.last() {
                None => &data.inputs[self.rows.start * layer.into..self.rows.end * layer.into],
                Some(trace) => &trace.value[..b * layer.into],
            };
            let z = &mut trace.value[..b * layer.out];
            let how = match layer.biases(parameters) {
                None => Into::Set,
                Some(biases) => {
                    z.chunks_exact_mut(layer.out).for_each(|row| row.copy_from_slice(biases));
                    Into::Add
                }
            };
            let weights = match layer.turned {
                true => View::new(&turned[l], layer.into, layer.out),
                false => View::new(layer.weights(parameters), layer.out, layer.into).t(),
            };
            product(z, layer.out, how, View::new(input, b, layer.into), weights);
            if layer.activation != Activation::Linear {
                vector::activate(layer.activation, z, Some(&mut trace.slope[..b * layer.out]));
            }
        }
        let c = shape.outputs();
        let targets = &data.targets[self.rows.start * c..self.rows.end * c];
        let weights = data.weights.map(|weights| &weights[self.rows.clone()]);
        let outputs = &mut self.traces[last].value[..b * c];
        self.loss = criterion.differentiate(outputs, targets, weights, c, data.count);
        for (l, layer) in shape.layers.iter().enumerate().skip(1).rev() {
            let (before, here) = self.traces.split_at_mut(l);
            let behind = if l == last { &here[0].value } else { &here[0].delta };
            let Trace { slope, delta, .. } = &mut before[l - 1];
            let delta = &mut delta[..b * layer.into];
            let weights = View::new(layer.weights(parameters), layer.out, layer.into);
            product(delta, layer.into, Into::Set, View::new(&behind[..b * layer.out], b, layer.out), weights);
            if !slope.is_empty() {
                vector::scale(delta, &slope[..b * layer.into]);
            }
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
