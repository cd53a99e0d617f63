//! `bench` through the command line, on sizes of a moment: what its lines hold, never how fast.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::binary::{Folder, path};

const TINY: [&str; 8] = ["--widths", "6,5,4,3", "--samples", "12", "--activation", "tanh", "--repeats", "1"];

/// The fields of every line, as interfaces fix them.
const FIELDS: [&str; 20] = [
    "schema",
    "kind",
    "device",
    "path",
    "engine",
    "dtype",
    "widths",
    "activation",
    "samples",
    "repeats",
    "median_s",
    "min_s",
    "max_s",
    "rate_per_s",
    "gflops",
    "peak_gflops",
    "share_of_peak",
    "peak_memory_bytes",
    "max_relative_error",
    "auto",
];

fn call<'a>(kind: &'a str, options: &[&'a str]) -> Vec<&'a str> {
    [&["bench", kind], options].concat()
}

#[track_caller]
fn sound(line: &Value, kind: &str) {
    for field in FIELDS {
        assert!(line.get(field).is_some(), "{kind} has no {field}: {line}");
    }
    assert_eq!((line["schema"].as_str(), line["kind"].as_str()), (Some("nfa.bench/1"), Some(kind)));
    assert!(["f32", "f64"].contains(&line["dtype"].as_str().unwrap()), "{line}");
    // JSON has no NaN and no infinity; what is undefined is null, so that a number is one.
    for (field, value) in line.as_object().unwrap() {
        assert!(value.as_f64().is_none_or(f64::is_finite), "{field} of {line}");
    }
}

/// The numbers of a line that was timed.
#[track_caller]
fn timed(line: &Value) {
    let number = |field: &str| line[field].as_f64().unwrap_or_else(|| panic!("no {field}: {line}"));
    assert!(0.0 < number("min_s") && number("min_s") <= number("median_s") && number("median_s") <= number("max_s"));
    let units = if line["kind"] == "agop" { number("samples") } else { 1.0 };
    assert!((number("rate_per_s") * number("median_s") / units - 1.0).abs() < 1e-9, "{line}");
    assert!((number("share_of_peak") * number("peak_gflops") / number("gflops") - 1.0).abs() < 1e-9, "{line}");
    assert!(number("first_call_s") > 0.0 && line["calls"].as_u64() > Some(0));
    if cfg!(target_os = "linux") {
        assert!(number("peak_memory_bytes") > 1e6, "{line}");
    }
}

#[test]
fn agop_times_every_path_and_compares_with_an_earlier_file() {
    let folder = Folder::new();
    let lines = folder.run(&[&call("agop", &TINY)[..], &["--json", "--save", "old.json"]].concat()).expect(0).lines();
    let paths: Vec<&str> = lines.iter().map(|line| line["path"].as_str().unwrap()).collect();
    assert!(paths.contains(&"factored") && paths.contains(&"autodiff"), "{paths:?}");
    assert_eq!(lines.iter().filter(|line| line["auto"] == true).count(), 1);
    for line in &lines {
        sound(line, "agop");
        timed(line);
        let error = line["max_relative_error"].as_f64().unwrap();
        assert!(error < 1e-5, "{line}");
    }
    let saved = folder.text("old.json");
    let machine: Value = serde_json::from_str(saved.lines().next().unwrap()).unwrap();
    assert_eq!(machine["schema"], "nfa.machine/1");
    for field in ["cpu", "cores", "threads", "features", "memory_gib", "os", "profile", "rustc", "versions", "date"] {
        assert!(machine.get(field).is_some_and(|value| *value != ""), "{field}: {machine}");
    }
    assert!(machine["rustc"].as_str().unwrap().starts_with("rustc "));

    // Beside its own file: what both have, has a ratio.
    let auto = [&call("agop", &TINY)[..], &["--path", "auto", "--json", "--compare"]].concat();
    let ended = folder.run(&[&auto[..], &["old.json"]].concat()).expect(0);
    assert!(!ended.stderr.contains("machine"), "{}", ended.stderr);
    let lines = ended.lines();
    assert_eq!(lines.len(), 2, "{}", ended.stdout);
    assert_eq!(
        (lines[1]["schema"].as_str(), lines[1]["comparable"].as_bool()),
        (Some("nfa.bench_ratio/1"), Some(true))
    );
    let number = |value: &Value| value["median_s"].as_f64().unwrap();
    let ratio = number(&lines[1]["old"]) / number(&lines[1]["new"]);
    assert!((lines[1]["ratio"].as_f64().unwrap() / ratio - 1.0).abs() < 1e-12);

    // A file of another machine: told, and no error.
    let mut other = machine.clone();
    other["cpu"] = "Another CPU @ 1 GHz".into();
    folder.write("other.json", saved.replace(&machine.to_string(), &other.to_string()));
    let ended = folder.run(&[&auto[..], &["other.json"]].concat()).expect(0);
    assert!(ended.stderr.contains("Another CPU") && ended.stderr.contains("another machine"), "{}", ended.stderr);
    assert_eq!(ended.lines()[1]["comparable"], false);
}

#[test]
fn training_alone_and_in_grids() {
    let folder = Folder::new();
    let grid = ["--solver", "adam", "--runs", "3", "--jobs", "2", "--json", "--save-problem", "p.safetensors"];
    let lines = folder.run(&[&call("train", &TINY)[..], &grid].concat()).expect(0).lines();
    for line in &lines {
        sound(line, "train");
        timed(line);
        assert_eq!(
            (line["solver"].as_str(), line["runs"].as_u64(), line["jobs"].as_u64()),
            (Some("adam"), Some(3), Some(2))
        );
        assert!(line["max_relative_error"].as_f64().unwrap() < 1e-4, "{line}");
    }
    assert!(lines.iter().any(|line| line["engine"] == "autodiff"));
    // What other programs start from, and what they should come to.
    let bytes = folder.read("p.safetensors");
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let shape = |name: &str| file.tensor(name).unwrap().shape().to_vec();
    assert_eq!([shape("layers.0.weight"), shape("x"), shape("y")], [vec![5, 6], vec![12, 6], vec![12, 3]]);
    assert_eq!(shape("parameters_after_steps"), [6 * 5 + 5 * 4 + 4 * 3]);
}

#[test]
fn spectra_and_slopes_have_lines_of_their_own() {
    let folder = Folder::new();
    let spectra = folder.run(&["bench", "spectra", "--dims", "8,12", "--repeats", "1", "--json"]).expect(0).lines();
    assert_eq!(spectra.iter().map(|line| line["dim"].as_u64().unwrap()).collect::<Vec<_>>(), [8, 12]);
    for line in &spectra {
        sound(line, "spectra");
        assert!(line["max_relative_error"].as_f64().unwrap() < 1e-13 && line["gflops"].is_null());
    }
    let two = ["bench", "spectra", "--dims", "8", "--jobs", "2", "--repeats", "1", "--json"];
    assert_eq!(folder.run(&two).expect(0).lines()[0]["jobs"], 2);
    let scale = ["bench", "scale", "--shrink", "16", "--repeats", "1", "--json"];
    let scale = folder.run(&scale).expect(0).lines();
    assert_eq!(scale.iter().map(|line| line["sweep"].as_str().unwrap()).collect::<Vec<_>>(), ["n", "d", "c", "L", "h"]);
    for line in &scale {
        sound(line, "scale");
        let count = |field: &str| line[field].as_array().unwrap().len();
        assert!(
            count("values") > 3 && count("values") == count("seconds") && count("values") == count("multiply_adds")
        );
        assert!(line["slope"].is_number() && line["model_slope"].is_number());
    }
    // The sweep is linear in the rows but for what closes it.
    let of_n = scale[0]["model_slope"].as_f64().unwrap();
    assert!(of_n > 0.9 && of_n < 1.0, "{of_n}");
}

#[test]
fn fidelity_finds_what_is_wrong_in_burn() {
    let folder = Folder::new();
    let check = |operation: &str| {
        let lines = folder.run(&["bench", "fidelity", "--operation", operation, "--json"]).expect(0).lines();
        lines.iter().for_each(|line| sound(line, "fidelity"));
        lines
    };
    let ulp = |lines: &[Value], operation: &str, direction: &str, dtype: &str| {
        let mut of = lines
            .iter()
            .filter(|line| line["operation"] == operation && line["direction"] == direction && line["dtype"] == dtype);
        let line = of.next().unwrap_or_else(|| panic!("no {operation} {direction} {dtype}"));
        (line["ulp"].as_f64().unwrap_or(f64::INFINITY), line["wrong"].as_bool().unwrap())
    };
    let div = check("div_scalar");
    assert!(ulp(&div, "div_scalar", "forward", "f64").0 <= 1.0);
    assert!(ulp(&div, "div_scalar", "backward", "f32").0 <= 1.0);
    let (units, wrong) = ulp(&div, "div_scalar", "backward", "f64");
    assert!(
        wrong && units > 1e7,
        "div_scalar's backward in f64 is within {units} ulp: Burn has mended it, so drop the rule in CONTRIBUTING.md, \
         what docs/benchmarks.md says of it, and this expectation"
    );
    let tanh = check("tanh");
    assert!(ulp(&tanh, "tanh", "forward", "f32").0 <= 4.0 && ulp(&tanh, "tanh", "forward", "f64").0 <= 4.0);
    // A person gets the matrix, and a sentence that names it.
    let text = folder.run(&["bench", "fidelity", "--operation", "div", "--quiet"]).expect(0).stdout;
    assert!(text.contains("flex f32") && text.contains("flex f64") && text.contains("WRONG"), "{text}");
    assert!(text.trim_end().lines().last().unwrap().contains("div_scalar backward on flex f64"), "{text}");
}

#[test]
fn fidelity_of_networks_losses_and_agops() {
    let folder = Folder::new();
    for operation in ["mlp", "loss.", "agop.", "matmul", "activation."] {
        let lines = folder.run(&["bench", "fidelity", "--operation", operation, "--json"]).expect(0).lines();
        assert!(!lines.is_empty());
        for line in lines {
            assert!(line["ulp"].as_f64().is_some_and(|ulp| ulp < 100.0), "{line}");
        }
    }
}

#[test]
fn wrong_input_is_refused_before_anything_is_timed() {
    let folder = Folder::new();
    folder.write("text.json", "no JSON\n");
    folder.write("run.json", "{\"schema\":\"nfa.run/1\"}\n");
    for (words, reasons) in [
        (&["agop", "--problem", "D"][..], ["--problem D", "A, B, C"]),
        (&["train", "--problem", "A"], ["--problem A", "S, M, L"]),
        (&["agop", "--widths", "5"], ["--widths 5", "784,512"]),
        (&["agop", "--widths", "5,0,2"], ["--widths 5,0,2", "positive"]),
        (&["agop", "--samples", "0"], ["--samples 0", ""]),
        (&["agop", "--widths", "100000,100000,2"], ["100000-100000-2", "at most"]),
        (&["agop", "--activation", "rleu"], ["--activation", "did you mean `relu`"]),
        (&["agop", "--path", "fast"], ["--path fast", "factored, autodiff"]),
        (&["agop", "--layers", "3"], ["--layers 3", "0 to 2"]),
        (&["agop", "--device", "cuda:0"], ["cuda", "--features"]),
        (&["agop", "--device", "felx"], ["felx", "did you mean `flex`"]),
        (&["train", "--solver", "adma"], ["--solver adma", "did you mean `adam`"]),
        (&["train", "--loss", "msee"], ["--loss msee", "did you mean `mse`"]),
        (&["train", "--engine", "fast"], ["--engine fast", "autodiff"]),
        (&["train", "--lr", "0"], ["--lr 0", "positive"]),
        (&["train", "--jobs", "2"], ["--jobs 2", "--runs"]),
        (&["spectra", "--dims", "0"], ["--dims 0", ""]),
        (&["spectra", "--dims", "32768", "--jobs", "1024"], ["GiB", "--jobs"]),
        (&["train", "--runs", "4294967296"], ["GiB", "--runs"]),
        (&["agop", "--widths", "40000,40000", "--samples", "40000", "--layers", "all"], ["GiB", "--widths"]),
        (&["train", "--solver", "lbfgs", "--engine", "host"], ["--engine host", "first-order"]),
        (&["agop", "--samples", "-5"], ["-5", "--samples"]),
        (&["agop", "--save", "no/such/folder/f"], ["--save no/such/folder/f", "create it"]),
        (&["fidelity", "--operation", "sinh"], ["--operation sinh", "tanh"]),
        (&["agop", "--on-demand"], ["--on-demand", "--path auto"]),
        (&["agop", "--compare", "none.json"], ["none.json", "No such file"]),
        (&["agop", "--compare", "text.json"], ["text.json, line 1", "--save"]),
        (&["agop", "--compare", "run.json"], ["nfa.run/1", "--save"]),
    ] {
        let message = folder.run(&[&["bench"], words].concat()).expect(2).stderr;
        assert!(reasons.iter().all(|reason| message.contains(reason)), "{words:?}: {message}");
    }
}

#[test]
fn one_repeat_for_every_line() {
    let folder = Folder::new();
    let words = [&call("agop", &TINY[..6])[..], &["--path", "auto", "--on-demand", "-q"]].concat();
    let mut child = Command::new(path())
        .args(words)
        .current_dir(folder.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut ask, mut answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()).lines());
    let ready: Value = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
    assert_eq!((ready["schema"].as_str(), ready["auto"].as_bool()), (Some("nfa.ready/1"), Some(true)));
    for _ in 0..2 {
        writeln!(ask).unwrap();
        assert!(answers.next().unwrap().unwrap().parse::<f64>().unwrap() > 0.0);
    }
    drop(ask);
    assert!(answers.next().is_none() && child.wait().unwrap().success());
}
