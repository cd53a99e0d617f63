//! Rows on a device, split into what is trained on and what is held out.

use burn::tensor::{Device, Int, Tensor, TensorData};
use nfa_metrics::Mat;
use nfa_models::SpecError;
use sha2::{Digest, Sha256};

use crate::data::preparation::{Preparation, TargetForm, WeightSource, check_weights};
use crate::data::source::{LoadContext, Raw, Source, Targets};
use crate::machine::devices::Dtype;

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

    /// Some of its rows, their weights scaled to mean 1 again.
    #[must_use]
    pub fn only(&self, rows: &[usize]) -> Self {
        let indices: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
        let indices = TensorData::new(indices, [rows.len()]);
        let indices = Tensor::<1, Int>::from_data(indices, &self.inputs.device());
        let weights = self.weights.as_ref().map(|weights| {
            let total: f64 = rows.iter().map(|&row| weights[row]).sum();
            let scale = if total > 0.0 { rows.len() as f64 / total } else { 1.0 };
            rows.iter().map(|&row| weights[row] * scale).collect()
        });
        let select = |of: &Tensor<2>| of.clone().select(0, indices.clone());
        Split { inputs: select(&self.inputs), targets: select(&self.targets), weights }
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
    /// What is trained on, and measured on unless the probe says otherwise.
    pub train: Split,
    /// What is held out.
    pub test: Option<Split>,
    /// Whether targets are classes.
    pub classes: bool,
    /// The directions that the targets depend on, `[k, d]` with orthonormal rows, where the dataset knows them.
    pub teacher: Option<Mat>,
    /// Of every number above, in hexadecimal.
    pub sha256: String,
}

impl Data {
    /// (d, c).
    pub fn dims(&self) -> (usize, usize) {
        (self.train.inputs.dims()[1], self.train.targets.dims()[1])
    }
}

/// Rows of one split on the host.
struct HostSplit {
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
    context: &LoadContext<'_>,
    device: &Device,
    dtype: Dtype,
) -> Result<Data, SpecError> {
    let raw = source.load(context)?;
    raw.check()?;
    let d = raw.dim;
    let classes = matches!(raw.targets, Targets::Classes { .. });
    let (targets, c) = encode(&raw.targets, preparation.targets, one_hot)?;
    let [order, test_order] = orders(&raw, preparation, context)?;
    let scale = preparation.scale;
    let gather = |order: &[usize]| HostSplit {
        inputs: order.iter().flat_map(|&i| raw.inputs[i * d..(i + 1) * d].iter().map(|v| v * scale)).collect(),
        targets: order.iter().flat_map(|&i| targets[i * c..(i + 1) * c].iter().copied()).collect(),
        count: order.len(),
    };
    let (mut train, mut test) = (gather(&order), gather(&test_order));
    if preparation.permute_targets {
        let dealt = context.stream.fork("permuted").permutation(train.count);
        train.targets = dealt.iter().flat_map(|&row| &train.targets[row * c..(row + 1) * c]).copied().collect();
    }
    if preparation.center || preparation.standardize {
        center(&mut train, &mut test, d, preparation.standardize);
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
    let upload = |rows: HostSplit, weights: Option<Vec<f64>>| Split {
        inputs: Tensor::from_data(TensorData::new(rows.inputs, [rows.count, d]), (device, dtype.burn())),
        targets: Tensor::from_data(TensorData::new(rows.targets, [rows.count, c]), (device, dtype.burn())),
        weights,
    };
    let test = (test.count > 0).then(|| upload(test, None));
    let teacher = source.teacher().map(|rows| Mat::from_fn(rows.len(), d, |i, j| rows[i][j]));
    Ok(Data { train: upload(train, weights), test, classes, teacher, sha256 })
}

/// Which rows train and which are held out: the last for sources that have them there, else
/// drawn by the seed. A limit is of the rows before.
fn orders(raw: &Raw, preparation: &Preparation, context: &LoadContext<'_>) -> Result<[Vec<usize>; 2], SpecError> {
    let all = raw.inputs.len() / raw.dim;
    let limit = |rows: usize| preparation.limit.map_or(rows, |limit| rows.min(limit));
    let (rows, held) = match raw.drawn_test {
        Some(held) => (all, held),
        None => (limit(all), preparation.test.of(limit(all))),
    };
    if held >= rows {
        return Err(SpecError::value("test", format!("holds out {held} of {rows} rows; none is left to train on")));
    }
    if raw.drawn_test.is_some() {
        return Ok([(0..limit(all - held)).collect(), (all - held..all).collect()]);
    }
    let mut order: Vec<usize> =
        if held > 0 { context.stream.fork("split").permutation(rows) } else { (0..rows).collect() };
    let mut test = order.split_off(rows - held);
    // In the file's order within each split, so that weights given per row keep their meaning.
    order.sort_unstable();
    test.sort_unstable();
    Ok([order, test])
}

/// Subtracts the training rows' column means; divides by their deviations too, where asked to.
fn center(train: &mut HostSplit, test: &mut HostSplit, d: usize, standardize: bool) {
    let n = train.count as f64;
    let mut means = vec![0.0; d];
    for row in train.inputs.chunks_exact(d) {
        means.iter_mut().zip(row).for_each(|(mean, v)| *mean += v / n);
    }
    let mut deviations = vec![1.0; d];
    if standardize {
        deviations.fill(0.0);
        for row in train.inputs.chunks_exact(d) {
            deviations.iter_mut().zip(row).zip(&means).for_each(|((s, v), mean)| *s += (v - mean).powi(2) / n);
        }
        // A constant column stays 0 instead of becoming rounding blown up.
        deviations.iter_mut().for_each(|s| *s = if *s > 0.0 { s.sqrt() } else { 1.0 });
    }
    for split in [train, test] {
        for row in split.inputs.chunks_exact_mut(d) {
            row.iter_mut().zip(&means).zip(&deviations).for_each(|((v, mean), s)| *v = (*v - mean) / s);
        }
    }
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

fn sample_weights(source: &WeightSource, rows: usize, context: &LoadContext<'_>) -> Result<Vec<f64>, SpecError> {
    let list = match source {
        WeightSource::List(list) => list.clone(),
        WeightSource::File(file) => {
            let path = context.base.join(file);
            let text = context
                .read(file)
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
