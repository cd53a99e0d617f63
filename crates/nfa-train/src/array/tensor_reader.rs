//! A safetensors file of which one tensor is in memory at a time.

use std::borrow::Cow;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ::safetensors::Dtype;

use crate::array::safetensors::{Head, LENGTH, head_length};
use crate::array::{Array, ArrayError, gzip};
use crate::machine::disk::Store;

/// A safetensors file, on disk or unpacked.
pub struct TensorReader<'a> {
    head: Head,
    /// Where the tensors begin.
    body: u64,
    held: Held<'a>,
}

enum Held<'a> {
    OnDisk(&'a dyn Store, PathBuf),
    InMemory(Vec<u8>),
}

fn wrong(error: &io::Error) -> ArrayError {
    ArrayError::new("", error.to_string())
}

impl<'a> TensorReader<'a> {
    /// A file, gzipped or not.
    ///
    /// # Errors
    /// As the file system says; what is damaged and where.
    pub fn open(path: &Path, store: &'a dyn Store) -> Result<Self, ArrayError> {
        let size = store.size(path).map_err(|error| wrong(&error))?;
        let read = |place| store.section(path, place).map_err(|error| wrong(&error));
        let start = read(0..size.min(LENGTH as u64))?;
        let length = head_length(&start).filter(|&length| (length + LENGTH) as u64 <= size);
        let Some(length) = length.filter(|_| !gzip::is_packed(&start)) else {
            // Something packed, or no file of tensors at all.
            let bytes = store.read(path).map_err(|error| wrong(&error))?;
            return Self::held(gzip::unpack(&bytes)?.into_owned());
        };
        let body = (length + LENGTH) as u64;
        let following = usize::try_from(size - body).unwrap_or(usize::MAX);
        let head = Head::open(&read(0..body)?, following)?;
        Ok(TensorReader { head, body, held: Held::OnDisk(store, path.into()) })
    }

    /// A file that was read already.
    ///
    /// # Errors
    /// What is damaged and where.
    pub fn held(bytes: Vec<u8>) -> Result<Self, ArrayError> {
        let head = Head::open(&bytes, 0)?;
        let body = LENGTH + head_length(&bytes).unwrap_or(0);
        Ok(TensorReader { head, body: body as u64, held: Held::InMemory(bytes) })
    }

    /// What stands before the tensors.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Bytes behind the header.
    fn bytes(&self, place: Range<usize>) -> io::Result<Cow<'_, [u8]>> {
        match &self.held {
            Held::OnDisk(store, path) => {
                let place = self.body + place.start as u64..self.body + place.end as u64;
                store.section(path, place).map(Cow::Owned)
            }
            Held::InMemory(bytes) => {
                let body = self.body as usize;
                let found = bytes.get(body + place.start..body + place.end);
                found.map(Cow::Borrowed).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
            }
        }
    }

    /// Reads a tensor.
    ///
    /// # Errors
    /// An unknown name, a type that is not read; as the file system says.
    pub fn array(&self, name: &str) -> Result<Array, ArrayError> {
        let (place, element, shape) = self.head.place(name)?;
        let bytes = self.bytes(place).map_err(|error| wrong(&error))?;
        Ok(Array { shape, values: element.decode(&bytes, false), integer: element.is_integer(), eps: element.eps() })
    }
}

impl nfa_metrics::TensorSource for TensorReader<'_> {
    fn names(&self) -> Vec<String> {
        self.head.names().map(String::from).collect()
    }

    fn entry(&self, name: &str) -> Option<(Dtype, Vec<usize>)> {
        self.head.info(name).map(|info| (info.dtype, info.shape.clone()))
    }

    fn bytes(&self, name: &str, place: Range<usize>) -> io::Result<Cow<'_, [u8]>> {
        let start = self.head.info(name).map_or(0, |info| info.data_offsets.0);
        TensorReader::bytes(self, start + place.start..start + place.end)
    }
}
