//! What every dataset must satisfy, one's own included.
//!
//! ```
//! use nfa_train::testing::dataset;
//!
//! // In one's own crate, inside a #[test], with the registry that holds one's datasets, and the
//! // files that their examples name.
//! let datasets = nfa_models::Registry::new("dataset").with::<nfa_train::data::csv::Csv>();
//! dataset::conformance(&datasets, &[("data.csv", b"acid,quality\n1,0.5\n2,0.25\n3,0.75\n")]);
//! ```

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use nfa_models::spec::{Entry, Registry};
use nfa_models::{SpecError, Stream};
use toml::{Table, Value};

use crate::array::split_spec;
use crate::data::preparation::{Holdout, Preparation};
use crate::data::source::{LoadContext, Raw, Source, Targets};
use crate::data::split::prepare;
use crate::machine::devices::Dtype;
use crate::machine::disk::Store;
use crate::testing::files::Files;

/// Where the experiment file would stand.
const BASE: &str = "/experiment";

/// Checks every dataset of a registry; panics with what fails and where.
///
/// The example builds and loads, its files from `files` by the names that stand there; twice the
/// same rows, whole and finite, as many inputs as targets; [`nfa_models::Spec::PATHS`] are the keys
/// of the files that are read, relative to the experiment's folder; `DEFAULTS` are keys of `[data]`;
/// a row that is to be held out is, and one that the dataset draws in addition leaves as many to
/// train on, and is drawn by the seed.
///
/// # Panics
/// On the first property that fails.
pub fn conformance(datasets: &Registry<dyn Source>, files: &[(&str, &[u8])]) {
    for entry in datasets.entries() {
        let fail = |what: &str, error: SpecError| -> ! { panic!("{}: {what}: {error}", entry.kind) };
        assert!(!entry.doc.is_empty() && !entry.reference.is_empty(), "{}: no doc or reference", entry.kind);
        let table = entry.example_table().and_then(|table| datasets.resolve(table));
        let table = table.unwrap_or_else(|error| fail("the example", error));
        let source = datasets.build(table.clone(), &()).unwrap_or_else(|error| fail("the example", error));
        let files = Files::at(BASE, files);
        let load = |seed: u64, test: usize| -> Raw {
            let raw = source.load(&context(seed, test, &files)).and_then(|raw| raw.check().map(|()| raw));
            raw.unwrap_or_else(|error| fail("loading the example", error))
        };
        let (raw, again) = (load(0, 0), load(0, 0));
        assert_eq!(numbers(&raw), numbers(&again), "{}: loading twice gives two sets of rows", entry.kind);
        paths(entry, &table, &files.asked_for());
        let mut common = entry.default_table().unwrap_or_else(|error| fail("DEFAULTS", error));
        for (key, _) in &common {
            assert!(Preparation::KEYS.contains(&key.as_str()), "{}: DEFAULTS: {key} is no key of [data]", entry.kind);
        }
        let rows = raw.inputs.len() / raw.dim;
        let drawn = load(0, 1).drawn_test;
        assert!(drawn.is_none_or(|drawn| drawn == 1), "{}: draws {drawn:?} rows to hold out, not 1", entry.kind);
        if drawn.is_some() {
            assert_ne!(numbers(&raw), numbers(&load(1, 0)), "{}: the seed changes nothing", entry.kind);
        }
        // Weights are of all its rows, so that none can be left out.
        if drawn.is_none() && (rows < 2 || source.weights().is_some()) {
            continue;
        }
        common.insert("test".into(), 1.into());
        let preparation = nfa_models::spec::read(common).unwrap_or_else(|error| fail("DEFAULTS", error));
        let context = context(0, 1, &files);
        let data = prepare(source.as_ref(), &preparation, true, &context, &Device::flex(), Dtype::F64)
            .unwrap_or_else(|error| fail("test = 1", error));
        let held = data.test.map_or(0, |test| test.rows());
        let left = rows - usize::from(drawn.is_none());
        assert_eq!((data.train.rows(), held), (left, 1), "{}: rows trained on and held out", entry.kind);
    }
}

fn context(seed: u64, test: usize, store: &dyn Store) -> LoadContext<'_> {
    let stream = Stream::root(seed).fork("data");
    LoadContext { stream, base: Path::new(BASE), test: Holdout(test as f64), store }
}

/// All that is trained on and held out.
fn numbers(raw: &Raw) -> (&[f64], Vec<f64>) {
    let targets = match &raw.targets {
        Targets::Values { values, .. } => values.clone(),
        Targets::Classes { labels, .. } => labels.iter().map(|&label| label as f64).collect(),
    };
    (&raw.inputs, targets)
}

/// The files that were read are those that `PATHS` name.
fn paths(entry: &Entry<dyn Source>, table: &Table, read: &BTreeSet<PathBuf>) {
    let named = |path: &&str| match crate::keys::get(table, path) {
        Some(Value::String(file)) => Some(Path::new(BASE).join(split_spec(file).0)),
        // One that may be left out, as it is here.
        None => None,
        other => panic!("{}: PATHS: {path} is {other:?} in the example, not a path", entry.kind),
    };
    let named: BTreeSet<PathBuf> = entry.paths.iter().filter_map(named).collect();
    assert_eq!(*read, named, "{}: the files that are read, and those that PATHS name", entry.kind);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `.npy`, version 1.
    fn npy(descr: &str, shape: &str, body: &[u8]) -> Vec<u8> {
        let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        header.extend(std::iter::repeat_n(' ', 117 - header.len()));
        [b"\x93NUMPY\x01\x00\x76\x00", header.as_bytes(), b"\n", body].concat()
    }

    #[test]
    fn every_built_in_dataset_conforms() {
        let floats = |values: [f64; 6]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let x = npy("<f8", "(3, 2)", &floats([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
        let y = npy("|u1", "(3,)", &[0, 1, 2]);
        let files: [(&str, &[u8]); 5] = [
            ("data.csv", b"acid,quality\n1,0.5\n2,0.25\n3,0.75\n"),
            ("x.npy", &x),
            ("y.npy", &y),
            ("train-images-idx3-ubyte.gz", &[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3, 4]),
            ("train-labels-idx1-ubyte.gz", &[0, 0, 8, 1, 0, 0, 0, 2, 0, 1]),
        ];
        conformance(&crate::data::datasets(), &files);
    }
}
