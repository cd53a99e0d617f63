//! Images and labels in IDX files, as MNIST and its kin.

use nfa_models::{Spec, SpecError};
use serde::{Deserialize, Serialize};

use crate::array::Array;
use crate::data::source::{LoadContext, Raw, Source, raw};

/// Two IDX files, gzipped or not, and two more of rows to hold out. Values are taken as they are: u8 images stay
/// 0..255, so `scale` them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Idx {
    /// `[n, ...]`, flattened per sample.
    pub images: String,
    /// `[n]` classes.
    pub labels: String,
    /// Images to hold out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_images: Option<String>,
    /// Their classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_labels: Option<String>,
}

/// For people without the files.
const WHERE: &str = "MNIST's four files are at https://ossci-datasets.s3.amazonaws.com/mnist/, where torchvision has \
                     them from";

fn read(context: &LoadContext<'_>, key: &str, name: &str) -> Result<Array, SpecError> {
    let bytes = context.read(name).map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let next = if missing { format!("; {WHERE}") } else { String::new() };
        SpecError::value(key, format!("{}: {error}{next}", context.base.join(name).display()))
    })?;
    let array = crate::array::gzip::unpack(&bytes).and_then(|bytes| crate::array::idx::read(&bytes));
    array.map_err(|error| SpecError::value(key, error.in_file(name).to_string()))
}

/// One array below the other.
fn below(mut first: Array, second: &Array, key: &str) -> Result<Array, SpecError> {
    let (one, other) = (first.shape.get(1..).unwrap_or_default(), second.shape.get(1..).unwrap_or_default());
    if one != other {
        return Err(SpecError::value(key, format!("has samples of shape {other:?}, and those to train on {one:?}")));
    }
    if let (Some(rows), Some(more)) = (first.shape.first_mut(), second.shape.first()) {
        *rows += more;
    }
    first.values.extend_from_slice(&second.values);
    first.integer &= second.integer;
    Ok(first)
}

impl Source for Idx {
    fn load(&self, context: &LoadContext<'_>) -> Result<Raw, SpecError> {
        let (images, labels) = (read(context, "images", &self.images)?, read(context, "labels", &self.labels)?);
        let (Some(test_images), Some(test_labels)) = (&self.test_images, &self.test_labels) else {
            return raw(images, labels);
        };
        if context.test.0 > 0.0 {
            let message = "holds out rows of the images, and test_images names others; leave one of them out";
            return Err(SpecError::value("test", message.into()));
        }
        let more = [read(context, "test_images", test_images)?, read(context, "test_labels", test_labels)?];
        let counts = more.each_ref().map(|array| array.matrix().0);
        if counts[0] != counts[1] {
            let message = format!("has {} rows, and test_images {}", counts[1], counts[0]);
            return Err(SpecError::value("test_labels", message));
        }
        // Before what comes below them hides that they don't fit.
        let (rows, own) = (images.matrix().0, labels.matrix().0);
        if rows != own {
            return Err(SpecError::value("labels", format!("has {own} rows, and images {rows}")));
        }
        let [test_images, test_labels] = &more;
        let all = raw(below(images, test_images, "test_images")?, below(labels, test_labels, "test_labels")?)?;
        Ok(Raw { drawn_test: Some(counts[0]), ..all })
    }

    fn holds_out(&self) -> bool {
        self.test_images.is_some()
    }
}

impl Spec<dyn Source> for Idx {
    const KIND: &'static str = "idx";
    const DOC: &'static str = "Images and labels in IDX files (.gz too), as MNIST; test_images and test_labels are held out. Values are taken as they are, so give scale = 0.00392156862745098.";
    const REFERENCE: &'static str = "the IDX format of the MNIST database";
    const EXAMPLE: &'static str = "images = \"train-images-idx3-ubyte.gz\"\nlabels = \"train-labels-idx1-ubyte.gz\"\n";
    const PATHS: &'static [&'static str] = &["images", "labels", "test_images", "test_labels"];

    fn check(&self) -> Result<(), SpecError> {
        match (&self.test_images, &self.test_labels) {
            (Some(_), None) => Err(SpecError::value("test_labels", "is missing beside test_images".into())),
            (None, Some(_)) => Err(SpecError::value("test_images", "is missing beside test_labels".into())),
            _ => Ok(()),
        }
    }

    fn build(&self, (): &()) -> Result<Box<dyn Source>, SpecError> {
        Ok(Box::new(self.clone()))
    }
}
