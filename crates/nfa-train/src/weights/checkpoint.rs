//! The tensors of a network, in one file or several: read one at a time.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use nfa_metrics::Mat;
use serde::Deserialize;

use crate::array::error::listing;
use crate::array::natural::natural_order;
use crate::array::npz::Npz;
use crate::array::tensor_reader::TensorReader;
use crate::array::{self, Array, gzip};
use crate::error::{Error, Result};
use crate::machine::disk::Store;

/// The list of a network in several files, as Hugging Face writes it.
pub const INDEX: &str = "model.safetensors.index.json";
/// A network in one file, in a folder.
const SINGLE: &str = "model.safetensors";

/// The tensors of a network.
pub struct Checkpoint<'a> {
    title: String,
    folder: PathBuf,
    parts: Vec<Part<'a>>,
    /// In the natural order of their names.
    entries: Vec<Entry>,
    notes: BTreeMap<String, String>,
    store: &'a dyn Store,
}

/// A tensor of a network.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its key.
    pub name: String,
    /// Sizes, slowest axis first.
    pub shape: Vec<usize>,
    /// As in the file: `F32`, `BF16`, `I64`...
    pub dtype: String,
    part: usize,
}

impl Entry {
    /// Whether it holds numbers with a fraction, as weights do.
    pub fn is_float(&self) -> bool {
        self.dtype.contains('F')
    }
}

/// One file.
struct Part<'a> {
    path: PathBuf,
    held: Held<'a>,
}

enum Held<'a> {
    /// A safetensors file.
    Tensors(TensorReader<'a>),
    /// A `.npz` archive.
    Archive(Vec<u8>),
}

fn is_zip(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npz"))
}

impl<'a> Checkpoint<'a> {
    /// A safetensors file (gzipped or not), a `.npz` archive, an index of several files, or a folder with one of them.
    ///
    /// # Errors
    /// Files that aren't there or are damaged; an index that doesn't fit its files.
    pub fn open(path: &Path, store: &'a dyn Store) -> Result<Self> {
        let title = path.display().to_string();
        if let Ok(inside) = store.list(path) {
            let named = |name: &str| inside.iter().find(|file| file.file_name().is_some_and(|own| own == name));
            return match named(INDEX).or_else(|| named(SINGLE)) {
                Some(file) => Self::open(file, store),
                None => Err(Error::input(format!("{title}: a folder without {INDEX} or {SINGLE}; give a file"))),
            };
        }
        if title.ends_with(".index.json") {
            return Self::indexed(path, title, store);
        }
        let mut checkpoint = Self::empty(path, title, store);
        checkpoint.add(path)?;
        Ok(checkpoint)
    }

    fn empty(path: &Path, title: String, store: &'a dyn Store) -> Self {
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        Checkpoint { title, folder, parts: Vec::new(), entries: Vec::new(), notes: BTreeMap::new(), store }
    }

    fn indexed(path: &Path, title: String, store: &'a dyn Store) -> Result<Self> {
        #[derive(Deserialize)]
        struct Index {
            weight_map: BTreeMap<String, String>,
        }
        let wrong = |problem: &dyn Display| Error::input(format!("{title}: {problem}"));
        let bytes = store.read(path).map_err(|error| wrong(&error))?;
        let Index { weight_map } = serde_json::from_slice(&bytes)
            .map_err(|error| wrong(&format!("no index of tensors in files (`weight_map`): {error}")))?;
        let mut checkpoint = Self::empty(path, title.clone(), store);
        let mut files: Vec<&String> = weight_map.values().collect();
        files.sort();
        files.dedup();
        for file in &files {
            if Path::new(file).components().count() != 1 {
                return Err(wrong(&format!("the file {file:?} lies elsewhere; files of an index lie beside it")));
            }
            checkpoint.add(&path.with_file_name(file))?;
        }
        for (name, file) in &weight_map {
            let at = |entry: &Entry| checkpoint.parts[entry.part].path.file_name().is_some_and(|own| own == &**file);
            if !checkpoint.entries.iter().any(|entry| entry.name == *name && at(entry)) {
                return Err(wrong(&format!(
                    "says that {name} is in {file}, which doesn't have it; copy the files again"
                )));
            }
        }
        let twice = checkpoint.entries.windows(2).find(|pair| pair[0].name == pair[1].name);
        if let Some(pair) = twice {
            return Err(wrong(&format!("{} is in two files", pair[0].name)));
        }
        Ok(checkpoint)
    }

    /// From bytes that were read already.
    ///
    /// # Errors
    /// As of [`Checkpoint::open`].
    pub fn from_bytes(bytes: &[u8], title: &str, store: &'a dyn Store) -> Result<Self> {
        let mut checkpoint = Self::empty(Path::new(title), title.into(), store);
        let wrong = |error: array::ArrayError| Error::input(format!("{title}: {error}"));
        let bytes = gzip::unpack(bytes).map_err(wrong)?;
        checkpoint.hold(Path::new(title), bytes.into_owned())?;
        Ok(checkpoint)
    }

