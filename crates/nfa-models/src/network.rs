//! What a model author writes ([`Network`]), and what the workspace holds ([`AnyNetwork`]).

use std::any::Any;

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};

use crate::activation::Activation;
use crate::parameters::{ParameterError, Parameters};
use crate::sites::Sites;
use crate::visit::{Collect, CollectGradients, Replace, Track};

/// A differentiable map applied row by row: output row i depends on input row i alone.
///
/// That contract is what makes one backward pass per output give the exact Jacobian of a whole
/// batch; layers that couple rows (batch normalisation while training) break it, and
/// `testing::conformance` finds out.
///
/// One method is required, in which the network's linear maps go through [`Sites`]: that is how they are found and
/// measured. ([`AnyNetwork`] has a method of the same name: where both are imported, call
/// `Network::forward(self, ...)`.)
///
/// # Example
///
/// ```
/// use burn::module::{Module, Param};
/// use burn::tensor::{Tensor, activation};
/// use nfa_models::{Network, Sites};
///
/// /// f(x) = V (tanh(Wx) * sigmoid(Ux)): three maps, two of which read the same.
/// #[derive(Module, Debug)]
/// struct Gated {
///     w: Param<Tensor<2>>, // [h, d]
///     u: Param<Tensor<2>>, // [h, d]
///     v: Param<Tensor<2>>, // [c, h]
/// }
///
/// impl Network for Gated {
///     fn forward(&self, x: Tensor<2>, at: &mut Sites) -> Tensor<2> {
///         let z = at.dense("value", x.clone(), self.w.val(), None);
///         let gate = activation::sigmoid(at.dense("gate", x, self.u.val(), None));
///         at.dense("head", activation::tanh(z) * gate, self.v.val(), None)
///     }
/// }
/// ```
pub trait Network: Module + Sync + 'static {
    /// The outputs. Which maps pass, and in what order, does not depend on the rows.
    ///
    /// # Shapes
    /// x: `[n, d]` → `[n, c]`; read n from x, as the rows may come several times over
    fn forward(&self, x: Tensor<2>, at: &mut Sites) -> Tensor<2>;

    /// The network as a chain of dense layers, if that is all it is: opens the fast exact AGOP. Its layers are the
    /// sites of [`Network::forward`], in order.
    fn chain(&self) -> Option<Chain> {
        None
    }

    /// L, the number of weight matrices in a row between input and output, where the network has one:
    /// what theory calls its depth.
    fn depth(&self) -> Option<usize> {
        self.chain().map(|chain| chain.weights.len())
    }
}

/// A network that is dense layers with activations between, and nothing else:
/// f(x) = W_L φ_{L-1}(… φ_1(W_1 x + b_1) …) + b_L.
#[derive(Clone, Debug)]
pub struct Chain {
    /// W_1 … W_L, each `[d_l, d_{l-1}]`.
    pub weights: Vec<Tensor<2>>,
    /// b_1 … b_L, each `[d_l]` where there is one.
    pub biases: Vec<Option<Tensor<1>>>,
    /// φ_1 … φ_{L-1}.
    pub activations: Vec<Activation>,
}

impl Chain {
    /// Whether the input-output map has the same Jacobian everywhere.
    pub fn is_linear(&self) -> bool {
        self.activations.iter().all(|&a| a == Activation::Linear)
    }
}

/// A scalar to minimise, built from a network's forward pass: returns shape `[1]`.
pub type Loss<'a> = dyn Fn(&dyn AnyNetwork) -> Tensor<1> + 'a;

/// The object-safe face of every [`Network`].
///
/// Its parameters are plain tensors: tracking exists only inside [`AnyNetwork::gradient`], so that
/// measuring never drags a training graph along.
pub trait AnyNetwork: Send + Sync {
    /// See [`Network::forward`].
    fn forward(&self, x: Tensor<2>, at: &mut Sites) -> Tensor<2>;
    /// The outputs, and nothing remembered of what leads there.
    ///
    /// # Shapes
    /// x: `[n, d]` → `[n, c]`
    fn outputs(&self, x: Tensor<2>) -> Tensor<2>;
    /// See [`Network::chain`].
    fn chain(&self) -> Option<Chain>;
    /// See [`Network::depth`].
    fn depth(&self) -> Option<usize>;
    /// Every float parameter, in the module's order.
    fn parameters(&self) -> Parameters;
    /// Replaces every parameter.
    ///
    /// # Errors
    /// A missing, unexpected or misshapen entry; the network is unchanged then.
    fn set_parameters(&mut self, values: &Parameters) -> Result<(), ParameterError>;
    /// The loss and its gradient in every parameter.
    fn gradient(&self, loss: &Loss<'_>) -> (Tensor<1>, Parameters);
    /// The module itself, for those who know what it is.
    fn as_any(&self) -> &dyn Any;
    /// A copy that shares no state.
    fn boxed_clone(&self) -> Box<dyn AnyNetwork>;
}

impl<N: Network> AnyNetwork for N {
    fn forward(&self, x: Tensor<2>, at: &mut Sites) -> Tensor<2> {
        Network::forward(self, x, at)
    }

    fn outputs(&self, x: Tensor<2>) -> Tensor<2> {
        Network::forward(self, x, &mut Sites::off())
    }

    fn chain(&self) -> Option<Chain> {
        Network::chain(self)
    }

    fn depth(&self) -> Option<usize> {
        Network::depth(self)
    }

    fn parameters(&self) -> Parameters {
        let mut collect = Collect::default();
        self.visit(&mut collect);
        Parameters::new(collect.entries)
    }

    fn set_parameters(&mut self, values: &Parameters) -> Result<(), ParameterError> {
        let current = AnyNetwork::parameters(self);
        for entry in current.iter() {
            let Some(value) = values.get(&entry.name) else {
                return Err(ParameterError::Missing(entry.name.clone()));
            };
            if value.shape != entry.shape {
                return Err(ParameterError::Shape {
                    name: entry.name.clone(),
                    expected: entry.shape.clone(),
                    got: value.shape.clone(),
                });
            }
        }
        if let Some(extra) = values.iter().find(|value| current.get(&value.name).is_none()) {
            return Err(ParameterError::Unexpected(extra.name.clone()));
        }
        // Mapping visits in the same order as collecting; the names were just matched.
        let ordered = current.iter().filter_map(|entry| values.get(&entry.name)).cloned().collect();
        *self = self.clone().map(&mut Replace { values: ordered, next: 0 });
        Ok(())
    }

    fn gradient(&self, loss: &Loss<'_>) -> (Tensor<1>, Parameters) {
        let tracked = self.clone().map(&mut Track);
        let value = loss(&tracked);
        let mut gradients = value.backward();
        let mut collect = CollectGradients { gradients: &mut gradients, collect: Collect::default() };
        tracked.visit(&mut collect);
        (value.inner(), Parameters::new(collect.collect.entries))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn boxed_clone(&self) -> Box<dyn AnyNetwork> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn AnyNetwork> {
    fn clone(&self) -> Self {
        self.boxed_clone()
    }
}

/// The device and dtype that a network computes with: those of its first parameter.
pub fn placement(network: &dyn AnyNetwork) -> Option<(Device, DType)> {
    let parameters = network.parameters();
    let first = &parameters.iter().next()?.value;
    Some((first.device(), first.dtype()))
}
