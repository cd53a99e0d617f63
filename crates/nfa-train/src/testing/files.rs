//! A file system in memory, for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::machine::disk::{Lock, Store};

/// Whole files in memory; what is written is kept apart from what was given.
#[derive(Default)]
pub struct Files {
    given: BTreeMap<PathBuf, Vec<u8>>,
    read: Mutex<BTreeSet<PathBuf>>,
    written: Mutex<BTreeMap<PathBuf, Vec<u8>>>,
}

impl Files {
    /// Files by name.
    pub fn of(given: &[(&str, &[u8])]) -> Self {
        Files::at("", given)
    }

    /// Files by name, in a folder.
    pub fn at(folder: &str, given: &[(&str, &[u8])]) -> Self {
        let given = given.iter().map(|(name, bytes)| (Path::new(folder).join(name), bytes.to_vec()));
        Files { given: given.collect(), ..Files::default() }
    }

    /// What somebody asked for.
    pub fn asked_for(&self) -> BTreeSet<PathBuf> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was written.
    pub fn written(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn refused<T>() -> io::Result<T> {
    Err(io::Error::other("only whole files are read and written here"))
}

impl Store for Files {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(path.into());
        self.given.get(path).cloned().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file"))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(path.into(), bytes.into());
        Ok(())
    }

    fn append(&self, _: &Path, _: &[u8]) -> io::Result<()> {
        refused()
    }

    fn truncate(&self, _: &Path, _: u64) -> io::Result<()> {
        refused()
    }

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn list(&self, _: &Path) -> io::Result<Vec<PathBuf>> {
        refused()
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn lock(&self, _: &Path) -> io::Result<Option<Lock>> {
        refused()
    }
}
