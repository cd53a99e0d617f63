//! The layers of an MLP among the tensors of a checkpoint.

use std::collections::BTreeSet;
use std::path::Path;

use nfa_metrics::Mat;
use nfa_models::{Activation, SpecError};

use crate::error::{Error, Result};
use crate::machine::disk::{Disk, Store};
use crate::weights::checkpoint::{Checkpoint, Entry};
use crate::weights::names::{bare, is_harmless, is_kernel, is_layer, module, parts};
use crate::weights::networks;
use crate::weights::order::{Link, orders};
use crate::weights::stored::{Stored, in_words};

/// The layers of a file.
#[derive(Clone, Debug)]
pub struct Weights {
    /// The file's name.
    pub title: String,
    /// From the input on.
    pub layers: Vec<LayerWeights>,
    /// What names and shapes alone don't say, and how it was read.
    pub notes: Vec<String>,
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

/// Which tensors of a file are meant, and how a person says so, for messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chosen<'a> {
    /// Those of these names, in this order; all that are layers where there are none.
    pub names: Option<&'a [String]>,
    /// Those whose names begin so.
    pub prefix: Option<&'a str>,
    /// `--layers NAME,NAME`
    pub naming: &'a str,
}

impl Weights {
    /// The layers of a file's bytes.
    ///
    /// # Errors
    /// As of [`Weights::of`].
    pub fn from_bytes(bytes: &[u8], title: &str, chosen: Chosen<'_>) -> Result<Self> {
        Weights::of(Checkpoint::from_bytes(bytes, title, &Disk)?, chosen)
    }

    /// The layers of a file, or of several with an index.
    ///
    /// # Errors
    /// As of [`Weights::of`].
    pub fn open(path: &Path, store: &dyn Store, chosen: Chosen<'_>) -> Result<Self> {
        Weights::of(Checkpoint::open(path, store)?, chosen)
    }

    /// The layers of a checkpoint: what is known to be one, in an order that is known, or those named.
    ///
    /// # Errors
    /// Anything else in it that isn't known to leave the network as it is; several networks; an order that names and
    /// shapes leave open; unknown names; shapes that don't chain; biases of another length; numbers that are not finite.
    pub fn of(mut checkpoint: Checkpoint<'_>, chosen: Chosen<'_>) -> Result<Self> {
        if checkpoint.notes().get("format").is_some_and(|format| format.starts_with("nfa.capture/")) {
            return Err(checkpoint.wrong("is a capture; use --capture"));
        }
        if let Some(prefix) = chosen.prefix {
            checkpoint.only(prefix)?;
        }
        let stored = match chosen.names {
            Some(names) => {
                names.iter().map(|name| Stored::of(&checkpoint, &found(&checkpoint, name))).collect::<Result<_>>()?
            }
            None => choose(&checkpoint, chosen.naming)?,
        };
        let mut notes = Vec::new();
        let mut layers = Vec::with_capacity(stored.len());
        for stored in &stored {
            let (weight, turned) = oriented(&checkpoint, stored)?;
            if turned && !is_kernel(&stored.key) {
                notes.push(format!("{} is read as [in, out], as GPT-2's Conv1D stores it", stored.key));
            }
            let bias = stored.bias(&checkpoint, weight.nrows()).map_err(|error| match is_kernel(&stored.key) {
                false => fitting_turned(&checkpoint, stored, &weight, error),
                true => error,
            })?;
            layers.push(LayerWeights { name: stored.key.clone(), weight, bias });
        }
        let weights = Weights { title: checkpoint.title().into(), layers, notes };
        match chosen.names {
            Some(_) => weights.chained(chosen.naming),
            None => weights.ordered(chosen.naming),
        }
    }

    /// The activations between the layers: one for all of them, or one each.
    ///
    /// # Errors
    /// Another number of them.
    pub fn between(&self, activations: &[Activation]) -> Result<Vec<Activation>> {
        let hidden = self.layers.len() - 1;
        match activations {
            [one] => Ok(vec![*one; hidden]),
            list if list.len() == hidden => Ok(list.to_vec()),
            list => Err(Error::input(format!(
                "--activation lists {} for {hidden} hidden layers (none after the last)",
                list.len()
            ))),
        }
    }

    /// Layers that a network can't be made of.
    pub(crate) fn unchained(&self, error: &SpecError) -> Error {
        Error::input(format!("{}: {error}; --layers NAME,NAME chooses and orders them", self.title))
    }

    /// In the one order that names and shapes leave.
    fn ordered(mut self, naming: &str) -> Result<Self> {
        let link = |layer: &LayerWeights| Link { name: layer.name.clone(), size: layer.weight.shape().into() };
        let links: Vec<Link> = self.layers.iter().map(link).collect();
        let found = orders(&links, 3);
        let plain: Vec<usize> = (0..links.len()).collect();
        match found.as_slice() {
            [order] if *order == plain || links.iter().any(|link| link.name.chars().any(|c| c.is_ascii_digit())) => {
                self.layers = order.iter().map(|&i| self.layers[i].clone()).collect();
                Ok(self)
            }
            [] => self.chained(naming),
            found => {
                let shown =
                    |order: &Vec<usize>| order.iter().map(|&i| links[i].name.as_str()).collect::<Vec<_>>().join(",");
                let shown: Vec<String> = found.iter().map(shown).collect();
                Err(Error::input(format!(
                    "{}: names without numbers don't say the order of its layers; {}: {}; {naming} names it",
                    self.title,
                    if shown.len() == 1 { "one fits" } else { "these fit" },
                    shown.join(" or "),
                )))
            }
        }
    }

