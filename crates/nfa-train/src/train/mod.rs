//! From rows and a network to steps.

pub mod course;
pub mod decay;
pub mod engine;
pub mod first_order;
#[cfg(feature = "burn")]
pub mod host;
pub mod loss;
pub mod losses;
#[cfg(feature = "burn")]
pub mod objective;
#[cfg(feature = "burn")]
pub mod problem;
pub mod rate;
#[cfg(feature = "burn")]
pub mod rows;
pub mod second_order;
#[cfg(feature = "burn")]
pub mod setting;
#[cfg(feature = "burn")]
pub mod solver;
pub mod solvers;
pub mod surface;

/// Without Burn: solvers by name alone.
#[cfg(not(feature = "burn"))]
pub mod solver {
    /// What a registry of solvers would build.
    pub trait Solver {}

    impl nfa_models::spec::Component for dyn Solver {
        type Context<'a> = ();
    }
}
