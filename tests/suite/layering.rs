//! Who may know whom: over cargo's own account of the workspace, and over the sources; and that a page is a page.

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
    // Whatever trains nothing builds without Burn.
    for name in ["nfa-models", "nfa-metrics", "nfa-train"] {
        let package = packages.iter().find(|package| package["name"] == name).unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            if dependency["kind"].is_null() && dependency["name"] == "burn" {
                assert_eq!(dependency["optional"], true, "{dependency}");
            }
        }
    }
}

/// The Rust sources below a folder: path from the root, lines.
fn pages(folder: &str) -> Vec<(String, Vec<String>)> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
                found.push((name, text.lines().map(String::from).collect()));
            }
        }
    }
    assert!(!found.is_empty(), "{folder}");
    found
}

/// The same, as text without comment lines.
fn sources(folder: &str) -> Vec<(String, String)> {
    let code = |lines: Vec<String>| -> String {
        let code = lines.iter().filter(|line| !line.trim_start().starts_with("//"));
        code.map(|line| format!("{line}\n")).collect()
    };
    pages(folder).into_iter().map(|(name, lines)| (name, code(lines))).collect()
}

/// The rooms of each crate, top to bottom: an import goes down, or stays in its room.
const ROOMS: [(&str, &[&str]); 3] = [
    (
        "nfa-models",
        &[
            "lib",
            "testing",
            "registry",
            "mlp_spec",
            "mlp",
            "context",
            "activate",
            "network",
            "sites",
            "tape",
            "spec",
            "init",
            "drawn",
            "visit",
            "parameters",
            "place",
            "host",
            "activation",
            "matrix",
            "rng",
            "spec_error",
        ],
    ),
    (
        "nfa-metrics",
        &[
            "lib",
            "testing",
            "survey",
            "observe",
            "forecast",
            "metrics",
            "laws",
            "observation",
            "judge",
            "column",
            "matrix",
            "parallel",
        ],
    ),
    (
        "nfa-train",
        &[
            "main",
            "lib",
            "testing",
            "app",
            "cli",
            "measure",
            "report",
            "run",
            "study",
            "experiment",
            "bench",
            "registries",
            "claim",
            "observe",
            "train",
            "minimise",
            "data",
            "weights",
            "array",
            "machine",
            "keys",
            "error",
            "record",
        ],
    ),
];

/// One source: its path below `src`, its room, and every `crate::` path in it outside of tests.
struct Source {
    path: String,
    room: String,
    imports: Vec<String>,
}

fn imports(name: &str) -> Vec<Source> {
    let folder = format!("crates/{name}/src");
    let mut found: Vec<Source> = sources(&folder)
        .into_iter()
        .map(|(path, code)| {
            let path = path.strip_prefix(&format!("{folder}/")).unwrap().to_string();
            let code = code.split("\nmod tests {").next().unwrap();
            let code = code.split_whitespace().collect::<Vec<_>>().join(" ");
            let word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
            let paths = code.split("crate::").skip(1).flat_map(|rest| {
                let end = rest.find(|c| !word(c)).unwrap_or(rest.len());
                match (rest[..end].strip_suffix("::"), rest[end..].strip_prefix('{')) {
                    // A list: what stands before it, and each name with it.
                    (Some(stem), Some(list)) => {
                        let list = list.split('}').next().unwrap_or_default().split(',');
                        list.map(|name| format!("{stem}::{}", name.trim())).collect()
                    }
                    (None, Some(_)) if end == 0 => vec!["{".to_string()],
                    _ => vec![rest[..end].trim_end_matches(':').to_string()],
                }
            });
            let paths: Vec<String> = paths.collect();
            assert!(!code.contains("super::"), "{folder}/{path}: write the full path instead of super::");
            let room = path.split('/').next().unwrap().trim_end_matches(".rs").to_string();
            Source { room, imports: paths, path }
        })
        .collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

#[test]
fn imports_go_down() {
    for (name, order) in ROOMS {
        let rank = |room: &str| order.iter().position(|other| *other == room);
        for Source { path, room, imports } in imports(name) {
            let here = rank(&room).unwrap_or_else(|| panic!("{name}: {path} is in no room of `ROOMS`"));
            for import in imports {
                let other = import.split("::").next().unwrap();
                let there =
                    rank(other).unwrap_or_else(|| panic!("{name}: {path} takes `{import}` from the crate's root"));
                assert!(other == room || there > here, "{name}: {path} imports crate::{import}, which is above it");
            }
        }
    }
}

#[test]
fn no_circle_runs_through_two_folders() {
    for (name, _) in ROOMS {
        let sources = imports(name);
        // The file that a path leads to: the longest beginning that is one.
        let file = |import: &str| {
            let parts: Vec<&str> = import.split("::").collect();
            (1..=parts.len()).rev().find_map(|length| {
                let stem = parts[..length].join("/");
                sources.iter().position(|s| s.path == format!("{stem}.rs") || s.path == format!("{stem}/mod.rs"))
            })
        };
        let edges: Vec<Vec<usize>> =
            sources.iter().map(|source| source.imports.iter().filter_map(|import| file(import)).collect()).collect();
        let reach = |from: usize| {
            let (mut seen, mut next) = (vec![false; edges.len()], edges[from].clone());
            while let Some(at) = next.pop() {
                if !std::mem::replace(&mut seen[at], true) {
                    next.extend(&edges[at]);
                }
            }
            seen
        };
        let reached: Vec<Vec<bool>> = (0..sources.len()).map(reach).collect();
        let folder = |path: &str| path.rsplit_once('/').map_or("", |(folder, _)| folder).to_string();
        for (i, a) in sources.iter().enumerate() {
            for (j, b) in sources.iter().enumerate().skip(i + 1) {
                let circle = reached[i][j] && reached[j][i] && folder(&a.path) != folder(&b.path);
                assert!(!circle, "{name}: {} and {} import each other", a.path, b.path);
            }
        }
    }
}

#[test]
fn files_and_functions_fit_on_their_pages() {
    for (name, code) in CRATES.iter().flat_map(|folder| pages(folder)) {
        assert!(code.len() <= 450, "{name} has {} lines", code.len());
        let mut start = None;
        for (number, line) in code.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let word = line.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
            let word = word.trim_start_matches("const ").trim_start_matches("unsafe ");
            if word.starts_with("fn ") && !line.trim_end().ends_with([';', '}']) {
                start = Some((number, indent, word.split(['(', '<']).next().unwrap_or_default().to_string()));
            }
            if let Some((first, of, function)) = &start
                && line.trim_end() == format!("{}}}", " ".repeat(*of))
            {
                let length = number + 1 - first;
                assert!(length <= 80, "{name}:{}: {function} has {length} lines", first + 1);
                start = None;
            }
        }
    }
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
