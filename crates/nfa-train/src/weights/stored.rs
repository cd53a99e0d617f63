//! The matrix that a module applies, from all that is stored of it.
//!
//! What stands beside a weight and isn't known to leave it as it is, is decisive: applied, or refused by name.

use nfa_metrics::Mat;

use crate::error::{Error, Result};
use crate::weights::checkpoint::{Checkpoint, Entry};
use crate::weights::names::{biases, is_harmless, module, parts, words};

/// How a weight is kept.
#[derive(Clone, Debug, PartialEq)]
pub enum How {
    /// As it is.
    Plain,
    /// As what pruning left of it: the product with a mask.
    Pruned {
        /// The weights before.
        original: String,
        /// Ones and zeros.
        mask: String,
    },
    /// As whole numbers with a scale for all, each output, or each group of inputs.
    Scaled {
        /// The scale.
        scale: String,
        /// What it is a multiple of: 1, or 1/127 in bitsandbytes.
        unit: f64,
    },
}

/// A weight and all that is stored of it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its name, as PyTorch has it where it is put together.
    pub key: String,
    /// How it is kept.
    pub how: How,
    /// All tensors that it is made of.
    pub uses: Vec<String>,
    /// Its bias, where it has one.
    pub bias: Option<String>,
}

/// What a decisive tensor is, and the way out; `None` for what is not known.
fn decisive(tail: &str) -> Option<(&'static str, &'static str)> {
    let words = words(tail);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let ends = |list: &[&str]| list.iter().any(|end| tail.ends_with(end));
    Some(if words.iter().any(|w| w.starts_with("lora")) || has(ADAPTED) || tail.contains("base_layer") {
        ("an adapter that is not merged: the network applies both", "merge it (peft: merge_and_unload) and save again")
    } else if has(&["parametrizations"]) {
        ("a parametrisation", "bake it in (torch.nn.utils.parametrize.remove_parametrizations) and save again")
    } else if ends(&["weight_g", "weight_v"]) {
        ("weight normalisation", "bake it in (torch.nn.utils.remove_weight_norm) and save again")
    } else if ends(&["weight_u", "weight_orig"]) {
        ("weights that are computed from others", "bake it in (remove_spectral_norm, prune.remove) and save again")
    } else if has(&["mask"]) {
        ("a mask", "bake it in (torch.nn.utils.prune.remove) and save again")
    } else if has(QUANTISED) || QUANTISED_ENDS.iter().any(|end| tail.contains(end)) {
        ("quantised weights", "save them dequantised, in f16, bf16 or f32")
    } else {
        return None;
    })
}

const ADAPTED: &[&str] =
    &["hada", "loha", "lokr", "oft", "boft", "ia3", "vera", "adapter", "adapters", "dora", "magnitude"];
const QUANTISED: &[&str] = &[
    "scales",
    "scb",
    "absmax",
    "quant",
    "qweight",
    "qzeros",
    "packed",
    "codes",
    "codebook",
    "codebooks",
    "bitsandbytes",
    "quantizer",
    "qparams",
];
/// A norm's `scale` is none of these.
const QUANTISED_ENDS: [&str; 7] =
    ["g_idx", "zero_point", "weight_scale", "input_scale", "output_scale", "k_scale", "v_scale"];

/// What is decisive among names, in words; `None` where none of them is known to be.
pub fn in_words<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    names
        .filter_map(|name| Some((name, decisive(name)?)))
        .map(|(name, (what, next))| format!("{name} is {what}; {next}"))
        .next()
}

/// The tensors that belong to a weight, itself and its bias left out.
fn beside<'a>(of: &'a Checkpoint<'_>, key: &'a str) -> impl Iterator<Item = &'a Entry> {
    let biases = biases(key);
    of.entries().iter().filter(move |entry| {
        let name = entry.name.as_str();
        let rest = name.strip_prefix(key);
        let own = match module(key) {
            Some(stem) => name.starts_with(stem),
            None => rest.is_some_and(|rest| rest.starts_with(['.', '_'])),
        };
        own && name != key && !biases.iter().any(|bias| bias == name) && !is_harmless(name)
    })
}

