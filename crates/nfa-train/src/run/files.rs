//! The files of a run.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::machine::disk::Store;
use crate::record::status::Status;
use crate::run::checkpoint::{CheckpointError, Progress};

/// The files of a run.
pub(super) struct Files<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) folder: PathBuf,
}

impl<'a> Files<'a> {
    /// In a folder that is made where it is not there.
    pub(super) fn create(store: &'a dyn Store, folder: PathBuf) -> Result<Self> {
        let files = Files { store, folder };
        files.create_dir("")?;
        Ok(files)
    }

    pub(super) fn create_dir(&self, name: &str) -> Result<()> {
        let folder = self.path(name);
        self.store.create_dir(&folder).map_err(|error| Error::io("cannot create", &folder, &error))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(name);
        self.store.write(&path, bytes).map_err(|error| Error::io("cannot write", &path, &error))
    }

    /// Appends and returns the number of bytes.
    pub(super) fn append(&self, name: &str, text: &str) -> Result<u64> {
        let path = self.path(name);
        self.store.append(&path, text.as_bytes()).map_err(|error| Error::io("cannot write", &path, &error))?;
        Ok(text.len() as u64)
    }

    pub(super) fn truncate(&self, name: &str, length: u64) -> Result<()> {
        let path = self.path(name);
        self.store.truncate(&path, length).map_err(|error| Error::io("cannot write", &path, &error))
    }

    /// Cuts the records back to a checkpoint; rows that a power cut took are an error of the checkpoint.
    pub(super) fn cut(&self, progress: &Progress) -> Result<std::result::Result<(), CheckpointError>> {
        for (name, length) in [("metrics.csv", progress.metrics_bytes), ("directions.csv", progress.directions_bytes)] {
            match self.store.truncate(&self.path(name), length) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    return Ok(Err(CheckpointError::Records(format!("{name} {error}"))));
                }
                Err(error) => return Err(Error::io("cannot write", &self.path(name), &error)),
            }
        }
        Ok(Ok(()))
    }

    pub(super) fn status(&self, status: &Status) -> Result<()> {
        let mut text = serde_json::to_string_pretty(status).unwrap_or_default();
        text.push('\n');
        self.write("status.json", text.as_bytes())
    }
}
