//! Who may know whom: over cargo's own account of the workspace, and over the sources.

use std::path::{Path, PathBuf};
use std::process::Command;

use nfa_models::Registry;
use nfa_models::spec::Component;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn packages() -> Vec<Value> {
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// Names of a package's dependencies, of every kind.
fn dependencies(packages: &[Value], name: &str) -> Vec<String> {
    let package = packages.iter().find(|package| package["name"] == name).unwrap();
    let list = package["dependencies"].as_array().unwrap();
    list.iter().map(|dependency| dependency["name"].as_str().unwrap().to_string()).collect()
}

#[test]
fn crates_depend_downwards_only() {
    let packages = packages();
    for (name, above) in [
        ("nfa-models", &["nfa-metrics", "nfa-train", "custom_model", "nfa-tests"][..]),
        ("nfa-metrics", &["nfa-train", "custom_model", "nfa-tests"]),
        ("nfa-train", &["custom_model", "nfa-tests"]),
    ] {
        let depends = dependencies(&packages, name);
        assert!(!above.iter().any(|above| depends.iter().any(|d| d == above)), "{name} depends on {depends:?}");
    }
    // Laws, captures, chains on the host and the words of every kind build without Burn.
    for name in ["nfa-models", "nfa-metrics"] {
        let package = packages.iter().find(|package| package["name"] == name).unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            if dependency["kind"].is_null() && dependency["name"] == "burn" {
                assert_eq!(dependency["optional"], true, "{dependency}");
            }
        }
    }
}

/// The Rust sources below a folder: path from the root, text without comment lines.
fn sources(folder: &str) -> Vec<(String, String)> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let code: String = text
                    .lines()
                    .filter(|line| !line.trim_start().starts_with("//"))
                    .map(|line| format!("{line}\n"))
                    .collect();
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
                found.push((name, code));
            }
        }
    }
    assert!(!found.is_empty(), "{folder}");
    found
}

/// Asserts that only one file of some folders has any of the words.
fn only(file: &str, folders: &[&str], words: &[&str]) {
    let mut there = false;
    for (name, code) in folders.iter().flat_map(|folder| sources(folder)) {
        let word = words.iter().find(|word| code.contains(**word));
        there |= name == file && word.is_some();
        assert!(name == file || word.is_none(), "{name} has `{}`, which is for {file} alone", word.unwrap());
    }
    assert!(there, "{file} has none of {words:?}: is the rule still about it?");
}

const CRATES: [&str; 3] = ["crates/nfa-models/src", "crates/nfa-metrics/src", "crates/nfa-train/src"];

#[test]
fn one_door_to_the_file_system() {
    let words = ["std::fs", "fs::", "File::", "OpenOptions", ".exists()", ".is_file()", ".is_dir()", "canonicalize"];
    only("crates/nfa-train/src/machine/disk.rs", &CRATES, &words);
}

#[test]
fn one_source_of_randomness() {
    let words = ["rand_chacha", "rand::", "ChaCha", "Distribution::", "Tensor::random", "RandomState", "getrandom"];
    only("crates/nfa-models/src/rng.rs", &CRATES, &words);
}

#[test]
fn records_know_no_clock() {
    // A saved bench says when it was taken; it is no record.
    only("crates/nfa-train/src/bench/machine.rs", &CRATES, &["SystemTime"]);
    for (name, code) in sources(CRATES[0]).into_iter().chain(sources(CRATES[1])) {
        assert!(!code.contains("Instant"), "{name} measures time");
    }
}

fn documented<T: ?Sized + Component>(registry: &Registry<T>, what: &str) {
    assert!(!registry.entries().is_empty(), "{what}");
    for entry in registry.entries() {
        let name = format!("{what} {}", entry.kind);
        assert!(entry.doc.len() > 20, "{name} has no doc");
        assert!(!entry.reference.is_empty(), "{name} has no reference");
        let mut table: toml::Table = entry.example.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
        table.insert("kind".into(), entry.kind.into());
        let resolved = registry.resolve(table).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(registry.resolve(resolved.clone()).unwrap(), resolved, "{name}: resolving twice changes nothing");
    }
}

#[test]
fn every_kind_is_documented_with_an_example_that_builds() {
    documented(&nfa_models::models(), "model");
    documented(&nfa_train::data::datasets(), "data");
    documented(&nfa_train::train::losses::losses(), "loss");
    documented(&nfa_train::train::solvers::solvers(), "solver");
    for law in nfa_metrics::laws().rows() {
        assert!(!law.doc.is_empty() && !law.reference.is_empty(), "{}", law.name);
    }
    for metric in nfa_metrics::metrics().rows() {
        for info in (metric.info)() {
            assert!(!info.doc.is_empty() && !info.reference.is_empty(), "{}", info.name);
        }
    }
}
