//! All sites of any network in one sweep, differentiated by Burn at what the maps put out.
//!
//! A backward pass serves all sites. Burn's tape is used up by it: so the values of a pass are kept for the next output
//! over the same samples, and the tape alone is made anew; where samples are few, or on a device without operations of
//! ours, a pass carries them several times over, one output selected in each copy.

use std::ops::Range;

use burn::tensor::{DType, Tensor, TensorData};
use nfa_models::host::Real;
use nfa_models::host::gemm::View;
use nfa_models::sites::{Kept, Use};
use nfa_models::{Sites, SitesError};

use crate::observe::agop::rows::sign_rows;
use crate::observe::jacobian::numbers;
use crate::observe::layout::{Forward, Layout, Placed};

/// The number that a pass differentiates, of the outputs `[copies * b, c]` of some samples; copy k stands for the k-th
/// of a range of outputs.
pub(crate) type Select<'a> = dyn Fn(Tensor<2>, Range<usize>, Range<usize>) -> Tensor<1> + Sync + 'a;

/// One sweep over all rows.
pub(crate) struct Sweep<'a> {
    pub(crate) forward: &'a Forward<'a>,
    /// `[n, d]`
    pub(crate) x: &'a Tensor<2>,
    /// The maps whose δ are wanted.
    pub(crate) maps: Vec<String>,
    /// What is differentiated.
    pub(crate) select: &'a Select<'a>,
    /// How many of it there are: c, draws, or one loss.
    pub(crate) outputs: usize,
    /// Rows of a pass, about.
    pub(crate) rows: usize,
    /// Samples of a pass, where that is asked for.
    pub(crate) batch: Option<usize>,
    /// Whether maps' inputs are wanted too.
    pub(crate) inputs: bool,
    /// The maps as they pass, each use, whatever the rows are.
    pub(crate) uses: &'a [String],
}

/// δ = ∂/∂z at one use of a map, of some samples and outputs.
pub(crate) struct Delta<'a> {
    /// The map's place among those wanted.
    pub(crate) map: usize,
    /// Which use of it in the pass.
    pub(crate) turn: usize,
    pub(crate) samples: Range<usize>,
    pub(crate) outputs: Range<usize>,
    pub(crate) used: &'a Use,
    /// As it lies: `[copies * b, k, positions]`, or `[copies * b * positions, k, 1]`.
    pub(crate) values: Tensor<3>,
}

/// δ in host memory.
pub(crate) struct Read<T> {
    values: Vec<T>,
    /// Rows, and numbers of each.
    size: [usize; 2],
    /// Whether rows stand upright.
    turned: bool,
}

impl<T: Real> Read<T> {
    /// # Shapes
    /// `[copies * b * positions, k]`
    pub(crate) fn view(&self) -> View<'_, T> {
        let [rows, k] = self.size;
        if self.turned { View::new(&self.values, k, rows).t() } else { View::new(&self.values, rows, k) }
    }
}

impl Delta<'_> {
    /// Rows: samples, copies and positions.
    pub(crate) fn count(&self) -> usize {
        self.values.dims()[0] * self.values.dims()[2]
    }

    /// Positions of a sample.
    pub(crate) fn positions(&self) -> usize {
        self.count() / (self.samples.len() * self.outputs.len()).max(1)
    }

    /// # Shapes
    /// `[copies * b * positions, k]`
    pub(crate) fn rows(&self) -> Tensor<2> {
        self.values.clone().swap_dims(1, 2).reshape([self.count(), self.used.outputs()])
    }

    /// Its rows in host memory, without the means where they are given.
    pub(crate) fn read<T: Real>(self, means: Option<&Means>, weights: Option<&[f64]>) -> Read<T> {
        let size = [self.count(), self.used.outputs()];
        if let Some(means) = means {
            let mut values = own::<T, 2>(self.rows());
            means.take_from(&self, &mut values, weights);
            return Read { values, size, turned: false };
        }
        let [outer, k, positions] = self.values.dims();
        let values = own::<T, 3>(self.values);
        if positions == 1 {
            return Read { values, size, turned: false };
        }
        // Each output's numbers side by side: a copy of whole runs.
        let mut lying = Vec::with_capacity(values.len());
        for o in 0..k {
            let runs = values.chunks_exact(positions).skip(o).step_by(k).take(outer);
            runs.for_each(|run| lying.extend_from_slice(run));
        }
        Read { values: lying, size, turned: true }
    }
}

/// A tensor's numbers.
fn own<T: Real, const D: usize>(tensor: Tensor<D>) -> Vec<T> {
    match tensor.into_data().try_into_vec() {
        Ok(values) => values,
        Err(error) => panic!("the device did not hand out a tensor: {error:?}"),
    }
}

