//! Which second derivatives a model of the loss has.

use serde::{Deserialize, Serialize};

/// Which second derivatives a model of the loss has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Curvature {
    /// All.
    #[default]
    Hessian,
    /// Those of the loss in the outputs alone: never negative.
    GaussNewton,
}
