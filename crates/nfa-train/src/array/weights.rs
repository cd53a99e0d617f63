//! Weights of an MLP in a file: its 2-D tensors in natural order, with their biases.

use std::collections::BTreeSet;

use nfa_metrics::Mat;

use crate::array::safetensors::Tensors;
use crate::error::{Error, Result};

/// The layers of a file.
#[derive(Clone, Debug)]
pub struct Weights {
    /// The file's name.
    pub title: String,
    /// From the input on.
    pub layers: Vec<LayerWeights>,
}

/// One layer.
#[derive(Clone, Debug)]
pub struct LayerWeights {
    /// The weight's key.
    pub name: String,
    /// `[d_out, d_in]`.
    pub weight: Mat,
    /// `[d_out]`.
    pub bias: Option<Vec<f64>>,
}

impl Weights {
    /// The 2-D tensors of a safetensors file, or those named; `naming` is how a person names them,
    /// for messages.
    ///
    /// # Errors
    /// A file with weights that are not 2-D and no names given; unknown names; shapes that don't
    /// chain; biases of another length; numbers that are not finite.
    pub fn from_bytes(bytes: &[u8], title: &str, names: Option<&[String]>, naming: &str) -> Result<Self> {
        let bytes = crate::array::gzip::unpack(bytes).map_err(|error| Error::input(format!("{title}: {error}")))?;
        let tensors = Tensors::open(&bytes).map_err(|error| Error::input(format!("{title}: {error}")))?;
        let chosen: Vec<String> = match names {
            Some(names) => names.to_vec(),
            None => choose(&tensors, title, naming)?,
        };
        if chosen.is_empty() {
            return Err(Error::input(format!("{title}: holds no 2-D weights")));
        }
        let mut layers: Vec<LayerWeights> = Vec::new();
        for name in chosen {
            let array = tensors.array(&name).map_err(|error| Error::input(format!("{title}: {error}")))?;
            let [rows, cols] = array.shape[..] else {
                let message =
                    format!("{title}: {name} has shape {:?}; a layer's weights are [d_out, d_in]", array.shape);
                return Err(Error::input(message));
            };
            if rows == 0 || cols == 0 {
                return Err(Error::input(format!("{title}: {name} has shape [{rows}, {cols}]")));
            }
            if let Some(at) = array.values.iter().position(|v| !v.is_finite()) {
                return Err(Error::input(format!(
                    "{title}: {name}: entry [{}, {}] is not finite",
                    at / cols,
                    at % cols
                )));
            }
            if let Some(before) = layers.last()
                && before.weight.nrows() != cols
            {
                return Err(Error::input(format!(
                    "{title}: {} has {} outputs and {name} reads {cols}; {naming} chooses and orders them",
                    before.name,
                    before.weight.nrows()
                )));
            }
            let weight = Mat::from_fn(rows, cols, |i, j| array.values[i * cols + j]);
            let bias = match bias_key(&name).filter(|key| tensors.names().any(|known| known == key)) {
                None => None,
                Some(key) => {
                    let bias = tensors.array(&key).map_err(|error| Error::input(format!("{title}: {error}")))?;
                    if bias.shape != [rows] {
                        let message = format!("{title}: {key} has shape {:?}, {name} {rows} outputs", bias.shape);
                        return Err(Error::input(message));
                    }
                    if let Some(at) = bias.values.iter().position(|v| !v.is_finite()) {
                        return Err(Error::input(format!("{title}: {key}: entry {at} is not finite")));
                    }
                    Some(bias.values)
                }
            };
            layers.push(LayerWeights { name, weight, bias });
        }
        Ok(Weights { title: title.into(), layers })
    }
}

/// `fc1.weight` has its bias at `fc1.bias`.
fn bias_key(name: &str) -> Option<String> {
    match name.strip_suffix("weight") {
        Some(stem) => Some(format!("{stem}bias")),
        None => Some(format!("{name}.bias")),
    }
}

/// How many tensors a message lists.
const SHOWN: usize = 8;

/// All 2-D tensors, if everything else is their biases.
fn choose(tensors: &Tensors<'_>, title: &str, naming: &str) -> Result<Vec<String>> {
    let matrices: Vec<String> =
        tensors.list().filter(|tensor| tensor.shape.len() == 2).map(|tensor| tensor.name.to_string()).collect();
    let biases: BTreeSet<String> = matrices.iter().filter_map(|name| bias_key(name)).collect();
    let mut others: Vec<String> = tensors
        .list()
        .filter(|tensor| tensor.shape.len() != 2 && !biases.contains(tensor.name))
        .map(|tensor| format!("{} {:?}", tensor.name, tensor.shape))
        .collect();
    if others.is_empty() {
        return Ok(matrices);
    }
    if tensors.notes().get("format").is_some_and(|format| format.starts_with("nfa.capture/")) {
        return Err(Error::input(format!("{title}: is a capture; use --capture")));
    }
    let more = others.len().saturating_sub(SHOWN);
    others.truncate(SHOWN);
    if more > 0 {
        others.push(format!("{more} more"));
    }
    Err(Error::input(format!(
        "{title}: not a plain MLP: it also holds {}. Name its dense layers with {naming} if the others don't matter, \
         or measure the whole network from a capture (python/nfa_capture.py, measure --capture)",
        others.join(", ")
    )))
}