/// Rows of a pass's products, at least: with that many they run at full speed.
const ROWS: usize = 1280;
/// Samples and copies of a pass, at least, however many positions each has.
const LEAST: usize = 320;
/// And this many times the widest map's outputs, as weights are packed anew in each pass.
const ROWS_PER_WIDTH: f64 = 2.5;
/// Samples of a pass, at least.
const SAMPLES: usize = 64;
/// Copies of what the sites put out that a pass holds at a time, about: that, what is made of it, slopes and gradients.
const HELD: usize = 4;

impl Sweep<'_> {
    /// Samples times outputs of a pass: as many as products need and memory holds.
    pub(crate) fn rows_within(memory: usize, layout: &Layout, dtype: DType) -> usize {
        let most = |of: fn(&Placed) -> usize| layout.sites.iter().map(of).max().unwrap_or(1).max(1);
        let (widest, positions) = (most(|placed| placed.outputs), most(|placed| placed.positions));
        let wanted = ROWS.max((ROWS_PER_WIDTH * widest as f64) as usize) / positions;
        let bytes = HELD * layout.numbers * dtype.size();
        wanted.max(LEAST).min(memory / bytes.max(1)).max(1)
    }

    /// Outputs that a pass takes, and its samples.
    fn shape(&self) -> (usize, usize) {
        let n = self.x.dims()[0].max(1);
        let rows = self.rows.max(1);
        if self.keeps() {
            // A pass for each output costs no forward then: several at a time where the samples are few.
            let batch = self.batch.unwrap_or(rows).clamp(1, n);
            return ((rows / batch).clamp(1, self.outputs.max(1)), batch);
        }
        let outputs = (rows / SAMPLES).clamp(1, self.outputs.max(1));
        let batch = self.batch.unwrap_or(rows / outputs).clamp(1, n);
        (outputs, batch)
    }

    /// The samples of all passes, in at most so many parts of about the same length, each in batches.
    pub(crate) fn parts(&self, most: usize) -> Vec<Vec<Range<usize>>> {
        let (n, (_, batch)) = (self.x.dims()[0], self.shape());
        // Powers of two are shared out evenly.
        let parts = n.div_ceil(batch).next_power_of_two().clamp(1, most.max(1));
        let part = |p: usize| {
            let (start, end) = (p * n / parts, (p + 1) * n / parts);
            let count = (end - start).div_ceil(batch).max(1);
            let cut = move |k: usize| start + k * (end - start) / count;
            (0..count).map(|k| cut(k)..cut(k + 1)).filter(|samples| !samples.is_empty()).collect()
        };
        (0..parts).map(part).collect()
    }

    /// Hands out δ at every wanted map for these samples and all outputs.
    ///
    /// # Errors
    /// What the network says of its maps does not add up.
    pub(crate) fn visit(&self, samples: &Range<usize>, sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), SitesError> {
        let (each, mut kept) = (self.shape().0, Kept::default());
        for from in (0..self.outputs).step_by(each) {
            self.pass(samples.clone(), from..(from + each).min(self.outputs), &mut kept, sink)?;
        }
        Ok(())
    }

    /// Whether what a pass computes is kept for the next one over the same samples.
    fn keeps(&self) -> bool {
        self.outputs > 1 && Sites::keeps(self.x)
    }

    /// One forward and one backward pass.
    fn pass(
        &self,
        samples: Range<usize>,
        outputs: Range<usize>,
        kept: &mut Kept,
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> Result<(), SitesError> {
        let r = outputs.len();
        let x = self.x.clone().inner().slice([samples.clone()]);
        let x = Tensor::cat(vec![x; r], 0);
        let at = Sites::recording(r).only(&self.maps);
        let at = if self.inputs { at.with_inputs() } else { at };
        let mut at = if self.keeps() { at.keeping(std::mem::take(kept)) } else { at };
        let y = (self.forward)(x, &mut at);
        let record = at.finish()?;
        *kept = record.kept.clone();
        let passed = |i: usize| record.uses.get(i).map(|used| &used.name);
        // A site that comes and goes would lose its share without a word.
        if let Some(i) = (0..self.uses.len().max(record.uses.len())).find(|&i| passed(i) != self.uses.get(i)) {
            let name = passed(i).or(self.uses.get(i)).cloned().unwrap_or_default();
            return Err(SitesError::Changing(name));
        }
        let selected = (self.select)(y, samples.clone(), outputs.clone());
        // What does not depend on any map has no tape, and gradient 0.
        let mut gradients = selected.is_tracked().then(|| selected.backward());
        let mut turns = vec![0; self.maps.len()];
        for used in &record.uses {
            let Some(map) = self.maps.iter().position(|name| *name == used.name) else { continue };
            let turn = turns[map];
            turns[map] += 1;
            let Some(values) = gradients.as_mut().and_then(|gradients| used.delta(gradients)) else { continue };
            sink(Delta { map, turn, samples: samples.clone(), outputs: outputs.clone(), used, values });
        }
        Ok(())
    }
}

