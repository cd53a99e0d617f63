//! The models that files and the command line know.

use crate::network::AnyNetwork;
use crate::spec::Registry;

/// Every built-in model: one line each.
pub fn models() -> Registry<dyn AnyNetwork> {
    Registry::new("model").with::<crate::mlp_spec::MlpSpec>()
}
