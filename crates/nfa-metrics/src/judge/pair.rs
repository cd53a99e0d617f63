//! The two matrices of a law at one place.

use std::sync::OnceLock;

use crate::judge::misfit::Seen;
use crate::judge::right::Right;
use crate::matrix::psd::Psd;

/// The two matrices of a law at one place, and the exponent that theory gives there, if any.
#[derive(Clone, Debug)]
pub struct Pair {
    /// A, the left side: `[d, d]`, symmetric PSD, for most laws the Gram matrix of weights.
    pub a: Psd,
    /// B, the right side, `[d, d]`: what A is compared with a power, a multiple of, or itself.
    pub b: Right,
    /// The exponent that theory predicts here; only a [`Family::Power`](crate::Family::Power) has one.
    pub predicted: Option<f64>,
    seen: OnceLock<Option<Seen>>,
}

impl Pair {
    /// Without a predicted exponent; b is a [`Psd`], or a [`Square`](crate::Square) for a law of family Equal.
    pub fn new(a: Psd, b: impl Into<Right>) -> Self {
        Pair { a, b: b.into(), predicted: None, seen: OnceLock::new() }
    }

    /// With the exponent that theory predicts, if it does.
    #[must_use]
    pub fn predicting(mut self, predicted: Option<f64>) -> Self {
        self.predicted = predicted;
        self
    }

    /// A in B's eigenbasis, of the two as they were when it was first asked for.
    pub fn seen(&self) -> Option<&Seen> {
        self.seen.get_or_init(|| Seen::against(&self.a, &self.b)).as_ref()
    }
}
