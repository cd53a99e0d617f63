//! Files of weights: which tensor is a layer's, what else is there, and what the network makes of both.
//!
//! A reading goes [`checkpoint`] (names, shapes, numbers) → [`networks`] (one network, not two) → [`stored`] (the matrix
//! that a module applies) → [`order`] → [`layers`].

pub mod checkpoint;
pub mod layers;
pub mod names;
pub mod networks;
pub mod order;
pub mod stored;

pub use checkpoint::Checkpoint;
pub use layers::{LayerWeights, Weights};
