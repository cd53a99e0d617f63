//! Killed, interrupted, run twice at once: the records come out as if nothing had happened.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::binary::{Ended, Folder, same_records};

/// Solvers with every kind of memory, in runs of a few hundred milliseconds: batches, pieces, biases,
/// both dtypes.
const SOLVERS: &str = r#"name = "solvers"

[model]
kind = "mlp"
depth = 3
width = 8
activation = "tanh"
bias = true

[data]
kind = "linear_teacher"
inputs = 6
outputs = 3
samples = 48
spectrum = [1.0, 0.2]
noise = 0.05

[solver]
kind = "gd"
lr = 0.02
weight_decay = 0.01
steps = 600

[probe]
at = { every = 20 }

[checkpoint]
every = 30

[[arm]]
name = "gd"

[[arm]]
name = "sgd"
"solver.kind" = "sgd"
"solver.batch" = 20

[[arm]]
name = "averages"
"probe.metrics" = ["loss", "nfa.centered", "fact", "fact.averaged"]
"probe.average" = { last = 50, every = 3 }

[[arm]]
name = "momentum"
"solver.kind" = "momentum"
"solver.lr" = [[0, 0.01], [150, 0.003]]

[[arm]]
name = "adam"
"solver.kind" = "adam"
"solver.lr" = 0.003
dtype = "f32"

[[arm]]
name = "adamw"
"solver.kind" = "adamw"
"solver.lr" = 0.003
"solver.batch" = 16

[[arm]]
name = "muon"
"solver.kind" = "muon"
"solver.batch" = 16

[[arm]]
name = "flow"
"solver.kind" = "flow"
"solver.lr" = [[0, 0.1], [150, 0.3]]

[[arm]]
name = "arc"
solver = { kind = "arc", weight_decay = 0.01, steps = 600 }

[[arm]]
name = "guided"
solver = { kind = "r_arc_d", sketch = "guided", weight_decay = 0.01, steps = 600 }

[[arm]]
name = "r_arc"
dtype = "f32"
solver = { kind = "r_arc", l = 10, redraw_on_failure = false, steps = 600 }

[[arm]]
name = "lbfgs"
"solver.kind" = "lbfgs"
"solver.lr" = 1.0
dtype = "f32"
"#;

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

fn lines(folder: &Folder, file: &str) -> usize {
    std::fs::read(folder.path(file)).map_or(0, |bytes| bytes.iter().filter(|&&b| b == b'\n').count())
}

fn checkpoints(folder: &Folder, run: &str) -> usize {
    let entries = std::fs::read_dir(folder.path(&format!("{run}/checkpoints")));
    entries.map_or(0, |entries| entries.flatten().filter(|e| e.path().extension().is_some_and(|x| x == "ckpt")).count())
}

/// Waits until something is so; `false` where the process ended first.
fn wait(child: &mut Child, so: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !so() {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "it never came to that");
        std::thread::sleep(Duration::from_micros(500));
    }
    true
}

/// Starts, kills as soon as something is so; whether it was still at work then.
fn kill_when(folder: &Folder, arguments: &[&str], so: impl Fn() -> bool) -> bool {
    let mut child = folder.start(arguments);
    let came = wait(&mut child, so);
    let _ = child.kill();
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert!(matches!(ended.code, None | Some(0)), "{ended:?}");
    came && ended.code.is_none()
}

fn status(folder: &Folder, run: &str) -> Value {
    serde_json::from_slice(&folder.read(&format!("{run}/status.json"))).unwrap()
}

#[test]
fn kill_at_any_moment_and_resume() {
    let arguments = ["run", "spec.toml"];
    let whole = Folder::with(SOLVERS);
    whole.run(&arguments).expect(0);
    let runs = whole.runs("out/solvers");
    assert_eq!(runs.len(), 12);
    let rows = lines(&whole, &format!("{}/metrics.csv", runs[0]));
    let folder = Folder::with(SOLVERS);
    for run in &runs {
        let metrics = format!("{run}/metrics.csv");
        let mut killed = 0;
        // Before the first checkpoint; at it, twice in a row; between two; after the last row.
        killed += usize::from(kill_when(&folder, &arguments, || lines(&folder, &metrics) >= 2));
        for _ in 0..2 {
            killed += usize::from(kill_when(&folder, &arguments, || checkpoints(&folder, run) >= 1));
        }
        killed += usize::from(kill_when(&folder, &arguments, || lines(&folder, &metrics) > rows / 2));
        kill_when(&folder, &arguments, || lines(&folder, &metrics) >= rows);
        assert!(killed > 0, "{run} ended before it was killed: make it longer");
    }
    folder.run(&arguments).expect(0);
    same_records(&whole, &folder, "out/solvers");
    for file in ["summary.csv", "expectations.json"] {
        assert!(whole.read(&format!("out/solvers/{file}")) == folder.read(&format!("out/solvers/{file}")), "{file}");
    }
}

