//! The law: what writes a gated unit and what reads it are equally large.

use nfa_metrics::{Family, Law, Mat, Observation, Over, Pair, Psd};

/// |row i of U_l|² = |column i of W_{l+1}|² for every unit i.
///
/// A factor moved from a unit's value to its readers changes nothing, so gradient flow conserves the difference;
/// weight decay takes it away at the rate (1 - lr·λ)² a step.
pub const LAW: Law = Law {
    name: "unit_balance",
    left: "diag(W_{l+1}^T W_{l+1})",
    right: "diag(U_l U_l^T)",
    family: Family::Equal,
    doc: "Balanced units: a gated unit's value weights are as large as the weights that read the unit. Gradient flow \
          conserves the difference, weight decay takes it away.",
    reference: "arXiv:1806.00900",
    over: Over::Neighbours,
    pair,
    ..Law::OF_WEIGHTS
};

fn pair(observation: &Observation, layer: usize) -> Option<Pair> {
    let this = &observation.layers.get(layer)?.weight;
    let next = &observation.layers.get(layer + 1)?.weight;
    let units = next.ncols();
    // Only a gated layer has a gate and, below it, a value for each unit; None leaves the layer out.
    (this.nrows() == 2 * units).then(|| {
        let read = diagonal(units, |i| next.col(i).norm_l2());
        let written = diagonal(units, |i| this.row(units + i).norm_l2());
        Pair::new(Psd::nfm(&read), Psd::nfm(&written))
    })
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
    use nfa_metrics::weights_of;
    use nfa_metrics::{Layer, Thresholds, Verdict, assess, mat, testing};
    use nfa_models::{Activation, Context, Init, Parameters, Spec, Stream};

    fn observed(weights: Vec<Mat>) -> Observation {
        let layer = |(l, weight)| Layer { name: format!("{l}"), weight, agop: None, depth_from_here: None };
        let layers = weights.into_iter().enumerate().map(layer).collect();
        Observation { layers, linear: false, neighbours: true, eps: f64::EPSILON }
    }

    #[test]
    fn conforms() {
        let matrix = |rows, cols| Mat::from_fn(rows, cols, |i, j| ((3 * i * i + 5 * j + 1) as f64).sin());
        testing::conformance(&LAW, &observed(vec![matrix(8, 5), matrix(3, 4)]));
    }

    #[test]
    fn misfit_by_hand() {
        // Two units: gates, then values of squared norms 25 and 4; readers of squared norms 25 and 1.
        let this = mat(&[[9.0, 9.0], [9.0, 9.0], [3.0, 4.0], [2.0, 0.0]]);
        let next = mat(&[[4.0, 1.0], [3.0, 0.0]]);
        let observation = observed(vec![this, next]);
        let pair = pair(&observation, 0).expect("gated");
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
        let (_, gradient) = network.gradient(&|net| net.forward(x.clone()).sin().sum());
        // d/dt of what the law compares is 2 <weights, -gradient>, unit by unit: by a symmetric difference,
        // exact for squares.
        let parameters = network.parameters();
        let mut squares = |t: f64| -> Vec<Vec<f64>> {
            let moved: Parameters = parameters.zip(&gradient, |p, g| p.value.clone() - g.value.clone().mul_scalar(t));
            network.set_parameters(&moved).expect("the same network");
            let observation = observed(weights_of(network.as_ref()));
            let difference = |l| {
                let Pair { a, b, .. } = pair(&observation, l).expect("gated");
                (0..a.dim()).map(|i| a.matrix()[(i, i)] - b.matrix()[(i, i)]).collect()
            };
            vec![difference(0), difference(1)]
        };
        let (after, before) = (squares(1.0), squares(-1.0));
        for (after, before) in after.iter().flatten().zip(before.iter().flatten()) {
            assert!((after - before).abs() < 1e-12 * (1.0 + after.abs()), "{after} against {before}");
        }
    }
}
