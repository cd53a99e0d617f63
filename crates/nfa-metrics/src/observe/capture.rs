//! Capture files: what laws need of a network that never was in Burn.
//!
//! For a linear map z = Wh inside any network, the AGOP of the outputs at that map's input is
//! WᵀKW with K = mean over samples of Σ (∂f/∂z)(∂f/∂z)ᵀ. Two hooks in any framework accumulate K;
//! the format `nfa.capture/1` is one safetensors file with, for every site `s`:
//!
//! | key | shape | holds |
//! |---|---|---|
//! | `s.weight` | `[k, d]` | W |
//! | `s.k` | `[B, k, k]` | K in B blocks of samples, each the mean over its samples |
//! | `s.count` | `[B]` | samples per block |
//! | `s.weight_init` | `[k, d]` | optional: W at initialisation |
//! | `s.grad` | `[k, d]` | optional: gradient of the mean training loss |
//! | `s.hh`, `s.gg` | `[d, d]` | optional: means of h hᵀ and of (∇_hℓ)(∇_hℓ)ᵀ |
//! | `s.bias` | `[k]` | optional |
//!
//! and metadata: `format`, `framework`, `n`, `outputs`, `loss`, `weight_decay`, `decay`, `mode`,
//! `estimator`, `order`; optional `last` (the sites whose output is the network's) and `skipped`
//! (what has weights and is no site, as `name: reason; name: reason`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use faer::{MatRef, Scale};
use safetensors::{Dtype, SafeTensors};

use crate::judge::interval::Spread;
use crate::laws::law::Law;
use crate::matrix::Mat;
use crate::matrix::psd::{Psd, frame};
use crate::matrix::tolerance;
use crate::observation::{Layer, Observation};
use crate::observe::blocks::jackknife;

/// A capture file that does not add up: which entry, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureError {
    /// The entry, or empty for the file as a whole.
    pub entry: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry.as_str() {
            "" => f.write_str(&self.message),
            entry => write!(f, "{entry}: {}", self.message),
        }
    }
}

impl std::error::Error for CaptureError {}

fn wrong(entry: &str, message: impl Into<String>) -> CaptureError {
    CaptureError { entry: entry.to_string(), message: message.into() }
}

/// Text of a note for a message: escaped, and its start alone.
fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(60).collect::<String>())
}

/// A capture file, checked.
#[derive(Clone, Debug)]
pub struct Capture {
    /// In the order of the metadata, or of the numbers in their names.
    pub sites: Vec<CapturedSite>,
    /// The file's metadata.
    pub metadata: BTreeMap<String, String>,
}

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
    /// The machine epsilon of what K was computed and is stored in.
    pub eps: f64,
    /// What the weights span, where that is worth it.
    frame: Option<Arc<Mat>>,
    /// WᵀKW of each block times its samples, in the frame.
    agops: Vec<Mat>,
}

/// Machine epsilon of the numbers that derivatives were computed in, as a recorder names them; 0 where it doesn't say.
fn computed_with(name: &str) -> f64 {
    match name {
        "f64" => f64::EPSILON,
        "f32" => f64::from(f32::EPSILON),
        "tf32" | "f16" => 2f64.powi(-10),
        "bf16" => 2f64.powi(-7),
        _ => 0.0,
    }
}

/// As many samples as `f64` counts one by one.
const MOST_SAMPLES: f64 = 9_007_199_254_740_992.0;

/// What may follow a site's name.
const PARTS: [&str; 8] = ["weight", "k", "count", "weight_init", "grad", "hh", "gg", "bias"];

