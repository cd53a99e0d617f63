//! What is minimised: a function of D numbers, as its author writes it.

use nfa_metrics::Mat;
use nfa_models::host::Cores;
use nfa_models::host::gemm::{Into, View, product};

use crate::minimise::differences;

/// A function f of D numbers.
///
/// Value and gradient are enough; products with the Hessian make it exact, and fast where many rows at a time cost
/// less than one by one. Points are slices of length D, several rows `[l, D]` row-major behind each other.
///
/// # Example
///
/// ```
/// use nfa_train::minimise::{Function, Settings, minimise};
///
/// /// (1 - x)² + 100 (y - x²)²: value and gradient alone, so that curvature comes from differences.
/// struct Rosenbrock;
///
/// impl Function for Rosenbrock {
///     fn dimension(&self) -> usize {
///         2
///     }
///
///     fn value(&mut self, x: &[f64]) -> f64 {
///         (1.0 - x[0]).powi(2) + 100.0 * (x[1] - x[0] * x[0]).powi(2)
///     }
///
///     fn gradient(&mut self, x: &[f64]) -> Vec<f64> {
///         let bend = x[1] - x[0] * x[0];
///         vec![-2.0 * (1.0 - x[0]) - 400.0 * x[0] * bend, 200.0 * bend]
///     }
/// }
///
/// let settings = Settings { gradient_tol: 1e-9, ..Settings::arc() };
/// let end = minimise(&mut Rosenbrock, &[-1.2, 1.0], &settings, 100)?;
/// assert!((end.x[0] - 1.0).abs() < 1e-8, "{}", end.certificate);
/// # Ok::<(), nfa_train::minimise::Unusable>(())
/// ```
pub trait Function {
    /// D, the number of unknowns.
    fn dimension(&self) -> usize;

    /// f(x). Outside its domain: NaN or an infinity. Such a point counts as +∞: it is never accepted, and neither
    /// gradient nor curvature is asked there.
    fn value(&mut self, x: &[f64]) -> f64;

    /// f's gradient.
    ///
    /// # Shapes
    /// `[D]`
    fn gradient(&mut self, x: &[f64]) -> Vec<f64>;

    /// Hv for each row v. Without one of the author's: central differences of the gradient, with an error of about
    /// ε^(2/3) of the curvature (then say so in [`Function::precision`], as the default does).
    ///
    /// # Shapes
    /// rows: `[l, D]` → `[l, D]`
    fn products(&mut self, x: &[f64], rows: &[f64]) -> Vec<f64> {
        differences::products(self, x, rows)
    }

    /// Vg and VHVᵀ for the rows of V together: for many functions about as dear as l + 1 gradients.
    ///
    /// # Shapes
    /// rows: `[l, D]`, orthonormal
    fn block(&mut self, x: &[f64], rows: &[f64]) -> Block {
        let gradient = self.gradient(x);
        let products = self.products(x, rows);
        Block::of(rows, &gradient, &products)
    }

    /// Hv of the model's own Hessian, where that is another than f's, as Gauss-Newton's: it makes steps, and
    /// [`Function::products`] certificates.
    ///
    /// # Shapes
    /// rows: `[l, D]` → `[l, D]`
    fn model_products(&mut self, x: &[f64], rows: &[f64]) -> Vec<f64> {
        self.products(x, rows)
    }

    /// Whether blocks and [`Function::model_products`] are of f's own Hessian.
    fn models_itself(&self) -> bool {
        true
    }

    /// The relative error of products and blocks: rounding alone where they are derivatives.
    fn precision(&self) -> f64 {
        differences::precision(self.epsilon())
    }

    /// What evaluations cost.
    fn costs(&self) -> Costs {
        Costs { product: 2.0, block: [1.0, 2.0], ..Costs::default() }
    }

    /// λ_i of a penalty ½ Σ λ_i x_i² that is minimised with f and added analytically, `[D]`; empty for none. It
    /// counts in everything but the rank, which is that of f alone.
    fn decay(&self) -> &[f64] {
        &[]
    }

    /// A proven lower bound of the least eigenvalue of the Hessian everywhere, penalty included, where there is one:
    /// 0 of a convex function.
    fn least_curvature(&self) -> Option<f64> {
        None
    }

    /// The machine epsilon of what f is computed in.
    fn epsilon(&self) -> f64 {
        f64::EPSILON
    }

    /// Rounds a point to what can be held: for points kept in single precision.
    fn round(&self, x: &mut [f64]) {
        let _ = x;
    }
}

/// A gradient and a Hessian, seen along the rows of V.
#[derive(Clone, Debug)]
pub struct Block {
    /// Vg, `[l]`.
    pub gradient: Vec<f64>,
    /// VHVᵀ, `[l, l]`.
    pub hessian: Mat,
}

impl Block {
    /// From the gradient and the products Hvᵀ themselves, `[l, D]`.
    pub fn of(rows: &[f64], gradient: &[f64], products: &[f64]) -> Self {
        let d = gradient.len();
        let l = rows.len() / d.max(1);
        let view = View::new(rows, l, d);
        let mut slopes = vec![0.0; l];
        product(&mut slopes, 1, Into::Set, view, View::new(gradient, d, 1), Cores::All);
        let mut both = vec![0.0; l * l];
        product(&mut both, l, Into::Set, view, View::new(products, l, d).t(), Cores::All);
        Block { gradient: slopes, hessian: Mat::from_fn(l, l, |i, j| 0.5 * (both[i * l + j] + both[j * l + i])) }
    }
}

/// What evaluations cost, in gradients (one pass forward and one back).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// Of a value.
    pub value: f64,
    /// Of one product Hv.
    pub product: f64,
    /// Of a block: of its own, and for each row.
    pub block: [f64; 2],
}

impl Default for Costs {
    /// Of a function that is differentiated backwards: a value is a third of a gradient, a product two, a row of a
    /// block one.
    fn default() -> Self {
        Costs { value: 1.0 / 3.0, product: 2.0, block: [1.0, 1.0] }
    }
}
