//! The losses that files may name.

use nfa_models::Registry;

use crate::train::loss::{Loss, cross_entropy, half_mse, mse, output};

/// Every built-in loss: one line each.
pub fn losses() -> Registry<dyn Loss> {
    Registry::new("loss")
        .with::<half_mse::HalfMse>()
        .with::<mse::Mse>()
        .with::<cross_entropy::CrossEntropy>()
        .with::<output::Output>()
}

#[cfg(all(test, feature = "burn"))]
mod tests {
    use super::*;
    use crate::train::objective::scalar;
    use burn::tensor::{DType, Device, Tensor, TensorData};

    fn rows(data: &[[f64; 3]]) -> Tensor<2> {
        let flat: Vec<f64> = data.iter().flatten().copied().collect();
        Tensor::from_data(TensorData::new(flat, [data.len(), 3]), (&Device::flex(), DType::F64))
    }

    /// Losses from the definitions, on the host.
    fn oracle(kind: &str, outputs: &[[f64; 3]], targets: &[[f64; 3]]) -> f64 {
        let n = outputs.len() as f64;
        let sum: f64 = outputs
            .iter()
            .zip(targets)
            .map(|(f, y)| match kind {
                "cross_entropy" => {
                    let log_sum = f.iter().map(|v| v.exp()).sum::<f64>().ln();
                    f.iter().zip(y).map(|(f, y)| -y * (f - log_sum)).sum::<f64>()
                }
                "output" => f.iter().sum(),
                _ => f.iter().zip(y).map(|(f, y)| (f - y).powi(2)).sum(),
            })
            .sum();
        match kind {
            "half_mse" => sum / (2.0 * n),
            "mse" => sum / (3.0 * n),
            _ => sum / n,
        }
    }

    #[test]
    fn values_of_every_loss() {
        let outputs = [[0.3, -1.2, 2.0], [0.0, 0.5, -0.4]];
        let targets = [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]];
        for entry in losses().entries() {
            let table = toml::Table::from_iter([("kind".to_string(), entry.kind.into())]);
            let loss = losses().build(table, &()).expect("needs no keys");
            let value = scalar(loss.value(rows(&outputs), &rows(&targets), None, 2));
            assert!((value - oracle(entry.kind, &outputs, &targets)).abs() < 1e-14, "{}", entry.kind);
        }
    }
}
