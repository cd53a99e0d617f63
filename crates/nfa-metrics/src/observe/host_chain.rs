//! A chain of dense layers on the host, which is observed without Burn.

use nfa_models::host::dense::check_chain;
use nfa_models::{Activation, SpecError};

use crate::matrix::Mat;

/// f(x) = W_L φ_{L-1}(… φ_1(W_1 x + b_1) …) + b_L, its numbers on the host.
///
/// ```
/// use nfa_metrics::{AgopOptions, HostChain, mat};
/// use nfa_models::Activation;
///
/// let weights = vec![mat(&[[1.0, 2.0], [0.0, 1.0], [3.0, -1.0]]), mat(&[[1.0, 0.0, 2.0]])];
/// let chain = HostChain::new(weights, vec![None, None], vec![Activation::Tanh])?;
/// let x = [0.3, 0.1, 1.0, 2.0]; // two rows
/// let observation = chain.observe::<f64>(&x, None, &AgopOptions::default());
/// let agop = observation.layers[1].agop.as_ref().expect("asked for");
/// assert!((agop.matrix()[(2, 2)] - 4.0).abs() < 1e-14); // VᵀV
/// # Ok::<(), nfa_models::SpecError>(())
/// ```
#[derive(Clone, Debug)]
pub struct HostChain {
    pub(crate) weights: Vec<Mat>,
    pub(crate) biases: Vec<Option<Vec<f64>>>,
    pub(crate) activations: Vec<Activation>,
}

impl HostChain {
    /// A chain from its weights and biases.
    ///
    /// # Shapes
    /// weights: L matrices `[d_l, d_{l-1}]`; biases: L of `[d_l]` or `None`; activations: L - 1
    ///
    /// # Errors
    /// No layers, shapes that don't chain, the wrong number of biases or activations.
    pub fn new(
        weights: Vec<Mat>,
        biases: Vec<Option<Vec<f64>>>,
        activations: Vec<Activation>,
    ) -> Result<Self, SpecError> {
        let shapes: Vec<[usize; 2]> = weights.iter().map(|w| [w.nrows(), w.ncols()]).collect();
        let sizes: Vec<Option<usize>> = biases.iter().map(|bias| bias.as_ref().map(Vec::len)).collect();
        check_chain(&shapes, &sizes, activations.len())?;
        Ok(HostChain { weights, biases, activations })
    }

    /// Whether the input-output map has the same Jacobian everywhere.
    pub fn is_linear(&self) -> bool {
        self.activations.iter().all(|&a| a == Activation::Linear)
    }

    /// d.
    pub(crate) fn inputs(&self) -> usize {
        self.weights[0].ncols()
    }

    /// c.
    pub(crate) fn outputs(&self) -> usize {
        self.weights[self.weights.len() - 1].nrows()
    }
}
