//! What every solver is built with, whatever its kind.

use crate::train::decay::Decay;
use crate::train::problem::Problem;
use crate::train::rate::Rate;

/// What every solver is built with, whatever its kind.
#[derive(Clone)]
pub struct Setting<'a> {
    /// Learning rate.
    pub rate: Rate,
    /// Weight decay.
    pub decay: Decay,
    /// What its random numbers are drawn from.
    pub seed: u64,
    /// What a solver with a host form trains on the host; without it gradients come from the network.
    pub problem: Option<Problem<'a>>,
}
