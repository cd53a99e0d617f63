//! A first-order update rule, one tensor at a time.

use burn::tensor::Tensor;
use nfa_models::host::Real;

use crate::train::decay::Decay;

/// One tensor's turn in a first-order step.
#[derive(Debug)]
pub struct Turn<'a> {
    /// The parameter, flat.
    pub value: Tensor<1>,
    /// Its gradient, without decay.
    pub gradient: Tensor<1>,
    /// η.
    pub lr: f64,
    /// λ for this parameter: 0 for biases that don't decay.
    pub decay: f64,
    /// The parameter's true shape.
    pub shape: &'a [usize],
    /// The number of this step, from 1.
    pub t: u64,
    /// This parameter's memory, in the order of [`Rule::SLOTS`]; `None` before the first step.
    pub memory: &'a mut [Option<Tensor<1>>],
}

/// A first-order update rule, one tensor at a time; written twice, for tensors and for the host
/// engine, and held equal by a test.
pub trait Rule: Clone + Send + Sync + 'static {
    /// Names of its memories.
    const SLOTS: &'static [&'static str];
    /// See [`Solver::is_plain`].
    const PLAIN: bool = false;
    /// See [`Solver::takes_batches`].
    const BATCHES: bool = true;
    /// Whether a weight matrix is updated as a whole, not entry by entry.
    const WHOLE: bool = false;

    /// Its decay.
    fn decay(&self) -> Decay;

    /// The parameter's next value.
    fn update(&self, turn: Turn<'_>) -> Tensor<1>;

    /// [`Rule::update`], in place.
    fn advance<T: Real>(&self, turn: Slices<'_, T>);
}

/// The numbers of one tile in a first-order step, for [`Rule::advance`].
#[derive(Debug)]
pub struct Slices<'a, T> {
    /// The parameter's numbers.
    pub value: &'a mut [T],
    /// Their gradient, without decay.
    pub gradient: &'a [T],
    /// η.
    pub lr: f64,
    /// λ for this parameter: 0 for biases that don't decay.
    pub decay: f64,
    /// Rows and columns of a weight matrix (whole for a rule that is [`Rule::WHOLE`]); `None` for biases.
    pub matrix: Option<[usize; 2]>,
    /// The number of this step, from 1; at the first, memories are 0.
    pub t: u64,
    /// Memories, in the order of [`Rule::SLOTS`]; empty where the rule has fewer.
    pub memory: [&'a mut [T]; 2],
}