impl Capture {
    /// Reads and checks the bytes of a capture file.
    ///
    /// # Errors
    /// Another format, missing or unknown entries, shapes that don't fit, numbers that are not
    /// finite, a K that is not symmetric.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CaptureError> {
        let (_, header) =
            SafeTensors::read_metadata(bytes).map_err(|e| wrong("", format!("not a safetensors file: {e}")))?;
        let metadata: BTreeMap<String, String> =
            header.metadata().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
        match metadata.get("format").map(String::as_str) {
            Some("nfa.capture/1") => {}
            Some(other) => {
                return Err(wrong("", format!("the format is {}; this reads nfa.capture/1", shown(other))));
            }
            None => {
                return Err(wrong(
                    "",
                    "the metadata has no format = nfa.capture/1: a file of weights goes with --weights",
                ));
            }
        }
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| wrong("", format!("damaged: {e}")))?;
        let mut known: BTreeSet<String> = BTreeSet::new();
        for key in tensors.names() {
            let (name, part) = key.rsplit_once('.').unwrap_or(("", key));
            if !PARTS.contains(&part) || name.is_empty() {
                return Err(wrong(key, format!("unknown entry; a site has {}", PARTS.join(", "))));
            }
            known.insert(name.to_string());
        }
        let names: Vec<String> = match metadata.get("order") {
            Some(order) => {
                let mut names = Vec::new();
                for name in order.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                    // Each once: a short note must not make a small file a large capture.
                    if !known.remove(name) {
                        let twice = names.iter().any(|before| before == name);
                        let what = if twice { "twice" } else { "and there are no entries of it" };
                        return Err(wrong("", format!("the metadata's order names {} {what}", shown(name))));
                    }
                    names.push(name.to_string());
                }
                if let Some(name) = known.first() {
                    return Err(wrong(name, "is not in the metadata's order"));
                }
                names
            }
            None => {
                let mut names: Vec<String> = known.into_iter().collect();
                names.sort_by_key(|name| natural(name));
                names
            }
        };
        if names.is_empty() {
            return Err(wrong("", "holds no site"));
        }
        let computed = computed_with(metadata.get("compute").map_or("", String::as_str));
        let read = |i: usize| {
            let site = CapturedSite::read(&tensors, names[i].clone())?;
            Ok(CapturedSite { eps: site.eps.max(computed), ..site })
        };
        let sites = crate::parallel::map(names.len(), read).into_iter().collect::<Result<_, _>>()?;
        Ok(Capture { sites, metadata })
    }

    /// The number of samples, as counted in the blocks of the first site.
    pub fn samples(&self) -> f64 {
        self.sites.first().map_or(0.0, |site| site.counts.iter().sum())
    }

    /// How many samples differ, where it says so; as many as there are where it doesn't.
    pub fn distinct(&self) -> usize {
        let said = self.metadata.get("rows").and_then(|rows| rows.trim().parse::<usize>().ok());
        said.unwrap_or(usize::MAX).min(self.samples() as usize)
    }

    /// As the laws look at it. Depths are unknown: there is more in a network than its sites.
    pub fn observation(&self) -> Observation {
        let last: Vec<&str> = self.metadata.get("last").map_or("", String::as_str).split(',').collect();
        let layer = |site: &CapturedSite| Layer { last: last.contains(&site.name.as_str()), ..site.layer(None) };
        let layers = self.sites.iter().map(layer).collect();
        let eps = self.sites.iter().map(|site| site.eps).fold(f64::EPSILON, f64::max);
        Observation { layers, linear: false, eps }
    }
}

impl CapturedSite {
    fn read(tensors: &SafeTensors<'_>, name: String) -> Result<Self, CaptureError> {
        let key = |part: &str| format!("{name}.{part}");
        let required =
            |part: &str| entry(tensors, &key(part))?.ok_or_else(|| wrong(&key(part), "is required and missing"));
        let weight = required("weight")?.matrix(&key("weight"))?;
        let (k, d) = (weight.nrows(), weight.ncols());
        let counts = required("count")?;
        let shape = || tensors.tensor(&key("k")).map(|view| view.shape().to_vec()).unwrap_or_default();
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
        for part in ["hh", "gg"] {
            if let Some(found) = entry(tensors, &key(part))?
                && found.shape != [d, d]
            {
                return Err(wrong(&key(part), format!("has shape {:?}, expected [{d}, {d}]", found.shape)));
            }
        }
        if let Some(found) = entry(tensors, &key("bias"))?
            && found.shape != [k]
        {
            return Err(wrong(&key("bias"), format!("has shape {:?}, expected [{k}]", found.shape)));
        }
        Ok(CapturedSite { name, weight, k: mean, counts: counts.values, weight_init, gradient, eps, frame, agops })
    }

    fn layer(&self, without: Option<usize>) -> Layer {
        Layer { agop: Some(self.agop(without)), ..Layer::new(self.name.clone(), self.weight.clone()) }
    }

