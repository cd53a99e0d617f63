//! One linear map of a captured network: its weights, its K in blocks, and what both say of a law.

use std::sync::Arc;

use faer::{MatRef, Scale};

use crate::judge::interval::{Jackknife, Spread};
use crate::judge::misfit::{Fit, Seen};
use crate::laws::law::Law;
use crate::laws::needs::Needs;
use crate::matrix::Mat;
use crate::matrix::psd::{Psd, frame};
use crate::observation::moments::Moments;
use crate::observation::{Layer, Observation};
use crate::observe::blocks::jackknife;
use crate::observe::capture::entry::{Found, entry, part};
use crate::observe::capture::error::{CaptureError, wrong};
use crate::observe::capture::source::TensorSource;

/// One linear map of the network.
#[derive(Clone, Debug)]
pub struct CapturedSite {
    /// Its name.
    pub name: String,
    /// W, `[k, d]`.
    pub weight: Mat,
    /// K, `[k, k]`.
    pub k: Mat,
    /// Samples in each block.
    pub counts: Vec<f64>,
    /// W at initialisation.
    pub weight_init: Option<Mat>,
    /// dL/dW of the mean training loss.
    pub gradient: Option<Mat>,
    /// Second moments of what it reads and of the loss gradients there, where they were asked for.
    pub moments: [Option<Mat>; 2],
    /// The machine epsilon of what K is stored in.
    pub eps: f64,
    /// The machine epsilon of what K was computed in, where the file says so; else 0.
    pub computed: f64,
    /// What the weights span, where that is worth it.
    frame: Option<Arc<Mat>>,
    /// WᵀKW of each block times its samples, in the frame.
    agops: Vec<Mat>,
}

/// What roundings of rows leave of a K in directions that carry less than a thousandth of it, in machine epsilons of its
/// norm. No theory: of 84 recordings of trained networks in bf16, f16 and f32 against f64 it was 0.051 at most
/// (`tests/oracle/roundings.py`), and twice that is taken.
const NOISE: f64 = 0.1;

/// As many samples as `f64` counts one by one.
const MOST_SAMPLES: f64 = 9_007_199_254_740_992.0;

impl CapturedSite {
    pub(super) fn read(
        tensors: &dyn TensorSource,
        name: String,
        computed: f64,
        needs: Needs,
    ) -> Result<Self, CaptureError> {
        let key = |part: &str| format!("{name}.{part}");
        let required =
            |part: &str| entry(tensors, &key(part))?.ok_or_else(|| wrong(&key(part), "is required and missing"));
        let weight = required("weight")?.matrix(&key("weight"))?;
        let (k, d) = (weight.nrows(), weight.ncols());
        let counts = required("count")?;
        let shape = || tensors.entry(&key("k")).map(|(_, shape)| shape).unwrap_or_default();
        let &[count, rows, cols] = &shape()[..] else {
            required("k")?;
            return Err(wrong(&key("k"), format!("has shape {:?}, expected [blocks, {k}, {k}]", shape())));
        };
        if count == 0 || rows != k || cols != k {
            return Err(wrong(&key("k"), format!("has shape {:?}, expected [blocks, {k}, {k}]", shape())));
        }
        if counts.values.len() != count || counts.shape.len() != 1 {
            return Err(wrong(&key("count"), format!("has shape {:?}, expected [{count}]", counts.shape)));
        }
        if counts.values.iter().any(|&c| c <= 0.0) {
            return Err(wrong(&key("count"), "every block holds at least one sample"));
        }
        if counts.values.iter().sum::<f64>() > MOST_SAMPLES {
            return Err(wrong(&key("count"), format!("adds up to more than {MOST_SAMPLES} samples")));
        }
        let frame = frame(&weight);
        let map = frame.as_ref().map_or_else(|| weight.clone(), |q| &weight * &**q);
        let total: f64 = counts.values.iter().sum();
        let (mut mean, mut agops, mut eps) = (Mat::zeros(k, k), Vec::with_capacity(count), f64::EPSILON);
        // One block at a time: those of a wide layer together outweigh everything else in the file.
        for (b, &samples) in counts.values.iter().enumerate() {
            let Some(found) = part(tensors, &key("k"), b, count)? else { break };
            eps = found.eps;
            let block = symmetric_block(&found, k).map_err(|why| wrong(&key("k"), format!("block {b} {why}")))?;
            agops.push(map.transpose() * (block * &map) * samples);
            mean += block * Scale(samples / total);
        }
        let like_weight = |part: &str| -> Result<Option<Mat>, CaptureError> {
            let Some(found) = entry(tensors, &key(part))? else { return Ok(None) };
            let matrix = found.matrix(&key(part))?;
            if matrix.nrows() != k || matrix.ncols() != d {
                return Err(wrong(&key(part), format!("has shape {:?}, expected [{k}, {d}]", found.shape)));
            }
            Ok(Some(matrix))
        };
        let (weight_init, gradient) = (like_weight("weight_init")?, like_weight("grad")?);
        let square = |part: &str, need: Needs| -> Result<Option<Mat>, CaptureError> {
            let Some(found) = entry(tensors, &key(part))? else { return Ok(None) };
            if found.shape != [d, d] {
                return Err(wrong(&key(part), format!("has shape {:?}, expected [{d}, {d}]", found.shape)));
            }
            needs.contains(need).then(|| found.matrix(&key(part))).transpose()
        };
        let moments = [square("hh", Needs::INPUT_MOMENTS)?, square("gg", Needs::GRADIENT_MOMENTS)?];
        if let Some(found) = entry(tensors, &key("bias"))?
            && found.shape != [k]
        {
            return Err(wrong(&key("bias"), format!("has shape {:?}, expected [{k}]", found.shape)));
        }
        Ok(CapturedSite {
            name,
            weight,
            k: mean,
            counts: counts.values,
            weight_init,
            gradient,
            moments,
            eps,
            computed,
            frame,
            agops,
        })
    }

