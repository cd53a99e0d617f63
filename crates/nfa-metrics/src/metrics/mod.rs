//! One file per metric; the registry is [`crate::metric::metrics`].

pub mod accuracy;
pub mod imbalance;
pub mod loss;
pub mod recurrence_residual;
