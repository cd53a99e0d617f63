//! The conformance suites: what every solver and every loss must satisfy, one's own included.
//!
//! ```
//! # use nfa_train::{testing, train};
//! // In one's own crate, inside a #[test], with the registries that hold one's kinds:
//! let device = burn::tensor::Device::flex();
//! testing::losses(&train::losses::losses(), &device);
//! # let own = train::solvers::solvers();
//! testing::solvers(&own, &device);
//! ```

pub mod dataset;
pub mod files;
mod loss;
mod solver;

pub use loss::losses;
pub use solver::solvers;

use burn::tensor::{DType, Device, Tensor, TensorData};
use nfa_models::Stream;

/// Normal numbers of a name.
fn normal(name: &str, [rows, cols]: [usize; 2], device: &Device, dtype: DType) -> Tensor<2> {
    let data = TensorData::new(Stream::root(13).fork(name).normals(rows * cols), [rows, cols]);
    Tensor::from_data(data, (device, dtype))
}

/// The largest difference between numbers, relative to those that are larger than 1.
fn apart(a: &[f64], b: &[f64]) -> f64 {
    // Not f64::max alone: it passes over NaN.
    let each = a.iter().zip(b).map(|(a, b)| (a - b).abs() / b.abs().max(1.0));
    each.fold(0.0, |most, each| if each.is_nan() { f64::INFINITY } else { each.max(most) })
}

/// The body of an example with its kind.
fn example(kind: &str, text: &str) -> toml::Table {
    let mut table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{kind}: the example is no TOML: {error}"));
    table.insert("kind".into(), kind.into());
    table
}
