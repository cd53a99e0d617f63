//! What people type and what comes back: exit codes, messages, JSON, the files of a run.

use std::collections::BTreeSet;
use std::io::Read;
use std::process::Stdio;

use nfa_metrics::column::describes;
use serde_json::Value;

use crate::binary::{Folder, RECORDS, SMALL, same_records};

const FLAGSHIP: &str = include_str!("../../experiments/depth_law.toml");

/// The flagship with fewer depths, steps and probes: some seconds instead of a minute.
pub fn reduced_flagship() -> String {
    let mut spec: toml::Table = FLAGSHIP.parse().unwrap();
    let table = |text: &str| toml::Value::Table(text.parse().unwrap());
    spec.insert("grid".into(), table("\"model.depth\" = [2, 3]"));
    spec.insert("probe".into(), table("at = { log = 6 }\nmetrics = [\"loss\", \"accuracy\", \"nfa\", \"balance\"]"));
    for arm in spec["arm"].as_array_mut().unwrap() {
        let arm = arm.as_table_mut().unwrap();
        arm.remove("solver.time");
        arm.insert("solver.steps".into(), 40.into());
        if let Some(grid) = arm.get_mut("grid") {
            let rates = grid["solver.lr"].as_array_mut().unwrap();
            rates.truncate(2);
        }
    }
    toml::to_string(&spec).unwrap()
}

/// Asserts a refusal: exit 2, one message with all of the words, nothing created.
#[track_caller]
pub fn refused(spec: &str, arguments: &[&str], words: &[&str]) {
    for command in ["run", "check"] {
        let folder = Folder::with(spec);
        let ended = folder.run(&[&[command, "spec.toml"], arguments].concat()).expect(2);
        assert_eq!(ended.stdout, "");
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert!(ended.stderr.starts_with("error: "), "{}", ended.stderr);
        for word in words {
            assert!(ended.stderr.contains(word), "`{word}` is not in: {}", ended.stderr);
        }
        assert_eq!(folder.names("."), ["spec.toml"], "{}", ended.stderr);
    }
}

/// [`SMALL`] with a text in it replaced.
#[track_caller]
fn small(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from));
    SMALL.replace(from, to)
}

#[test]
fn wrong_keys_and_values_are_refused_where_they_stand() {
    refused(&small("depth = 3", "depht = 3"), &[], &["spec.toml:5:1", "model.depht", "did you mean `depth`?"]);
    refused(&small("lr = 0.05", "lrr = 0.05"), &[], &["spec.toml:18:1", "solver.lrr", "did you mean `lr`?"]);
    refused(&small("[probe]", "[prob]"), &[], &["spec.toml:21:2", "`prob`", "did you mean `probe`?"]);
    refused(&small("\"gd\"", "\"sdg\""), &[], &["spec.toml:17:1", "solver.kind", "did you mean `sgd`?"]);
    refused(&small("depth = 3", "depth = \"three\""), &[], &["spec.toml:5:1", "model.depth"]);
    refused(&small("kind = \"mlp\"\n", ""), &[], &["spec.toml:3:", "model.kind", "missing", "known: mlp"]);
    refused(&small("steps = 20\n", ""), &[], &["solver.steps", "missing", "time"]);
    refused(&small("name = \"small\"", "name = \"../up\""), &[], &["spec.toml:1:1", "name", "../up"]);
    refused(&small("lr = 0.05", "lr = -1"), &[], &["spec.toml:18:1", "solver.lr", "must be positive"]);
    refused(&small("every = 5", "evry = 5"), &[], &["spec.toml:22:", "probe.at", "every"]);
    refused(&small("every = 5", "every = 0"), &[], &["spec.toml:22:1", "probe.at", "at least 1"]);
    refused(&small("steps = 20", "steps = 20\nbatch = 8"), &[], &["spec.toml:20:1", "full batch", "\"sgd\""]);
    let pieces = small("lr = 0.05\nsteps = 20", "lr = [[0, 0.1], [10, 0.01]]\ntime = 1");
    refused(&pieces, &[], &["spec.toml:19:1", "solver.time", "constant lr", "`steps`"]);
    refused(&small("steps = 20", "steps = 20\ntime = 1"), &[], &["spec.toml:20:1", "solver.time", "keep one"]);
}

#[test]
fn broken_and_missing_files_are_refused() {
    refused(&small("depth = 3", "depth = = 3"), &[], &["spec.toml:5:9", "broken TOML"]);
    refused("", &[], &["spec.toml", "name", "missing"]);
    let folder = Folder::with("\u{feff}");
    folder.write("spec.toml", [b'n', 0xff]);
    let ended = folder.run(&["run", "spec.toml"]).expect(2);
    assert!(ended.stderr.contains("not UTF-8"), "{}", ended.stderr);
    let ended = folder.run(&["run", "sepc.toml"]).expect(2);
    for word in ["sepc.toml", "path of an experiment file", "depth_law"] {
        assert!(ended.stderr.contains(word), "{}", ended.stderr);
    }
    assert!(!folder.has("out"));
}

