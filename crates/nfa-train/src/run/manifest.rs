//! What a run ran on: kept apart from the records, which it never changes.

use serde_json::{Value, json};

use crate::experiment::plan::PlannedRun;
use crate::machine::build::{BURN, revision};
use crate::record::theory::Theory;

/// Facts about this process, collected once.
#[derive(Clone, Debug)]
pub struct Provenance {
    revision: Option<String>,
    program: String,
    arguments: Vec<String>,
    threads: usize,
}

impl Provenance {
    /// Of the running process; the git revision is that of the working folder, if it has one.
    pub fn collect() -> Self {
        let revision = revision();
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        // `args` would panic at a path that is not Unicode.
        let arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
        Provenance { revision, program: crate::machine::build::program(), arguments: arguments.collect(), threads }
    }

    /// `manifest.json` of a run; `start_sha256` is that of the file its weights start from, if any.
    pub fn manifest(
        &self,
        run: &PlannedRun,
        data_sha256: &str,
        start_sha256: Option<&str>,
        step_rows: Option<usize>,
        engine: &str,
        theory: &Theory,
    ) -> Value {
        json!({
            "schema": "nfa.manifest/1",
            "versions": { "nfa-train": env!("CARGO_PKG_VERSION"), "burn": BURN },
            "git_revision": self.revision,
            "program": self.program,
            "arguments": self.arguments,
            "device": run.config.device,
            "dtype": run.config.dtype.name(),
            "engine": engine,
            "threads": std::env::var("RAYON_NUM_THREADS").ok().and_then(|n| n.parse().ok()).unwrap_or(self.threads),
            "os": std::env::consts::OS,
            "arch": std::env::consts::ARCH,
            "data_sha256": data_sha256,
            "init_sha256": start_sha256,
            "fingerprint": run.config.fingerprint(),
            "rows_per_step": step_rows,
            "theory": theory,
        })
    }
}
