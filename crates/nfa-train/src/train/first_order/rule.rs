//! A first-order update rule, written once for tensors and for the host engine.

use crate::record::theory::DecayLaw;
use crate::train::first_order::entry::Entry;

/// What a rule knows of a step beside the entries.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// η.
    pub lr: f64,
    /// λ for this parameter: 0 for biases that don't decay.
    pub decay: f64,
    /// Rows and columns of a weight matrix (the kernels of a convolution count as rows); `None` for a
    /// parameter of one axis.
    pub matrix: Option<[usize; 2]>,
    /// The number of this step, from 1.
    pub t: u64,
}

/// A first-order update rule with N memories an entry, entry by entry; [`solver`](super::solver::solver)
/// makes a solver of it, on any device and on the host engine. Hyper-parameters are combined in `f64`
/// before they meet an entry.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "burn")] {
/// use nfa_models::{Spec, SpecError};
/// use nfa_train::train::first_order::{entry::Entry, rule::{Rule, Turn}, solver::solver};
/// use nfa_train::train::{setting::Setting, solver::Solver};
/// use serde::{Deserialize, Serialize};
///
/// /// m ← βm + (1-β)g; W ← (1 - lr λ)W - lr sign(m)
/// #[derive(Clone, Copy, Serialize, Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct SignDescent {
///     beta: f64,
/// }
///
/// impl Rule<1> for SignDescent {
///     const SLOTS: [&'static str; 1] = ["momentum"];
///
///     #[inline(always)] // or the host engine's loop over it is not vectorised
///     fn update<E: Entry>(&self, turn: &Turn, value: E, gradient: E, [held]: [E; 1]) -> (E, [E; 1]) {
///         let held = held.times(self.beta) + gradient.times(1.0 - self.beta);
///         let kept = value.times(1.0 - turn.lr * turn.decay);
///         (kept - held.clone().sign().times(turn.lr), [held])
///     }
/// }
///
/// impl Spec<dyn Solver> for SignDescent {
///     const KIND: &'static str = "sign_descent";
///     const DOC: &'static str = "Steps of one length in every entry, along the sign of a running mean of gradients.";
///     const REFERENCE: &'static str = "arXiv:1802.04434";
///     const EXAMPLE: &'static str = "beta = 0.9\n";
///
///     fn build(&self, setting: &Setting<'_>) -> Result<Box<dyn Solver>, SpecError> {
///         Ok(solver(*self, setting))
///     }
/// }
///
/// let known = nfa_train::train::solvers::solvers().with::<SignDescent>();
/// assert!(known.get("sign_descent").is_some());
/// # }
/// ```
pub trait Rule<const N: usize>: Copy + Send + Sync + 'static {
    /// Names of its memories, which begin at 0.
    const SLOTS: [&'static str; N];
    /// See [`Solver::decay_law`](crate::train::solver::Solver::decay_law).
    const LAW: Option<DecayLaw> = None;
    /// See [`Solver::decouples`](crate::train::solver::Solver::decouples).
    const DECOUPLED: bool = false;
    /// See [`Solver::takes_batches`](crate::train::solver::Solver::takes_batches).
    const BATCHES: bool = true;
    /// Whether a parameter is updated as a whole: then [`Entry::matrix`] sees all of it.
    const WHOLE: bool = false;

    /// An entry's next value and memories; `gradient` is without decay.
    fn update<E: Entry>(&self, turn: &Turn, value: E, gradient: E, memory: [E; N]) -> (E, [E; N]);
}
