//! The law: the ansatz coordinate by coordinate, as diagonal recursive feature machines take it.

use nfa_metrics::{Family, Law, Mat, Needs, Observation, Pair, Psd};

/// |column j of W_l|² ∝ (the j-th diagonal entry of the AGOP)^α.
pub const LAW: Law = Law {
    name: "diagonal_nfa",
    left: "diag(W_l^T W_l)",
    right: "diag(AGOP) at layer l's input",
    family: Family::Power,
    doc: "The Neural Feature Ansatz coordinate by coordinate: how strongly a layer reads an input is a power of how \
          strongly the network's outputs follow it.",
    reference: "arXiv:2212.13881",
    // Nothing else is computed for it; and as the AGOP is an average over the rows there are intervals.
    needs: Needs::AGOP,
    varies: true,
    axes: ["diagonal of the AGOP", "columns of the weights"],
    details: true,
    pair,
    ..Law::OF_WEIGHTS
};

fn pair(observation: &Observation, layer: usize) -> Option<Pair> {
    let layer = observation.layers.get(layer)?;
    let agop = layer.agop.as_ref()?.matrix();
    let (read, weight) = (|j: usize| layer.weight.col(j).squared_norm_l2(), &layer.weight);
    let d = weight.ncols();
    let diagonal = |entry: &dyn Fn(usize) -> f64| Mat::from_fn(d, d, |i, j| if i == j { entry(i) } else { 0.0 });
    Some(Pair::new(Psd::gram(diagonal(&read)), Psd::gram_of(diagonal(&|j| agop[(j, j)]), observation.eps)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nfa_metrics::testing::{conformance, observation};
    use nfa_metrics::{Thresholds, assess, mat};

    #[test]
    fn conforms() {
        conformance(&LAW, &observation([5, 6, 4, 3]));
    }

    #[test]
    fn exponent_by_hand() {
        // Columns of squared norms 4 and 1 against 16 and 1: the exponent 1/2.
        let mut observation = observation([2, 2, 2, 2]);
        observation.layers[0].weight = mat(&[[2.0, 0.0], [0.0, 1.0]]);
        observation.layers[0].agop = Some(Psd::gram(mat(&[[16.0, 3.0], [3.0, 1.0]])));
        let finding = assess(&LAW.at(&observation, 0).expect("applies"), LAW.family, None, &Thresholds::default());
        assert!((finding.alpha.expect("distinct") - 0.5).abs() < 1e-12 && finding.misfit.expect("defined") < 1e-14);
    }
}