    /// What exponent and misfit of a law that varies would be on other samples: the jackknife over the blocks.
    /// `None` as of [`jackknife`].
    pub fn over_blocks(&self, law: &Law) -> Option<Spread> {
        let alone =
            |without: Option<usize>| Observation { layers: vec![self.layer(without)], linear: false, eps: self.eps };
        jackknife(law, 0, &self.counts, alone)?.over_blocks()
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
        let eps = tolerance::of_coarse_rows(self.weight.ncols(), self.eps);
        Psd::gram_of(sum * (1.0 / total), eps).within(self.frame.clone())
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

/// A tensor in `f64`.
struct Found {
    shape: Vec<usize>,
    values: Vec<f64>,
    eps: f64,
}

impl Found {
    fn matrix(&self, key: &str) -> Result<Mat, CaptureError> {
        let [rows, cols] = self.shape[..] else {
            return Err(wrong(key, format!("has shape {:?}, expected a matrix", self.shape)));
        };
        // Before it is made: 10^18 rows of nothing are more than a matrix can have.
        if self.values.is_empty() {
            return Err(wrong(key, format!("has shape {:?} and is empty", self.shape)));
        }
        Ok(Mat::from_fn(rows, cols, |i, j| self.values[i * cols + j]))
    }
}

fn entry(tensors: &SafeTensors<'_>, key: &str) -> Result<Option<Found>, CaptureError> {
    part(tensors, key, 0, 1)
}

/// The `index`-th of `parts` equal parts of a tensor's entries, with the shape of the whole.
fn part(tensors: &SafeTensors<'_>, key: &str, index: usize, parts: usize) -> Result<Option<Found>, CaptureError> {
    let Ok(view) = tensors.tensor(key) else { return Ok(None) };
    let length = view.data().len() / parts;
    let data = &view.data()[index * length..(index + 1) * length];
    let (values, eps): (Vec<f64>, f64) = match view.dtype() {
        Dtype::F64 => (data.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect(), f64::EPSILON),
        Dtype::F32 => (
            data.as_chunks::<4>().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect(),
            f64::from(f32::EPSILON),
        ),
        Dtype::I64 => (data.as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b) as f64).collect(), f64::EPSILON),
        Dtype::I32 => {
            (data.as_chunks::<4>().0.iter().map(|b| f64::from(i32::from_le_bytes(*b))).collect(), f64::EPSILON)
        }
        other => return Err(wrong(key, format!("has dtype {other:?}; write F64 or F32"))),
    };
    if let Some(at) = values.iter().position(|v| !v.is_finite()) {
        return Err(wrong(key, format!("entry {} is not finite", index * values.len() + at)));
    }
    Ok(Some(Found { shape: view.shape().to_vec(), values, eps }))
}

/// The natural order of names: numbers inside them by value.
pub fn natural(name: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(text);
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let (number, after) = after.split_at(digits);
        parts.push((word.to_string(), number.parse().unwrap_or(0)));
        rest = after;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::TensorView;
    use std::collections::HashMap;

    type Entries = Vec<(&'static str, Vec<usize>, Vec<f64>)>;

    fn valid() -> Entries {
        vec![
            ("fc10.weight", vec![2, 3], vec![1.0, 0.0, 2.0, 0.0, 1.0, -1.0]),
            ("fc10.k", vec![2, 2, 2], vec![1.0, 0.5, 0.5, 2.0, 3.0, 0.0, 0.0, 1.0]),
            ("fc10.count", vec![2], vec![10.0, 30.0]),
            ("fc2.weight", vec![1, 2], vec![1.0, 2.0]),
            ("fc2.k", vec![1, 1, 1], vec![4.0]),
            ("fc2.count", vec![1], vec![40.0]),
        ]
    }

    fn bytes(entries: &Entries, format: &str) -> Vec<u8> {
        let data: Vec<Vec<u8>> =
            entries.iter().map(|(_, _, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
        let views = entries.iter().zip(&data).map(|((name, shape, _), data)| {
            (name.to_string(), TensorView::new(Dtype::F64, shape.clone(), data).expect("shapes fit"))
        });
        let metadata = HashMap::from([("format".to_string(), format.to_string())]);
        safetensors::serialize(views.collect::<Vec<_>>(), Some(metadata)).expect("serialises")
    }

    #[test]
    fn sites_come_in_natural_order_and_blocks_are_weighed_by_their_counts() {
        let capture = Capture::from_bytes(&bytes(&valid(), "nfa.capture/1")).expect("valid");
        assert_eq!(capture.sites.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["fc2", "fc10"]);
        assert_eq!(capture.samples(), 40.0);
        let site = &capture.sites[1];
        // K = (10 K_1 + 30 K_2) / 40, first entry (1 + 9) / 4; W's first column is e_1.
        assert!((site.agop(None).matrix()[(0, 0)] - 2.5).abs() < 1e-15);
        assert!((site.agop(Some(0)).matrix()[(0, 0)] - 3.0).abs() < 1e-15);
    }

    #[test]
    fn what_does_not_add_up_is_named() {
        let refuse = |change: &dyn Fn(&mut Entries)| {
            let mut entries = valid();
            change(&mut entries);
            Capture::from_bytes(&bytes(&entries, "nfa.capture/1")).expect_err("must be refused").to_string()
        };
        assert!(refuse(&|e| e[1].2[1] = 0.7).contains("fc10.k: block 0 is not symmetric"));
        assert!(refuse(&|e| e[1].2[0] = f64::NAN).contains("fc10.k: entry 0 is not finite"));
        assert!(refuse(&|e| e[2].2[0] = 0.0).contains("fc10.count"));
        assert!(refuse(&|e| e[1].1 = vec![2, 4, 1]).contains("expected [blocks, 2, 2]"));
        assert!(refuse(&|e| drop(e.remove(5))).contains("fc2.count: is required"));
        assert!(refuse(&|e| e[5].0 = "fc2.cuont").contains("unknown entry"));
        let other = Capture::from_bytes(&bytes(&valid(), "nfa.capture/9")).expect_err("must be refused");
        assert!(other.to_string().contains("nfa.capture/9"));
    }
}
