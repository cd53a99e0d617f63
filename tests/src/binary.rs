//! The built `nfa-train`, run in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// An experiment that takes a moment: a linear teacher and three layers.
pub const SMALL: &str = r#"name = "small"

[model]
kind = "mlp"
depth = 3
width = 6

[data]
kind = "linear_teacher"
inputs = 5
outputs = 3
samples = 30
spectrum = [1.0, 0.2]
noise = 0.05

[solver]
kind = "gd"
lr = 0.05
steps = 20

[probe]
at = { every = 5 }
"#;

/// The binary beside this test: `target/<profile>/nfa-train`.
pub fn path() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    let binary = folder.join(format!("nfa-train{}", std::env::consts::EXE_SUFFIX));
    assert!(
        binary.is_file(),
        "{} is missing: `cargo test --workspace` builds it; for this suite alone run `cargo build --workspace` first",
        binary.display()
    );
    binary
}

/// What a call left behind.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Its results.
    pub stdout: String,
    /// Its messages.
    pub stderr: String,
}

impl Ended {
    /// The same, once the exit code is as expected.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Every line of stdout as an object that names its schema.
    #[track_caller]
    pub fn lines(&self) -> Vec<Value> {
        let parse = |line: &str| {
            let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let schema = value["schema"].as_str().unwrap_or_else(|| panic!("no schema: {line}"));
            assert!(schema.starts_with("nfa.") && schema.ends_with("/1"), "{schema}");
            value
        };
        self.stdout.lines().map(parse).collect()
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A temporary working folder.
pub struct Folder(TempDir);

impl Folder {
    /// An empty one; in memory where that can be had, as thousands of syncs to a disk take minutes.
    #[allow(clippy::new_without_default)] // it makes a folder
    pub fn new() -> Self {
        Folder(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap())
    }

    /// One with a file `spec.toml`.
    pub fn with(spec: &str) -> Self {
        let folder = Folder::new();
        folder.write("spec.toml", spec);
        folder
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file in it.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// A file in it.
    #[track_caller]
    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// A text in it.
    #[track_caller]
    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }

    /// Whether there is such an entry.
    pub fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// Names in a folder of it, sorted.
    #[track_caller]
    pub fn names(&self, name: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The folders of an experiment's runs.
    #[track_caller]
    pub fn runs(&self, experiment: &str) -> Vec<String> {
        let runs = format!("{experiment}/runs");
        self.names(&runs).into_iter().map(|run| format!("{runs}/{run}")).collect()
    }

    /// A call of the binary here, not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(path());
        command.args(arguments).current_dir(self.0.path()).env("NO_COLOR", "1").env_remove("RAYON_NUM_THREADS");
        command.stdin(Stdio::null());
        command
    }

    /// A call of the binary here, to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.command(arguments).output().unwrap().into()
    }

    /// A call of the binary here, at work.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

/// The files that are the same bytes whenever and however a run was done.
pub const RECORDS: [&str; 3] = ["metrics.csv", "directions.csv", "model.safetensors"];

/// Asserts that every run of an experiment's folder has the records of the same run in another.
#[track_caller]
pub fn same_records(a: &Folder, b: &Folder, experiment: &str) {
    assert_eq!(a.runs(experiment), b.runs(experiment));
    for run in a.runs(experiment) {
        for file in RECORDS {
            let name = format!("{run}/{file}");
            assert!(a.read(&name) == b.read(&name), "{name} differs");
        }
    }
}
