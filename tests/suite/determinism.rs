//! The same configuration leaves the same bytes.

use crate::binary::{Folder, RECORDS, SMALL, same_records};

/// Large enough that tensors are worked on by several threads: no compressed rows, 1400 of them.
const DIGITS: &str = r#"name = "digits"
[model]
kind = "mlp"
widths = [64, 48]
activation = "tanh"
bias = true
[data]
kind = "digits"
test = 0.2
[solver]
kind = "adam"
lr = 0.002
steps = 6
[probe]
at = { every = 3 }
"#;

#[test]
fn twice_and_with_any_number_of_threads() {
    let reference = Folder::with(DIGITS);
    reference.run(&["run", "spec.toml"]).expect(0);
    for threads in ["1", "2", "8", "8"] {
        let folder = Folder::with(DIGITS);
        let output = folder.command(&["run", "spec.toml"]).env("RAYON_NUM_THREADS", threads).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        same_records(&reference, &folder, "out/digits");
    }
}

#[test]
fn alone_or_in_a_grid() {
    let grid = Folder::with(SMALL);
    grid.run(&["run", "spec.toml", "--grid", "seed=0,1,2", "--grid", "solver.lr=0.05,0.02"]).expect(0);
    assert_eq!(grid.runs("out/small").len(), 6);
    let alone = Folder::with(SMALL);
    alone.run(&["run", "spec.toml", "--seed", "1", "--set", "solver.lr=0.02"]).expect(0);
    let [run] = &alone.runs("out/small")[..] else { panic!("one run") };
    // The id ends with the configuration's hash, which the grid's run shares.
    let hash = run.rsplit('-').next().unwrap();
    let twin = grid.runs("out/small").into_iter().find(|run| run.ends_with(hash)).unwrap();
    for file in RECORDS {
        assert!(alone.read(&format!("{run}/{file}")) == grid.read(&format!("{twin}/{file}")), "{file}");
    }
}

#[test]
fn neither_checkpoints_nor_the_claim_change_the_records() {
    let plain = Folder::with(SMALL);
    plain.run(&["run", "spec.toml"]).expect(0);
    let often = Folder::with(&format!(
        "claim = \"words\"\n{SMALL}[checkpoint]\nevery = 1\n[[expect]]\nmetric = \"loss\"\nmin = 0\n"
    ));
    often.run(&["run", "spec.toml"]).expect(0);
    same_records(&plain, &often, "out/small");
}

/// Six runs that share nothing but the process.
const GRID: [&str; 4] = ["--grid", "seed=0,1,2", "--grid", "data.kind=\"digits\",\"red_wine\""];

const SHARED: &str = r#"name = "shared"
[model]
kind = "mlp"
widths = [40]
activation = "tanh"
[data]
kind = "digits"
limit = 600
[solver]
kind = "momentum"
lr = 0.01
batch = 50
steps = 30
[probe]
at = { every = 10 }
[[expect]]
metric = "loss"
max = 1e3
"#;

#[test]
fn several_at_a_time_and_in_shards() {
    let reference = Folder::with(SHARED);
    let call = |more: &[&str]| [&["check", "spec.toml", "--json"], &GRID[..], more].concat().join("\u{0}");
    let run = |folder: &Folder, more: &[&str]| {
        let arguments = call(more);
        folder.run(&arguments.split('\u{0}').collect::<Vec<_>>()).expect(0)
    };
    let alone = run(&reference, &[]);
    assert_eq!(reference.runs("out/shared").len(), 6);
    let together = Folder::with(SHARED);
    // Results come in the plan's order, whoever is ready first.
    let ids = |ended: &crate::binary::Ended| -> Vec<String> {
        ended.lines().iter().map(|line| line["run"].as_str().unwrap().to_string()).collect()
    };
    assert_eq!(ids(&run(&together, &["--jobs", "3"])), ids(&alone));
    same_records(&reference, &together, "out/shared");
    for file in ["summary.csv", "expectations.json", "seeds.csv", "plan.json"] {
        let name = format!("out/shared/{file}");
        assert!(reference.read(&name) == together.read(&name), "{file}");
    }
    // Shards share a folder; each is held to its own part.
    let shards = Folder::with(SHARED);
    let first = run(&shards, &["--shard", "1/4"]);
    assert_eq!(first.lines().iter().filter(|line| line["schema"] == "nfa.expectation/1").count(), 2);
    for shard in ["2/4", "3/4", "4/4"] {
        run(&shards, &["--shard", shard, "--jobs", "2"]);
    }
    same_records(&reference, &shards, "out/shared");
    assert!(reference.read("out/shared/summary.csv") == shards.read("out/shared/summary.csv"));
    let refused = shards.run(&["run", "spec.toml", "--shard", "5/4"]).expect(2);
    assert!(refused.stderr.contains("I from 1 to N"), "{}", refused.stderr);
    let refused = shards.run(&["run", "spec.toml", "--jobs", "0"]).expect(2);
    assert!(refused.stderr.contains("from 1 on"), "{}", refused.stderr);
}
