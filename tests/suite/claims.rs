//! Every experiment of the repository: its reduced runs meet their expectations, each has a control,
//! and the page that lists them is complete.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::binary::Folder;

/// Every experiment of the folder that makes a claim.
fn claims() -> Vec<(PathBuf, Table)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../experiments").canonicalize().unwrap();
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    let parse = |path: PathBuf| {
        let table: Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        (path, table)
    };
    files.into_iter().map(parse).filter(|(_, table)| table.contains_key("id")).collect()
}

#[test]
fn reduced_runs_meet_every_expectation() {
    for (path, table) in claims().iter().filter(|(_, table)| table.contains_key("reduced")) {
        let folder = Folder::new();
        let file = path.to_str().unwrap();
        let ended = folder.run(&["check", file, "--reduced", "--jobs", "2", "--json", "-q"]).expect(0);
        let checked: Vec<_> = ended.lines().into_iter().filter(|line| line["schema"] == "nfa.expectation/1").collect();
        assert!(checked.iter().all(|line| line["met"] == true), "{file}");
        // The reduced runs are no token: at least a quarter of the expectations speak of them.
        let held: BTreeSet<String> = checked
            .iter()
            .map(|line| {
                format!(
                    "{} {} {}",
                    line["metric"].as_str().unwrap().replace(char::is_numeric, ""),
                    line["at"],
                    line["tolerance"]
                )
            })
            .collect();
        let all = table["expect"].as_array().unwrap();
        assert!(held.len() * 4 >= all.len(), "{file}: {} of {} kinds of expectation", held.len(), all.len());
    }
}

#[test]
fn every_claim_says_what_it_needs_to() {
    let page = include_str!("../../experiments/README.md");
    let mut ids = BTreeSet::new();
    for (path, table) in claims() {
        let name = path.file_name().unwrap().to_str().unwrap().to_string();
        let text =
            |key: &str| table.get(key).and_then(Value::as_str).unwrap_or_else(|| panic!("{name}: {key}")).to_string();
        assert!(ids.insert(text("id")), "{name}: the id is taken");
        assert!(text("claim").len() > 20 && !text("reference").is_empty());
        assert_eq!(format!("{}.toml", text("name")), name, "named as its folder");
        assert!(page.contains(&format!("({name})")) && page.contains(&text("id")), "{name} is on the page");
        let expectations = table["expect"].as_array().unwrap();
        for (at, expectation) in expectations.iter().enumerate() {
            let basis = expectation.get("basis").and_then(Value::as_str);
            assert!(matches!(basis, Some("theory" | "looked")), "{name}: expect.{at} says what its number rests on");
        }
        if text("id") != "NFA-0" {
            assert!(table.contains_key("reduced"), "{name}: [reduced]");
            text("takes");
        }
    }
}