#[test]
fn devices_name_the_way_out() {
    let listed = Folder::new().run(&["list", "devices", "--json"]).expect(0).lines();
    let compiled = |name: &str| listed.iter().any(|device| device["name"] == name && device["compiled"] == true);
    for device in ["ndarray", "wgpu", "vulkan:1", "cuda:0"] {
        let name = device.split(':').next().unwrap();
        if !compiled(name) {
            refused(SMALL, &["--device", device], &["command line (device)", &format!("--features {name}")]);
            let spec = format!("device = \"{device}\"\n{SMALL}");
            refused(&spec, &[], &["spec.toml:1:1", &format!("--features {name}")]);
        }
    }
    // Where it is not compiled in, that comes first.
    let word = if compiled("wgpu") { "--dtype f32" } else { "--features wgpu" };
    refused(SMALL, &["--device", "wgpu", "--dtype", "f64"], &[word]);
    refused(SMALL, &["--device", "felx"], &["did you mean `flex`?"]);
    refused(SMALL, &["--device", "flex:1"], &["takes no index"]);
}

#[test]
fn wrong_overrides_are_refused() {
    refused(SMALL, &["--set", "solver.lr"], &["--set solver.lr", "key=value"]);
    refused(SMALL, &["--set", "solver.stepz=1"], &["command line (solver.stepz)", "did you mean `steps`?"]);
    refused(SMALL, &["--set", "sovler.lr=1"], &["did you mean `solver`?"]);
    refused(SMALL, &["--set", "solver.lr=fast"], &["command line (solver.lr)"]);
    refused(SMALL, &["--set", "name.x=1"], &["--set name.x", "no table"]);
    refused(SMALL, &["--grid", "solver.lr"], &["--grid solver.lr", "key=v1,v2"]);
    refused(SMALL, &["--grid", "solver.stepz=1,2"], &["solver.stepz", "did you mean `steps`?"]);
    refused(SMALL, &["--grid", "model.depth=2,many"], &["model.depth"]);
    let folder = Folder::with(SMALL);
    for arguments in [
        &["run", "spec.toml", "--sed", "1"][..],
        &["run"],
        &["rnu", "spec.toml"],
        &["run", "spec.toml", "--dtype", "f16"],
        &["run", "spec.toml", "--seed", "-1"],
        &["list", "networks"],
        &["check", "spec.toml", "--claim", "NFA-9"],
        &["ls", "nowhere"],
        &["ls", "."],
        &["report", "."],
        &["report"],
    ] {
        let ended = folder.run(arguments).expect(2);
        assert!(ended.stderr.starts_with("error: ") && ended.stdout.is_empty(), "{arguments:?}: {ended:?}");
        assert_eq!(folder.names("."), ["spec.toml"], "{arguments:?}");
    }
}

#[test]
fn arms_and_expectations_are_checked_before_anything_runs() {
    let arm = |text: &str| format!("{SMALL}[[arm]]\nname = \"a\"\n{text}\n");
    refused(&arm("\"solver.stepz\" = 1"), &[], &["spec.toml:25:1", "arm `a`", "did you mean `steps`?"]);
    refused(&arm("sovler = 1"), &[], &["spec.toml:25:1", "did you mean `solver`?"]);
    refused(&arm("grid = { \"model.depht\" = [2] }"), &[], &["spec.toml:25:", "did you mean `depth`?"]);
    refused(&arm("grid = { \"model.depth\" = [] }"), &[], &["spec.toml:25:", "at least one value"]);
    let expect = |text: &str| format!("{SMALL}[[expect]]\n{text}\n");
    refused(&expect("metric = \"nfaa.alpha.layer*\"\nmin = 0"), &[], &["spec.toml:24:1", "`nfa.alpha.layer*`?"]);
    refused(
        &expect("metric = \"nfa.alhpa.layer0\"\nmin = 0"),
        &[],
        &["spec.toml:24:1", "did you mean `nfa.alpha.layer0`?", "list metrics"],
    );
    refused(&expect("metric = \"loss\""), &[], &["spec.toml:24:1", "`equals`", "is needed"]);
    refused(&expect("metric = \"loss\"\nmin = 0\nmax = 1"), &[], &["spec.toml:26:1", "only one"]);
    refused(&expect("metric = \"loss\"\nmni = 0"), &[], &["spec.toml:25:1", "did you mean `min`?"]);
    refused(&expect("metric = \"loss\"\nequals = \"1/D\""), &[], &["spec.toml:25:1", "`D`"]);
    refused(&expect("metric = \"loss\"\nmin = 0\nat = \"end\""), &[], &["spec.toml:26:1", "\"last\""]);
    refused(&expect("metric = \"loss\"\nequals = 0\nwithin = \"much\""), &[], &["spec.toml:26:1", "\"1%\""]);
}

#[test]
fn what_only_the_data_can_tell_is_refused_before_anything_is_written() {
    refused(&small("[probe]", "[probe]\nlayers = [3]"), &[], &["spec.toml", "probe.layers", "layers 0 to 2"]);
    // Also in a run that is not the first.
    let layers = small("[probe]", "[probe]\nlayers = [2]");
    refused(&layers, &["--grid", "model.depth=3,2"], &["spec.toml", "probe.layers", "layers 0 to 1"]);
    let weights = small("noise = 0.05", "noise = 0.05\nweights = [1, 2]");
    refused(&weights, &[], &["spec.toml", "data.weights", "2 entries for 30 training rows"]);
    let weights = small("noise = 0.05", "noise = 0.05\nweights = \"w.txt\"");
    refused(&weights, &[], &["spec.toml", "data.weights", "w.txt"]);
    let weights = small("noise = 0.05", "noise = 0.05\nweights = [1, -2]");
    refused(&weights, &[], &["spec.toml", "data.weights", "not negative"]);
    refused(&small("\"mlp\"", "\"mlp\"\nactivation = [\"relu\"]"), &[], &["spec.toml:5:1", "model.activation"]);
}

