//! The law: what writes a gated unit and what reads it are equally large.

use nfa_metrics::{Family, Law, Mat, Observation, Over, Pair, Psd};

/// |row i of U_l|² = |column i of what reads the units|² for every unit i.
///
/// A factor moved from a unit's value to its readers changes nothing, so gradient flow conserves the difference;
/// weight decay takes it away at the rate (1 - lr·λ)² a step.
pub const LAW: Law = Law {
    name: "unit_balance",
    left: "diag(sum of W^T W over the readers)",
    right: "diag(W_l W_l^T)",
    family: Family::Equal,
    doc: "Balanced units: a unit's weights are as large as the weights that read the unit. Gradient flow \
          conserves the difference, weight decay takes it away.",
    reference: "arXiv:1806.00900",
    over: Over::Neighbours,
    pair,
    ..Law::OF_WEIGHTS
};

fn pair(observation: &Observation, layer: usize) -> Option<Pair> {
    // What the model says with `follows`; None leaves a layer out that nothing declared reads.
    let (readers, this) = (observation.readers(layer)?, &observation.layers.get(layer)?.weight);
    let units = this.nrows();
    let read = diagonal(units, |i| readers.col(i).norm_l2());
    let written = diagonal(units, |i| this.row(i).norm_l2());
    Some(Pair::new(Psd::nfm(&read), Psd::nfm(&written)))
}

/// `[n, n]`
fn diagonal(n: usize, entry: impl Fn(usize) -> f64) -> Mat {
    Mat::from_fn(n, n, |i, j| if i == j { entry(i) } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gated_mlp::GatedMlpSpec;
    use burn::tensor::{DType, Device, Tensor, TensorData};
    use nfa_metrics::{AgopOptions, Layer, Thresholds, Verdict, assess, mat, observe_network, testing};
    use nfa_models::{Activation, Context, Init, Parameters, Spec, Stream};

    fn observed(weights: Vec<Mat>) -> Observation {
        let layers = weights.into_iter().enumerate().map(|(l, weight)| Layer::new(format!("{l}"), weight)).collect();
        Observation { layers, linear: false, eps: f64::EPSILON }.in_a_row()
    }

    #[test]
    fn conforms() {
        let matrix = |rows, cols| Mat::from_fn(rows, cols, |i, j| ((3 * i * i + 5 * j + 1) as f64).sin());
        testing::conformance(&LAW, &observed(vec![matrix(4, 5), matrix(3, 4)]));
    }

    #[test]
    fn misfit_by_hand() {
        // Two units of squared norms 25 and 4; readers of squared norms 25 and 1.
        let this = mat(&[[3.0, 4.0], [2.0, 0.0]]);
        let next = mat(&[[4.0, 1.0], [3.0, 0.0]]);
        let observation = observed(vec![this, next]);
        let pair = pair(&observation, 0).expect("is read");
        let finding = assess(&pair, LAW.family, None, &Thresholds::default());
        // A = diag(25, 1), B = diag(25, 4).
        assert!((finding.misfit.expect("finite") - 3.0 / 626.0f64.sqrt()).abs() < 1e-14);
        assert_eq!(finding.verdict, Verdict::Approximate);
        assert!(super::pair(&observation, 1).is_none(), "nothing reads the head");
    }

    #[test]
    fn gradient_flow_conserves_it() {
        let device = Device::flex();
        let (stream, dtype) = (Stream::root(3), DType::F64);
        let context = Context { inputs: 5, outputs: 2, device: &device, dtype, stream: stream.clone(), stored: None };
        let spec = GatedMlpSpec { widths: vec![4, 3], gate: Activation::Tanh, init: Init::default() };
        let mut network = spec.build(&context).expect("builds");
        let x = Tensor::<2>::from_data(TensorData::new(stream.fork("x").normals(35), [7, 5]), (&device, dtype));
        let (_, gradient) = network.gradient(&|net| net.outputs(x.clone()).sin().sum());
        // d/dt of what the law compares is 2 <weights, -gradient>, unit by unit: by a symmetric difference,
        // exact for squares.
        let parameters = network.parameters();
        let mut squares = |t: f64| -> Vec<Vec<f64>> {
            let moved: Parameters = parameters.zip(&gradient, |p, g| p.value.clone() - g.value.clone().mul_scalar(t));
            network.set_parameters(&moved).expect("the same network");
            let options = AgopOptions { layers: Some(Vec::new()), ..AgopOptions::default() };
            let observation = observe_network(network.as_ref(), &x, None, &options).expect("has sites");
            let difference = |l| {
                let Pair { a, b, .. } = pair(&observation, l).expect("is read");
                (0..a.dim()).map(|i| a.matrix()[(i, i)] - b.matrix()[(i, i)]).collect()
            };
            // The values of both layers; gates are read by nobody but their units.
            vec![difference(1), difference(3)]
        };
        let (after, before) = (squares(1.0), squares(-1.0));
        for (after, before) in after.iter().flatten().zip(before.iter().flatten()) {
            assert!((after - before).abs() < 1e-12 * (1.0 + after.abs()), "{after} against {before}");
        }
    }
}
