//! Solvers that use second derivatives of the loss: ARC, R-ARC and R-ARC-D on the parameters of a network.
//!
//! The iteration is [`minimise`](crate::minimise)'s; here is what it minimises. A chain of dense layers has its
//! second derivatives in closed form, forward only ([Burn's autodiff does not nest]), on the host or on any device;
//! another network by differences of its gradients.
//!
//! [Burn's autodiff does not nest]: https://github.com/tracel-ai/burn/issues/1942

#[cfg(all(test, feature = "burn"))]
mod agreement;
pub mod arc;
#[cfg(feature = "burn")]
mod by_gradients;
pub mod curvature;
pub mod function;
#[cfg(feature = "burn")]
mod host_chain;
mod keys;
pub mod r_arc;
pub mod r_arc_d;
#[cfg(feature = "burn")]
mod regularised;
#[cfg(feature = "burn")]
mod state;
#[cfg(feature = "burn")]
mod tensor_chain;
