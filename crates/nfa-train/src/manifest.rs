//! What a run ran on: kept apart from the records, which it never changes.

use serde_json::{Value, json};

use crate::plan::PlannedRun;

/// Burn's version; a test holds it against the lock file.
pub const BURN: &str = "0.22.1";

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
        Provenance { revision, program: crate::cli::program(), arguments: arguments.collect(), threads }
    }

    /// `manifest.json` of a run; `start_sha256` is that of the file its weights start from, if any.
    pub fn manifest(
        &self,
        run: &PlannedRun,
        data_sha256: &str,
        start_sha256: Option<&str>,
        step_rows: Option<usize>,
        engine: &str,
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
        })
    }
}

/// The git revision of the working folder, if it has one.
pub fn revision() -> Option<String> {
    let output = std::process::Command::new("git")
        .args(["rev-parse", "HEAD"])
        .stderr(std::process::Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_string())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_burn_version_is_the_locked_one() {
        let lock = include_str!("../../../Cargo.lock");
        let (_, rest) = lock.split_once("name = \"burn\"\nversion = \"").expect("burn is locked");
        assert_eq!(rest.split('"').next(), Some(super::BURN));
    }
}
