//! A problem as a file, for programs that compute the same: `benches/peers`.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};

use crate::bench::problem::{Drawn, Problem};
use crate::error::{Error, Result};
use crate::machine::disk::Store;

/// Tensors and words on their way into a file.
#[derive(Default)]
pub struct Saved {
    tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)>,
    words: HashMap<String, String>,
}

impl Saved {
    /// Weights `layers.{i}.weight` `[d_out, d_in]`, biases and rows `x` in f32, in which they are
    /// exact.
    pub fn of(problem: &Problem, drawn: &Drawn) -> Self {
        let mut saved = Saved::default();
        for (l, (weight, bias)) in drawn.weights.iter().zip(&drawn.biases).enumerate() {
            saved.exact(&format!("layers.{l}.weight"), vec![drawn.widths[l + 1], drawn.widths[l]], weight);
            if let Some(bias) = bias {
                saved.exact(&format!("layers.{l}.bias"), vec![bias.len()], bias);
            }
        }
        saved.exact("x", vec![drawn.samples, drawn.widths[0]], &drawn.inputs);
        saved.say("activation", problem.activation.to_string());
        saved.say("problem", problem.title());
        saved
    }

    /// Numbers that are exact in f32.
    pub fn exact(&mut self, name: &str, shape: Vec<usize>, data: &[f64]) {
        let bytes = data.iter().flat_map(|&v| (v as f32).to_le_bytes()).collect();
        self.tensors.push((name.to_string(), Dtype::F32, shape, bytes));
    }

    /// Results, in f64.
    pub fn result(&mut self, name: &str, shape: Vec<usize>, data: Vec<f64>) {
        let bytes = data.into_iter().flat_map(f64::to_le_bytes).collect();
        self.tensors.push((name.to_string(), Dtype::F64, shape, bytes));
    }

    /// A word of the file's metadata.
    pub fn say(&mut self, word: &str, text: String) {
        self.words.insert(word.to_string(), text);
    }

    /// Writes the file.
    ///
    /// # Errors
    /// Where that fails, and why.
    pub fn write(self, store: &dyn Store, path: &Path) -> Result<()> {
        let wrong = |error: safetensors::SafeTensorError| Error::environment(format!("{}: {error}", path.display()));
        let views = self
            .tensors
            .iter()
            .map(|(name, dtype, shape, bytes)| Ok((name.clone(), TensorView::new(*dtype, shape.clone(), bytes)?)));
        let views = views.collect::<std::result::Result<Vec<_>, _>>().map_err(wrong)?;
        let bytes = safetensors::serialize(views, Some(self.words.clone())).map_err(wrong)?;
        store.write(path, &bytes).map_err(|error| Error::io("cannot write", path, &error))
    }
}
