//! Where the matrices come from: networks on Burn, chains on the host, captures of any network.

pub mod agop;
pub mod blocks;
pub mod capture;
pub mod host_chain;
pub mod inputs;
#[cfg(feature = "burn")]
pub mod jacobian;
#[cfg(feature = "burn")]
pub mod layout;
#[cfg(feature = "burn")]
pub mod named;
