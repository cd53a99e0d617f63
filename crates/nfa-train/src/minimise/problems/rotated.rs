//! A problem of r variables in D dimensions.

use std::sync::Arc;

use nfa_metrics::Mat;
use nfa_models::Stream;
use nfa_models::host::Cores;
use nfa_models::host::gemm::{Into, View, product};

use crate::minimise::function::{Block, Costs, Function};
use crate::minimise::minimise;
use crate::minimise::problems::problem::Problem;
use crate::minimise::settings::Settings;

/// Iterations that a reference minimum may take.
const MOST: usize = 2000;

/// f(x) = g(Ax), A of r orthonormal rows in D dimensions: whatever x does outside of their span changes nothing.
#[derive(Clone, Debug)]
pub struct Rotated {
    problem: &'static Problem,
    rank: usize,
    size: usize,
    /// A, `[r, D]` row-major; `None` for the identity.
    rows: Option<Arc<Vec<f64>>>,
}

impl Rotated {
    /// In D dimensions, A drawn from a stream.
    ///
    /// # Errors
    /// Sizes that the problem has not, and D below r.
    pub fn new(problem: &'static Problem, rank: usize, size: usize, stream: &Stream) -> Result<Self, String> {
        (problem.size)(rank)?;
        if size < rank {
            return Err(format!("{} of {rank} variables does not fit into {size} dimensions", problem.name));
        }
        let normals = stream.normals(rank * size);
        let q = Mat::from_fn(size, rank, |i, k| normals[k * size + i]).qr().compute_thin_Q();
        let rows = (0..rank).flat_map(|k| (0..size).map(move |i| (i, k))).map(|at| q[at]).collect();
        Ok(Rotated { problem, rank, size, rows: Some(Arc::new(rows)) })
    }

    /// As it is: of full rank.
    ///
    /// # Errors
    /// Sizes that the problem has not.
    pub fn plain(problem: &'static Problem, rank: usize) -> Result<Self, String> {
        (problem.size)(rank)?;
        Ok(Rotated { problem, rank, size: rank, rows: None })
    }

    /// The problem.
    pub fn problem(&self) -> &'static Problem {
        self.problem
    }

    /// r
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Where it starts: Aᵀy₀.
    pub fn start(&self) -> Vec<f64> {
        self.down(&(self.problem.start)(self.rank))
    }

    /// The least value, where it is known.
    pub fn minimum(&self) -> Option<f64> {
        (self.problem.minimum)(self.rank)
    }

    /// The least value: in closed form, else that of the minimum which ARC finds from the start, in r variables.
    pub fn least(&self) -> f64 {
        self.minimum().unwrap_or_else(|| {
            let mut plain = Rotated { size: self.rank, rows: None, ..self.clone() };
            let end = minimise(&mut plain, &(self.problem.start)(self.rank), &Settings::arc(), MOST);
            end.map_or(f64::NAN, |end| end.value)
        })
    }

    /// Rows times Aᵀ: `[l, D]` → `[l, r]`.
    pub(super) fn up(&self, rows: &[f64]) -> Vec<f64> {
        let Some(a) = &self.rows else { return rows.to_vec() };
        let l = rows.len() / self.size;
        let mut up = vec![0.0; l * self.rank];
        let (rows, a) = (View::new(rows, l, self.size), View::new(a, self.rank, self.size));
        product(&mut up, self.rank, Into::Set, rows, a.t(), Cores::All);
        up
    }

    /// Rows times A: `[l, r]` → `[l, D]`.
    pub(super) fn down(&self, rows: &[f64]) -> Vec<f64> {
        let Some(a) = &self.rows else { return rows.to_vec() };
        let l = rows.len() / self.rank;
        let mut down = vec![0.0; l * self.size];
        let (rows, a) = (View::new(rows, l, self.rank), View::new(a, self.rank, self.size));
        product(&mut down, self.size, Into::Set, rows, a, Cores::All);
        down
    }

    /// Rows times g's Hessian at x: `[l, r]` → `[l, r]`.
    fn bend(&self, x: &[f64], rows: &[f64]) -> Vec<f64> {
        let (r, l) = (self.rank, rows.len() / self.rank);
        let hessian = self.problem.hessian(&self.up(x));
        let flat: Vec<f64> = (0..r).flat_map(|j| (0..r).map(move |i| (i, j))).map(|at| hessian[at]).collect();
        let mut bent = vec![0.0; l * r];
        product(&mut bent, r, Into::Set, View::new(rows, l, r), View::new(&flat, r, r), Cores::All);
        bent
    }
}

impl Function for Rotated {
    fn dimension(&self) -> usize {
        self.size
    }

    fn value(&mut self, x: &[f64]) -> f64 {
        self.problem.value(&self.up(x))
    }

    fn gradient(&mut self, x: &[f64]) -> Vec<f64> {
        self.down(&self.problem.gradient(&self.up(x)))
    }

    fn products(&mut self, x: &[f64], rows: &[f64]) -> Vec<f64> {
        self.down(&self.bend(x, &self.up(rows)))
    }

    fn block(&mut self, x: &[f64], rows: &[f64]) -> Block {
        let rows = self.up(rows);
        Block::of(&rows, &self.problem.gradient(&self.up(x)), &self.bend(x, &rows))
    }

    fn precision(&self) -> f64 {
        self.epsilon()
    }

    fn costs(&self) -> Costs {
        Costs::default()
    }
}
