//! ARC.

use nfa_models::{Spec, SpecError};

use crate::minimise::Settings;
use crate::minimise::columns::COLUMNS;
use crate::train::second_order::keys::{DEFAULTS, check, method};
#[cfg(feature = "burn")]
use crate::train::second_order::regularised::Regularised;
#[cfg(feature = "burn")]
use crate::train::setting::Setting;
use crate::train::solver::Solver;

method! {
    /// Adaptive regularisation using cubics, on loss + (λ/2)|W|², full batch, with the whole Hessian.
    Arc {}
}

impl Arc {
    fn settings(&self) -> Settings {
        self.common(Settings::arc())
    }
}

impl Spec<dyn Solver> for Arc {
    const KIND: &'static str = "arc";
    const DOC: &'static str = "Adaptive regularisation using cubics on loss + (lambda/2)|W|^2, full batch: a step is the exact global minimiser of \
                               the quadratic model + (sigma/3)|s|^3 with the whole Hessian, so it is for up to some thousand parameters. It reaches \
                               stationary points in tens of iterations, and does not take saddles for minima; status.json has a certificate of its end.";
    const REFERENCE: &'static str = "Cartis, Gould, Toint 2011, doi:10.1007/s10107-009-0286-5";
    const EXAMPLE: &'static str = "gradient_tol = 1e-12\n";
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