impl Stored {
    /// What is stored under a weight's name.
    ///
    /// # Errors
    /// No such tensor; something beside it that changes what the network applies and can't be applied here.
    pub fn of(checkpoint: &Checkpoint<'_>, key: &str) -> Result<Self> {
        // There only where an adapter wraps it, wherever that is kept.
        if parts(key).contains(&"base_layer") {
            let rest: Vec<&Entry> = beside(checkpoint, key).collect();
            let own: Vec<&Entry> = checkpoint.entry(key).into_iter().collect();
            return Err(Self::refused(checkpoint, key, if rest.is_empty() { &own } else { &rest }));
        }
        let mut uses = vec![key.to_string()];
        let mut rest: Vec<&Entry> = beside(checkpoint, key).collect();
        let take = |rest: &mut Vec<&Entry>, end: &str| {
            let at = rest.iter().position(|entry| entry.name.ends_with(end) && entry.name != key)?;
            Some(rest.remove(at).name.clone())
        };
        let whole = checkpoint.entry(key).filter(|entry| !entry.is_float()).map(|entry| entry.dtype.clone());
        let how = if checkpoint.entry(key).is_none() {
            match (take(&mut rest, "_orig"), take(&mut rest, "_mask")) {
                (Some(original), Some(mask)) => How::Pruned { original, mask },
                // Parts of something else, or nothing: the message names them.
                _ => return Err(Self::refused(checkpoint, key, &beside(checkpoint, key).collect::<Vec<_>>())),
            }
        } else if whole.as_deref() == Some("I8") {
            match (take(&mut rest, "weight_scale"), take(&mut rest, "SCB")) {
                (Some(scale), None) => How::Scaled { scale, unit: 1.0 },
                (None, Some(scale)) => How::Scaled { scale, unit: 1.0 / 127.0 },
                _ => How::Plain,
            }
        } else {
            How::Plain
        };
        match &how {
            How::Plain => {}
            How::Pruned { original, mask } => uses = vec![original.clone(), mask.clone()],
            How::Scaled { scale, .. } => uses.push(scale.clone()),
        }
        if !rest.is_empty() {
            return Err(Self::refused(checkpoint, key, &rest));
        }
        if let Some(dtype) = whole.filter(|_| how == How::Plain) {
            return Err(checkpoint.wrong(format!(
                "{key} holds {dtype}, whole numbers: quantised, a mask or a counter, and no weights; save the weights in \
                 f16, bf16, f32 or f64"
            )));
        }
        let bias = biases(key).into_iter().find(|bias| checkpoint.entry(bias).is_some());
        if let Some(bias) = &bias
            && checkpoint.entry(bias).is_some_and(|entry| !entry.is_float())
        {
            return Err(checkpoint.wrong(format!("{bias} holds whole numbers; save it in f16, bf16, f32 or f64")));
        }
        Ok(Stored { key: key.into(), how, uses, bias })
    }

    fn refused(checkpoint: &Checkpoint<'_>, key: &str, rest: &[&Entry]) -> Error {
        if rest.is_empty() {
            // As the reader says it, with what is there.
            return checkpoint.array(key).err().unwrap_or_else(|| checkpoint.wrong(key));
        }
        let named = rest.iter().find_map(|entry| Some((entry, decisive(&entry.name)?)));
        checkpoint.wrong(match named {
            Some((entry, (what, next))) => format!("{} beside {key} is {what}; {next}", entry.name),
            None => format!(
                "{} {:?} beside {key}: what the network does with it is not known; save the weights that it applies",
                rest[0].name, rest[0].shape
            ),
        })
    }

    /// The matrix, as it is stored.
    ///
    /// # Errors
    /// As of [`Checkpoint::matrix`]; masks or scales of other shapes.
    pub fn matrix(&self, checkpoint: &Checkpoint<'_>) -> Result<Mat> {
        let misfit = |name: &str, shape: &[usize], w: &Mat| {
            let (rows, cols) = w.shape();
            checkpoint
                .wrong(format!("{name} has shape {shape:?}, {} [{rows}, {cols}]: it fits no rows or groups", self.key))
        };
        match &self.how {
            How::Plain => checkpoint.matrix(&self.key),
            How::Pruned { original, mask } => {
                let (w, m) = (checkpoint.matrix(original)?, checkpoint.matrix(mask)?);
                if w.shape() != m.shape() {
                    return Err(misfit(mask, &[m.nrows(), m.ncols()], &w));
                }
                Ok(Mat::from_fn(w.nrows(), w.ncols(), |i, j| w[(i, j)] * m[(i, j)]))
            }
            How::Scaled { scale, unit } => {
                let (w, s) = (checkpoint.matrix(&self.key)?, checkpoint.array(scale)?);
                let (rows, cols) = w.shape();
                // One for all, one for each row, or one for each group of a row's numbers.
                let groups = match s.shape[..] {
                    [] | [1] | [1, 1] => None,
                    [n] if n == rows => Some(1),
                    [n, groups] if n == rows && groups > 0 && cols.is_multiple_of(groups) => Some(groups),
                    _ => return Err(misfit(scale, &s.shape, &w)),
                };
                let at = |i: usize, j: usize| groups.map_or(0, |groups| i * groups + j / (cols / groups));
                Ok(Mat::from_fn(rows, cols, |i, j| w[(i, j)] * s.values[at(i, j)] * unit))
            }
        }
    }

    /// The bias, of as many outputs.
    ///
    /// # Errors
    /// As of [`Checkpoint::array`]; another length.
    pub fn bias(&self, checkpoint: &Checkpoint<'_>, outputs: usize) -> Result<Option<Vec<f64>>> {
        let Some(key) = &self.bias else { return Ok(None) };
        let bias = checkpoint.array(key)?;
        if bias.shape != [outputs] {
            let message = format!("{key} has shape {:?}, {} {outputs} outputs", bias.shape, self.key);
            return Err(checkpoint.wrong(message));
        }
        Ok(Some(bias.values))
    }
}
