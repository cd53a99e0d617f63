//! Where the matrices come from: networks on Burn, chains on the host, captures of any network.

#[cfg(feature = "burn")]
pub mod agop;
pub mod blocks;
pub mod capture;
#[cfg(feature = "burn")]
pub mod inputs;
#[cfg(feature = "burn")]
pub mod jacobian;
#[cfg(feature = "burn")]
pub mod tap;
