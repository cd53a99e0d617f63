//! The binary as a user runs it: what is listed, run, killed, continued and reported.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A call of the binary in a folder.
fn call(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_custom_model"));
    command.args(arguments).current_dir(folder).env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// What a call prints, once it ended well.
fn run(folder: &Path, arguments: &[&str]) -> String {
    let output = call(folder, arguments).output().expect("starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {}\n{errors}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

/// A folder with the experiment in it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("experiment.toml"), include_str!("../experiment.toml")).expect("written");
    folder
}

/// The folders of the runs, sorted.
fn runs(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.join("out/gated/runs")).into_iter().flatten();
    let mut runs: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    runs.sort();
    runs
}

#[test]
fn own_kinds_are_listed_and_explained_like_the_built_in_ones() {
    let folder = folder();
    for (what, kind) in
        [("models", "gated_mlp"), ("data", "products"), ("laws", "unit_balance"), ("laws", "diagonal_nfa")]
    {
        assert!(run(folder.path(), &["list", what]).contains(kind), "{what}");
        assert!(run(folder.path(), &["explain", kind]).contains(kind), "{kind}");
    }
    assert!(run(folder.path(), &["explain", "gated_mlp"]).contains("gate = \"silu\""), "defaults are spelled out");
    let first = run(folder.path(), &["init", "--model", "gated_mlp", "--data", "products"]);
    std::fs::write(folder.path().join("first.toml"), first).expect("written");
    run(folder.path(), &["check", "first.toml", "--set", "solver.steps=3"]);
}

#[test]
fn mistakes_are_answered_with_place_and_suggestion() {
    let folder = folder();
    for (set, words) in [
        ("model.kind=\"gated_mpl\"", "did you mean `gated_mlp`?"),
        ("model.gaet=\"relu\"", "did you mean `gate`?"),
        ("model.widths=[]", "model.widths: takes at least one layer"),
        ("data.outputs=9", "data.inputs: is 10; 9 outputs take 18 orthogonal directions"),
    ] {
        let output = call(folder.path(), &["run", "experiment.toml", "--set", set]).output().expect("starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(words), "{errors}");
    }
}

#[test]
fn a_killed_run_goes_on_to_the_same_bytes_and_the_report_has_the_law() {
    let arguments = ["check", "experiment.toml", "--set", "checkpoint.every=50"];
    let (whole, killed) = (folder(), folder());
    run(whole.path(), &arguments);

    let mut child =
        call(killed.path(), &arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
    let checkpoint =
        |run: &PathBuf| std::fs::read_dir(run.join("checkpoints")).is_ok_and(|mut files| files.next().is_some());
    let start = Instant::now();
    while !runs(killed.path()).iter().any(checkpoint) {
        assert!(start.elapsed() < Duration::from_secs(60), "no checkpoint came");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().expect("killed");
    assert!(!child.wait().expect("ended").success(), "it was still at work");
    assert!(!killed.path().join("out/gated/report.html").exists());
    run(killed.path(), &arguments);

    assert_eq!(runs(whole.path()).len(), 2);
    for run in runs(whole.path()) {
        for file in ["metrics.csv", "directions.csv", "model.safetensors"] {
            let name = run.join(file);
            let other = killed.path().join(name.strip_prefix(whole.path()).expect("inside"));
            assert!(std::fs::read(&name).expect("there") == std::fs::read(other).expect("there"), "{}", name.display());
        }
    }

    let report = killed.path().join("out/gated/report.html");
    std::fs::remove_file(&report).expect("it was written");
    run(killed.path(), &["report", "out/gated"]);
    let report = std::fs::read_to_string(report).expect("written again");
    assert!(report.contains("Law <code>unit_balance</code>") && report.contains("unit_balance.misfit.layer1"));
    assert!(report.contains("custom_model check experiment.toml"), "how to reproduce it names this program");
    let summary = std::fs::read_to_string(killed.path().join("out/gated/summary.csv")).expect("written");
    assert!(summary.lines().next().is_some_and(|head| head.contains("unit_balance.verdict.layer1")), "{summary}");
}

/// A plain network, for `measure` to read.
const PLAIN: &str = r#"
name = "plain"
[model]
kind = "mlp"
widths = [6]
[data]
kind = "products"
inputs = 4
outputs = 1
samples = 40
[solver]
kind = "gd"
lr = 0.05
steps = 20
[probe]
at = { steps = [20] }
interval = "inputs"
metrics = ["loss", "nfa", "diagonal_nfa"]
"#;

#[test]
fn a_law_of_ones_own_gets_what_a_built_in_one_gets() {
    let folder = folder();
    std::fs::write(folder.path().join("plain.toml"), PLAIN).expect("written");
    run(folder.path(), &["run", "plain.toml"]);
    let report = std::fs::read_to_string(folder.path().join("out/plain/report.html")).expect("written");
    assert!(report.contains("Law <code>diagonal_nfa</code>"), "a block of its own beside the first law");
    let runs = std::fs::read_dir(folder.path().join("out/plain/runs")).expect("there");
    let [found] = &runs.map(|entry| entry.expect("readable").path()).collect::<Vec<_>>()[..] else { panic!("one run") };
    let records = std::fs::read_to_string(found.join("metrics.csv")).expect("written");
    let of = |law: &str| -> Vec<String> {
        let columns = records.lines().next().unwrap_or_default().split(',');
        columns.filter_map(|column| column.strip_prefix(law)?.strip_prefix('.')).map(String::from).collect()
    };
    assert!(of("nfa").len() > 80 && of("nfa") == of("diagonal_nfa"), "{:?}", of("diagonal_nfa"));
    assert!(of("diagonal_nfa").contains(&"alpha_interval.low.layer0".to_string()));

    let rows: String = (0..30).map(|i| format!("{},{},{},{}\n", i % 7, i % 5 - 2, i % 3, 3 - i % 4)).collect();
    std::fs::write(folder.path().join("x.csv"), rows).expect("written");
    let model = found.join("model.safetensors");
    let weights = ["measure", "--weights", model.to_str().expect("text"), "--inputs", "x.csv", "--activation", "relu"];
    let measured: serde_json::Value =
        serde_json::from_str(&run(folder.path(), &[&weights[..], &["--json"]].concat())).expect("JSON");
    let layer = &measured["layers"][0];
    let keys = |value: &serde_json::Value| -> Vec<String> {
        value.as_object().expect("an object").keys().filter(|key| *key != "details").cloned().collect()
    };
    let (built_in, own) = (&layer["laws"]["nfa"], &layer["laws"]["diagonal_nfa"]);
    assert_eq!(keys(built_in), keys(own));
    assert_eq!(keys(&layer["details"]), keys(&own["details"]));
    for law in [built_in, own] {
        assert!(law["alpha_interval"].is_array() && law["interval_source"] == "inputs", "{law}");
    }
    assert!(run(folder.path(), &weights).contains("diagonal_nfa: A = diag(W_l^T W_l)"));

    let alone = ["--set", "name=\"alone\"", "--set", "probe.metrics=[\"diagonal_nfa\"]"];
    run(folder.path(), &[&["check", "plain.toml"], &alone[..]].concat());
    let report = std::fs::read_to_string(folder.path().join("out/alone/report.html")).expect("written");
    assert!(report.contains("diagonal of the AGOP"), "the fan of the first law, in that law's words");
}

#[test]
fn the_commands_of_the_readme_run() {
    let folder = folder();
    let commands = include_str!("../README.md").lines().filter_map(|line| line.strip_prefix("cargo run -- "));
    let commands: Vec<&str> = commands.filter_map(|command| command.split(" #").next()).collect();
    assert!(commands.len() > 5, "{commands:?}");
    for command in commands {
        run(folder.path(), &command.split_whitespace().collect::<Vec<_>>());
    }
}
