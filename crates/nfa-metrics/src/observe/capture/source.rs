//! Where a capture's tensors lie.

use std::borrow::Cow;
use std::io;
use std::ops::Range;

use safetensors::{Dtype, SafeTensors};

/// Where a capture's tensors lie: in memory, or in a file of which a part is read at a time.
pub trait TensorSource: Sync {
    /// All keys.
    fn names(&self) -> Vec<String>;

    /// Type and sizes of a tensor.
    fn entry(&self, name: &str) -> Option<(Dtype, Vec<usize>)>;

    /// Some of a tensor's bytes.
    ///
    /// # Errors
    /// As the file system says.
    fn bytes(&self, name: &str, place: Range<usize>) -> io::Result<Cow<'_, [u8]>>;
}

impl TensorSource for SafeTensors<'_> {
    fn names(&self) -> Vec<String> {
        SafeTensors::names(self).into_iter().map(String::from).collect()
    }

    fn entry(&self, name: &str) -> Option<(Dtype, Vec<usize>)> {
        self.tensor(name).ok().map(|view| (view.dtype(), view.shape().to_vec()))
    }

    fn bytes(&self, name: &str, place: Range<usize>) -> io::Result<Cow<'_, [u8]>> {
        let found = self.tensor(name).ok().and_then(|view| view.data().get(place));
        found.map(Cow::Borrowed).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}
