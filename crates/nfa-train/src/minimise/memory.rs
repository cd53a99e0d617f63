//! What one iteration hands to the next, beside the point: all that a run needs to go on to the same bits.

use crate::minimise::history::History;
use crate::minimise::iteration::Stop;

/// What one iteration hands to the next.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    /// Iterations done.
    pub(crate) iterations: u64,
    /// The iteration whose draws the last model is of.
    pub(crate) drawn: u64,
    /// σ of the next.
    pub(crate) sigma: f64,
    /// l of the next; of guided sketches that grow, their Gaussian rows.
    pub(crate) rows: usize,
    /// The largest rank that was seen.
    pub(crate) rank: usize,
    /// The function at the point, penalty included, once known.
    pub(crate) value: Option<f64>,
    /// The last gradient that was clearly below those before.
    pub(crate) low: f64,
    /// Iterations since that rounding decided.
    pub(crate) idle: u64,
    /// Whether the last model stands for the next iteration too.
    pub(crate) reuse: bool,
    /// Whether a step along negative curvature was tried from here in vain.
    pub(crate) tried: bool,
    /// The largest residual of a reduced problem.
    pub(crate) worst: f64,
    /// Work in gradients.
    pub(crate) work: f64,
    /// Full Hessians seen.
    pub(crate) hessians: f64,
    /// Why nothing is left to do.
    pub(crate) rests: Option<Stop>,
    /// Gradients that guide.
    pub(crate) history: History,
    /// A direction of negative curvature for the next.
    pub(crate) escape: Option<Vec<f64>>,
}

impl Default for Memory {
    fn default() -> Self {
        Memory {
            iterations: 0,
            drawn: 0,
            sigma: 0.0,
            rows: 0,
            rank: 0,
            value: None,
            low: f64::INFINITY,
            idle: 0,
            reuse: false,
            tried: false,
            worst: 0.0,
            work: 0.0,
            hessians: 0.0,
            rests: None,
            history: History::default(),
            escape: None,
        }
    }
}
