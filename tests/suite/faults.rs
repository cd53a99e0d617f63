//! A file system that fails, and states that were damaged: an error or the right bytes, never a
//! panic, never a silent restart from something else.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::{DType, Device};
use nfa_metrics::Mat;
use nfa_models::{Activation, AnyNetwork, Mlp};
use nfa_train::cli::{Cli, Command, Options, RunArgs, Voice};
use nfa_train::machine::disk::{Disk, Lock, Store};
use nfa_train::observe::average::Averages;
use nfa_train::run::checkpoint::{Checkpoint, Progress};
use nfa_train::train::solver::State;
use nfa_train::{App, Result};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::binary::{Ended, Folder, SMALL, same_records};
use crate::golden::tensor;

/// Four steps with every kind of file operation on the way.
fn tiny() -> String {
    let spec = SMALL.replace("steps = 20", "steps = 4").replace("every = 5", "every = 2").replace("gd", "momentum");
    format!("{spec}[checkpoint]\nevery = 1\n[[expect]]\nmetric = \"loss\"\nmin = 0\n")
}

/// What a [`Faulty`] store does at its n-th operation, from 1.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// Refuses that one alone.
    Once,
    /// Does half of it, and nothing any more: a disk that died.
    Dies,
}

/// The disk, until the n-th operation.
struct Faulty {
    fault: Fault,
    at: usize,
    done: Arc<AtomicUsize>,
}

impl Faulty {
    /// What to do instead of the operation, if it is the one.
    fn next(&self, half: impl FnOnce()) -> io::Result<()> {
        let n = self.done.fetch_add(1, Ordering::SeqCst) + 1;
        let fails = if self.fault == Fault::Once { n == self.at } else { n >= self.at };
        if !fails {
            return Ok(());
        }
        if self.fault == Fault::Dies && n == self.at {
            half();
        }
        Err(io::Error::other("the disk is on fire"))
    }
}

