//! What this program is: its name, its revision, its Burn.

use std::path::{Path, PathBuf};

/// The name that this program was started under: a user's own crate has its own.
pub fn program() -> String {
    let path = std::env::args_os().next().map(PathBuf::from);
    let name = path.as_deref().and_then(Path::file_stem).and_then(std::ffi::OsStr::to_str);
    name.unwrap_or("nfa-train").to_string()
}

/// Burn's version; a test holds it against the lock file.
pub const BURN: &str = "0.22.1";

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
        let lock = include_str!("../../../../Cargo.lock");
        let (_, rest) = lock.split_once("name = \"burn\"\nversion = \"").expect("burn is locked");
        assert_eq!(rest.split('"').next(), Some(super::BURN));
    }
}
