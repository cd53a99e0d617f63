//! Loss functions: one file each, one line each in
//! [`losses`](crate::train::losses::losses).

#[cfg(feature = "burn")]
use burn::tensor::Tensor;
use nfa_models::spec::Component;

use crate::train::loss::criterion::Criterion;

pub mod criterion;
pub mod cross_entropy;
pub mod half_mse;
pub mod mse;
pub mod output;

/// A mean loss over rows.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "burn")] {
/// use burn::tensor::Tensor;
/// use nfa_models::{Spec, SpecError};
/// use nfa_train::train::loss::Loss;
/// use serde::{Deserialize, Serialize};
///
/// /// (1/n) Σ_i w_i Σ_k (√(1 + (f - y)²) - 1)
/// #[derive(Clone, Copy, Serialize, Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct PseudoHuber {}
///
/// impl Loss for PseudoHuber {
///     fn value(&self, outputs: Tensor<2>, targets: &Tensor<2>, weights: Option<&Tensor<2>>, rows: usize) -> Tensor<1> {
///         let each = (outputs - targets.clone()).powi_scalar(2).add_scalar(1.0).sqrt().sub_scalar(1.0);
///         let each = match weights {
///             Some(weights) => each * weights.clone(),
///             None => each,
///         };
///         each.sum().mul_scalar(1.0 / rows as f64)
///     }
/// }
///
/// impl Spec<dyn Loss> for PseudoHuber {
///     const KIND: &'static str = "pseudo_huber";
///     const DOC: &'static str = "Squares of small errors, absolute values of large ones.";
///     const REFERENCE: &'static str = "doi:10.1109/83.551699";
///     const EXAMPLE: &'static str = "";
///
///     fn build(&self, (): &()) -> Result<Box<dyn Loss>, SpecError> {
///         Ok(Box::new(*self))
///     }
/// }
///
/// let known = nfa_train::train::losses::losses().with::<PseudoHuber>();
/// assert!(known.get("pseudo_huber").is_some());
/// # }
/// ```
pub trait Loss: Send + Sync {
    /// The loss.
    ///
    /// # Shapes
    /// outputs: `[n, c]`, targets: `[n, c]`, weights: `[n, 1]` (mean 1); returns `[1]`
    ///
    /// `rows` is the n of the mean, where the rows given stand for more than there are.
    #[cfg(feature = "burn")]
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

    /// Whether it is the mean of the outputs themselves.
    fn is_output(&self) -> bool {
        false
    }

    /// Whether class labels are wanted as one-hot rows.
    fn wants_one_hot(&self) -> bool {
        true
    }
}

impl Component for dyn Loss {
    type Context<'a> = ();
}
