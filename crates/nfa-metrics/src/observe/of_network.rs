//! What laws need of a network on Burn beside AGOPs: moments of its loss, and the outputs' gradients behind its maps.

use burn::tensor::Tensor;
use nfa_models::place::is_on_host;
use nfa_models::{AnyNetwork, Chain, SitesError};

use crate::matrix::Mat;
use crate::observation::moments::Moments;
use crate::observe::agop::options::AgopOptions;
use crate::observe::agop::sites::SitesOnRows;
use crate::observe::host_chain::HostChain;
use crate::observe::host_moments::{HostLoss, OutputGradients};
use crate::observe::jacobian::{numbers, to_host};
use crate::observe::layout::Layout;
use crate::observe::moments::{LossOnRows, moments};

impl HostChain {
    /// A chain's numbers, read off its device.
    pub(crate) fn read(chain: &Chain) -> Self {
        let bias = |bias: &Option<Tensor<1>>| Some(numbers(bias.as_ref()?.clone()));
        HostChain {
            weights: chain.weights.iter().map(|w| to_host(w.clone())).collect(),
            biases: chain.biases.iter().map(bias).collect(),
            activations: chain.activations.clone(),
        }
    }
}

/// The chain of a network that is one and is on a CPU.
fn on_host(network: &dyn AnyNetwork, x: &Tensor<2>) -> Option<HostChain> {
    let chain = network.chain().filter(|_| is_on_host(&x.device()))?;
    Some(HostChain::read(&chain))
}

/// Moments of a loss at every layer of a network: one forward and one backward pass. Of a chain on a CPU in host `f64`,
/// where the loss is known there too.
///
/// # Shapes
/// x: `[n, d]`
///
/// # Errors
/// Sites that can't be measured: see [`SitesError`].
pub fn network_moments(
    network: &dyn AnyNetwork,
    x: &Tensor<2>,
    asked: &LossOnRows<'_>,
    on_slices: Option<&OutputGradients<'_>>,
) -> Result<Vec<Moments>, SitesError> {
    if let Some((chain, gradients)) = on_host(network, x).zip(on_slices) {
        let &LossOnRows { weights, targets, needs, .. } = asked;
        return Ok(chain.moments(&numbers(x.clone()), &HostLoss { gradients, weights, targets, needs }));
    }
    moments(&|x, at| network.forward(x, at), x, asked, &AgopOptions::default())
}

/// K = mean Σ (∂f/∂z)(∂f/∂z)ᵀ over outputs and positions, behind every layer's map.
///
/// # Shapes
/// x: `[n, d]`; `[d_out, d_out]` each
///
/// # Errors
/// Sites that can't be measured: see [`SitesError`].
pub fn output_gradients(
    network: &dyn AnyNetwork,
    x: &Tensor<2>,
    weights: Option<&[f64]>,
) -> Result<Vec<Mat>, SitesError> {
    if let Some(chain) = on_host(network, x) {
        return Ok(chain.output_gradients(&numbers(x.clone()), weights));
    }
    let forward = |x, at: &mut nfa_models::Sites| network.forward(x, at);
    let (layout, options) = (Layout::new(&forward, x)?.with_weights(), AgopOptions::default());
    SitesOnRows { forward: &forward, layout: &layout, x, weights, options: &options }.ks()
}
