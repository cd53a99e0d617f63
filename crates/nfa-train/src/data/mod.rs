//! Datasets: one file each, one line each in [`datasets`]; what is common to all is here.

use std::path::PathBuf;

use burn::tensor::{Device, Tensor, TensorData};
use nfa_models::spec::Component;
use nfa_models::{Registry, SpecError, Stream};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::array::Array;
use crate::device::Dtype;

pub mod csv;
pub mod digits;
pub mod idx;
pub mod linear_teacher;
pub mod multi_index;
pub mod npy;
pub mod red_wine;
pub mod rows;
pub mod two_points;

/// Every built-in dataset: one line each.
pub fn datasets() -> Registry<dyn Source> {
    Registry::new("dataset")
        .with::<linear_teacher::LinearTeacher>()
        .with::<multi_index::MultiIndex>()
        .with::<two_points::TwoPoints>()
        .with::<digits::Digits>()
        .with::<red_wine::RedWine>()
        .with::<csv::Csv>()
        .with::<idx::Idx>()
        .with::<npy::Npy>()
        .with::<rows::Rows>()
}

/// What loading may need.
#[derive(Clone, Debug)]
pub struct LoadContext {
    /// For what is drawn.
    pub stream: Stream,
    /// The folder that relative paths start from.
    pub base: PathBuf,
    /// Rows to hold out, for sources that draw them in addition.
    pub test: Holdout,
}

/// Where rows come from. Building one reads nothing; [`Source::load`] does.
pub trait Source: Send {
    /// Inputs and targets as they are, before scaling and splitting.
    ///
    /// # Errors
    /// The file, row and column at fault, and why.
    fn load(&self, context: &LoadContext) -> Result<Raw, SpecError>;

    /// Its keys that are paths: they are made absolute, since a run's own `config.toml` lies
    /// elsewhere than the file that named them.
    fn paths(&self) -> &'static [&'static str] {
        &[]
    }

    /// Weights of its rows, where they are part of what it is; `weights` in the file replaces them.
    fn weights(&self) -> Option<Vec<f64>> {
        None
    }

    /// What `scale` and `center` are unless the file says otherwise.
    fn defaults(&self) -> (f64, bool) {
        (1.0, false)
    }
}

/// Reads a file that a dataset names.
pub(crate) fn open(path: &std::path::Path) -> std::io::Result<Vec<u8>> {
    crate::store::Store::read(&crate::store::Disk, path)
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
    /// How many of the last rows are held out, where the source drew them for that.
    pub drawn_test: Option<usize>,
}

impl Raw {
    /// Checks what a [`Source`] returned: one's own may be wrong.
    ///
    /// # Errors
    /// What doesn't fit, with both counts.
    fn check(&self) -> Result<(), SpecError> {
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

/// `test`: a share below 1, or a number of rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Holdout(pub f64);

impl Holdout {
    /// Rows held out of `rows`.
    pub fn of(self, rows: usize) -> usize {
        let Holdout(value) = self;
        if value < 1.0 { (value * rows as f64).round() as usize } else { value as usize }
    }
}

/// How integer targets are presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetForm {
    /// Classes become one-hot rows under losses that want them.
    Auto,
    /// One-hot rows.
    OneHot,
    /// One number.
    Float,
}

/// Sample weights in a file: a list, or the path of a text file with one number per line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum WeightSource {
    /// One per training row.
    List(Vec<f64>),
    /// Relative to the experiment file.
    File(String),
}

/// The keys of `[data]` that every kind has.
///
/// | key | default | meaning |
/// |---|---|---|
/// | `scale` | 1 (digits 1/16) | multiplies the inputs |
/// | `center` | false (digits true) | subtracts the training rows' column means |
/// | `standardize` | false | also divides by the training rows' column deviations |
/// | `targets` | `"auto"` | `"one_hot"` or `"float"` for integer targets |
/// | `test` | 0 | share below 1, or number of rows, held out by the seed |
/// | `limit` | | the first rows only |
/// | `weights` | | sample weights of the training rows, scaled to mean 1 |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preparation {
    /// Multiplies the inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    /// Subtract column means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub center: Option<bool>,
    /// Divide by column deviations too.
    #[serde(default)]
    pub standardize: bool,
    /// Integer targets.
    #[serde(default = "auto")]
    pub targets: TargetForm,
    /// Held-out rows.
    #[serde(default = "none_held_out")]
    pub test: Holdout,
    /// The first rows only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Sample weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<WeightSource>,
}

fn auto() -> TargetForm {
    TargetForm::Auto
}

fn none_held_out() -> Holdout {
    Holdout(0.0)
}

