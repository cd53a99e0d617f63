//! Images and labels in IDX files, as MNIST and its kin.

use nfa_models::{Spec, SpecError};
use serde::{Deserialize, Serialize};

use crate::data::source::{LoadContext, Raw, Source, raw};

/// Two IDX files, gzipped or not. Values are taken as they are: u8 images stay 0..255, so `scale`
/// them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Idx {
    /// `[n, ...]`, flattened per sample.
    pub images: String,
    /// `[n]` classes.
    pub labels: String,
}

impl Source for Idx {
    fn load(&self, context: &LoadContext<'_>) -> Result<Raw, SpecError> {
        let read = |key: &str, name: &str| {
            let bytes = context.read(name).map_err(|error| SpecError::value(key, format!("{name}: {error}")))?;
            let array = crate::array::gzip::unpack(&bytes).and_then(|bytes| crate::array::idx::read(&bytes));
            array.map_err(|error| SpecError::value(key, error.in_file(name).to_string()))
        };
        raw(read("images", &self.images)?, read("labels", &self.labels)?)
    }
}

impl Spec<dyn Source> for Idx {
    const KIND: &'static str = "idx";
    const DOC: &'static str = "Images and labels in IDX files (.gz too), as MNIST; values are taken as they are, so give scale = 0.00392156862745098.";
    const REFERENCE: &'static str = "the IDX format of the MNIST database";
    const EXAMPLE: &'static str = "images = \"train-images-idx3-ubyte.gz\"\nlabels = \"train-labels-idx1-ubyte.gz\"\n";
    const PATHS: &'static [&'static str] = &["images", "labels"];

    fn build(&self, (): &()) -> Result<Box<dyn Source>, SpecError> {
        Ok(Box::new(self.clone()))
    }
}
