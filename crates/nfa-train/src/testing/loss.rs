//! The suite for losses.

use burn::tensor::{DType, Device, Tensor, TensorData, activation};
use nfa_models::Registry;

use crate::testing::{apart, example, normal};
use crate::train::loss::Loss;
use crate::train::objective::scalar;

const ROWS: usize = 5;
const OUTPUTS: usize = 3;
/// Rounding of sums of a few terms of order 1.
const ROUNDING: f64 = 1e-13;

/// Checks every loss of a registry; panics with what fails and where.
///
/// In `f64` on the given device, at normal outputs and targets that are probabilities: the example builds; the
/// value is the mean over its rows, weighted and not, and falls as the n of the mean grows; the gradient in the
/// outputs agrees with central differences to 1e-8; a squared loss is four times as large at twice the error;
/// the host engine's form of it has the same value and gradient.
///
/// # Panics
/// On the first property that fails.
pub fn losses(known: &Registry<dyn Loss>, device: &Device) {
    for entry in known.entries() {
        let kind = entry.kind;
        let loss = known
            .build(example(kind, entry.example), &())
            .unwrap_or_else(|error| panic!("{kind}: the example does not build: {error}"));
        let loss = loss.as_ref();
        let outputs = normal("outputs", [ROWS, OUTPUTS], device, DType::F64);
        let targets = activation::softmax(normal("targets", [ROWS, OUTPUTS], device, DType::F64), 1);
        let weights: Vec<f64> = (0..ROWS).map(|i| 0.5 + i as f64 / (ROWS - 1) as f64).collect();
        means(kind, loss, &outputs, &targets, &weights);
        gradients(kind, loss, &outputs, &targets);
        if loss.is_squared() {
            let further = outputs.clone().mul_scalar(2.0) - targets.clone();
            let ratio = value(loss, further, &targets, None) / value(loss, outputs.clone(), &targets, None);
            assert!(
                (ratio - 4.0).abs() <= ROUNDING,
                "{kind}: is_squared, but twice the error is {ratio} times the loss"
            );
        }
        for weights in [None, Some(weights.as_slice())] {
            host_form(kind, loss, &outputs, &targets, weights);
        }
    }
}

fn read(tensor: &Tensor<2>) -> Vec<f64> {
    tensor.clone().inner().try_into_vec_as::<f64>().expect("readable")
}

fn column(weights: &[f64], like: &Tensor<2>) -> Tensor<2> {
    Tensor::from_data(TensorData::new(weights.to_vec(), [weights.len(), 1]), (&like.device(), DType::F64))
}

fn value(loss: &dyn Loss, outputs: Tensor<2>, targets: &Tensor<2>, weights: Option<&Tensor<2>>) -> f64 {
    let rows = outputs.dims()[0];
    scalar(loss.value(outputs, targets, weights, rows))
}

fn means(kind: &str, loss: &dyn Loss, outputs: &Tensor<2>, targets: &Tensor<2>, weights: &[f64]) {
    let row = |i: usize| {
        let one = |tensor: &Tensor<2>| tensor.clone().slice([i..i + 1, 0..OUTPUTS]);
        value(loss, one(outputs), &one(targets), None)
    };
    let mean = (0..ROWS).map(row).sum::<f64>() / ROWS as f64;
    let all = value(loss, outputs.clone(), targets, None);
    assert!(mean.is_finite() && (all - mean).abs() <= ROUNDING, "{kind}: {all} is not {mean}, the mean of its rows");
    let mean = (0..ROWS).map(|i| weights[i] * row(i)).sum::<f64>() / ROWS as f64;
    let all = value(loss, outputs.clone(), targets, Some(&column(weights, outputs)));
    assert!((all - mean).abs() <= ROUNDING, "{kind}: weighted, {all} is not {mean}, the mean of its rows");
    let half = scalar(loss.value(outputs.clone(), targets, Some(&column(weights, outputs)), 2 * ROWS));
    assert!((2.0 * half - all).abs() <= ROUNDING, "{kind}: over twice as many rows {all} is {half}");
}

/// The gradient in the outputs.
fn gradient(loss: &dyn Loss, outputs: &Tensor<2>, targets: &Tensor<2>, weights: Option<&Tensor<2>>) -> Vec<f64> {
    let leaf = outputs.clone().autodiff().require_grad();
    let gradient = leaf.grad_remove(&mut loss.value(leaf.clone(), targets, weights, ROWS).backward());
    read(&gradient.expect("the loss depends on the outputs"))
}

fn gradients(kind: &str, loss: &dyn Loss, outputs: &Tensor<2>, targets: &Tensor<2>) {
    const STEP: f64 = 1e-5;
    let at = |k: usize, step: f64| {
        let mut moved = read(outputs);
        moved[k] += step;
        let moved = Tensor::from_data(TensorData::new(moved, [ROWS, OUTPUTS]), (&outputs.device(), DType::F64));
        value(loss, moved, targets, None)
    };
    let numeric: Vec<f64> = (0..ROWS * OUTPUTS).map(|k| (at(k, STEP) - at(k, -STEP)) / (2.0 * STEP)).collect();
    let off = apart(&gradient(loss, outputs, targets, None), &numeric);
    assert!(off <= 1e-8, "{kind}: the gradient is {off:.1e} off central differences");
}

fn host_form(kind: &str, loss: &dyn Loss, outputs: &Tensor<2>, targets: &Tensor<2>, weights: Option<&[f64]>) {
    let Some(criterion) = loss.criterion() else { return };
    let tensors = weights.map(|weights| column(weights, outputs));
    let exact = value(loss, outputs.clone(), targets, tensors.as_ref());
    let mut slope = read(outputs);
    let found = criterion.differentiate(&mut slope, &read(targets), weights, OUTPUTS, ROWS);
    assert!((found - exact).abs() <= ROUNDING, "{kind}: the host form's value is {found}, the tensors' {exact}");
    let off = apart(&slope, &gradient(loss, outputs, targets, tensors.as_ref()));
    assert!(off <= ROUNDING, "{kind}: the host form's gradient is {off:.1e} off the tensors'");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::loss::criterion::Criterion;
    use crate::train::loss::half_mse::HalfMse;
    use nfa_models::{Spec, SpecError};
    use serde::{Deserialize, Serialize};

    #[test]
    fn the_built_in_losses_conform() {
        losses(&crate::train::losses::losses(), &Device::flex());
    }

    /// Half the mean squared error, and the mean squared error on the host.
    #[derive(Serialize, Deserialize)]
    struct Wrong {}

    impl Loss for Wrong {
        fn value(&self, outputs: Tensor<2>, targets: &Tensor<2>, weights: Option<&Tensor<2>>, n: usize) -> Tensor<1> {
            HalfMse {}.value(outputs, targets, weights, n)
        }

        fn criterion(&self) -> Option<Criterion> {
            Some(Criterion::Mse)
        }
    }

    impl Spec<dyn Loss> for Wrong {
        const KIND: &'static str = "wrong";
        const DOC: &'static str = "";
        const REFERENCE: &'static str = "";
        const EXAMPLE: &'static str = "";

        fn build(&self, (): &()) -> Result<Box<dyn Loss>, SpecError> {
            Ok(Box::new(Wrong {}))
        }
    }

    #[test]
    #[should_panic(expected = "wrong: the host form's value")]
    fn a_host_form_of_another_loss_is_found() {
        losses(&Registry::new("loss").with::<Wrong>(), &Device::flex());
    }
}
