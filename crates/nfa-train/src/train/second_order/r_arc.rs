//! R-ARC.

use nfa_models::{Spec, SpecError};

use crate::minimise::columns::COLUMNS;
use crate::minimise::{Settings, Sketch};
use crate::train::second_order::keys::{DEFAULTS, check, method};
#[cfg(feature = "burn")]
use crate::train::second_order::regularised::Regularised;
#[cfg(feature = "burn")]
use crate::train::setting::Setting;
use crate::train::solver::Solver;

fn twenty() -> usize {
    20
}

method! {
    /// ARC along l random directions an iteration.
    RArc {
        /// l, how many directions an iteration looks along; all, where there are fewer.
        #[serde(default = "twenty")]
        l: usize,
        /// How they are drawn: `"gaussian"`, `"hashing"` or `"guided"`.
        #[serde(default)]
        sketch: Sketch,
        /// Entries of a column, of hashing.
        #[serde(default = "crate::train::second_order::keys::nonzeros")]
        nonzeros: usize,
        /// Whether σ starts from sigma0 (l/D)^(3/2), as lengths in a subspace are.
        #[serde(default)]
        sigma_scale: bool,
        /// Whether new directions are drawn after a failure too.
        #[serde(default = "crate::train::second_order::keys::redraw")]
        redraw_on_failure: bool,
    }
}

impl RArc {
    fn settings(&self) -> Settings {
        let own = Settings {
            sketch: self.sketch,
            nonzeros: self.nonzeros,
            sigma_scale: self.sigma_scale,
            redraw_on_failure: self.redraw_on_failure,
            ..Settings::r_arc(self.l)
        };
        self.common(own)
    }
}

impl Spec<dyn Solver> for RArc {
    const KIND: &'static str = "r_arc";
    const DOC: &'static str = "ARC along l random directions an iteration, on loss + (lambda/2)|W|^2, full batch: gradient and Hessian are \
                               taken along them alone, for about l + 1 gradients. Where the Hessian has rank r and l > r it needs as many iterations as ARC; \
                               below, and with decay (whose Hessian has full rank), the rest of the gradient shrinks by about l/D an iteration.";
    const REFERENCE: &'static str = "arXiv:2501.09734";
    const EXAMPLE: &'static str = "l = 20\n";
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
