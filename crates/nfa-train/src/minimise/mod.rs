//! Minimising a function of one's own by cubic regularisation: [`minimise`].
//!
//! ARC (Cartis, Gould, Toint 2011), R-ARC (arXiv:2501.09734) and R-ARC-D (arXiv:2501.03718) in one iteration:
//! orthonormal rows B that span a sketch, or all directions; the reduced problem of the cubic model along them, solved
//! exactly ([`cubic`]); a step s = Bᵀu, accepted where it keeps a share of what the quadratic model promised. Every
//! end has a [`Certificate`]: the gradient, the least eigenvalue of the Hessian and how it is known, and what stopped
//! it.
//!
//! | file | holds |
//! |---|---|
//! | `function` | [`Function`], what an author writes |
//! | `settings` | the three methods and their constants |
//! | `arc`, `memory` | the iteration, and all that the next one depends on |
//! | `cubic` | the reduced problem |
//! | `model`, `hessian` | gradient and Hessian along directions, or whole |
//! | `sketch`, `history`, `basis` | which directions |
//! | `certificate`, `lanczos` | what is known of an end |
//! | `problems` | functions of low rank to try it on |

pub mod arc;
mod basis;
pub mod certificate;
pub mod columns;
pub mod cubic;
mod differences;
pub mod function;
mod hessian;
mod history;
pub mod iteration;
mod lanczos;
pub(crate) mod memory;
mod model;
mod penalised;
pub mod problems;
pub mod settings;
pub mod sketch;
pub(crate) mod vector;

pub use arc::Arc;
pub use certificate::{Certificate, Known};
pub use function::{Block, Costs, Function};
pub use iteration::{Iteration, Stop};
pub use settings::{Acceptance, Growth, Settings, Size, Unusable};
pub use sketch::Sketch;

/// Where an iteration ended.
#[derive(Clone, Debug)]
pub struct Minimum {
    /// The last point that was accepted.
    pub x: Vec<f64>,
    /// The function there, penalty included.
    pub value: f64,
    /// What each iteration did.
    pub iterations: Vec<Iteration>,
    /// What is known of the end.
    pub certificate: Certificate,
}

/// Minimises a function from x0 in at most `most` iterations.
///
/// # Shapes
/// x0: `[D]`
///
/// # Errors
/// A setting outside of its range, a start of another size, and values, gradients or Hessians that are not finite
/// where the function was accepted.
pub fn minimise(f: &mut dyn Function, x0: &[f64], settings: &Settings, most: usize) -> Result<Minimum, Unusable> {
    let mut arc = Arc::new(settings.clone())?;
    let mut x = x0.to_vec();
    let mut iterations: Vec<Iteration> = Vec::new();
    while iterations.len() < most && iterations.last().is_none_or(|last| last.stop.is_none()) {
        iterations.push(arc.step(f, &mut x)?);
    }
    let stop = iterations.last().and_then(|last| last.stop).unwrap_or(Stop::Budget);
    let certificate = arc.certify(f, &x, stop);
    let value = f.value(&x) + penalised::penalty(f, &x);
    Ok(Minimum { x, value, iterations, certificate })
}
