//! R-ARC-D.

use nfa_models::{Spec, SpecError};

use crate::minimise::columns::COLUMNS;
use crate::minimise::{Growth, Settings, Size, Sketch};
use crate::train::second_order::keys::{DEFAULTS, check, method};
#[cfg(feature = "burn")]
use crate::train::second_order::regularised::Regularised;
#[cfg(feature = "burn")]
use crate::train::setting::Setting;
use crate::train::solver::Solver;

fn two() -> usize {
    2
}

fn one() -> usize {
    1
}

fn once() -> f64 {
    1.0
}

method! {
    /// R-ARC along as many directions as the rank of the loss's Hessian asks for.
    RArcD {
        /// l at the start.
        #[serde(default = "two")]
        l0: usize,
        /// C of l ← max(l, C·rank + d).
        #[serde(default = "once")]
        c: f64,
        /// d of the same.
        #[serde(default = "one")]
        d: usize,
        /// How l follows the rank: `"additive"` or `"double"`.
        #[serde(default)]
        rule: Growth,
        /// How directions are drawn: `"gaussian"`, `"hashing"` or `"guided"`.
        #[serde(default)]
        sketch: Sketch,
        /// Entries of a column, of hashing.
        #[serde(default = "crate::train::second_order::keys::nonzeros")]
        nonzeros: usize,
        /// Whether σ follows (l/D)^(3/2), as lengths in a subspace do.
        #[serde(default)]
        sigma_scale: bool,
        /// Whether new directions are drawn after a failure too.
        #[serde(default = "crate::train::second_order::keys::redraw")]
        redraw_on_failure: bool,
    }
}

impl RArcD {
    fn settings(&self) -> Settings {
        let own = Settings {
            size: Size::Adaptive { l0: self.l0, c: self.c, d: self.d, rule: self.rule },
            sketch: self.sketch,
            nonzeros: self.nonzeros,
            sigma_scale: self.sigma_scale,
            redraw_on_failure: self.redraw_on_failure,
            ..Settings::r_arc_d()
        };
        self.common(own)
    }
}

impl Spec<dyn Solver> for RArcD {
    const KIND: &'static str = "r_arc_d";
    const DOC: &'static str = "R-ARC with as many random directions as the Hessian's rank asks for, the rank that is seen along them (of the loss \
                               alone, without decay): it ends at l = rank + 1. rule = \"additive\" is the paper's, l <- max(l, c R + d) of the largest \
                               rank R so far. The default, rule = \"double\", is this project's: l doubles while the rank seen is l, and is c r + d of \
                               the rank r seen else, so that it gets there in log2 iterations and may shrink again.";
    const REFERENCE: &'static str = "arXiv:2501.03718";
    const EXAMPLE: &'static str = "l0 = 2\nrule = \"double\"\n";
    const DEFAULTS: &'static str = DEFAULTS;
    const COLUMNS: &'static [(&'static str, &'static str, &'static str)] = &COLUMNS;

    fn check(&self) -> Result<(), SpecError> {
        check(&self.settings())
    }

    #[cfg(feature = "burn")]
    fn build(&self, setting: &Setting<'_>) -> Result<Box<dyn Solver>, SpecError> {
        Regularised::boxed(self.settings(), self.curvature, setting)
    }
}
