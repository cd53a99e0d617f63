//! The two matrices of a law at one place.

use std::sync::OnceLock;

use crate::judge::misfit::Seen;
use crate::matrix::psd::Psd;

/// The two matrices of a law at one layer, and the exponent that theory gives there, if any.
#[derive(Clone, Debug)]
pub struct Pair {
    /// A.
    pub a: Psd,
    /// B.
    pub b: Psd,
    /// The predicted exponent.
    pub predicted: Option<f64>,
    seen: OnceLock<Option<Seen>>,
}

impl Pair {
    /// Without a predicted exponent.
    pub fn new(a: Psd, b: Psd) -> Self {
        Pair { a, b, predicted: None, seen: OnceLock::new() }
    }

    /// With the exponent that theory predicts, if it does.
    #[must_use]
    pub fn predicting(mut self, predicted: Option<f64>) -> Self {
        self.predicted = predicted;
        self
    }

    /// A in B's eigenbasis, of the two as they were when it was first asked for.
    pub fn seen(&self) -> Option<&Seen> {
        self.seen.get_or_init(|| Seen::new(&self.a, &self.b)).as_ref()
    }
}
