//! What a bench ran on: the first line of a saved file, and what tells whether ratios mean anything.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::machine::build::{BURN, revision};
use crate::machine::disk::Store;
use crate::machine::memory::kibibytes;

/// The schema's name.
pub const SCHEMA: &str = "nfa.machine/1";

/// Two lines that agree in these are of the same machine, used alike.
pub const FINGERPRINT: [&str; 9] =
    ["cpu", "cores", "threads", "features", "memory_gib", "gpu", "os", "arch", "profile"];

/// This machine and this program; the graphics card where a device of that kind is asked for.
pub fn line(store: &dyn Store, graphics: bool) -> Value {
    let text = |path: &str| store.read(Path::new(path)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let cpu = text("/proc/cpuinfo").ok().and_then(|table| {
        let names = ["model name", "Model", "cpu model"];
        let line = |name: &str| table.lines().find(|line| line.starts_with(name)).map(str::to_string);
        Some(names.into_iter().find_map(line)?.split_once(':')?.1.trim().to_string())
    });
    let memory = text("/proc/meminfo").ok().and_then(|table| kibibytes(&table, "MemTotal:"));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = std::env::var("RAYON_NUM_THREADS").ok().and_then(|n| n.parse().ok()).unwrap_or(cores);
    json!({
        "schema": SCHEMA,
        "cpu": cpu,
        "cores": cores,
        "threads": threads,
        "features": features(),
        "memory_gib": memory.map(|kib| (kib as f64 / 1_048_576.0).round()),
        "gpu": if graphics { card() } else { None },
        "os": std::env::consts::OS,
        "arch": std::env::consts::ARCH,
        "profile": env!("NFA_PROFILE"),
        "kernel": text("/proc/sys/kernel/osrelease").ok().map(|release| release.trim().to_string()),
        "rustc": env!("NFA_RUSTC"),
        "versions": { "nfa-train": env!("CARGO_PKG_VERSION"), "burn": BURN },
        "git_revision": revision(),
        "date": now(),
    })
}

/// Vector instructions that kernels choose by.
fn features() -> Vec<&'static str> {
    let mut found = Vec::new();
    #[cfg(target_arch = "x86_64")]
    for (name, there) in [
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
    ] {
        if there {
            found.push(name);
        }
    }
    #[cfg(target_arch = "aarch64")]
    if std::arch::is_aarch64_feature_detected!("neon") {
        found.push("neon");
    }
    found
}

/// The first graphics card by its driver's name, where that is NVIDIA's.
fn card() -> Option<String> {
    let output = std::process::Command::new("nvidia-smi")
        .args(["--query-gpu=name,driver_version", "--format=csv,noheader"])
        .stderr(std::process::Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_string())
}

/// The time in UTC, as `2026-11-30T12:00:00Z`; `None` where the clock stands before 1970.
fn now() -> Option<String> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    Some(format!("{year}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60))
}

/// The date of a day counted from 1970-01-01 (Hinnant, days_from_civil, inverted).
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let of_era = z % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + 400 * era + u64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

/// What differs between two machines, in words; empty where nothing that matters does.
pub fn differences(old: &Value, new: &Value) -> Vec<String> {
    let differs = |name: &&str| old[*name] != new[*name];
    FINGERPRINT
        .into_iter()
        .filter(differs)
        .map(|name| format!("{name} {} then, {} now", old[name], new[name]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_454), (2026, 1, 1));
        assert_eq!(civil(20_453), (2025, 12, 31));
    }

    #[test]
    fn a_machine_is_like_itself() {
        let here = line(&crate::machine::disk::Disk, false);
        assert_eq!(differences(&here, &here), Vec::<String>::new());
        let mut other = here.clone();
        other["cpu"] = "another".into();
        other["date"] = "1999-01-01T00:00:00Z".into();
        assert_eq!(differences(&other, &here).len(), 1);
    }
}
