//! The reduced problem of cubic regularisation, solved exactly: the least m(u) = g·u + ½ u·Hu + (σ/3)|u|³.
//!
//! u is a global minimiser if and only if (H + λI)u = -g, λ = σ|u| and H + λI ⪰ 0 (Nesterov, Polyak 2006; Cartis,
//! Gould, Toint 2011). With H = V diag(w) Vᵀ this is one equation in one unknown. It is solved in μ = λ + min(w₁, 0),
//! the distance from where H + λI turns singular, so that nothing cancels near the hard case.

use faer::Side;
use nfa_metrics::Mat;

/// More are never needed: the iterates rise to the root and never cross it.
const MOST: usize = 60;
/// Relative changes of μ, and values of the equation, that are rounding.
const ROUNDING: f64 = 1e-14;

/// A symmetric matrix by its eigenvalues, ascending: what a change of σ alone does not change.
#[derive(Clone, Debug)]
pub struct Spectrum {
    values: Vec<f64>,
    vectors: Mat,
}

/// A global minimiser.
#[derive(Clone, Debug, PartialEq)]
pub struct Minimiser {
    /// u, `[l]`.
    pub step: Vec<f64>,
    /// λ = σ|u|.
    pub shift: f64,
    /// |(H + λI)u + g| over (|H| + λ)|u| + |g|: rounding, where all is well.
    pub residual: f64,
    /// g·u + ½ u·Hu, what the quadratic model promises; negative or 0.
    pub change: f64,
    /// How often the equation was evaluated.
    pub evaluations: usize,
}

impl Spectrum {
    /// Decomposes; `None` where a number is not finite.
    pub fn of(h: &Mat) -> Option<Self> {
        if h.nrows() == 0 {
            return Some(Spectrum { values: Vec::new(), vectors: Mat::zeros(0, 0) });
        }
        if h.col_iter().any(|col| col.iter().any(|x| !x.is_finite())) {
            return None;
        }
        let eigen = h.self_adjoint_eigen(Side::Lower).ok()?;
        let values = eigen.S().column_vector().iter().copied().collect();
        Some(Spectrum { values, vectors: eigen.U().to_owned() })
    }

    /// The eigenvalues, ascending.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The eigenvector of the least eigenvalue.
    pub fn lowest(&self) -> Vec<f64> {
        (0..self.values.len()).map(|i| self.vectors[(i, 0)]).collect()
    }

    /// The largest absolute eigenvalue.
    pub fn norm(&self) -> f64 {
        self.values.iter().fold(0.0, |most: f64, w| most.max(w.abs()))
    }

    /// How many eigenvalues count: those above `tolerance` times the largest, in absolute values.
    pub fn rank(&self, tolerance: f64) -> usize {
        let least = tolerance * self.norm();
        self.values.iter().filter(|w| w.abs() > least).count()
    }

    /// The global minimiser of g·u + ½ u·Hu + (σ/3)|u|³; σ > 0.
    ///
    /// # Shapes
    /// gradient: `[l]`
    pub fn minimise(&self, gradient: &[f64], sigma: f64) -> Minimiser {
        let l = self.values.len();
        // Along the eigenvectors.
        let c: Vec<f64> = (0..l).map(|i| (0..l).map(|k| self.vectors[(k, i)] * gradient[k]).sum()).collect();
        let Root { u, shift, evaluations } = self.along(&c, sigma);
        let norm = |values: &[f64]| largest_first(values);
        let residual: Vec<f64> = (0..l).map(|i| (self.values[i] + shift) * u[i] + c[i]).collect();
        let scale = (self.norm() + shift) * norm(&u) + norm(&c);
        // By optimality g·u + u·Hu = -λ|u|²: both terms have one sign.
        let slope: f64 = c.iter().zip(&u).map(|(c, u)| c * u).sum();
        let squares: f64 = u.iter().map(|u| u * u).sum();
        Minimiser {
            step: (0..l).map(|k| (0..l).map(|i| self.vectors[(k, i)] * u[i]).sum()).collect(),
            shift,
            residual: if scale > 0.0 { norm(&residual) / scale } else { 0.0 },
            change: (0.5 * (slope - shift * squares)).min(0.0),
            evaluations,
        }
    }