    pub(super) fn layer(&self, without: Option<usize>) -> Layer {
        Layer { agop: Some(self.agop(without)), ..Layer::new(self.name.clone(), self.weight.clone()) }
    }

    /// What exponent and misfit of a law that varies would be on other samples: the jackknife over the blocks, and what
    /// rounding leaves open where K was computed in less than `f64`. `None` as of [`jackknife`].
    pub fn over_blocks(&self, law: &Law) -> Option<Spread> {
        let spread = self.jackknife(law)?.over_blocks()?;
        if self.computed <= f64::EPSILON {
            return Some(spread);
        }
        let fit = |agop: Psd| {
            let pair = law.at(&self.alone(agop), 0)?;
            Fit::new(&Seen::against(&pair.a, &pair.b)?, law.family)
        };
        let (whole, noisy) = (fit(self.agop(None))?, fit(self.with_noise())?);
        Some(spread.widened(noisy.alpha? - whole.alpha?, noisy.misfit - whole.misfit, law.family.misfit_range()))
    }

    /// The law's fit to all samples and to those without each block, to set beside another recording of the same rows.
    pub fn jackknife(&self, law: &Law) -> Option<Jackknife> {
        jackknife(law, 0, &self.counts, |without| self.alone(self.agop(without)))
    }

    /// How many samples it was recorded on.
    pub fn samples(&self) -> f64 {
        self.counts.iter().sum()
    }

    /// As the laws look at it, by itself; `last` where its output is the network's.
    pub fn observation(&self, last: bool) -> Observation {
        let [values, gradients] = self.moments.clone();
        let loss = |gradient| Moments { values, gradients, ..Moments::of_gradient(gradient) };
        let layer = Layer {
            last,
            k: Some(self.k.clone()),
            start: self.weight_init.clone(),
            loss: self.gradient.clone().map(loss),
            ..self.layer(None)
        };
        Observation { layers: vec![layer], linear: false, eps: self.eps.max(self.computed) }
    }

    fn alone(&self, agop: Psd) -> Observation {
        let layer = Layer { agop: Some(agop), ..Layer::new(self.name.clone(), self.weight.clone()) };
        Observation { layers: vec![layer], linear: false, eps: self.eps }
    }

    /// WᵀKW with as much in every direction of K as roundings of its rows leave there.
    fn with_noise(&self) -> Psd {
        let map = self.frame.as_ref().map_or_else(|| self.weight.clone(), |q| &self.weight * &**q);
        let whole = self.agop(None);
        let noise = map.transpose() * &map * (NOISE * self.computed * self.k.norm_l2());
        Psd::gram_of(whole.core() + noise, self.eps).within(self.frame.clone())
    }

    /// WᵀKW over all blocks, or without one of them.
    ///
    /// # Shapes
    /// `[d, d]`
    pub fn agop(&self, without: Option<usize>) -> Psd {
        let kept = || (0..self.counts.len()).filter(|&b| Some(b) != without);
        let mut sum = Mat::zeros(self.agops[0].nrows(), self.agops[0].ncols());
        kept().for_each(|b| sum += &self.agops[b]);
        let total: f64 = kept().map(|b| self.counts[b]).sum();
        Psd::gram_of(sum * (1.0 / total), self.eps).within(self.frame.clone())
    }
}

/// A K, after a look at it: symmetric, so that rows are as good as columns.
fn symmetric_block(found: &Found, k: usize) -> Result<MatRef<'_, f64>, String> {
    let block = MatRef::from_column_major_slice(&found.values, k, k);
    // In units of the largest: squares overflow where entries don't.
    let unit = found.values.iter().fold(f64::MIN_POSITIVE, |most, v| most.max(v.abs()));
    let (mut skew, mut size) = (0.0, 0.0);
    for (j, column) in found.values.chunks_exact(k).enumerate() {
        size += column.iter().map(|v| (v / unit).powi(2)).sum::<f64>();
        skew += (0..j).map(|i| (column[i] / unit - block[(j, i)] / unit).powi(2)).sum::<f64>();
    }
    if !(unit * size.sqrt()).is_finite() {
        return Err("is too large: its norm overflows".into());
    }
    // Sums of rounded products in any order: a few hundred roundings at the most.
    if (2.0 * skew).sqrt() > 1e3 * found.eps * size.sqrt() {
        return Err("is not symmetric".into());
    }
    match (0..k).find(|&i| block[(i, i)] < 0.0) {
        Some(i) => Err(format!("has a negative diagonal entry at {i}")),
        None => Ok(block),
    }
}
