//! What is wrong with a capture file.

use std::fmt;

/// A capture file that does not add up: which entry, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureError {
    /// The entry, or empty for the file as a whole.
    pub entry: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry.as_str() {
            "" => f.write_str(&self.message),
            entry => write!(f, "{entry}: {}", self.message),
        }
    }
}

impl std::error::Error for CaptureError {}

pub(super) fn wrong(entry: &str, message: impl Into<String>) -> CaptureError {
    CaptureError { entry: entry.to_string(), message: message.into() }
}
