//! A function as a sum of terms of a few variables each.

use nfa_metrics::Mat;

use crate::minimise::problems::jet::Jet;

/// The sum so far, with the derivatives that are wanted.
pub(super) struct Terms<'a> {
    pub(super) y: &'a [f64],
    pub(super) value: f64,
    pub(super) gradient: Option<Vec<f64>>,
    pub(super) hessian: Option<Mat>,
}

impl<'a> Terms<'a> {
    /// Nothing yet, at y.
    pub(super) fn at(y: &'a [f64], gradient: bool, hessian: bool) -> Self {
        let r = y.len();
        Terms { y, value: 0.0, gradient: gradient.then(|| vec![0.0; r]), hessian: hessian.then(|| Mat::zeros(r, r)) }
    }

    /// The number of variables.
    pub(super) fn count(&self) -> usize {
        self.y.len()
    }

    /// Adds a term of the variables of these numbers.
    pub(super) fn add<const K: usize>(&mut self, at: [usize; K], term: impl Fn([Jet<K>; K]) -> Jet<K>) {
        let found = term(std::array::from_fn(|k| Jet::variable(self.y[at[k]], k)));
        self.value += found.value;
        if let Some(gradient) = &mut self.gradient {
            at.iter().zip(found.gradient).for_each(|(&i, g)| gradient[i] += g);
        }
        if let Some(hessian) = &mut self.hessian {
            for (&i, row) in at.iter().zip(found.hessian) {
                at.iter().zip(row).for_each(|(&j, h)| hessian[(i, j)] += h);
            }
        }
    }

    /// Adds φ of the sum of some variables.
    pub(super) fn add_of_sum(&mut self, at: std::ops::Range<usize>, phi: impl Fn(Jet<1>) -> Jet<1>) {
        let found = phi(Jet::variable(self.y[at.clone()].iter().sum(), 0));
        self.value += found.value;
        if let Some(gradient) = &mut self.gradient {
            gradient[at.clone()].iter_mut().for_each(|g| *g += found.gradient[0]);
        }
        if let Some(hessian) = &mut self.hessian {
            for i in at.clone() {
                at.clone().for_each(|j| hessian[(i, j)] += found.hessian[0][0]);
            }
        }
    }
}
