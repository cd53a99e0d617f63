//! Recent gradients: their second moment is the AGOP of the loss in the parameters, and its leading directions
//! guide a sketch (active subspaces; arXiv:2401.17825).

use std::collections::VecDeque;

use faer::Side;
use nfa_metrics::Mat;
use nfa_models::host::Cores;
use nfa_models::host::gemm::{Into, View, product};

use crate::minimise::function::Function;
use crate::minimise::vector::norm;

/// Eigenvalues of the gradients' Gram matrix below this share of the largest say nothing.
const COUNTS: f64 = 1e-12;

/// The last gradients of accepted points, of norm 1.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) gradients: VecDeque<Vec<f64>>,
}

impl History {
    /// Adds a gradient, as the function can hold it, and forgets those before the last `keep`.
    pub(super) fn push(&mut self, gradient: &[f64], keep: usize, f: &dyn Function) {
        let length = norm(gradient);
        if length > 0.0 && length.is_finite() {
            let mut direction: Vec<f64> = gradient.iter().map(|g| g / length).collect();
            f.round(&mut direction);
            self.gradients.push_back(direction);
        }
        while self.gradients.len() > keep {
            self.gradients.pop_front();
        }
    }

    /// The leading left singular vectors of the gradients, at most p.
    ///
    /// # Shapes
    /// `[p', D]` with p' ≤ p
    pub(super) fn leading(&self, p: usize) -> Vec<f64> {
        let m = self.gradients.len();
        let Some(d) = self.gradients.front().map(Vec::len) else { return Vec::new() };
        let all: Vec<f64> = self.gradients.iter().flatten().copied().collect();
        let view = View::new(&all, m, d);
        let mut gram = vec![0.0; m * m];
        product(&mut gram, m, Into::Set, view, view.t(), Cores::All);
        let gram = Mat::from_fn(m, m, |i, j| gram[i * m + j]);
        let Ok(eigen) = gram.self_adjoint_eigen(Side::Lower) else { return Vec::new() };
        let (values, vectors) = (eigen.S().column_vector(), eigen.U());
        let top = values[m - 1];
        let kept: Vec<usize> = (0..m).rev().take(p).filter(|&k| values[k] > COUNTS * top).collect();
        let weights: Vec<f64> = kept.iter().flat_map(|&k| (0..m).map(move |i| vectors[(i, k)])).collect();
        let mut rows = vec![0.0; kept.len() * d];
        product(&mut rows, d, Into::Set, View::new(&weights, kept.len(), m), view, Cores::All);
        for (row, &k) in rows.chunks_exact_mut(d).zip(&kept) {
            let scale = 1.0 / values[k].sqrt();
            row.iter_mut().for_each(|v| *v *= scale);
        }
        rows
    }
}
