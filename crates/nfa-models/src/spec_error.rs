//! What is wrong with a table: which key, why, and what may have been meant.

use std::fmt;

/// A table that describes nothing: which key, why, and what may have been meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecError {
    /// Dotted path of the key below the table that was read; empty for the table itself.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
    /// A key or value close to what was written.
    pub suggestion: Option<String>,
    /// What could have stood there, where that is a short list.
    pub known: Vec<String>,
}

impl SpecError {
    /// A wrong value at a key.
    pub fn value(path: &str, message: String) -> Self {
        SpecError { path: path.to_string(), message, suggestion: None, known: Vec::new() }
    }

    /// The same error one table further out.
    pub fn under(mut self, parent: &str) -> Self {
        self.path = match (parent, self.path.as_str()) {
            ("", path) => path.to_string(),
            (parent, "") => parent.to_string(),
            (parent, path) => format!("{parent}.{path}"),
        };
        self
    }

    /// An unknown name among known ones, with the closest of them suggested.
    pub fn unknown<'a>(path: &str, what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<String> = known.into_iter().map(str::to_string).collect();
        SpecError {
            path: path.to_string(),
            message: format!("unknown {what} `{name}`"),
            suggestion: closest(name, known.iter().map(String::as_str)),
            known,
        }
    }

    /// More names that could have stood there: the suggestion is taken among all.
    #[must_use]
    pub fn or_known(mut self, more: &[&str]) -> Self {
        if !self.known.is_empty() && self.message.starts_with("unknown key") {
            self.known.splice(0..0, more.iter().map(|name| name.to_string()));
            let name = self.path.rsplit('.').next().unwrap_or("");
            self.suggestion = closest(name, self.known.iter().map(String::as_str));
        }
        self
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if !self.known.is_empty() {
            write!(f, "; known here: {}", self.known.join(", "))?;
        }
        if let Some(suggestion) = &self.suggestion {
            write!(f, "; did you mean `{suggestion}`?")?;
        }
        Ok(())
    }
}

impl std::error::Error for SpecError {}

/// The known name closest to what was written, if it is within a third of its letters.
pub fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    known
        .into_iter()
        .map(|candidate| (strsim::osa_distance(name, candidate), candidate))
        .filter(|(distance, candidate)| 3 * distance <= name.len().max(candidate.len()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate.to_string())
}
