//! Where rows come from.

use std::io;
use std::path::Path;

use nfa_models::spec::Component;
use nfa_models::{SpecError, Stream};

use crate::array::Array;
use crate::data::preparation::Holdout;
use crate::machine::disk::Store;

/// What loading may need.
#[derive(Clone)]
pub struct LoadContext<'a> {
    /// For what is drawn.
    pub stream: Stream,
    /// The folder that relative paths start from.
    pub base: &'a Path,
    /// Rows to hold out, for sources that draw them in addition.
    pub test: Holdout,
    /// The file system.
    pub store: &'a dyn Store,
}

impl LoadContext<'_> {
    /// The bytes of a file that the dataset names.
    ///
    /// # Errors
    /// As the file system says.
    pub fn read(&self, file: &str) -> io::Result<Vec<u8>> {
        self.store.read(&self.base.join(file))
    }
}

/// Where rows come from. Building one reads nothing; [`Source::load`] does, files through
/// [`LoadContext::read`] alone.
///
/// # Example
///
/// ```
/// use nfa_models::{Spec, SpecError};
/// use nfa_train::data::source::{LoadContext, Raw, Source, Targets};
/// use serde::{Deserialize, Serialize};
///
/// /// y = |x|, x ~ N(0, 1): `[data] kind = "absolute"`.
/// #[derive(Clone, Serialize, Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Absolute {
///     rows: usize,
/// }
///
/// impl Source for Absolute {
///     fn load(&self, context: &LoadContext<'_>) -> Result<Raw, SpecError> {
///         // Streams are keyed by seed and name: the same rows on every machine.
///         let inputs = context.stream.fork("inputs").normals(self.rows);
///         let values = inputs.iter().map(|x| x.abs()).collect();
///         Ok(Raw { inputs, dim: 1, targets: Targets::Values { values, dim: 1 }, drawn_test: None })
///     }
/// }
///
/// impl Spec<dyn Source> for Absolute {
///     const KIND: &'static str = "absolute";
///     const DOC: &'static str = "The absolute value of one Gaussian input.";
///     const REFERENCE: &'static str = "this example";
///     const EXAMPLE: &'static str = "rows = 50\n";
///
///     fn build(&self, (): &()) -> Result<Box<dyn Source>, SpecError> {
///         Ok(Box::new(self.clone()))
///     }
/// }
///
/// # #[cfg(feature = "testing")]
/// nfa_train::testing::dataset::conformance(&nfa_models::Registry::new("dataset").with::<Absolute>(), &[]);
/// ```
pub trait Source: Send {
    /// Inputs and targets as they are, before scaling and splitting.
    ///
    /// # Errors
    /// The file, row and column at fault, and why.
    fn load(&self, context: &LoadContext<'_>) -> Result<Raw, SpecError>;

    /// Whether it has rows to hold out whatever `test` says.
    fn holds_out(&self) -> bool {
        false
    }

    /// The directions of the inputs that its targets depend on, orthonormal, where it knows them.
    fn teacher(&self) -> Option<Vec<Vec<f64>>> {
        None
    }

    /// Weights of its rows, where they are part of what it is; `weights` in the file replaces them.
    fn weights(&self) -> Option<Vec<f64>> {
        None
    }
}

/// Rows from two arrays: whole numbers in a single target column are classes.
pub(crate) fn raw(inputs: Array, targets: Array) -> Result<Raw, SpecError> {
    let ((_, dim), (_, c)) = (inputs.matrix(), targets.matrix());
    for (name, array) in [("inputs", &inputs), ("targets", &targets)] {
        crate::array::check_finite(array).map_err(|error| SpecError::value("", format!("{name}: {error}")))?;
    }
    let classes = targets.integer && c == 1 && targets.values.iter().all(|&v| v >= 0.0);
    let targets = if classes {
        let labels: Vec<usize> = targets.values.iter().map(|&v| v as usize).collect();
        let classes = labels.iter().max().map_or(0, |&top| top + 1);
        if classes > MAX_CLASSES {
            let message = format!("the targets count up to {}; give targets = \"float\" for numbers", classes - 1);
            return Err(SpecError::value("", message));
        }
        Targets::Classes { labels, count: classes }
    } else {
        Targets::Values { values: targets.values, dim: c }
    };
    Ok(Raw { inputs: inputs.values, dim, targets, drawn_test: None })
}

/// More classes than this are no classes.
const MAX_CLASSES: usize = 10_000;

impl Component for dyn Source {
    type Context<'a> = ();
}

/// Rows as a source has them, in host `f64`.
#[derive(Clone, Debug)]
pub struct Raw {
    /// Row-major, `[rows, inputs]`.
    pub inputs: Vec<f64>,
    /// d.
    pub dim: usize,
    /// One per row.
    pub targets: Targets,
    /// How many of the last rows are held out, where the source has them for that.
    pub drawn_test: Option<usize>,
}

impl Raw {
    /// Checks what a [`Source`] returned: one's own may be wrong.
    ///
    /// # Errors
    /// What doesn't fit, with both counts.
    pub fn check(&self) -> Result<(), SpecError> {
        let rows = of_rows("input", &self.inputs, self.dim)?;
        let count = match &self.targets {
            Targets::Values { values, dim } => of_rows("target", values, *dim)?,
            Targets::Classes { labels, count } => {
                if let Some(row) = labels.iter().position(|label| label >= count) {
                    let message = format!("row {row} is of class {}, counted from 0 of {count}", labels[row]);
                    return Err(SpecError::value("", message));
                }
                labels.len()
            }
        };
        if rows != count {
            return Err(SpecError::value("", format!("there are {rows} rows of inputs and {count} of targets")));
        }
        Ok(())
    }
}

/// How many rows there are of finite numbers.
fn of_rows(what: &str, values: &[f64], dim: usize) -> Result<usize, SpecError> {
    if values.is_empty() || !values.len().is_multiple_of(dim) {
        return Err(SpecError::value("", format!("{} {what} numbers are no rows of {dim}", values.len())));
    }
    if let Some(bad) = values.iter().position(|v| !v.is_finite()) {
        return Err(SpecError::value("", format!("{what} row {}, column {} is not finite", bad / dim, bad % dim)));
    }
    Ok(values.len() / dim)
}

/// Targets of rows.
#[derive(Clone, Debug)]
pub enum Targets {
    /// A class each, below `count`.
    Classes {
        /// One per row.
        labels: Vec<usize>,
        /// Number of classes.
        count: usize,
    },
    /// Row-major, `[rows, dim]`.
    Values {
        /// Entries.
        values: Vec<f64>,
        /// c.
        dim: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_source_got_wrong_is_said() {
        let values = |values: &[f64], dim| Targets::Values { values: values.to_vec(), dim };
        let classes = |labels: &[usize]| Targets::Classes { labels: labels.to_vec(), count: 2 };
        for (inputs, dim, targets, words) in [
            (vec![1.0; 6], 3, values(&[1.0, 2.0], 1), ""),
            (vec![1.0; 6], 3, classes(&[0, 1]), ""),
            (vec![1.0; 6], 4, values(&[1.0, 2.0], 1), "6 input numbers are no rows of 4"),
            (vec![], 3, values(&[], 1), "0 input numbers"),
            (vec![1.0; 6], 0, values(&[1.0], 1), "no rows of 0"),
            (vec![1.0; 6], 3, values(&[1.0, 2.0, 3.0], 2), "3 target numbers are no rows of 2"),
            (vec![1.0; 6], 3, values(&[1.0], 1), "2 rows of inputs and 1 of targets"),
            (vec![1.0, f64::NAN], 2, values(&[1.0], 1), "input row 0, column 1 is not finite"),
            (vec![1.0; 2], 1, values(&[1.0, f64::INFINITY], 1), "target row 1, column 0 is not finite"),
            (vec![1.0; 6], 3, classes(&[0, 2]), "row 1 is of class 2, counted from 0 of 2"),
        ] {
            let checked = Raw { inputs, dim, targets, drawn_test: None }.check();
            let said = checked.map_or_else(|error| error.to_string(), |()| String::new());
            assert!(said.contains(words) && said.is_empty() == words.is_empty(), "{said} for {words}");
        }
    }
}
