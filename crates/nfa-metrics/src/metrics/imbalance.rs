//! How unbalanced neighbouring layers are, absolutely and against the start.

use crate::column::{Better, MetricInfo};
use crate::laws::needs::Needs;
use crate::metrics::metric::{Metric, Snapshot, Value};
use crate::observation::{Observation, imbalance};

/// `imbalance.layer<i>`, `imbalance_ratio.layer<i>`.
pub const METRIC: Metric = Metric { name: "imbalance", needs: Needs::WEIGHTS, info, measure };

fn info() -> Vec<MetricInfo> {
    let row = |name: &str, symbol, doc| MetricInfo {
        name: name.into(),
        symbol,
        unit: "1",
        range: "[0, inf)",
        better: Better::Neither,
        doc,
        reference: "arXiv:2510.15563",
    };
    vec![
        row("imbalance.layer<i>", "|D_l|", "Frobenius norm of W_{l+1}^T W_{l+1} - W_l W_l^T, layers i and i+1."),
        row(
            "imbalance_ratio.layer<i>",
            "|D_l(t)|/|D_l(0)|",
            "The same over its value at step 0; (1 - lr lambda)^(2t) under gradient descent up to O(lr), exp(-2 lambda t) under flow.",
        ),
    ]
}

/// (l, |D_l|) of every neighbouring pair of layers that fit together.
pub fn norms(observation: &Observation) -> Vec<(usize, f64)> {
    let norm = |l: usize| {
        let (readers, this) = (observation.readers(l)?, &observation.layers[l].weight);
        let fits = readers.ncols() == this.nrows();
        fits.then(|| (l, crate::matrix::squared_norm(&imbalance(&readers, this)).sqrt()))
    };
    observation.writers().filter_map(norm).collect()
}

fn measure(at: &Snapshot<'_>) -> Vec<Value> {
    let now = norms(at.observation);
    let scale = at.observation.layers.iter().map(|l| crate::matrix::squared_norm(&l.weight)).fold(0.0, f64::max);
    let mut values = Vec::new();
    for (l, norm) in &now {
        values.push((format!("imbalance.layer{l}"), Some(*norm)));
    }
    for (k, (l, norm)) in now.iter().enumerate() {
        // A balanced start has |D(0)| = rounding, and a ratio to rounding means nothing.
        let d = at.observation.layers[*l].weight.nrows();
        let start = at.initial_imbalance.map_or(Some(*norm), |start| start.get(k).copied());
        let base = start.filter(|&base| base > crate::matrix::tolerance::pool(d, at.observation.eps) * scale);
        values.push((format!("imbalance_ratio.layer{l}"), base.map(|base| norm / base)));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layer, Mat, Scores};

    #[test]
    fn a_pair_that_does_not_fit_leaves_the_others_their_numbers() {
        // Layer 0 is a gate and a value over the same two units: its four rows are no layer 1's columns.
        let layer = |name: &str, rows, cols| Layer::new(name, Mat::from_fn(rows, cols, |i, j| (i + 2 * j) as f64));
        let layers = vec![layer("0", 4, 3), layer("1", 5, 2), layer("2", 1, 5)];
        let observation = Observation { layers, linear: false, eps: f64::EPSILON }.in_a_row();
        let (train, initial) = (Scores { loss: 0.0, accuracy: None }, [2.0]);
        let at = Snapshot {
            observation: &observation,
            train,
            test: None,
            penalty: 0.0,
            initial_imbalance: Some(&initial),
            teacher: None,
            slope: None,
            work: 0.0,
            first_loss: None,
            least_loss: None,
            update: None,
        };
        let d = crate::matrix::squared_norm(&imbalance(&observation.layers[2].weight, &observation.layers[1].weight))
            .sqrt();
        let expected = [("imbalance.layer1".into(), Some(d)), ("imbalance_ratio.layer1".into(), Some(d / 2.0))];
        assert_eq!(measure(&at), expected);
    }
}
