//! Where the matrices come from: networks on Burn, chains on the host, captures of any network.

pub mod agop;
pub mod blocks;
pub mod capture;
#[cfg(feature = "burn")]
pub mod capturing;
pub mod diagonal;
pub mod host_chain;
pub mod inputs;
#[cfg(feature = "burn")]
pub mod jacobian;
#[cfg(feature = "burn")]
pub mod layout;
#[cfg(feature = "burn")]
pub mod moments;
#[cfg(feature = "burn")]
pub mod named;