#[test]
fn a_huge_grid_is_refused_with_its_size() {
    let seeds = (0..400).map(|seed| seed.to_string()).collect::<Vec<_>>().join(",");
    let rates = (1..=300).map(|k| format!("{k}e-3")).collect::<Vec<_>>().join(",");
    let axes = [format!("seed={seeds}"), format!("solver.lr={rates}")];
    refused(
        SMALL,
        &["--grid", &axes[0], "--grid", &axes[1]],
        &["120000 runs", "seed: 400", "solver.lr: 300", "100000"],
    );
    // 400^8 runs are more than 64 bits can count.
    let keys =
        ["seed", "model.width", "model.depth", "data.noise", "data.samples", "solver.lr", "solver.steps", "data.test"];
    let axes: Vec<String> = keys.iter().map(|key| format!("{key}={seeds}")).collect();
    let arguments: Vec<&str> = axes.iter().flat_map(|axis| ["--grid", axis]).collect();
    refused(SMALL, &arguments, &["too many runs", "seed: 400", "at most 100000"]);
}

#[test]
fn every_error_is_one_object_with_json() {
    let folder = Folder::with(&small("depth", "depht"));
    let ended = folder.run(&["run", "spec.toml", "--json"]).expect(2);
    let error: Value = serde_json::from_str(&ended.stderr).unwrap();
    assert_eq!((error["schema"].as_str(), error["code"].as_u64()), (Some("nfa.error/1"), Some(2)));
    assert!(error["message"].as_str().unwrap().contains("did you mean"));
}

#[test]
fn json_is_one_object_with_a_schema_per_line() {
    let folder = Folder::with(&format!("{SMALL}[[expect]]\nmetric = \"loss\"\nmin = 0\n"));
    for what in ["models", "solvers", "data", "losses", "laws", "metrics", "devices", "experiments"] {
        let lines = folder.run(&["list", what, "--json"]).expect(0).lines();
        assert!(!lines.is_empty(), "{what}");
        for line in lines {
            assert!(["name", "kind"].iter().any(|key| line[*key].is_string()), "{line}");
            let doc = if what == "experiments" { "claim" } else { "doc" };
            assert!(line[doc].as_str().is_some_and(|doc| !doc.is_empty()), "{line}");
        }
        assert!(!folder.run(&["list", what]).expect(0).stdout.is_empty());
    }
    let grid = ["--grid", "seed=0,1"];
    let planned = folder.run(&[&["run", "spec.toml", "--dry-run", "--json"], &grid[..]].concat()).expect(0).lines();
    assert_eq!(folder.names("."), ["spec.toml"], "a dry run leaves nothing");
    assert_eq!(planned.len(), 2);
    let ended = folder.run(&[&["run", "spec.toml", "--json"], &grid[..]].concat()).expect(0).lines();
    assert_eq!(ended.len(), 2);
    for (planned, ended) in planned.iter().zip(&ended) {
        assert_eq!((planned["schema"].as_str(), ended["schema"].as_str()), (Some("nfa.plan/1"), Some("nfa.run/1")));
        assert_eq!(planned["run"], ended["run"]);
        assert_eq!((ended["outcome"].as_str(), ended["step"].as_u64()), (Some("completed"), Some(20)));
        assert!(folder.has(ended["directory"].as_str().unwrap()));
    }
    let checked = folder.run(&[&["check", "spec.toml", "--json"], &grid[..]].concat()).expect(0).lines();
    let of = |schema: &str| checked.iter().filter(|line| line["schema"] == schema).count();
    assert_eq!((of("nfa.run/1"), of("nfa.expectation/1")), (2, 2));
    let listed = folder.run(&["ls", "--json"]).expect(0).lines();
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|run| run["outcome"] == "completed" && run["schema"] == "nfa.run/1"));
    assert!(folder.run(&["ls", "out/small"]).expect(0).stdout.contains("2/2 expectations met"));
    let plan = folder.run(&["run", "spec.toml", "--dry-run", "-v"]).expect(0).stdout;
    assert!(plan.contains("20 steps") && plan.contains("diverged_above"), "{plan}");
}