impl Preparation {
    /// The keys that belong here; all others are the kind's own.
    pub const KEYS: [&'static str; 7] = ["scale", "center", "standardize", "targets", "test", "limit", "weights"];

    /// Checks the values.
    ///
    /// # Errors
    /// The key at fault and why.
    pub fn check(&self) -> Result<(), SpecError> {
        let Holdout(test) = self.test;
        if !(test.is_finite() && test >= 0.0 && (test < 1.0 || test.fract() == 0.0)) {
            return Err(SpecError::value("test", format!("is a share below 1 or a whole number of rows, not {test}")));
        }
        if let Some(scale) = self.scale
            && !(scale.is_finite() && scale != 0.0)
        {
            return Err(SpecError::value("scale", format!("must be finite and not 0, not {scale}")));
        }
        if self.limit == Some(0) {
            return Err(SpecError::value("limit", "must be at least 1".into()));
        }
        if let Some(WeightSource::List(list)) = &self.weights {
            check_weights(list)?;
        }
        Ok(())
    }
}

fn check_weights(list: &[f64]) -> Result<(), SpecError> {
    match list.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
        Some(row) => Err(SpecError::value(
            "weights",
            format!("of row {row} is {}; weights are finite and not negative", list[row]),
        )),
        None if list.iter().sum::<f64>() > 0.0 => Ok(()),
        None => Err(SpecError::value("weights", "are all 0".into())),
    }
}

/// Rows on a device.
#[derive(Clone, Debug)]
pub struct Split {
    /// `[n, d]`.
    pub inputs: Tensor<2>,
    /// `[n, c]`.
    pub targets: Tensor<2>,
    /// Sample weights of mean 1, one per row.
    pub weights: Option<Vec<f64>>,
}

impl Split {
    /// n.
    pub fn rows(&self) -> usize {
        self.inputs.dims()[0]
    }

    /// The weights as a column beside the rows.
    ///
    /// # Shapes
    /// `[n, 1]`
    pub fn weight_column(&self) -> Option<Tensor<2>> {
        let weights = self.weights.as_ref()?;
        let data = TensorData::new(weights.clone(), [weights.len(), 1]);
        Some(Tensor::from_data(data, (&self.inputs.device(), self.inputs.dtype())))
    }
}

/// A prepared dataset.
#[derive(Clone, Debug)]
pub struct Data {
    /// What is trained on, and measured on.
    pub train: Split,
    /// What is held out.
    pub test: Option<Split>,
    /// Whether targets are classes.
    pub classes: bool,
    /// Of every number above, in hexadecimal.
    pub sha256: String,
}

impl Data {
    /// (d, c).
    pub fn dims(&self) -> (usize, usize) {
        (self.train.inputs.dims()[1], self.train.targets.dims()[1])
    }
}

/// Host rows of one split.
struct Rows {
    inputs: Vec<f64>,
    targets: Vec<f64>,
    count: usize,
}