impl Store for Faulty {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.next(|| ())?;
        Disk.read(path)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        // A replacement is whole or nothing; what may stay is its temporary file.
        self.next(|| Disk.append(&path.with_file_name(".writing-half"), &bytes[..bytes.len() / 2]).unwrap())?;
        Disk.write(path, bytes)
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.next(|| Disk.append(path, &bytes[..bytes.len() / 2]).unwrap())?;
        Disk.append(path, bytes)
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        self.next(|| ())?;
        Disk.truncate(path, length)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.next(|| Disk.create_dir(path).unwrap())?;
        Disk.create_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.next(|| ())?;
        Disk.list(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.next(|| Disk.remove(path).unwrap())?;
        Disk.remove(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        self.next(|| ())?;
        Disk.lock(path)
    }
}

/// `nfa-train run spec.toml --out out -q` in a folder, in this process, on a store.
fn run_on(store: impl Store + 'static, folder: &Folder) -> Result<u8> {
    let options = Options { out: folder.path("out"), ..Options::default() };
    let command = Command::Run(RunArgs { spec: folder.path("spec.toml"), options });
    let cli = Cli { command: Some(command), voice: Voice { quiet: true, ..Voice::default() } };
    App::standard().store(Box::new(store)).dispatch(&cli)
}

/// What is made from the records of all runs.
const MADE: [&str; 4] = ["experiment.toml", "plan.json", "summary.csv", "expectations.json"];

fn same(whole: &Folder, folder: &Folder, what: &str) {
    same_records(whole, folder, "out/small");
    for file in MADE {
        let name = format!("out/small/{file}");
        assert!(whole.read(&name) == folder.read(&name), "{what}: {name}");
    }
}

/// Fails at the first operation, the second, ... until a run gets through without meeting it; each
/// time the next run on a healthy disk must end as if nothing had happened.
///
/// `before` of the operations of an unbroken run have happened when the disk dies for the first
/// time, so that what follows resumes; 0 for none.
fn fail_at_every_operation(fault: Fault, before: usize) {
    let whole = Folder::with(&tiny());
    whole.run(&["run", "spec.toml"]).expect(0);
    for at in 1.. {
        let what = format!("{fault:?} at operation {at}");
        let folder = Folder::with(&tiny());
        if before > 0 {
            let died = Faulty { fault: Fault::Dies, at: before, done: Arc::default() };
            assert_eq!(run_on(died, &folder).unwrap_err().exit_code(), 3);
        }
        let done = Arc::new(AtomicUsize::new(0));
        let ended = run_on(Faulty { fault, at, done: done.clone() }, &folder);
        match ended {
            // An operation that may fail without a trace must leave none.
            Ok(code) => {
                assert_eq!(code, 0, "{what}");
                same(&whole, &folder, &what);
            }
            Err(error) => {
                assert!(matches!(error.exit_code(), 2 | 3), "{what}: {error}");
                assert!(error.to_string().contains("on fire"), "{what}: {error}");
            }
        }
        if done.load(Ordering::SeqCst) < at {
            assert!(at > 30, "the loop ended at {at}: were there so few operations?");
            break;
        }
        folder.run(&["run", "spec.toml"]).expect(0);
        same(&whole, &folder, &what);
    }
}

#[test]
fn one_operation_fails() {
    fail_at_every_operation(Fault::Once, 0);
}

#[test]
fn one_operation_fails_on_resuming() {
    fail_at_every_operation(Fault::Once, 30);
}

#[test]
fn the_disk_dies() {
    fail_at_every_operation(Fault::Dies, 0);
}

/// The first read of a dataset's file, or of its rows' weights, is refused: an error that names it.
#[test]
fn a_file_of_a_dataset_cannot_be_read() {
    let spec = tiny().replace(
        "kind = \"linear_teacher\"\ninputs = 5\noutputs = 3\nsamples = 30\nspectrum = [1.0, 0.2]\nnoise = 0.05",
        "kind = \"csv\"\npath = \"rows.csv\"\ntarget = \"y\"\nweights = \"w.txt\"",
    );
    let folder = Folder::with(&spec);
    folder.write("rows.csv", "x,y\n1,0.5\n2,0.25\n3,0.75\n");
    folder.write("w.txt", "1\n2\n1\n");
    // The experiment file, the rows, the weights.
    for (at, file) in [(2, "rows.csv"), (3, "w.txt")] {
        let store = Faulty { fault: Fault::Once, at, done: Arc::default() };
        let error = run_on(store, &folder).unwrap_err().to_string();
        assert!(error.contains(file) && error.contains("on fire"), "{error}");
        assert!(!folder.has("out"), "{file}");
    }
    assert_eq!(run_on(Disk, &folder).unwrap(), 0);
}

/// A run that stopped right before its end, with two checkpoints; its folder and their names.
struct Stopped {
    whole: Folder,
    folder: Folder,
    run: String,
    /// Newest first.
    checkpoints: Vec<String>,
    files: Vec<(String, Vec<u8>)>,
}

impl Stopped {
    fn new() -> Self {
        let (whole, folder) = (Folder::with(&tiny()), Folder::with(&tiny()));
        for folder in [&whole, &folder] {
            folder.run(&["run", "spec.toml"]).expect(0);
        }
        let run = folder.runs("out/small").remove(0);
        std::fs::remove_file(folder.path(&format!("{run}/model.safetensors"))).unwrap();
        folder.write(&format!("{run}/status.json"), "{\"outcome\": \"running\", \"step\": 0}\n");
        let mut checkpoints = folder.names(&format!("{run}/checkpoints"));
        checkpoints.reverse();
        let checkpoints: Vec<String> = checkpoints.iter().map(|name| format!("{run}/checkpoints/{name}")).collect();
        assert_eq!(checkpoints.len(), 2);
        let rest =
            folder.names(&run).into_iter().filter(|name| name != "checkpoints").map(|name| format!("{run}/{name}"));
        let files = rest.chain(checkpoints.clone()).map(|name| (name.clone(), folder.read(&name))).collect();
        Stopped { whole, folder, run, checkpoints, files }
    }

    /// Puts everything back, changes it, resumes; the records must be right in the end.
    fn resume(&self, what: &str, change: impl FnOnce(&Folder)) -> Ended {
        let _ = std::fs::remove_dir_all(self.folder.path(&self.run));
        std::fs::create_dir_all(self.folder.path(&format!("{}/checkpoints", self.run))).unwrap();
        for (name, bytes) in &self.files {
            self.folder.write(name, bytes);
        }
        change(&self.folder);
        let ended = self.folder.run(&["run", "spec.toml"]).expect(0);
        same(&self.whole, &self.folder, what);
        ended
    }

