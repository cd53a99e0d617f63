//! From rows and a network to steps.

pub mod course;
pub mod decay;
pub mod engine;
pub mod first_order;
pub mod host;
pub mod loss;
pub mod losses;
pub mod objective;
pub mod problem;
pub mod rate;
pub mod rows;
pub mod setting;
pub mod solver;
pub mod solvers;
pub mod surface;