#[test]
fn every_column_is_described() {
    let folder = Folder::with(&small("[probe]", "[probe]\nalpha = [0.25]"));
    folder.run(&["run", "spec.toml", "--set", "data.test=6"]).expect(0);
    let digits = "name = \"digits\"\n[model]\nkind = \"mlp\"\nwidths = [4]\n[data]\nkind = \"digits\"\ntest = 0.2\n\
                  [solver]\nkind = \"sgd\"\nlr = 0.01\nsteps = 2\nbatch = 50\n";
    folder.write("digits.toml", digits);
    folder.run(&["run", "digits.toml"]).expect(0);
    let infos = folder.run(&["list", "metrics", "--json"]).expect(0).lines();
    let names: Vec<&str> = infos.iter().map(|info| info["name"].as_str().unwrap()).collect();
    for info in &infos {
        for key in ["symbol", "unit", "range", "better", "doc", "reference"] {
            assert!(info[key].is_string(), "{key} of {info}");
        }
    }
    for experiment in ["out/small", "out/digits"] {
        let metrics = folder.text(&format!("{}/metrics.csv", folder.runs(experiment)[0]));
        for column in metrics.lines().next().unwrap().split(',').filter(|&column| column != "step") {
            assert!(names.iter().any(|name| describes(name, column)), "{column} is in no `list metrics`");
        }
    }
}

#[test]
fn the_report_is_rebuilt_from_records_alone() {
    let folder = Folder::with(&format!("{SMALL}[[expect]]\nmetric = \"loss\"\nmin = 0\n"));
    folder.run(&["run", "spec.toml", "--grid", "model.depth=2,3"]).expect(0);
    let mut files = vec!["summary.csv".to_string(), "expectations.json".into(), "report.html".into()];
    files.extend(folder.names("out/small/plots").iter().map(|name| format!("plots/{name}")));
    assert!(files.len() > 4, "{files:?}");
    let before: Vec<Vec<u8>> = files.iter().map(|file| folder.read(&format!("out/small/{file}"))).collect();
    for file in &files {
        std::fs::remove_file(folder.path(&format!("out/small/{file}"))).unwrap();
    }
    let ended = folder.run(&["report", "out/small"]).expect(0);
    assert_eq!(ended.stdout.trim(), "out/small/report.html");
    for (file, before) in files.iter().zip(before) {
        assert!(folder.read(&format!("out/small/{file}")) == before, "{file}");
    }
    let metrics = format!("{}/metrics.csv", folder.runs("out/small")[0]);
    folder.write(&metrics, "step,loss\n0,1,2\n");
    let ended = folder.run(&["report", "out/small"]).expect(2);
    assert!(ended.stderr.contains("metrics.csv") && ended.stderr.contains("run the experiment again"), "{ended:?}");
}

#[test]
fn help_is_there_for_every_command() {
    let folder = Folder::new();
    let help = folder.run(&["--help"]).expect(0).stdout;
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands: Vec<&str> = commands
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    for known in ["run", "check", "report", "ls", "list"] {
        assert!(commands.contains(&known), "{commands:?}");
    }
    for command in commands.iter().filter(|command| **command != "help") {
        for flag in ["--help", "-h"] {
            let help = folder.run(&[command, flag]).expect(0);
            assert!(help.stdout.contains(&format!("Usage: nfa-train {command}")), "{}", help.stdout);
            assert!(help.stderr.is_empty());
        }
    }
    assert!(folder.run(&["--version"]).expect(0).stdout.starts_with("nfa-train "));
}

