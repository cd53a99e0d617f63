//! Tells the program what it was compiled with, for the line about the machine in saved benches.

#![allow(clippy::print_stdout)] // that is how a build script speaks to cargo

use std::process::Command;

fn main() {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let version = Command::new(variable("RUSTC")).arg("--version").output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string()).unwrap_or_default();
    println!("cargo::rustc-env=NFA_RUSTC={version}");
    println!("cargo::rustc-env=NFA_PROFILE={}", variable("PROFILE"));
    println!("cargo::rerun-if-changed=build.rs");
}
