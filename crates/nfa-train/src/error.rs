//! What can go wrong outside a run, and the exit code that says so.

use std::fmt;
use std::path::Path;

use nfa_models::SpecError;

/// Why nothing was started, or why the work had to stop. Runs that diverge are no errors: see
/// [`crate::record::status`].
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Input,
    Environment,
    Interrupted,
}

impl Error {
    /// The user's input is wrong: usage, specification, data. Exit code 2.
    pub fn input(message: impl Into<String>) -> Self {
        Error { kind: Kind::Input, message: message.into() }
    }

    /// The machine does not play along: device, disk, permissions. Exit code 3.
    pub fn environment(message: impl Into<String>) -> Self {
        Error { kind: Kind::Environment, message: message.into() }
    }

    /// The user asked to stop; state is saved. Exit code 130.
    pub fn interrupted(message: impl Into<String>) -> Self {
        Error { kind: Kind::Interrupted, message: message.into() }
    }

    /// A file could not be used.
    pub fn io(what: &str, path: &Path, error: &std::io::Error) -> Self {
        Error::environment(format!("{what} {}: {error}", path.display()))
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Input => 2,
            Kind::Environment => 3,
            Kind::Interrupted => 130,
        }
    }

    /// Whether the user's input is at fault.
    pub fn is_input(&self) -> bool {
        self.kind == Kind::Input
    }

    /// Whether the user asked to stop.
    pub fn is_interrupted(&self) -> bool {
        self.kind == Kind::Interrupted
    }

    /// The same error with what was being done in front.
    #[must_use]
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<SpecError> for Error {
    fn from(error: SpecError) -> Self {
        Error::input(error.to_string())
    }
}

/// The result of everything that can fail outside a run.
pub type Result<T> = std::result::Result<T, Error>;