#[test]
fn init_prints_what_runs_or_says_why_not() {
    let folder = Folder::new();
    let kinds = |what: &str| -> Vec<String> {
        let lines = folder.run(&["list", what, "--json"]).expect(0).lines();
        lines.iter().map(|line| line["kind"].as_str().unwrap().to_string()).collect()
    };
    let (models, solvers, datasets) = (kinds("models"), kinds("solvers"), kinds("data"));
    let mut ran = 0;
    for (model, data) in models.iter().flat_map(|model| datasets.iter().map(move |data| (model, data))) {
        for solver in &solvers {
            let ended = folder.run(&["init", "--model", model, "--data", data, "--solver", solver]);
            if ended.code == Some(0) {
                folder.write("spec.toml", &ended.stdout);
                folder.run(&["run", "spec.toml", "--set", "solver.steps=2", "--quiet"]).expect(0);
                ran += 1;
                continue;
            }
            assert!(ended.code == Some(2) && ended.stdout.is_empty(), "{ended:?}");
            if model == "function" {
                assert!(ended.stderr.contains("--data none"), "{ended:?}");
                continue;
            }
            assert!(ended.stderr.contains("No such file") && ended.stderr.contains(&format!("`explain {data}`")));
        }
    }
    // All but those whose files are not here; a function reads no data.
    assert_eq!(ran, solvers.len() * ((models.len() - 1) * (datasets.len() - 3) + 1));
    folder.write("data.csv", "acid,quality\n1,0.5\n2,0.25\n3,0.75\n4,0.5\n5,0.5\n");
    folder.write("spec.toml", folder.run(&["init", "--data", "csv"]).expect(0).stdout);
    folder.run(&["run", "spec.toml", "--set", "solver.steps=2", "--quiet"]).expect(0);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let folder = Folder::with(SMALL);
    let diverging = ["run", "spec.toml", "--json", "--set", "solver.lr=1e9", "--grid", "seed=0,1,2"];
    for arguments in [&["list", "metrics", "--json"][..], &["--help"], &["check", "spec.toml"], &diverging] {
        for both in [false, true] {
            let (reader, writer) = std::io::pipe().unwrap();
            let mut command = folder.command(arguments);
            command.stdout(writer.try_clone().unwrap());
            if both {
                command.stderr(writer);
            } else {
                command.stderr(Stdio::piped());
                drop(writer);
            }
            drop(reader);
            let mut child = command.spawn().unwrap();
            drop(command);
            let mut words = String::new();
            if let Some(mut stderr) = child.stderr.take() {
                stderr.read_to_string(&mut words).unwrap();
            }
            let code = child.wait().unwrap().code();
            assert_eq!(code, Some(0), "{arguments:?}, stderr too: {both}: {words}");
            assert!(!words.contains("panicked"), "{words}");
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn results_that_cannot_be_written_are_an_error() {
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let folder = Folder::with(SMALL);
    for arguments in [&["list", "metrics"][..], &["run", "spec.toml"]] {
        let output = folder.command(arguments).stdout(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("stdout"), "{output:?}");
    }
}

#[test]
fn a_missed_expectation_is_exit_code_1() {
    let spec = format!("id = \"X-1\"\n{SMALL}[[expect]]\nmetric = \"nfa.alpha.layer*\"\nmin = 9\n");
    let folder = Folder::with(&spec);
    let ended = folder.run(&["check", "spec.toml", "--claim", "X-1"]).expect(1);
    assert!(ended.stdout.contains("report: out/small/report.html"), "{}", ended.stdout);
    let checked: Value = serde_json::from_slice(&folder.read("out/small/expectations.json")).unwrap();
    let entry = &checked[0];
    let keys: Vec<&String> = entry.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["metric", "where", "at", "run", "expected", "measured", "tolerance", "met", "basis"]);
    assert_eq!((entry["met"].as_bool(), entry["at"].as_str()), (Some(false), Some("last")));
    assert!(entry["measured"].is_f64());
    // `run` judges the runs alone.
    folder.run(&["run", "spec.toml"]).expect(0);
}

#[test]
fn expectations_say_what_their_numbers_rest_on() {
    let block = |basis: &str| format!("[[expect]]\nmetric = \"loss\"\nmin = 0\n{basis}\n");
    let spec = |bases: [&str; 3]| format!("{SMALL}{}", bases.map(block).concat());
    let folder = Folder::with(&spec(["basis = \"theory\"", "basis = \"looked\"", ""]));
    let arguments = ["check", "spec.toml", "--grid", "seed=0,1"];
    let ended = folder.run(&arguments).expect(0);
    // Two runs and three blocks are six checks, and both numbers are told.
    let last = "All 6 checks are met, on all 2 runs; 3 expectations (1 of theory, 2 looked).";
    assert!(ended.stdout.contains(last), "{}", ended.stdout);
    let rows: Vec<&str> = ended.stdout.lines().filter(|line| line.starts_with("met ")).collect();
    assert_eq!(rows.len(), 3, "a row per block, though all three say the same: {}", ended.stdout);
    assert!(rows[0].contains("  theory  worst") && rows[1..].iter().all(|row| row.contains("  looked  worst")));
    let page = folder.text("out/small/report.html");
    assert!(page.contains("3 expectations (1 of theory, 2 looked)") && page.contains("6 of 6 met"));
    let basis = |lines: &[Value]| -> Vec<String> {
        lines.iter().filter_map(|line| line["basis"].as_str()).map(String::from).collect()
    };
    let expected = ["theory", "theory", "looked", "looked", "looked", "looked"];
    let lines = folder.run(&[&arguments[..], &["--json"]].concat()).expect(0).lines();
    assert_eq!(basis(&lines), expected);
    let kept: Vec<Value> = serde_json::from_slice(&folder.read("out/small/expectations.json")).unwrap();
    assert_eq!(basis(&kept), expected);
    // What a number rests on changes no run: the records stay, under the same names.
    let runs = folder.runs("out/small");
    folder.write("spec.toml", spec(["", "basis = \"theory\"", "basis = \"theory\""]));
    let again = folder.run(&arguments).expect(0).stdout;
    assert!(again.contains("3 expectations (2 of theory, 1 looked)"), "{again}");
    assert_eq!(folder.runs("out/small"), runs);
    let wrong = spec(["basis = \"teory\"", "", ""]);
    refused(&wrong, &[], &["spec.toml:26:1", "expect.0.basis", "did you mean `theory`?"]);
    // The block that `explain` prints is read as it stands.
    let text = folder.run(&["explain", "expect"]).expect(0).stdout;
    let block = text.split("[[expect]]").nth(1).unwrap().split("\n\n").next().unwrap();
    folder.write("spec.toml", format!("{SMALL}\n[[expect]]{block}\n"));
    folder.run(&["check", "spec.toml", "--dry-run"]).expect(0);
}

#[test]
fn a_run_that_diverges_does_not_stop_the_others() {
    // Numbers too large at once, after a while, and beyond what squares can hold.
    for (solver, rates) in [("gd", "30,0.05"), ("gd", "1e155,0.05"), ("sgd", "1e300,0.05"), ("adam", "1e160,0.05")] {
        let folder = Folder::with(&small("every = 5", "every = 1"));
        let kind = format!("solver.kind={solver}");
        let grid = format!("solver.lr={rates}");
        let arguments = ["run", "spec.toml", "--set", &kind, "--grid", &grid];
        for _ in 0..2 {
            // The second call finds both ended and says the same.
            let ended = folder.run(&arguments).expect(1);
            assert!(ended.stderr.contains("diverged at step"), "{}", ended.stderr);
            assert!(ended.stdout.contains("report: "), "{}", ended.stdout);
        }
        let lines = folder.run(&["ls", "--json"]).expect(0).lines();
        let outcomes: Vec<&str> = lines.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
        assert_eq!(outcomes, ["diverged", "completed"], "{solver} {rates}");
        let reason = lines[0]["reason"].as_str().unwrap();
        assert!(reason.contains("not finite") || reason.contains("times its first value"), "{reason}");
        let metrics = folder.text(&format!("out/small/runs/{}/metrics.csv", lines[0]["run"].as_str().unwrap()));
        assert!(metrics.lines().count() >= 2 && metrics.ends_with('\n'), "the rows before are kept: {metrics}");
        assert!(!metrics.contains("NaN") && !metrics.contains("inf"), "{metrics}");
        let summary = folder.text("out/small/summary.csv");
        assert!(summary.contains(",diverged,"), "{summary}");
    }
}

#[test]
fn an_output_folder_that_cannot_be_is_exit_code_3() {
    let folder = Folder::with(SMALL);
    folder.write("taken", "a file");
    let mut places = vec!["taken", "taken/below"];
    if cfg!(target_os = "linux") {
        // No one may write there, whoever runs this.
        places.push("/proc/results");
    }
    for place in places {
        let ended = folder.run(&["run", "spec.toml", "--out", place]).expect(3);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert!(ended.stderr.contains(&format!("cannot create {place}")), "{}", ended.stderr);
        assert!(ended.stdout.is_empty());
    }
    assert_eq!(folder.text("taken"), "a file");
}

#[test]
#[cfg(unix)]
fn a_folder_without_permission_is_exit_code_3() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::with(SMALL);
    let locked = folder.path("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o555)).unwrap();
    // Whoever may write anywhere (root) can't be refused.
    if std::fs::write(locked.join("probe"), "").is_err() {
        let ended = folder.run(&["run", "spec.toml", "--out", "locked"]).expect(3);
        assert!(ended.stderr.contains("cannot create locked/small"), "{}", ended.stderr);
    }
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Section 6 of the interfaces, as printed there.
const EXAMPLE: &str = r#"name = "unbalanced_decay"  # the folder under --out
id = "NFA-2"               # stable claim id, optional: check --claim NFA-2
claim = "With weight decay an unbalanced linear network converges to the ansatz with exponent 1/L."
reference = "arXiv:2510.15563"
seed = 0
dtype = "f64"

[model]
kind = "mlp"
depth = 3                  # number of weight matrices, with `width`; or `widths = [20, 20]` for the hidden layers instead of both
width = 20                 # input and output sizes come from the data
activation = "linear"
bias = false
init = { kind = "gaussian", scale = 1.0 }      # std = scale / sqrt(fan_in); balanced: { kind = "balanced", spectrum = [0.9, 0.5] } (geometric, every layer)

[data]
kind = "linear_teacher"
inputs = 16
outputs = 6
samples = 200
spectrum = [1.0, 0.2]      # geometric
noise = 0.05

[loss]
kind = "half_mse"

[solver]
kind = "gd"
lr = 0.02                  # or pieces: lr = [[0, 1e-3], [2000, 3e-4]]
weight_decay = 0.03
steps = 5755

[probe]
at = { log = 60 }          # always with step 0 and the last; also { every = 100 }, { steps = [0, 10, 500] }
layers = "all"
metrics = ["loss", "nfa", "balance"]

[grid]
"model.depth" = [2, 3, 4, 5]

[[expect]]
metric = "nfa.alpha.layer0"
where = { "model.depth" = [2, 3, 4, 5] }
at = "last"                # last | first | every | a step
equals = "1/L"             # or min = , max = , law = "(1-lr*lambda)^(2*t)"
within = 0.005

[[expect]]
metric = "imbalance_ratio.layer*"      # every layer
at = "every"
law = "(1-lr*lambda)^(2*t)"
within = "1%"              # a number is absolute, a percentage relative to the expected value
"#;

#[test]
fn the_example_of_the_interfaces_runs_as_printed() {
    let folder = Folder::with(EXAMPLE);
    let planned = folder.run(&["check", "spec.toml", "--claim", "NFA-2", "--dry-run", "--json"]).expect(0).lines();
    assert_eq!(planned.iter().map(|run| run["steps"].as_u64().unwrap()).collect::<Vec<_>>(), [5755; 4]);
    let short = ["--set", "solver.steps=50", "--set", "probe.at={log=5}"];
    folder.run(&[&["check", "spec.toml", "--claim", "NFA-2"], &short[..]].concat()).expect(1);
    let checked: Vec<Value> = serde_json::from_slice(&folder.read("out/unbalanced_decay/expectations.json")).unwrap();
    assert_eq!(checked.len(), 8);
    // Fifty steps are too few for the exponent; the imbalance obeys its law from the start.
    for entry in checked {
        assert_eq!(entry["met"], entry["metric"].as_str().unwrap().starts_with("imbalance_ratio"), "{entry}");
    }
    // What is left there reproduces these runs: the file, with what the command line changed.
    let as_run: toml::Table = folder.text("out/unbalanced_decay/experiment.toml").parse().unwrap();
    assert_eq!(as_run["solver"]["steps"].as_integer(), Some(50));
    assert_eq!(as_run["solver"]["lr"].as_float(), Some(0.02));
}

#[test]
fn the_flagship_is_the_file_in_the_repository() {
    let built_in = include_str!("../../crates/nfa-train/experiments/depth_law.toml");
    assert!(built_in == FLAGSHIP);
    assert!(
        nfa_train::experiment::built_in::BUILT_IN.iter().any(|(name, text)| *name == "depth_law" && *text == FLAGSHIP)
    );
}

#[test]
fn the_flagship_leaves_what_was_promised() {
    let folder = Folder::with(&reduced_flagship());
    let ended = folder.run(&["check", "spec.toml", "--out", "out"]);
    // So few steps meet some expectations and miss others.
    assert!(matches!(ended.code, Some(0 | 1)), "{ended:?}");
    assert!(ended.stdout.trim_end().ends_with("report: out/depth_law/report.html"), "{}", ended.stdout);
    let home = "out/depth_law";
    assert_eq!(
        folder.names(home),
        ["expectations.json", "experiment.toml", "plan.json", "plots", "report.html", "runs", "summary.csv"]
    );
    let runs = folder.runs(home);
    assert_eq!(runs.len(), 16);
    let always = [
        "config.toml",
        "manifest.json",
        "metrics.csv",
        "model.safetensors",
        "sites.json",
        "status.json",
        "timings.csv",
    ];
    let also = ["checkpoints", "directions.csv", "lock"];
    let mut columns: Vec<String> = Vec::new();
    for run in &runs {
        let names = folder.names(run);
        for name in always {
            assert!(names.iter().any(|other| other == name), "{run} has no {name}");
        }
        let extra: Vec<&String> =
            names.iter().filter(|n| !always.contains(&n.as_str()) && !also.contains(&n.as_str())).collect();
        assert!(extra.is_empty(), "{extra:?}");
        let manifest: Value = serde_json::from_slice(&folder.read(&format!("{run}/manifest.json"))).unwrap();
        assert!(manifest["data_sha256"].as_str().is_some_and(|hash| hash.len() == 64));
        let status: Value = serde_json::from_slice(&folder.read(&format!("{run}/status.json"))).unwrap();
        assert_eq!((status["outcome"].as_str(), status["step"].as_u64()), (Some("completed"), Some(40)));
    }
    let plan: Value = serde_json::from_slice(&folder.read(&format!("{home}/plan.json"))).unwrap();
    let summary = folder.text(&format!("{home}/summary.csv"));
    let mut lines = summary.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    assert_eq!(header[..6], ["run", "arm", "model.depth", "solver.lr", "outcome", "step"]);
    let order: Vec<&str> = lines.map(|line| line.split(',').next().unwrap()).collect();
    let planned: Vec<&str> = plan["runs"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap()).collect();
    assert_eq!(order, planned);
    for id in planned {
        let metrics = folder.text(&format!("{home}/runs/{id}/metrics.csv"));
        let new = metrics.lines().next().unwrap().split(',').skip(1).map(String::from);
        columns.extend(new.filter(|c| !columns.contains(c)).collect::<Vec<_>>());
    }
    assert_eq!(header[6..], columns);
    let checked: Vec<Value> = serde_json::from_slice(&folder.read(&format!("{home}/expectations.json"))).unwrap();
    for entry in &checked {
        let keys: Vec<&String> = entry.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["metric", "where", "at", "run", "expected", "measured", "tolerance", "met", "basis"]);
    }
    let missed = checked.iter().any(|entry| entry["met"] == false);
    assert_eq!(ended.code, Some(i32::from(missed)));
    let metrics: BTreeSet<&str> =
        checked.iter().filter_map(|entry| entry["metric"].as_str()?.split('.').next()).collect();
    assert_eq!(metrics, BTreeSet::from(["imbalance_ratio", "nfa", "recurrence_residual"]));
    let html = folder.text(&format!("{home}/report.html"));
    assert!(html.starts_with("<!DOCTYPE html>") && html.trim_end().ends_with("</html>"));
    for place in ["src=", "@import", "url(", "<link", "<script src", "<iframe"] {
        for (at, _) in html.match_indices(place) {
            let rest: String = html[at..].chars().take(60).collect();
            assert!(rest.contains("data:") || rest.starts_with("url(#"), "the report reaches out: {rest}");
        }
    }
    let plots = folder.names(&format!("{home}/plots"));
    assert!(plots.iter().any(|plot| plot == "fan.svg") && plots.iter().all(|plot| plot.ends_with(".svg")), "{plots:?}");
    for plot in plots {
        well_formed(&folder.text(&format!("{home}/plots/{plot}")), &plot);
    }
}

/// Every element is closed in order, attributes are quoted, `&` begins an entity.
#[track_caller]
pub fn well_formed(svg: &str, name: &str) {
    assert!(svg.contains("<svg") && svg.contains("xmlns=\"http://www.w3.org/2000/svg\""), "{name} is no SVG file");
    let mut open: Vec<&str> = Vec::new();
    let mut rest = svg;
    while let Some(start) = rest.find('<') {
        let text = &rest[..start];
        assert!(!text.contains('>'), "{name}: a stray > in {text}");
        let entities =
            text.split('&').skip(1).all(|after| after.split_once(';').is_some_and(|(word, _)| word.len() < 8));
        assert!(entities, "{name}: a stray & in {text}");
        let end = rest[start..].find('>').unwrap_or_else(|| panic!("{name}: an open tag at the end")) + start;
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if tag.starts_with(['?', '!']) {
            continue;
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{name}: <{tag}>");
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed.trim()), "{name}");
        } else if !tag.ends_with('/') {
            open.push(tag.split_whitespace().next().unwrap());
        }
    }
    assert!(open.is_empty(), "{name}: {open:?} left open");
    assert!(!svg.contains("NaN") && !svg.contains("\"inf"), "{name} has numbers that are none");
}

