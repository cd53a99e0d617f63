//! What `--grid`, `--set` and `--seed` do to a file that has grids and arms of its own.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::binary::{Folder, SMALL, same_records};
use crate::command_line::refused;

/// Five seeds, and arms of which one has an axis and one a whole table of its own.
fn five_seeds() -> String {
    let arms = "[[arm]]\nname = \"gd\"\ngrid = { \"solver.lr\" = [0.01, 0.02] }\n\
        [[arm]]\nname = \"adam\"\nsolver = { kind = \"adam\", lr = 0.001, steps = 20 }\n";
    format!("{SMALL}[grid]\nseed = [0, 1, 2, 3, 4]\n{arms}")
}

/// Ids and configurations of a plan, and what was said.
fn plan(spec: &str, arguments: &[&str]) -> (Vec<(String, Value)>, String) {
    let folder = Folder::with(spec);
    let ended = folder.run(&[&["run", "spec.toml", "--dry-run", "--json"], arguments].concat()).expect(0);
    let run = |line: Value| (line["run"].as_str().unwrap().to_string(), line["config"].clone());
    (ended.lines().into_iter().map(run).collect(), ended.stderr)
}

/// The ids of a plan.
fn ids(spec: &str, arguments: &[&str]) -> BTreeSet<String> {
    plan(spec, arguments).0.into_iter().map(|(id, _)| id).collect()
}

#[test]
fn an_axis_of_the_command_line_replaces_the_file_s() {
    let spec = format!("{SMALL}[grid]\nseed = [0, 1, 2, 3, 4]\n");
    let folder = Folder::with(&spec);
    let ended = folder.run(&["run", "spec.toml", "--grid", "seed=7,8"]).expect(0);
    let said = "seed: the file's axis [0, 1, 2, 3, 4] replaced by [7, 8]\n";
    assert_eq!(ended.stderr.matches(said).count(), 1, "{}", ended.stderr);
    assert_eq!(folder.runs("out/small").len(), 2);
    // Two networks are two seeds: what a file with these two would say.
    let two = Folder::with(&spec.replace("[0, 1, 2, 3, 4]", "[7, 8]"));
    two.run(&["run", "spec.toml"]).expect(0);
    same_records(&folder, &two, "out/small");
    let seeds = folder.text("out/small/seeds.csv");
    assert_eq!(seeds, two.text("out/small/seeds.csv"));
    assert!(seeds.lines().skip(1).all(|line| line.split(',').nth(1) == Some("2")), "{seeds}");
    // The file beside the records asks for these runs and no others.
    assert_eq!(ids(&folder.text("out/small/experiment.toml"), &[]), ids(&spec, &["--grid", "seed=7,8"]));
    let quiet = folder.run(&["run", "spec.toml", "--grid", "seed=7,8", "-q"]).expect(0);
    assert_eq!(quiet.stderr, "");
}

#[test]
fn a_value_of_the_command_line_replaces_an_axis() {
    let spec = five_seeds();
    let all = ids(&spec, &[]);
    assert_eq!(all.len(), 15);
    for arguments in [&["--set", "seed=3"][..], &["--seed", "3"]] {
        let (runs, said) = plan(&spec, arguments);
        assert!(
            said.contains("seed: the file's axis [0, 1, 2, 3, 4] replaced by 3")
                || said.contains("seed: the file's axis [0, 1, 2, 3, 4] replaced by [3]"),
            "{said}"
        );
        assert_eq!(runs.len(), 3);
        // The same runs as in the whole plan, under the same names: their records are found.
        assert!(runs.iter().all(|(id, config)| all.contains(id) && config["seed"] == 3), "{runs:?}");
    }
    // An arm's own axis is replaced too; an arm with a whole table of its own is told.
    let (runs, said) = plan(&spec, &["--set", "solver.lr=0.5", "--seed", "0"]);
    assert_eq!(runs.len(), 2);
    assert_eq!((runs[0].1["solver"]["lr"].as_f64(), runs[1].1["solver"]["lr"].as_f64()), (Some(0.5), Some(0.001)));
    for word in ["arm `gd`'s axis [0.01, 0.02] replaced by [0.5]", "0.5 changes nothing in arm adam"] {
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn arms_that_fix_a_key_are_named() {
    let spec = five_seeds();
    // SMALL has 22 lines; the arm's solver stands in the eighth after it.
    let words = ["arm `adam` fixes solver = ", "--grid solver.lr", "spec.toml:30:1"];
    refused(&spec, &["--grid", "solver.lr=1,2"], &words);
    refused(&spec, &["--grid", "solver.kind=\"gd\",\"sgd\""], &["arm `adam` fixes solver"]);
    refused(&spec, &["--grid", "seed=1", "--grid", "seed=2"], &["--grid seed", "given twice"]);
    refused(&spec, &["--grid", "seed=1,2", "--seed", "3"], &["--grid seed", "keep one"]);
    let alone = format!("{SMALL}[[arm]]\nname = \"a\"\n\"solver.lr\" = 0.1\n");
    refused(&alone, &["--set", "solver.lr=0.2"], &["--set solver.lr=0.2", "arm a", "change nothing"]);
    let time = format!("{SMALL}[[arm]]\nname = \"a\"\n\"solver.time\" = 1\n");
    refused(&time, &["--grid", "solver.steps=1,2"], &["arm `a` fixes solver.time = 1"]);
    // Without such an arm the axis is there for all, in place of the arm's own.
    let free = spec.split("[[arm]]\nname = \"adam\"").next().unwrap();
    let (runs, said) = plan(free, &["--grid", "solver.lr=0.3,0.4,0.5", "--grid", "seed=0"]);
    let rates: Vec<f64> = runs.iter().map(|(_, config)| config["solver"]["lr"].as_f64().unwrap()).collect();
    assert_eq!(rates, [0.3, 0.4, 0.5]);
    assert!(said.contains("solver.lr: arm `gd`'s axis [0.01, 0.02] replaced by [0.3, 0.4, 0.5]"), "{said}");
    // A wrong value in it is the command line's, not the arm's.
    refused(free, &["--grid", "solver.lr=fast,slow"], &["command line (solver.lr)"]);
}

#[test]
fn a_configuration_is_one_run() {
    let once = |spec: &str, arguments: &[&str], runs: usize, word: &str| {
        let (planned, said) = plan(spec, arguments);
        assert_eq!(planned.len(), runs, "{planned:?}");
        assert!(said.contains(word), "{said}");
    };
    once(SMALL, &["--grid", "seed=1,2,1"], 2, "seed: 1 is given more than once and taken once");
    once(SMALL, &["--grid", "solver.lr=1,1.0"], 1, "taken once");
    once(&format!("{SMALL}[grid]\nseed = [1, 1, 2]\n"), &[], 2, "1 run repeats the configuration of another");
    let arms = format!("{SMALL}[[arm]]\nname = \"a\"\n[[arm]]\nname = \"b\"\n\"solver.lr\" = 0.05\n");
    let (planned, said) = plan(&arms, &[]);
    assert_eq!(planned.len(), 1, "{planned:?}");
    assert!(said.contains("1 run repeats") && said.contains("b-") && said.contains("is a-"), "{said}");
}
