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

/// Facts about a run, known once it is built.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Of its rows.
    pub data_sha256: &'a str,
    /// Of the file that its weights start from, if any.
    pub start_sha256: Option<&'a str>,
    /// How many rows a step takes where they were compressed.
    pub step_rows: Option<usize>,
    /// How many rows AGOPs are taken on; which, `probe.rows` says.
    pub probed_rows: usize,
    /// What its gradients come from.
    pub engine: &'a str,
    /// What theory may say of it.
    pub theory: &'a Theory,
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

    /// `manifest.json` of a run.
    pub fn manifest(&self, run: &PlannedRun, facts: &Facts<'_>) -> Value {
        let Facts { data_sha256, start_sha256, step_rows, probed_rows, engine, theory } = facts;
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
            "probed_rows": probed_rows,
            "theory": theory,
        })
    }
}