#[test]
fn config_toml_reproduces_its_run() {
    let spec = format!(
        "{SMALL}[[arm]]\nname = \"a b/c\"\n\"model.activation\" = \"tanh\"\n\"solver.kind\" = \"adam\"\n\
         \"solver.batch\" = 7\n\"solver.lr\" = [[0, 0.01], [9, 0.003]]\n\"data.test\" = 5\n\"data.weights\" = \"w.txt\"\n\
         dtype = \"f32\"\nseed = 12\n"
    );
    let folder = Folder::with(&spec);
    folder.write("w.txt", (0..30).map(|k| format!("{}\n", 1 + k % 3)).collect::<String>());
    folder.run(&["run", "spec.toml", "--grid", "model.depth=2,3"]).expect(0);
    for run in folder.runs("out/small") {
        // From another folder, to another folder.
        let other = Folder::new();
        let config = folder.path(&format!("{run}/config.toml"));
        other.run(&["run", config.to_str().unwrap()]).expect(0);
        let [experiment] = &other.names("out")[..] else { panic!("one experiment") };
        let [twin] = &other.runs(&format!("out/{experiment}"))[..] else { panic!("one run") };
        assert_eq!(run.rsplit('-').next(), twin.rsplit('-').next(), "the same configuration");
        for file in RECORDS {
            assert!(folder.read(&format!("{run}/{file}")) == other.read(&format!("{twin}/{file}")), "{file}");
        }
    }
}

