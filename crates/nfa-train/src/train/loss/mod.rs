//! Loss functions: one file each, one line each in [`losses`].

use burn::tensor::Tensor;
use nfa_models::spec::Component;

use crate::train::loss::criterion::Criterion;

pub mod criterion;
pub mod cross_entropy;
pub mod half_mse;
pub mod mse;

/// A mean loss over rows.
pub trait Loss: Send + Sync {
    /// The loss.
    ///
    /// # Shapes
    /// outputs: `[n, c]`, targets: `[n, c]`, weights: `[n, 1]` (mean 1); returns `[1]`
    ///
    /// `rows` is the n of the mean, where the rows given stand for more than there are.
    fn value(&self, outputs: Tensor<2>, targets: &Tensor<2>, weights: Option<&Tensor<2>>, rows: usize) -> Tensor<1>;

    /// Whether it is a sum of squares of outputs - targets: then a linear network reads the data
    /// through its second moments alone.
    fn is_squared(&self) -> bool {
        false
    }

    /// The same loss for the host engine, where it knows it.
    fn criterion(&self) -> Option<Criterion> {
        None
    }

    /// Whether class labels are wanted as one-hot rows.
    fn wants_one_hot(&self) -> bool {
        true
    }
}

impl Component for dyn Loss {
    type Context<'a> = ();
}
