//! The average gradient outer product, exactly, at the input of every layer.
//!
//! AGOP_l = (1/n) Σ_i w_i Σ_p J_ipᵀJ_ip with J_ip the Jacobian of the outputs in layer l's input
//! (summed over outputs; w_i sample weights of mean 1). Three ways, held equal by tests:
//!
//! - **autodiff**: any network on Burn whose maps go through [`Sites`](nfa_models::Sites): differentiated at what the
//!   maps put out, all sites in one sweep, about one backward pass per output;
//! - **factored**, for chains of dense layers: one forward, then Δ_l = ∂f/∂z_l for all layers in
//!   one backward sweep of matrix products; at layer l the sweep stops at z_l, whose Gram matrix K_l
//!   is small, and AGOP_l = W_lᵀ K_l W_l (f reads its input through W_l alone). Where everything
//!   behind a layer is linear its Jacobian is a product of weights and no data is touched;
//! - **host**: the factored way on the CPU without Burn, which is what CPU devices take, and the
//!   one way of a [`HostChain`](crate::HostChain).
//!
//! In `f64` the rows are kept as a factor ([`Accumulator`](crate::Accumulator)) as long as that is affordable, so that
//! small eigenvalues, and with them powers, keep their digits.

#[cfg(feature = "burn")]
mod chain;
mod host;
#[cfg(feature = "burn")]
pub mod network;
mod on_host;
pub mod options;
mod plan;
mod rows;
#[cfg(feature = "burn")]
pub(crate) mod sites;
mod sum;
#[cfg(feature = "burn")]
pub(crate) mod sweep;
#[cfg(feature = "burn")]
mod tensors;
