//! Why an array could not be read: file, place, what is wrong, next step.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why an array could not be read: file, place, what is wrong, next step.
#[derive(Clone, Debug, PartialEq)]
pub struct ArrayError {
    file: Option<PathBuf>,
    place: String,
    problem: String,
    next: String,
    io: Option<io::ErrorKind>,
}

impl ArrayError {
    /// What is wrong, and where in the file.
    pub(crate) fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
        ArrayError { file: None, place: place.into(), problem: problem.into(), next: String::new(), io: None }
    }

    /// The same error with what to do about it.
    #[must_use]
    pub(crate) fn next(mut self, step: impl Into<String>) -> Self {
        self.next = step.into();
        self
    }

    /// The same error, at a place inside `outer`.
    #[must_use]
    pub(crate) fn within(mut self, outer: impl fmt::Display) -> Self {
        self.place = if self.place.is_empty() { outer.to_string() } else { format!("{outer}, {}", self.place) };
        self
    }

    /// The same error, in a file.
    #[must_use]
    pub fn in_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    pub(crate) fn io(error: &io::Error, name: &str, base: &Path) -> Self {
        let lower = name.to_ascii_lowercase();
        let step = if [".npy:", ".csv:", ".tsv:", ".txt:", ".gz:", "-ubyte:"].iter().any(|end| lower.contains(end)) {
            "only .npz and .safetensors files have keys: leave out the colon and what follows".into()
        } else if error.kind() == io::ErrorKind::NotFound && Path::new(name).is_relative() {
            format!("relative paths start from {}", if base == Path::new("") { Path::new(".") } else { base }.display())
        } else {
            "check the path and its permissions".into()
        };
        ArrayError { io: Some(error.kind()), ..ArrayError::new("", error.to_string()).next(step) }
    }

    /// The file, where known.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Byte, line and column, or key; empty where the whole file is meant.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The file system's reason, where the file could not be opened at all.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        self.io
    }
}

impl fmt::Display for ArrayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}: ", file.display())?;
        }
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.problem)?;
        if !self.next.is_empty() {
            write!(f, "; {}", self.next)?;
        }
        Ok(())
    }
}

impl std::error::Error for ArrayError {}

impl From<ArrayError> for String {
    /// Its words.
    fn from(error: ArrayError) -> Self {
        error.to_string()
    }
}

/// Names for a message: quoted, the first dozen.
pub(crate) fn listing<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 12;
    let rest = names.len().saturating_sub(SHOWN);
    let shown: Vec<String> = names.take(SHOWN).map(quoted).collect();
    match (shown.is_empty(), rest) {
        (true, _) => "none".into(),
        (false, 0) => shown.join(", "),
        (false, rest) => format!("{} and {rest} more", shown.join(", ")),
    }
}

/// `1 byte`, `2 bytes`.
pub(crate) fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Text from a file for a message: escaped and not too long.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        Some((cut, _)) => format!("{:?}...", &text[..cut]),
        None => format!("{text:?}"),
    }
}