#[test]
fn killed_between_the_last_row_and_the_end() {
    let folder = Folder::with(SOLVERS);
    let arguments = ["run", "spec.toml", "--set", "solver.steps=60"];
    folder.run(&arguments).expect(0);
    let whole = Folder::with(SOLVERS);
    whole.run(&arguments).expect(0);
    for (k, run) in folder.runs("out/solvers").iter().enumerate() {
        folder.write(&format!("{run}/status.json"), "{\"outcome\": \"running\", \"step\": 0}\n");
        std::fs::remove_file(folder.path(&format!("{run}/model.safetensors"))).unwrap();
        // What a kill in the middle of a write leaves: half a row, a temporary file, an empty status.
        let mut metrics = folder.read(&format!("{run}/metrics.csv"));
        metrics.truncate(metrics.len() - 5 * (k % 2));
        metrics.extend_from_slice(b"40,0.12");
        folder.write(&format!("{run}/metrics.csv"), metrics);
        folder.write(&format!("{run}/checkpoints/.writing-abc"), "half");
        if k == 0 {
            folder.write(&format!("{run}/status.json"), "");
        }
    }
    let again = folder.run(&arguments).expect(0);
    assert!(!again.stderr.contains("warning"), "{}", again.stderr);
    same_records(&whole, &folder, "out/solvers");
}

#[test]
fn interrupted_by_the_user() {
    let long = ["run", "spec.toml", "--set", "solver.steps=3000"];
    let whole = Folder::with(SOLVERS);
    let folder = Folder::with(SOLVERS);
    let arguments = [&long[..], &["--set", "arm=[{name='one'}]"]].concat();
    whole.run(&arguments).expect(0);
    let [run] = &whole.runs("out/solvers")[..] else { panic!("one run") };
    for rows in [3, 20] {
        let mut child = folder.start(&arguments);
        // Something new: rows of the round before may be there before the handler is.
        let before = lines(&folder, &format!("{run}/metrics.csv"));
        let enough = || lines(&folder, &format!("{run}/metrics.csv")) >= rows.max(before + 1);
        assert!(wait(&mut child, enough), "it ended too early");
        signal(&child, "-INT");
        let ended = Ended::from(child.wait_with_output().unwrap()).expect(130);
        assert!(ended.stderr.contains("state is saved"), "{}", ended.stderr);
        assert!(ended.stderr.contains("the same command continues"), "{}", ended.stderr);
        assert_eq!(status(&folder, run)["outcome"], "interrupted");
    }
    folder.run(&arguments).expect(0);
    assert_eq!(status(&folder, run)["outcome"], "completed");
    same_records(&whole, &folder, "out/solvers");
}

#[test]
fn two_at_once_on_one_run() {
    let folder = Folder::with(SOLVERS);
    let arguments = ["run", "spec.toml", "--set", "solver.steps=3000", "--set", "arm=[{name='one'}]"];
    let mut first = folder.start(&arguments);
    assert!(wait(&mut first, || folder.has("out/solvers/runs")
        && folder.runs("out/solvers").iter().any(|run| lines(&folder, &format!("{run}/metrics.csv")) >= 2)));
    let second = folder.run(&arguments).expect(3);
    assert!(second.stderr.contains("another process"), "{}", second.stderr);
    Ended::from(first.wait_with_output().unwrap()).expect(0);
    let whole = Folder::with(SOLVERS);
    whole.run(&arguments).expect(0);
    same_records(&whole, &folder, "out/solvers");
}

#[test]
fn the_output_folder_vanishes() {
    let folder = Folder::with(SOLVERS);
    let arguments = ["run", "spec.toml", "--set", "solver.steps=3000", "--set", "arm=[{name='one'}]"];
    let mut child = folder.start(&arguments);
    assert!(wait(&mut child, || folder.has("out/solvers/runs")
        && folder.runs("out/solvers").iter().any(|run| lines(&folder, &format!("{run}/metrics.csv")) >= 2)));
    std::fs::rename(folder.path("out"), folder.path("gone")).unwrap();
    let ended = Ended::from(child.wait_with_output().unwrap()).expect(3);
    assert!(ended.stderr.contains("out/solvers/runs"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

#[test]
#[cfg(target_os = "linux")]
fn the_disk_is_full() {
    let arguments = ["run", "spec.toml", "--set", "solver.steps=60"];
    let whole = Folder::with(SOLVERS);
    whole.run(&arguments).expect(0);
    let folder = Folder::with(SOLVERS);
    // No file may grow beyond this many blocks: the records of the first run are larger.
    for blocks in [1, 4, 12] {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let binary = crate::binary::path();
        let output = Command::new("sh")
            .args(["-c", &script])
            .arg(&binary)
            .args(arguments)
            .current_dir(folder.path("."))
            .output()
            .unwrap();
        let ended = Ended::from(output).expect(3);
        assert!(ended.stderr.contains("File too large"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    }
    folder.run(&arguments).expect(0);
    same_records(&whole, &folder, "out/solvers");
}

#[test]
fn the_flagship_too() {
    let spec = crate::command_line::reduced_flagship();
    let arguments = ["check", "spec.toml", "--set", "checkpoint.every=7"];
    let whole = Folder::with(&spec);
    let code = whole.run(&arguments).code.unwrap();
    let folder = Folder::with(&spec);
    let started = || std::fs::read_dir(folder.path("out/depth_law/runs")).map_or(0, Iterator::count);
    let all = whole.runs("out/depth_law").len();
    let mut killed = 0;
    for share in [1, 3, 4] {
        killed += usize::from(kill_when(&folder, &arguments, || started() > all * share / 6));
    }
    assert!(killed > 0, "it ended too early");
    folder.run(&arguments).expect(code);
    same_records(&whole, &folder, "out/depth_law");
    for file in ["summary.csv", "expectations.json", "plan.json", "plots/fan.svg", "plots/misfit.svg"] {
        let name = format!("out/depth_law/{file}");
        assert!(whole.read(&name) == folder.read(&name), "{name}");
    }
}
