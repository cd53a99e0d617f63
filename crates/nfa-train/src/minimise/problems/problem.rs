//! A test problem.

use std::fmt;

use nfa_metrics::Mat;

use crate::minimise::problems::terms::Terms;

/// A function of r variables with its derivatives and a start.
pub struct Problem {
    /// Its name in files: CUTEst's, in lower case.
    pub name: &'static str,
    /// What it is.
    pub doc: &'static str,
    /// Whether it has a form of r variables.
    ///
    /// # Errors
    /// What r must be.
    pub size: fn(usize) -> Result<(), String>,
    /// Where it starts, of r variables.
    pub start: fn(usize) -> Vec<f64>,
    /// The least value of r variables, where it is known.
    pub minimum: fn(usize) -> Option<f64>,
    pub(super) terms: fn(&mut Terms<'_>),
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Problem {
    fn at<'a>(&self, y: &'a [f64], gradient: bool, hessian: bool) -> Terms<'a> {
        let mut terms = Terms::at(y, gradient, hessian);
        (self.terms)(&mut terms);
        terms
    }

    /// g(y).
    pub fn value(&self, y: &[f64]) -> f64 {
        self.at(y, false, false).value
    }

    /// ∇g, `[r]`.
    pub fn gradient(&self, y: &[f64]) -> Vec<f64> {
        self.at(y, true, false).gradient.unwrap_or_default()
    }

    /// ∇²g, `[r, r]`.
    pub fn hessian(&self, y: &[f64]) -> Mat {
        self.at(y, false, true).hessian.unwrap_or_else(|| Mat::zeros(y.len(), y.len()))
    }
}

/// r at least `least`.
pub(super) fn at_least(r: usize, least: usize) -> Result<(), String> {
    if r < least { Err(format!("must be at least {least}, not {r}")) } else { Ok(()) }
}

/// r a multiple of `of`.
pub(super) fn multiple(r: usize, of: usize) -> Result<(), String> {
    if r == 0 || !r.is_multiple_of(of) { Err(format!("must be a multiple of {of}, not {r}")) } else { Ok(()) }
}

/// Two numbers in turn.
pub(super) fn in_turn(r: usize, [odd, even]: [f64; 2]) -> Vec<f64> {
    (0..r).map(|i| if i % 2 == 0 { odd } else { even }).collect()
}

/// Of a sum of squares that has a zero.
pub(super) fn zero(_: usize) -> Option<f64> {
    Some(0.0)
}

/// Of a minimum without a closed form.
pub(super) fn unknown(_: usize) -> Option<f64> {
    None
}