    fn newest(&self) -> Vec<u8> {
        let (_, bytes) = self.files.iter().find(|(name, _)| *name == self.checkpoints[0]).unwrap();
        bytes.clone()
    }
}

/// A checkpoint's tensors and the JSON after them.
fn parts(bytes: &[u8]) -> (&[u8], &[u8]) {
    let length = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let json = 16 + length(8);
    (&bytes[16..json], &bytes[json + 8..json + 8 + length(json)])
}

/// A checkpoint of these parts with a checksum that fits.
fn sealed(magic: &[u8], tensors: &[u8], json: &[u8]) -> Vec<u8> {
    let mut bytes = magic.to_vec();
    for part in [tensors, json] {
        bytes.extend((part.len() as u64).to_le_bytes());
        bytes.extend(part);
    }
    let digest = Sha256::digest(&bytes);
    bytes.extend(digest);
    bytes
}

/// The tensors with one left out and perhaps another put in.
fn edited(tensors: &[u8], without: Option<&str>, extra: Option<&str>) -> Vec<u8> {
    let all = SafeTensors::deserialize(tensors).unwrap();
    let mut views: Vec<(String, TensorView<'_>)> =
        all.tensors().into_iter().filter(|(name, _)| Some(name.as_str()) != without).collect();
    if let Some(extra) = extra {
        views.push((extra.into(), all.tensors().remove(0).1));
    }
    safetensors::serialize(views, None).unwrap()
}

#[test]
fn a_damaged_checkpoint_is_passed_over_with_a_warning() {
    let stopped = Stopped::new();
    let newest = stopped.newest();
    let (tensors, json) = parts(&newest);
    let magic = b"NFACKPT1";
    assert!(sealed(magic, tensors, json) == newest);
    let untouched = stopped.resume("untouched", |_| ());
    assert_eq!(untouched.stderr, "");

    let total = newest.len();
    let mut damaged: Vec<(String, Vec<u8>)> = Vec::new();
    for length in [0, 1, 7, 8, 15, 16, 40, total / 2, total - 33, total - 32, total - 31, total - 1] {
        damaged.push((format!("cut to {length} bytes"), newest[..length].to_vec()));
    }
    let after = 16 + tensors.len();
    let regions = [
        ("magic", 3),
        ("length of tensors", 9),
        ("header of tensors", 40),
        ("tensors", after - 20),
        ("length of JSON", after + 1),
        ("JSON", after + 30),
        ("checksum", total - 5),
    ];
    for (region, at) in regions {
        let mut bytes = newest.clone();
        bytes[at] ^= 0x10;
        damaged.push((format!("one bit in {region}"), bytes));
    }
    let first = SafeTensors::deserialize(tensors).unwrap().tensors().remove(0).0;
    let mut nan = tensors.to_vec();
    let end = nan.len();
    nan[end - 8..].copy_from_slice(&f64::NAN.to_le_bytes());
    let mut other: Value = serde_json::from_slice(json).unwrap();
    other["fingerprint"] = "0".repeat(64).into();
    let other = serde_json::to_vec(&other).unwrap();
    let mut unknown: Value = serde_json::from_slice(json).unwrap();
    unknown["more"] = 1.into();
    let unknown = serde_json::to_vec(&unknown).unwrap();
    let mut slotless: Value = serde_json::from_slice(json).unwrap();
    slotless["slots"] = serde_json::json!([]);
    let slotless = serde_json::to_vec(&slotless).unwrap();
    damaged.extend([
        ("another version".to_string(), sealed(b"NFACKPT2", tensors, json)),
        ("a state of another run".into(), sealed(magic, tensors, &other)),
        ("an unknown field".into(), sealed(magic, tensors, &unknown)),
        ("a missing entry".into(), sealed(magic, &edited(tensors, Some(&first), None), json)),
        ("an extra entry".into(), sealed(magic, &edited(tensors, None, Some("parameter/more")), json)),
        (
            "an entry of another name".into(),
            sealed(magic, &edited(tensors, Some(&first), Some("parameter/more")), json),
        ),
        ("no memory of the solver".into(), sealed(magic, tensors, &slotless)),
        ("a number that is none".into(), sealed(magic, &nan, json)),
        ("no tensors".into(), sealed(magic, b"", json)),
        ("no JSON".into(), sealed(magic, tensors, b"")),
        ("nothing at all".into(), sealed(magic, b"", b"")),
    ]);
    for (what, bytes) in &damaged {
        let ended = stopped.resume(what, |folder| folder.write(&stopped.checkpoints[0], bytes));
        assert_eq!(ended.stderr.lines().count(), 1, "{what}: {}", ended.stderr);
        assert!(ended.stderr.starts_with("warning: checkpoint "), "{what}: {}", ended.stderr);
        assert!(ended.stderr.contains(&stopped.checkpoints[0]), "{what}: {}", ended.stderr);
        assert!(ended.stderr.contains("going back to the one before"), "{what}: {}", ended.stderr);
    }
    // Both damaged: two warnings, and the start.
    let ended = stopped.resume("both", |folder| {
        for name in &stopped.checkpoints {
            folder.write(name, "noise");
        }
    });
    assert_eq!(ended.stderr.matches("warning: checkpoint ").count(), 2, "{}", ended.stderr);
}

#[test]
fn other_files_of_a_run_may_be_damaged_too() {
    let stopped = Stopped::new();
    for status in ["", "{", "{\"outcome\": \"finished\", \"step\": 4}", "\u{0}\u{0}"] {
        stopped.resume("status.json", |folder| folder.write(&format!("{}/status.json", stopped.run), status));
    }
    stopped.resume("config.toml, manifest.json", |folder| {
        folder.write(&format!("{}/config.toml", stopped.run), "= =");
        folder.write(&format!("{}/manifest.json", stopped.run), "[");
        folder.write("out/small/plan.json", "{}");
        folder.write("out/small/experiment.toml", "noise");
    });
    stopped.resume("no checkpoints", |folder| {
        std::fs::remove_dir_all(folder.path(&format!("{}/checkpoints", stopped.run))).unwrap();
    });
    // Rows that a checkpoint counts on are gone (a power cut): an older one, or the start, still fits.
    for file in ["metrics.csv", "directions.csv"] {
        let ended = stopped.resume(file, |folder| folder.write(&format!("{}/{file}", stopped.run), "step\n"));
        assert!(ended.stderr.contains("warning: checkpoint ") && ended.stderr.contains(file), "{}", ended.stderr);
    }
}

#[test]
fn no_cut_and_no_flipped_bit_is_ever_taken_up() {
    let device = Device::flex();
    let weights =
        [(2, 3), (1, 2)].map(|(rows, cols)| tensor(&Mat::from_fn(rows, cols, |i, j| i as f64 + j as f64 / 3.0)));
    let network = Mlp::new(weights.to_vec(), vec![None, None], vec![Activation::Linear]).unwrap();
    let parameters = AnyNetwork::parameters(&network);
    let progress = Progress {
        fingerprint: "f".into(),
        step: 7,
        solver_steps: 7,
        numbers: vec![("size".into(), 0.1 + 0.2)],
        slots: vec!["momentum".into()],
        metrics_bytes: 100,
        directions_bytes: 10,
        first_loss: Some(0.1),
        baseline: None,
        evaluations: 49,
        averages: Vec::new(),
        averaged_to: 0,
    };
    let numbers = progress.numbers.clone();
    let solver = State { steps: 7, numbers, slots: vec![("momentum".into(), parameters.clone())] };
    let averages = Averages::default();
    let checkpoint = Checkpoint { parameters: parameters.clone(), solver, averages, progress: progress.clone() };
    let bytes = checkpoint.to_bytes().unwrap();
    let load = |bytes: &[u8]| Checkpoint::from_bytes(bytes, "f", &parameters, &device, DType::F64);
    assert_eq!(load(&bytes).unwrap().progress, progress);
    assert!(load(&bytes).unwrap().to_bytes().unwrap() == bytes, "there and back");
    for length in 0..bytes.len() {
        assert!(load(&bytes[..length]).is_err(), "cut to {length}");
    }
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        assert!(load(&bytes).is_err(), "a bit of byte {at}");
    }
    // Lengths that lie, under a checksum that fits.
    for length in [u64::MAX, u64::MAX / 2, 1 << 40, bytes.len() as u64] {
        let mut lying = bytes[..bytes.len() - 32].to_vec();
        lying[8..16].copy_from_slice(&length.to_le_bytes());
        let digest = Sha256::digest(&lying);
        lying.extend(digest);
        assert!(load(&lying).is_err(), "a length of {length}");
    }
    assert!(Checkpoint::from_bytes(&bytes, "another run", &parameters, &device, DType::F64).is_err());
}