    /// The minimiser in the eigenvectors' coordinates, for a gradient in them.
    fn along(&self, c: &[f64], sigma: f64) -> Root {
        let Some(&first) = self.values.first() else { return Root::none() };
        let base = first.min(0.0);
        let delta: Vec<f64> = self.values.iter().map(|w| w - base).collect();
        let equation = Equation { c, delta: &delta, base, sigma };
        let (mut mu, floor) = equation.start();
        if mu == 0.0 {
            // No part of the gradient lies where H + λI is singular: is the rest long enough there?
            let u = equation.step(0.0);
            let (length, wanted) = (largest_first(&u), -base / sigma);
            if length <= wanted {
                return hard(u, length, wanted, base);
            }
        }
        let mut evaluations = 0;
        while evaluations < MOST {
            evaluations += 1;
            let (change, value) = equation.newton(mu);
            mu += change;
            if mu < floor {
                mu = floor;
            }
            if change.abs() <= ROUNDING * mu || value <= ROUNDING {
                break;
            }
        }
        Root { u: equation.step(mu), shift: mu - base, evaluations }
    }
}

struct Root {
    u: Vec<f64>,
    shift: f64,
    evaluations: usize,
}

impl Root {
    fn none() -> Self {
        Root { u: Vec::new(), shift: 0.0, evaluations: 0 }
    }
}

/// The hard case: what the gradient leaves of the length λ/σ goes along the lowest eigenvector, either way.
fn hard(mut u: Vec<f64>, length: f64, wanted: f64, base: f64) -> Root {
    let rest = ((wanted - length) * (wanted + length)).max(0.0).sqrt();
    u[0] += rest;
    Root { u, shift: -base, evaluations: 0 }
}

/// 1/|u(μ)| - σ/(μ - base), increasing and concave in μ, zero at the solution.
struct Equation<'a> {
    c: &'a [f64],
    /// w_i - base, 0 or more.
    delta: &'a [f64],
    base: f64,
    sigma: f64,
}

impl Equation<'_> {
    fn parts(&self) -> impl Iterator<Item = (f64, f64)> {
        self.c.iter().copied().zip(self.delta.iter().copied()).filter(|(c, _)| *c != 0.0)
    }

    /// A lower bound of the root: of each term alone, (μ - base)(μ + δ_i) >= σ|c_i|. Twice, as the least to start
    /// from and to fall back to.
    fn start(&self) -> (f64, f64) {
        let bound = |(c, delta): (f64, f64)| {
            let (p, k) = (delta - self.base, self.sigma * c.abs() + delta * self.base);
            if k > 0.0 { 2.0 * k / (p + (p * p + 4.0 * k).sqrt()) } else { 0.0 }
        };
        let most = self.parts().map(bound).fold(0.0, f64::max);
        (most, most)
    }

    /// u(μ), with 0 where the gradient has no part.
    fn step(&self, mu: f64) -> Vec<f64> {
        self.c.iter().zip(self.delta).map(|(c, delta)| if *c == 0.0 { 0.0 } else { -c / (delta + mu) }).collect()
    }

    /// The change of μ to the root of the equation with 1/|u| linearised, which lies left of the solution; and
    /// how far the equation is from 0, relative to its terms.
    fn newton(&self, mu: f64) -> (f64, f64) {
        let top = self.parts().map(|(c, delta)| c.abs() / (delta + mu)).fold(0.0, f64::max);
        if top == 0.0 || !top.is_finite() {
            return (0.0, 0.0);
        }
        // In units of the largest term, so that no square over- or underflows.
        let (mut squares, mut slopes) = (0.0, 0.0);
        for (c, delta) in self.parts() {
            let u = c / (delta + mu) / top;
            squares += u * u;
            slopes += u * u / (delta + mu);
        }
        let length = top * squares.sqrt();
        let (a, b) = (1.0 / length, slopes / squares / length);
        let lambda = mu - self.base;
        let (big, rest) = (a + b * lambda, a * lambda - self.sigma);
        let root = (big * big - 4.0 * b * rest).max(0.0).sqrt();
        (-2.0 * rest / (big + root), (rest / self.sigma).abs())
    }
}

/// The Euclidean norm, without over- or underflow of squares.
fn largest_first(values: &[f64]) -> f64 {
    let top = values.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
    if top == 0.0 || !top.is_finite() {
        return top;
    }
    top * values.iter().map(|v| (v / top) * (v / top)).sum::<f64>().sqrt()
}