    /// As they are, where each reads what the one before puts out.
    fn chained(self, naming: &str) -> Result<Self> {
        let broken = self.layers.windows(2).find(|pair| pair[0].weight.nrows() != pair[1].weight.ncols());
        let Some([before, after]) = broken else { return Ok(self) };
        let turned = self.layers.windows(2).all(|pair| pair[0].weight.ncols() == pair[1].weight.nrows());
        let hint = if turned {
            "; as [in, out] they would fit: save the transposes, or under names that end in `kernel`"
        } else {
            ""
        };
        Err(Error::input(format!(
            "{}: {} has {} outputs and {} reads {}; {naming} chooses and orders them{hint}",
            self.title,
            before.name,
            before.weight.nrows(),
            after.name,
            after.weight.ncols()
        )))
    }
}

/// Names of the maps that GPT-2 of Hugging Face stores as `[d_in, d_out]`.
const CONV1D: [&str; 4] = ["c_attn", "c_proj", "c_fc", "q_attn"];

/// Whether a weight is one of GPT-2's Conv1D by its name.
pub fn is_conv1d(key: &str) -> bool {
    let parts = parts(key);
    parts.len() > 1 && parts.last() == Some(&"weight") && CONV1D.contains(&parts[parts.len() - 2])
}

/// A layer's matrix as `[d_out, d_in]`, and whether it is stored the other way.
fn oriented(checkpoint: &Checkpoint<'_>, stored: &Stored) -> Result<(Mat, bool)> {
    let matrix = stored.matrix(checkpoint)?;
    let bias =
        stored.bias.as_ref().and_then(|bias| checkpoint.entry(bias)).map(|bias| bias.shape.iter().product::<usize>());
    let (rows, cols) = matrix.shape();
    // Some keep these names and PyTorch's layout; the bias says so.
    let torch = rows != cols && bias == Some(rows);
    let turned = is_kernel(&stored.key) || (is_conv1d(&stored.key) && !torch);
    Ok(if turned { (matrix.transpose().to_owned(), true) } else { (matrix, false) })
}

/// Says so where a bias would fit the transpose.
fn fitting_turned(checkpoint: &Checkpoint<'_>, stored: &Stored, weight: &Mat, error: Error) -> Error {
    let shape = stored.bias.as_ref().and_then(|bias| checkpoint.entry(bias)).map(|bias| bias.shape.clone());
    match shape == Some(vec![weight.ncols()]) {
        true => Error::input(format!(
            "{error}; as [in, out] it would fit: save the transpose, or under a name that ends in `kernel`"
        )),
        false => error,
    }
}

/// A tensor's own name, or the only one that is the same without what wrappers add.
pub fn found(checkpoint: &Checkpoint<'_>, name: &str) -> String {
    if checkpoint.entry(name).is_some() {
        return name.into();
    }
    let mut same = checkpoint.entries().iter().filter(|entry| bare(&entry.name) == bare(name));
    match (same.next(), same.next()) {
        (Some(one), None) => one.name.clone(),
        _ => name.into(),
    }
}

/// How many tensors a message lists.
const SHOWN: usize = 8;

/// The weights that are known to be layers, if everything else is theirs or leaves the network as it is.
fn choose(checkpoint: &Checkpoint<'_>, naming: &str) -> Result<Vec<Stored>> {
    let mut keys: Vec<String> = Vec::new();
    for entry in checkpoint.entries() {
        // What pruning left stands under two other names.
        let key = match entry.name.strip_suffix("_orig") {
            Some(key) if checkpoint.entry(&format!("{key}_mask")).is_some() => key,
            _ => &entry.name,
        };
        let whole = !entry.is_float() && (module(key).is_none() || entry.dtype == "BOOL");
        if entry.shape.len() == 2 && !whole && is_layer(key) && !is_harmless(key) {
            keys.push(key.to_string());
        }
    }
    networks::check(checkpoint, keys.iter().map(String::as_str), false)?;
    let stored: Vec<Stored> = keys.iter().map(|key| Stored::of(checkpoint, key)).collect::<Result<_>>()?;
    let used: BTreeSet<&String> = stored.iter().flat_map(|stored| stored.uses.iter().chain(&stored.bias)).collect();
    let others: Vec<&Entry> =
        checkpoint.entries().iter().filter(|entry| !used.contains(&entry.name) && !is_harmless(&entry.name)).collect();
    if others.is_empty() {
        return match stored.is_empty() {
            true => Err(checkpoint.wrong("holds no 2-D weights")),
            false => Ok(stored),
        };
    }
    if let Some(message) = in_words(others.iter().map(|entry| entry.name.as_str())) {
        return Err(checkpoint.wrong(message));
    }
    let shown = |entry: &&Entry| match entry.is_float() {
        true => format!("{} {:?}", entry.name, entry.shape),
        false => format!("{} {:?} of {}", entry.name, entry.shape, entry.dtype),
    };
    let mut list: Vec<String> = others.iter().take(SHOWN).map(shown).collect();
    if others.len() > SHOWN {
        list.push(format!("{} more", others.len() - SHOWN));
    }
    Err(checkpoint.wrong(format!(
        "not a plain MLP: it also holds {}. Name its dense layers with {naming} if the others don't matter, \
         or measure the whole network from a capture (python/nfa_capture.py, measure --capture)",
        list.join(", ")
    )))
}
