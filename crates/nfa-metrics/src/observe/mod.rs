//! Where the matrices come from: networks on Burn, chains on the host, captures of any network.

pub mod agop;
pub mod blocks;
pub mod capture;
#[cfg(feature = "burn")]
pub mod capturing;
pub mod diagonal;
pub mod host_chain;
pub mod host_moments;
pub mod inputs;
#[cfg(feature = "burn")]
pub mod jacobian;
#[cfg(feature = "burn")]
pub mod layout;
pub(crate) mod linearity;
#[cfg(feature = "burn")]
pub mod moments;
#[cfg(feature = "burn")]
pub mod named;
#[cfg(feature = "burn")]
pub mod of_network;
#[cfg(feature = "burn")]
pub mod sharing;