#[test]
fn the_same_command_again_skips_and_fresh_starts_beside() {
    let folder = Folder::with(SMALL);
    folder.run(&["run", "spec.toml"]).expect(0);
    let run = folder.runs("out/small").remove(0);
    let timings = folder.read(&format!("{run}/timings.csv"));
    folder.run(&["run", "spec.toml"]).expect(0);
    assert!(folder.read(&format!("{run}/timings.csv")) == timings, "nothing was done again");
    folder.run(&["run", "spec.toml", "--fresh"]).expect(0);
    assert_eq!(folder.names("out"), ["small", "small-2"]);
    let twin = folder.runs("out/small-2").remove(0);
    for file in RECORDS {
        assert!(folder.read(&format!("{run}/{file}")) == folder.read(&format!("{twin}/{file}")), "{file}");
    }
    // A changed setting is another run, a changed claim is not.
    folder.write("spec.toml", format!("claim = \"new words\"\n{SMALL}"));
    folder.run(&["run", "spec.toml"]).expect(0);
    assert_eq!(folder.runs("out/small").len(), 1);
    folder.run(&["run", "spec.toml", "--set", "solver.lr=0.01"]).expect(0);
    assert_eq!(folder.runs("out/small").len(), 2);
}

#[test]
fn what_the_command_line_adds_is_in_the_report_too() {
    // A name and an expectation that no file has must be there when records are read back.
    let nameless = small("name = \"small\"\n", "");
    let folder = Folder::with(&nameless);
    let set = ["--set", "name=given", "--set", "expect=[{metric='loss', min=9e9}]"];
    let ended = folder.run(&[&["check", "spec.toml"], &set[..]].concat()).expect(1);
    assert!(ended.stdout.contains("report: out/given/report.html"), "{}", ended.stdout);
    folder.run(&["report", "out/given"]).expect(0);
    assert!(
        folder.text("out/given/expectations.json").contains("9e9")
            || folder.text("out/given/expectations.json").contains("9000000000")
    );
}

#[test]
#[cfg(unix)]
fn paths_need_not_be_unicode() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = Folder::with(SMALL);
    let (spec, out) = (OsStr::from_bytes(b"s\xff.toml"), OsStr::from_bytes(b"o\xff"));
    if std::fs::write(folder.path(".").join(spec), SMALL).is_err() {
        return; // a file system that refuses such names
    }
    let output = folder.command(&["run"]).arg(spec).arg("--out").arg(out).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(folder.path(".").join(out).join("small/report.html").is_file());
}

#[test]
fn records_do_not_depend_on_where_they_are_written() {
    let (a, b) = (Folder::with(SMALL), Folder::with(SMALL));
    a.run(&["run", "spec.toml"]).expect(0);
    b.run(&["run", "spec.toml", "--out", "deep/er", "-q"]).expect(0);
    std::fs::rename(b.path("deep/er"), b.path("out")).unwrap();
    same_records(&a, &b, "out/small");
}
