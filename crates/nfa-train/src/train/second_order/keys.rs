//! The keys that ARC, R-ARC and R-ARC-D share.

use nfa_models::SpecError;

use crate::minimise::Settings;

pub(super) fn theta() -> f64 {
    Settings::arc().theta
}

pub(super) fn gamma() -> f64 {
    Settings::arc().gamma
}

pub(super) fn sigma0() -> f64 {
    Settings::arc().sigma0
}

pub(super) fn sigma_min() -> f64 {
    Settings::arc().sigma_min
}

pub(super) fn nonzeros() -> usize {
    Settings::arc().nonzeros
}

pub(super) fn curvature_tol() -> f64 {
    Settings::arc().curvature_tol
}

pub(super) fn redraw() -> bool {
    Settings::arc().redraw_on_failure
}

/// Checks settings, and says which key is wrong.
pub(super) fn check(settings: &Settings) -> Result<(), SpecError> {
    settings.check().map_err(|(key, why)| SpecError::value(key, why))
}

/// A table of a method's own keys, and of those that all have.
macro_rules! method {
    ($(#[$doc:meta])* $name:ident { $($(#[$own_doc:meta])* $own:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$own_doc])* pub $own: $type,)*
            /// θ: the least share of the promised decrease that is accepted.
            #[serde(default = "crate::train::second_order::keys::theta")]
            pub theta: f64,
            /// γ: σ is multiplied by it after a success, divided by it after a failure.
            #[serde(default = "crate::train::second_order::keys::gamma")]
            pub gamma: f64,
            /// σ at the start.
            #[serde(default = "crate::train::second_order::keys::sigma0")]
            pub sigma0: f64,
            /// The least σ.
            #[serde(default = "crate::train::second_order::keys::sigma_min")]
            pub sigma_min: f64,
            /// What a decrease is held against: the quadratic model (`"taylor"`), the cubic one (`"model"`), or that
            /// with the constants of 2011 (`"cgt"`).
            #[serde(default)]
            pub ratio: crate::minimise::Acceptance,
            /// Which second derivatives the model has: `"hessian"` or `"gauss_newton"`.
            #[serde(default)]
            pub curvature: crate::train::second_order::curvature::Curvature,
            /// Eigenvalues below this share of the largest don't count in the rank; by default 1e-9, in f32 1e-4.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub rank_tol: Option<f64>,
            /// |gradient| at which it rests, if the Hessian has no negative curvature; 0: only where rounding is left.
            #[serde(default)]
            pub gradient_tol: f64,
            /// Eigenvalues of the Hessian above minus this are not negative.
            #[serde(default = "crate::train::second_order::keys::curvature_tol")]
            pub curvature_tol: f64,
        }

        impl $name {
            /// The keys that all methods have, over settings of the method's own.
            fn common(&self, own: crate::minimise::Settings) -> crate::minimise::Settings {
                crate::minimise::Settings {
                    theta: self.theta,
                    gamma: self.gamma,
                    sigma0: self.sigma0,
                    sigma_min: self.sigma_min,
                    acceptance: self.ratio,
                    rank_tol: self.rank_tol,
                    gradient_tol: self.gradient_tol,
                    curvature_tol: self.curvature_tol,
                    ..own
                }
            }
        }
    };
}

pub(super) use method;

/// What the tables of all methods have beside their own keys.
pub(super) const DEFAULTS: &str = "lr = 1.0";