/// Selects output k in copy k, each sample with the root of its weight.
pub(crate) fn of_outputs(
    weights: Option<&[f64]>,
) -> impl Fn(Tensor<2>, Range<usize>, Range<usize>) -> Tensor<1> + Sync {
    move |y, samples, outputs| {
        let ([_, c], r, b) = (y.dims(), outputs.len(), samples.len());
        let mut one = vec![0.0; r * c];
        (0..r).for_each(|k| one[k * c + outputs.start + k] = 1.0);
        let place = (&y.device().inner(), y.dtype());
        let mut selector: Tensor<3> = Tensor::<3>::from_data(TensorData::new(one, [r, 1, c]), place).expand([r, b, c]);
        if let Some(weights) = weights {
            let roots: Vec<f64> = weights[samples].iter().map(|w| w.sqrt()).collect();
            selector = selector * Tensor::<3>::from_data(TensorData::new(roots, [1, b, 1]), place);
        }
        (y * selector.reshape([r * b, c])).sum()
    }
}

/// The k-th random combination of a sample's outputs in copy k, with the root of its weight.
pub(crate) fn of_sketches(
    weights: Option<&[f64]>,
    draws: usize,
) -> impl Fn(Tensor<2>, Range<usize>, Range<usize>) -> Tensor<1> + Sync {
    move |y, samples, outputs| {
        let ([_, c], r, b) = (y.dims(), outputs.len(), samples.len());
        let signs = sign_rows(&samples, draws, c);
        let mut selector = vec![0.0; r * b * c];
        for (k, copy) in selector.chunks_exact_mut(b * c).enumerate() {
            for (i, row) in copy.chunks_exact_mut(c).enumerate() {
                let root = weights.map_or(1.0, |weights| weights[samples.start + i].sqrt());
                let from = (i * draws + outputs.start + k) * c;
                row.iter_mut().zip(&signs[from..from + c]).for_each(|(to, sign)| *to = sign * root);
            }
        }
        let place = (&y.device().inner(), y.dtype());
        (y * Tensor::<2>::from_data(TensorData::new(selector, [r * b, c]), place)).sum()
    }
}

/// The means of δ over the samples, `[outputs * positions, k]`, from rows that carry the roots of weights.
#[derive(Default)]
pub(crate) struct Means {
    sums: Vec<((usize, usize), Vec<f64>)>,
}

impl Means {
    /// Over all rows of a sweep.
    ///
    /// # Errors
    /// As of [`Sweep::visit`].
    pub(crate) fn of(sweep: &Sweep<'_>, weights: Option<&[f64]>) -> Result<Self, SitesError> {
        let mut means = Means::default();
        for samples in sweep.parts(1).into_iter().flatten() {
            sweep.visit(&samples, &mut |delta| means.add(&delta, sweep.outputs, weights))?;
        }
        let n = sweep.x.dims()[0] as f64;
        means.sums.iter_mut().for_each(|(_, sum)| sum.iter_mut().for_each(|value| *value /= n));
        Ok(means)
    }

    fn add(&mut self, delta: &Delta<'_>, outputs: usize, weights: Option<&[f64]>) {
        let (p, k) = (delta.positions(), delta.used.outputs());
        let key = (delta.map, delta.turn);
        let at = self.sums.iter().position(|(own, _)| *own == key).unwrap_or_else(|| {
            self.sums.push((key, vec![0.0; outputs * p * k]));
            self.sums.len() - 1
        });
        let (sum, rows) = (&mut self.sums[at].1, numbers(delta.rows()));
        for (copy, rows) in rows.chunks_exact(delta.samples.len() * p * k).enumerate() {
            let sum = &mut sum[(delta.outputs.start + copy) * p * k..][..p * k];
            for (sample, row) in delta.samples.clone().zip(rows.chunks_exact(p * k)) {
                let root = weights.map_or(1.0, |weights| weights[sample].sqrt());
                sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += root * value);
            }
        }
    }

    /// Takes them away from a sweep's rows.
    pub(crate) fn take_from<T: Real>(&self, delta: &Delta<'_>, rows: &mut [T], weights: Option<&[f64]>) {
        let Some((_, mean)) = self.sums.iter().find(|(key, _)| *key == (delta.map, delta.turn)) else { return };
        let size = delta.positions() * delta.used.outputs();
        for (copy, rows) in rows.chunks_exact_mut(delta.samples.len() * size).enumerate() {
            let mean = &mean[(delta.outputs.start + copy) * size..][..size];
            for (sample, row) in delta.samples.clone().zip(rows.chunks_exact_mut(size)) {
                let root = weights.map_or(1.0, |weights| weights[sample].sqrt());
                row.iter_mut().zip(mean).for_each(|(value, mean)| *value -= T::from_f64(root * mean));
            }
        }
    }
}
