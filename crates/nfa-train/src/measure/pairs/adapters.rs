//! Adapters of low rank: B is applied after A, and the loss sees BA alone.

use nfa_metrics::{Mat, ProductPair, Protected};

use crate::error::Result;
use crate::weights::Checkpoint;
use crate::weights::names::is_harmless;

/// How the two factors are called: peft, kohya, diffusers, and peft's for tables.
const NAMES: [[&str; 2]; 6] = [
    ["lora_embedding_A", "lora_embedding_B"],
    ["lora_linear_layer.down", "lora_linear_layer.up"],
    ["lora.down", "lora.up"],
    ["lora_down", "lora_up"],
    ["lora_A", "lora_B"],
    ["lora_a", "lora_b"],
];

/// An adapter of a file, not yet read.
#[derive(Clone, Debug)]
pub(super) struct Adapter {
    /// The module that it adapts.
    pub(super) stem: String,
    /// A's name.
    pub(super) lower: String,
    upper: String,
    /// What the adapter itself is called, where it isn't peft's default.
    own: String,
}

/// A name cut at one of two words: what stands before it, and after.
fn cut<'a>(name: &'a str, word: &str) -> Option<(&'a str, &'a str)> {
    let at = name.rfind(word)?;
    let (before, after) = (&name[..at], &name[at + word.len()..]);
    let apart = before.is_empty() || before.ends_with(['.', '_', '/']);
    (apart && (after.is_empty() || after.starts_with(['.', '/']))).then_some((before, after))
}

/// The adapters of a file.
///
/// # Errors
/// One factor without the other; a third factor between them.
pub(super) fn adapters(checkpoint: &Checkpoint<'_>) -> Result<Vec<Adapter>> {
    let mut found = Vec::new();
    for entry in checkpoint.entries() {
        let name = entry.name.as_str();
        if is_harmless(name) {
            continue;
        }
        if let Some((stem, _)) = cut(name, "lora_mid") {
            return Err(checkpoint.wrong(format!(
                "{name}: {stem} is a product of three, which has no balance of two; measure adapters without it"
            )));
        }
        for [lower, upper] in NAMES {
            let (found_lower, (stem, after), other) = match (cut(name, lower), cut(name, upper)) {
                (Some(parts), _) => (true, parts, upper),
                (_, Some(parts)) => (false, parts, lower),
                _ => continue,
            };
            let partner = format!("{stem}{other}{after}");
            if checkpoint.entry(&partner).is_none() {
                return Err(checkpoint.wrong(format!(
                    "{name} is one of two factors, and {partner} is not here: in another file? Give the list of all files \
                     (model.safetensors.index.json) or their folder"
                )));
            }
            if found_lower {
                let own = after.trim_start_matches(['.', '/']).trim_end_matches("weight").trim_matches(['.', '/']);
                let own = if own == "default" { "" } else { own };
                let stem = stem.trim_end_matches(['.', '_', '/']);
                found.push(Adapter { stem: stem.into(), lower: name.into(), upper: partner, own: own.into() });
            }
            break;
        }
    }
    Ok(found)
}

impl Adapter {
    /// Its two factors.
    ///
    /// # Errors
    /// Shapes that are no two factors.
    pub(super) fn pair(&self, checkpoint: &Checkpoint<'_>) -> Result<ProductPair> {
        let (v, u) = (self.unfolded(checkpoint, &self.lower)?, self.unfolded(checkpoint, &self.upper)?);
        if u.ncols() != v.nrows() {
            let (reads, writes) = (u.ncols(), v.nrows());
            return Err(checkpoint.wrong(format!("{} reads {reads} and {} writes {writes}", self.upper, self.lower)));
        }
        let own = if self.own.is_empty() { String::new() } else { format!(".{}", self.own) };
        Ok(ProductPair { name: format!("{}.lora{own}", self.stem), upper: u, lower: v, protected: Protected::Whole })
    }

    /// A factor as a matrix; of a convolution each output's patch is a row.
    fn unfolded(&self, checkpoint: &Checkpoint<'_>, name: &str) -> Result<Mat> {
        let shape = checkpoint.entry(name).map(|entry| entry.shape.clone()).unwrap_or_default();
        if checkpoint.entry(name).is_some_and(|entry| !entry.is_float()) {
            return Err(checkpoint.wrong(format!("{name} holds whole numbers: quantised; save it dequantised")));
        }
        // A patch of one place is a matrix; the second map of an adapter is one, or its product isn't.
        let wide = name == self.upper && shape.iter().skip(2).any(|&size| size != 1);
        if shape.len() < 2 || wide {
            return Err(checkpoint.wrong(format!("{name} has shape {shape:?}: no factor of a product of two matrices")));
        }
        let array = checkpoint.array(name)?;
        let cols: usize = shape[1..].iter().product();
        Ok(Mat::from_fn(shape[0], cols, |i, j| array.values[i * cols + j]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_at_whole_words() {
        assert_eq!(cut("q.lora_A.weight", "lora_A"), Some(("q.", ".weight")));
        assert_eq!(cut("q.lora_A.me.weight", "lora_A"), Some(("q.", ".me.weight")));
        assert_eq!(cut("to_q_lora.down.weight", "lora.down"), Some(("to_q_", ".weight")));
        assert_eq!(cut("lora_unet_mid.lora_down.weight", "lora_down"), Some(("lora_unet_mid.", ".weight")));
        assert_eq!(cut("q.lora_Adapter.weight", "lora_A"), None);
        assert_eq!(cut("xlora_A", "lora_A"), None);
    }
}