    /// One more file.
    fn add(&mut self, path: &Path) -> Result<()> {
        let wrong = |error: &dyn Display| Error::input(format!("{}: {error}", path.display()));
        if is_zip(path) {
            let bytes = self.store.read(path).map_err(|error| wrong(&error))?;
            let bytes = gzip::unpack(&bytes).map_err(|error| wrong(&error))?.into_owned();
            return self.keep(path, Held::Archive(bytes));
        }
        let file = TensorReader::open(path, self.store).map_err(|error| wrong(&error))?;
        self.keep(path, Held::Tensors(file))
    }

    /// One more file, in memory.
    fn hold(&mut self, path: &Path, bytes: Vec<u8>) -> Result<()> {
        let wrong = |error: array::ArrayError| Error::input(format!("{}: {error}", path.display()));
        let held = match is_zip(path) {
            true => Held::Archive(bytes),
            false => Held::Tensors(TensorReader::held(bytes).map_err(wrong)?),
        };
        self.keep(path, held)
    }

    fn keep(&mut self, path: &Path, held: Held<'a>) -> Result<()> {
        let part = self.parts.len();
        match &held {
            Held::Tensors(file) => {
                let head = file.head();
                let entry = |tensor: array::safetensors::Tensor<'_>| Entry {
                    name: tensor.name.into(),
                    shape: tensor.shape.to_vec(),
                    dtype: tensor.dtype,
                    part,
                };
                self.entries.extend(head.list().map(entry));
                self.notes.extend(head.notes().clone());
            }
            Held::Archive(bytes) => {
                let wrong = |error: array::ArrayError| Error::input(format!("{}: {error}", path.display()));
                let archive = Npz::open(bytes).map_err(wrong)?;
                for key in archive.keys() {
                    let Array { shape, integer, .. } = archive.array(key).map_err(wrong)?;
                    let dtype = if integer { "I64" } else { "F64" }.into();
                    self.entries.push(Entry { name: key.into(), shape, dtype, part });
                }
            }
        }
        self.entries.sort_by(|a, b| natural_order(&a.name, &b.name));
        self.parts.push(Part { path: path.into(), held });
        Ok(())
    }

    /// The path it was opened by.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// What a file beside it says.
    pub fn beside(&self, name: &str) -> Option<serde_json::Value> {
        let bytes = self.store.read(&self.folder.join(name)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Its tensors, in the natural order of their names.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The files' own notes.
    pub fn notes(&self) -> &BTreeMap<String, String> {
        &self.notes
    }

    /// A tensor by its name.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// Keeps the tensors whose names begin so.
    ///
    /// # Errors
    /// There are none.
    pub fn only(&mut self, prefix: &str) -> Result<()> {
        let names = self.names();
        self.entries.retain(|entry| entry.name.starts_with(prefix));
        if self.entries.is_empty() {
            let there = listing(names.iter().map(String::as_str));
            return Err(Error::input(format!(
                "{}: --prefix {prefix}: no tensor begins so; it has {there}",
                self.title
            )));
        }
        Ok(())
    }

    fn names(&self) -> Vec<String> {
        self.entries.iter().map(|entry| entry.name.clone()).collect()
    }

    /// An error about this network.
    pub fn wrong(&self, problem: impl Display) -> Error {
        Error::input(format!("{}: {problem}", self.title))
    }

    /// Reads a tensor of finite numbers.
    ///
    /// # Errors
    /// An unknown name; a type that isn't read; no numbers; numbers that are not finite.
    pub fn array(&self, name: &str) -> Result<Array> {
        let Some(entry) = self.entry(name) else {
            let there = listing(self.names().iter().map(String::as_str));
            return Err(self.wrong(format!("key {name:?}: no such tensor; it has {there}")));
        };
        let part = &self.parts[entry.part];
        let wrong = |error: &dyn Display| Error::input(format!("{}: {error}", part.path.display()));
        let array = match &part.held {
            Held::Tensors(file) => file.array(name).map_err(|error| wrong(&error))?,
            Held::Archive(bytes) => {
                Npz::open(bytes).and_then(|archive| archive.array(name)).map_err(|error| wrong(&error))?
            }
        };
        if array.values.is_empty() {
            return Err(wrong(&format!("{name} has shape {:?}: no numbers", array.shape)));
        }
        match array.values.iter().position(|value| !value.is_finite()) {
            None => Ok(array),
            Some(at) => Err(wrong(&format!("{name}: entry {:?} is not finite", places(&array.shape, at)))),
        }
    }

    /// Reads a matrix of finite numbers.
    ///
    /// # Errors
    /// As of [`Checkpoint::array`]; another number of axes.
    pub fn matrix(&self, name: &str) -> Result<Mat> {
        let array = self.array(name)?;
        match array.shape[..] {
            [rows, cols] => Ok(Mat::from_fn(rows, cols, |i, j| array.values[i * cols + j])),
            _ => Err(self.wrong(format!("{name} has shape {:?}; a layer's weights are [d_out, d_in]", array.shape))),
        }
    }
}

/// The indices of an entry of an array.
fn places(shape: &[usize], at: usize) -> Vec<usize> {
    let mut found: Vec<usize> =
        shape.iter().rev().scan(at, |rest, &size| Some(std::mem::replace(rest, *rest / size) % size)).collect();
    found.reverse();
    found
}
