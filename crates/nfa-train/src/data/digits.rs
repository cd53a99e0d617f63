//! The bundled handwritten digits.

use nfa_models::{Spec, SpecError};
use serde::{Deserialize, Serialize};

use crate::array::{ArrayError, idx};
use crate::data::source::{LoadContext, Raw, Source, Targets};

const IMAGES: &[u8] = include_bytes!("../../data/digits/images-idx3-ubyte.gz");
const LABELS: &[u8] = include_bytes!("../../data/digits/labels-idx1-ubyte.gz");

/// 1,797 digits of 8 x 8 pixels from 0 to 16 (data/ATTRIBUTION.md).
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Digits {}

impl Source for Digits {
    fn load(&self, _context: &LoadContext<'_>) -> Result<Raw, SpecError> {
        let bundled = |error: ArrayError| SpecError::value("", format!("the bundled digits are damaged: {error}"));
        let images = idx::read(IMAGES).map_err(bundled)?;
        let labels = idx::read(LABELS).map_err(bundled)?;
        let dim = images.shape[1..].iter().product();
        let labels = labels.values.iter().map(|&v| v as usize).collect();
        Ok(Raw { inputs: images.values, dim, targets: Targets::Classes { labels, count: 10 }, drawn_test: None })
    }
}

impl Spec<dyn Source> for Digits {
    const KIND: &'static str = "digits";
    const DOC: &'static str =
        "1,797 handwritten digits of 8 x 8 pixels, bundled; scaled to 0..1 and centred unless told otherwise.";
    const REFERENCE: &'static str =
        "Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998";
    const EXAMPLE: &'static str = "";
    const DEFAULTS: &'static str = "scale = 0.0625\ncenter = true\n"; // pixels from 0 to 16

    fn build(&self, (): &()) -> Result<Box<dyn Source>, SpecError> {
        Ok(Box::new(*self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use crate::data::preparation::Holdout;
    use crate::machine::disk::Disk;
    use nfa_models::Stream;

    #[test]
    fn the_bundled_digits_are_what_they_were() {
        let (stream, base, test) = (Stream::root(0), Path::new("."), Holdout(0.0));
        let context = LoadContext { stream, base, test, store: &Disk };
        let raw = Digits {}.load(&context).expect("bundled");
        assert_eq!((raw.inputs.len(), raw.dim), (1797 * 64, 64));
        assert!(raw.inputs.iter().all(|v| (0.0..=16.0).contains(v)));
        let Targets::Classes { labels, count } = raw.targets else { panic!("digits are classes") };
        let counts: Vec<usize> = (0..count).map(|k| labels.iter().filter(|&&l| l == k).count()).collect();
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    }
}
