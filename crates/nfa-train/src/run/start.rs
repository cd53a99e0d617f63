//! Starting weights in a file: `[model] init = { kind = "file", path = "w.safetensors" }`.
//!
//! `nfa-models` opens no files, so they are read here and handed over in [`nfa_models::Context`].

use std::path::Path;

use nfa_models::matrix::Matrix;
use nfa_models::{SpecError, StoredLayer};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use toml::{Table, Value};

use crate::machine::disk::Store;
use crate::weights::Weights;
use crate::weights::layers::Chosen;

/// The layers of a file.
#[derive(Clone, Debug)]
pub struct Start {
    /// From the input on.
    pub layers: Vec<StoredLayer>,
    /// Of the file, in hexadecimal.
    pub sha256: String,
}

/// The path that a model's table starts from, if it starts from a file.
fn path(model: &Table) -> Option<&str> {
    let init = model.get("init")?;
    if init.get("kind").and_then(Value::as_str) != Some("file") {
        return None;
    }
    init.get("path").and_then(Value::as_str)
}

/// Reads the file that a model's table starts from, if it names one: its 2-D tensors in natural
/// order or those that `layers` names, and their biases, as `measure` does.
///
/// # Errors
/// The file and what is wrong with it, at `init.path`.
pub fn read(model: &Table, store: &dyn Store) -> Result<Option<Start>, SpecError> {
    let Some(path) = path(model) else { return Ok(None) };
    let wrong = |message: String| SpecError::value("init.path", message);
    let names = model.get("init").and_then(|init| init.get("layers")).cloned();
    let names = names.map(Vec::<String>::deserialize).transpose().map_err(|error| wrong(error.to_string()))?;
    let bytes = store.read(Path::new(path)).map_err(|error| wrong(format!("{path}: {error}")))?;
    let chosen = Chosen { names: names.as_deref(), prefix: None, naming: "layers = [\"NAME\", ...]" };
    let weights = Weights::from_bytes(&bytes, path, chosen).map_err(|error| wrong(error.to_string()))?;
    let layers = weights.layers.into_iter().map(|layer| {
        let (rows, cols) = (layer.weight.nrows(), layer.weight.ncols());
        let data = (0..rows * cols).map(|k| layer.weight[(k / cols, k % cols)]).collect();
        StoredLayer { name: layer.name, weight: Matrix { rows, cols, data }, bias: layer.bias }
    });
    let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Some(Start { layers: layers.collect(), sha256 }))
}
