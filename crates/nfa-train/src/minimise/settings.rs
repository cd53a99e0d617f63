//! How cubic regularisation is done: the method, its constants, where it ends.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::minimise::function::Function;
use crate::minimise::sketch::Sketch;

/// How many directions an iteration looks along.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Size {
    /// All D: ARC (Cartis, Gould, Toint 2011).
    Full,
    /// l random ones: R-ARC (arXiv:2501.09734).
    Fixed(usize),
    /// As many as the Hessian's rank asks for: R-ARC-D (arXiv:2501.03718).
    Adaptive {
        /// At the start.
        l0: usize,
        /// C of l ← max(l, C R̂ + d), R̂ the largest rank that was seen.
        c: f64,
        /// d of the same.
        d: usize,
        /// How l follows the rank.
        rule: Growth,
    },
}

/// How l follows the rank that is seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Growth {
    /// l ← min(D, max(l, C R̂ + d)), as in arXiv:2501.03718.
    Additive,
    /// l ← 2l while the rank seen is l, else C r̂ + d: a rank r̂ below l is the Hessian's own there, so that l may shrink.
    #[default]
    Double,
}

/// What a step's decrease is held against, and how σ follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acceptance {
    /// The quadratic model q; σ is halved after a success and doubled after a failure (arXiv:2501.09734).
    #[default]
    Taylor,
    /// The cubic model m; σ as before.
    Model,
    /// The cubic model, with the constants of 2011: σ unchanged between ratios .1 and .9, above max(min(σ, |g|), ε).
    Cgt,
}

/// How a function is minimised.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How many directions an iteration looks along.
    pub size: Size,
    /// How they are drawn.
    pub sketch: Sketch,
    /// Of s-hashing: entries of a column.
    pub nonzeros: usize,
    /// θ: the least share of the promised decrease that is accepted.
    pub theta: f64,
    /// γ in (0, 1): σ is multiplied by it after a success and divided by it after a failure.
    pub gamma: f64,
    /// σ at the start.
    pub sigma0: f64,
    /// The least σ.
    pub sigma_min: f64,
    /// What a step's decrease is held against.
    pub acceptance: Acceptance,
    /// Eigenvalues below this share of the largest don't count in the rank; by default 1e-9, 1e-4 in single
    /// precision, never below the error of the curvature.
    pub rank_tol: Option<f64>,
    /// Whether σ is scaled by (l/D)^(3/2), as lengths in the subspace are.
    pub sigma_scale: bool,
    /// Whether new directions are drawn after a failure too, as theory has it.
    pub redraw_on_failure: bool,
    /// |g| at which an end is looked for; 0: only where rounding is all that is left.
    pub gradient_tol: f64,
    /// Eigenvalues of the Hessian above minus this are not negative.
    pub curvature_tol: f64,
    /// What sketches are drawn from.
    pub seed: u64,
}

impl Settings {
    /// ARC: all directions.
    pub fn arc() -> Self {
        Settings {
            size: Size::Full,
            sketch: Sketch::Gaussian,
            nonzeros: 3,
            theta: 0.1,
            gamma: 0.5,
            sigma0: 1.0,
            sigma_min: 1e-8,
            acceptance: Acceptance::Taylor,
            rank_tol: None,
            sigma_scale: false,
            redraw_on_failure: true,
            gradient_tol: 0.0,
            curvature_tol: 1e-8,
            seed: 0,
        }
    }

    /// R-ARC: l random directions.
    pub fn r_arc(l: usize) -> Self {
        Settings { size: Size::Fixed(l), ..Settings::arc() }
    }

    /// R-ARC-D: directions for one more than the rank that was seen.
    pub fn r_arc_d() -> Self {
        Settings { size: Size::Adaptive { l0: 2, c: 1.0, d: 1, rule: Growth::Double }, ..Settings::arc() }
    }

    /// How many guiding rows stand beside `rows`: of those that a sketch of a fixed size has, or of Gaussian ones.
    pub(super) fn guides(&self, rows: usize) -> usize {
        match self.size {
            Size::Fixed(_) => rows / 2,
            _ => rows,
        }
    }

    /// Eigenvalues of a Hessian of this norm above minus this are not negative: what is asked for, or what rounding
    /// and the Hessian's error leave.
    pub(super) fn curvature_floor(&self, f: &dyn Function, norm: f64) -> f64 {
        self.curvature_tol.max((64.0 * f.epsilon()).max(8.0 * f.precision()) * norm)
    }

    /// What of it makes no sense: the setting's name, and why.
    ///
    /// # Errors
    /// A number outside of its range.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let between = |name, value: f64, low: f64, high: f64| match value > low && value < high {
            true => Ok(()),
            false => Err((name, format!("must lie between {low} and {high}, not {value}"))),
        };
        between("theta", self.theta, 0.0, 1.0)?;
        between("gamma", self.gamma, 0.0, 1.0)?;
        between("sigma_min", self.sigma_min, 0.0, f64::INFINITY)?;
        if !(self.sigma0 >= self.sigma_min && self.sigma0.is_finite()) {
            return Err(("sigma0", format!("must be finite and at least sigma_min, not {}", self.sigma0)));
        }
        if let Some(tolerance) = self.rank_tol {
            between("rank_tol", tolerance, 0.0, 1.0)?;
        }
        for (name, tolerance) in [("gradient_tol", self.gradient_tol), ("curvature_tol", self.curvature_tol)] {
            if !(tolerance >= 0.0 && tolerance.is_finite()) {
                return Err((name, format!("must be 0 or positive, and finite, not {tolerance}")));
            }
        }
        if self.nonzeros == 0 {
            return Err(("nonzeros", "must be at least 1".into()));
        }
        match self.size {
            Size::Fixed(0) => Err(("l", "must be at least 1".into())),
            Size::Adaptive { l0: 0, .. } => Err(("l0", "must be at least 1".into())),
            Size::Adaptive { c, .. } if !(c >= 1.0 && c.is_finite()) => {
                Err(("c", format!("must be at least 1, not {c}: l would fall below the rank")))
            }
            Size::Adaptive { d: 0, .. } => {
                Err(("d", "must be at least 1: with l = rank nothing tells that the rank is not larger".into()))
            }
            _ => Ok(()),
        }
    }
}

/// Why a function can't be minimised from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// A setting outside of its range.
    Setting(String),
    /// Something is not finite at a point that was accepted, or at the start.
    NotFinite(String),
    /// Sizes that don't fit.
    Size(String),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Unusable::Setting(what) | Unusable::NotFinite(what) | Unusable::Size(what)) = self;
        f.write_str(what)
    }
}

impl std::error::Error for Unusable {}
