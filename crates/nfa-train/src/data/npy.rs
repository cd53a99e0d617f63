//! Inputs and targets in NumPy files.

use nfa_models::{Spec, SpecError};
use serde::{Deserialize, Serialize};

use crate::data::source::{LoadContext, Raw, Source, raw};

/// Two arrays: `.npy`, `.npz:key` or `.safetensors:key`. Integer targets `[n]` are classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Npy {
    /// `[n, ...]`, flattened per sample.
    pub inputs: String,
    /// `[n]` or `[n, c]`.
    pub targets: String,
}

impl Source for Npy {
    fn load(&self, context: &LoadContext<'_>) -> Result<Raw, SpecError> {
        let read = |key: &str, spec: &str| {
            let array = crate::array::read(spec, context.base, &|path| context.store.read(path));
            array.map_err(|error| SpecError::value(key, error.to_string()))
        };
        raw(read("inputs", &self.inputs)?, read("targets", &self.targets)?)
    }
}

impl Spec<dyn Source> for Npy {
    const KIND: &'static str = "npy";
    const DOC: &'static str =
        "Inputs and targets as .npy, .npz:key or .safetensors:key; integer targets of shape [n] are classes.";
    const REFERENCE: &'static str = "NEP 1, the npy format";
    const EXAMPLE: &'static str = "inputs = \"x.npy\"\ntargets = \"y.npy\"\n";
    const PATHS: &'static [&'static str] = &["inputs", "targets"];

    fn build(&self, (): &()) -> Result<Box<dyn Source>, SpecError> {
        Ok(Box::new(self.clone()))
    }
}