/// Loads, scales, splits and uploads.
///
/// # Errors
/// The key or the file at fault and why.
pub fn prepare(
    source: &dyn Source,
    preparation: &Preparation,
    one_hot: bool,
    context: &LoadContext,
    device: &Device,
    dtype: Dtype,
) -> Result<Data, SpecError> {
    let raw = source.load(context)?;
    raw.check()?;
    let d = raw.dim;
    let mut rows = raw.inputs.len() / d;
    if let Some(limit) = preparation.limit
        && raw.drawn_test.is_none()
    {
        rows = rows.min(limit);
    }
    let classes = matches!(raw.targets, Targets::Classes { .. });
    let (targets, c) = encode(&raw.targets, preparation.targets, one_hot)?;
    // Which rows train: the first for sources that drew test rows at the end, else drawn by the seed.
    let held = raw.drawn_test.unwrap_or_else(|| preparation.test.of(rows));
    if held >= rows {
        return Err(SpecError::value("test", format!("holds out {held} of {rows} rows; none is left to train on")));
    }
    let mut order: Vec<usize> = match raw.drawn_test {
        Some(_) => (0..rows).collect(),
        None if held > 0 => context.stream.fork("split").permutation(rows),
        None => (0..rows).collect(),
    };
    let mut test_order = order.split_off(rows - held);
    // In the file's order within each split, so that weights given per row keep their meaning.
    order.sort_unstable();
    test_order.sort_unstable();
    let (default_scale, default_center) = source.defaults();
    let scale = preparation.scale.unwrap_or(default_scale);
    let center = preparation.center.unwrap_or(default_center) || preparation.standardize;
    let gather = |order: &[usize]| Rows {
        inputs: order.iter().flat_map(|&i| raw.inputs[i * d..(i + 1) * d].iter().map(|v| v * scale)).collect(),
        targets: order.iter().flat_map(|&i| targets[i * c..(i + 1) * c].iter().copied()).collect(),
        count: order.len(),
    };
    let (mut train, mut test) = (gather(&order), gather(&test_order));
    if center {
        let n = train.count as f64;
        let mut means = vec![0.0; d];
        for row in train.inputs.chunks_exact(d) {
            means.iter_mut().zip(row).for_each(|(mean, v)| *mean += v / n);
        }
        let mut deviations = vec![1.0; d];
        if preparation.standardize {
            deviations.fill(0.0);
            for row in train.inputs.chunks_exact(d) {
                deviations.iter_mut().zip(row).zip(&means).for_each(|((s, v), mean)| *s += (v - mean).powi(2) / n);
            }
            // A constant column stays 0 instead of becoming rounding blown up.
            deviations.iter_mut().for_each(|s| *s = if *s > 0.0 { s.sqrt() } else { 1.0 });
        }
        for split in [&mut train, &mut test] {
            for row in split.inputs.chunks_exact_mut(d) {
                row.iter_mut().zip(&means).zip(&deviations).for_each(|((v, mean), s)| *v = (*v - mean) / s);
            }
        }
    }
    let given = preparation.weights.clone().or_else(|| source.weights().map(WeightSource::List));
    let weights = given.map(|given| sample_weights(&given, train.count, context)).transpose()?;
    let mut hash = Sha256::new();
    for part in [&train.inputs, &train.targets, &test.inputs, &test.targets, weights.as_ref().unwrap_or(&Vec::new())] {
        for value in part {
            hash.update(value.to_le_bytes());
        }
    }
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let upload = |rows: Rows, weights: Option<Vec<f64>>| Split {
        inputs: Tensor::from_data(TensorData::new(rows.inputs, [rows.count, d]), (device, dtype.burn())),
        targets: Tensor::from_data(TensorData::new(rows.targets, [rows.count, c]), (device, dtype.burn())),
        weights,
    };
    let test = (test.count > 0).then(|| upload(test, None));
    Ok(Data { train: upload(train, weights), test, classes, sha256 })
}

/// Target rows and their length.
fn encode(targets: &Targets, form: TargetForm, one_hot: bool) -> Result<(Vec<f64>, usize), SpecError> {
    match (targets, form) {
        (Targets::Values { values, dim }, TargetForm::Auto | TargetForm::Float) => Ok((values.clone(), *dim)),
        (Targets::Values { .. }, TargetForm::OneHot) => Err(SpecError::value(
            "targets",
            "are not classes, so they have no one-hot form; use \"auto\" or \"float\"".into(),
        )),
        (Targets::Classes { labels, .. }, TargetForm::Float) => Ok((labels.iter().map(|&k| k as f64).collect(), 1)),
        (Targets::Classes { labels, count }, TargetForm::OneHot) => Ok((hot(labels, *count), *count)),
        (Targets::Classes { labels, count }, TargetForm::Auto) if one_hot => Ok((hot(labels, *count), *count)),
        (Targets::Classes { labels, .. }, TargetForm::Auto) => Ok((labels.iter().map(|&k| k as f64).collect(), 1)),
    }
}

fn hot(labels: &[usize], count: usize) -> Vec<f64> {
    labels.iter().flat_map(|&label| (0..count).map(move |k| if k == label { 1.0 } else { 0.0 })).collect()
}

fn sample_weights(source: &WeightSource, rows: usize, context: &LoadContext) -> Result<Vec<f64>, SpecError> {
    let list = match source {
        WeightSource::List(list) => list.clone(),
        WeightSource::File(file) => {
            let path = context.base.join(file);
            let text = crate::store::Store::read(&crate::store::Disk, &path)
                .map_err(|error| SpecError::value("weights", format!("{}: {error}", path.display())))?;
            let text = String::from_utf8_lossy(&text);
            let mut list = Vec::new();
            for (line, field) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
                list.push(field.trim().parse().map_err(|_| {
                    SpecError::value(
                        "weights",
                        format!("{}:{}: `{}` is no number", path.display(), line + 1, field.trim()),
                    )
                })?);
            }
            list
        }
    };
    check_weights(&list)?;
    if list.len() != rows {
        return Err(SpecError::value("weights", format!("has {} entries for {rows} training rows", list.len())));
    }
    let mean = list.iter().sum::<f64>() / rows as f64;
    Ok(list.into_iter().map(|w| w / mean).collect())
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
