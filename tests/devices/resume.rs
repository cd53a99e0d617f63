//! Runs that die after a checkpoint and go on from it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nfa_tests::binary::{Folder, same_records};
use nfa_train::cli::{Cli, Command, Options, RunArgs, Voice};
use nfa_train::machine::disk::{Disk, Lock, Store};
use nfa_train::{App, Result};

use crate::place::Place;

/// Solvers with every kind of memory: batches and moments, none and pieces, pairs of vectors, a size.
const SOLVERS: [&str; 4] = [
    "kind = \"adam\"\nlr = 0.003\nbatch = 20",
    "kind = \"muon\"\nlr = [[0, 0.02], [15, 0.005]]",
    "kind = \"lbfgs\"\nlr = 1.0",
    "kind = \"flow\"\nlr = 0.1\nrtol = 1e-6",
];

fn spec(place: &Place, solver: &str) -> String {
    format!(
        // Through the device: on a CPU the automatic choice would pass it by.
        "name = \"died\"\nengine = \"autodiff\"\ndevice = \"{}\"\ndtype = \"{}\"\n\
         [model]\nkind = \"mlp\"\ndepth = 3\nwidth = 8\nactivation = \"tanh\"\nbias = true\n\
         [data]\nkind = \"linear_teacher\"\ninputs = 6\noutputs = 3\nsamples = 48\nspectrum = [1.0, 0.2]\nnoise = 0.05\n\
         [solver]\n{solver}\nsteps = 24\nweight_decay = 0.01\n\
         [probe]\nat = {{ every = 4 }}\n[checkpoint]\nevery = 8\n",
        place.name,
        place.dtype.name()
    )
}

/// The disk, until so many checkpoints are written; counts rows of the record.
struct Watched {
    checkpoints_left: AtomicUsize,
    rows: Arc<AtomicUsize>,
}

impl Watched {
    fn alive(&self) -> io::Result<()> {
        match self.checkpoints_left.load(Ordering::SeqCst) {
            0 => Err(io::Error::other("the power is out")),
            _ => Ok(()),
        }
    }
}

impl Store for Watched {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.alive().and_then(|()| Disk.read(path))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.alive()?;
        if path.extension().is_some_and(|extension| extension == "ckpt") {
            self.checkpoints_left.fetch_sub(1, Ordering::SeqCst);
        }
        Disk.write(path, bytes)
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.alive()?;
        if path.file_name().is_some_and(|name| name == "metrics.csv") {
            self.rows.fetch_add(1, Ordering::SeqCst);
        }
        Disk.append(path, bytes)
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        self.alive().and_then(|()| Disk.truncate(path, length))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.alive().and_then(|()| Disk.create_dir(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.alive().and_then(|()| Disk.list(path))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.alive().and_then(|()| Disk.remove(path))
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        self.alive().and_then(|()| Disk.lock(path))
    }
}

/// `nfa-train run spec.toml` in this process; how it ended, and how often the record grew.
fn run(folder: &Folder, checkpoints: usize) -> (Result<u8>, usize) {
    let rows = Arc::new(AtomicUsize::new(0));
    let store = Watched { checkpoints_left: AtomicUsize::new(checkpoints), rows: rows.clone() };
    let options = Options { out: folder.path("out"), ..Options::default() };
    let command = Command::Run(RunArgs { spec: folder.path("spec.toml"), options });
    let cli = Cli { command: Some(command), voice: Voice { quiet: true, ..Voice::default() } };
    let ended = App::standard().store(Box::new(store)).dispatch(&cli);
    (ended, rows.load(Ordering::SeqCst))
}

pub fn after_death(place: &Place) {
    for solver in SOLVERS {
        let what = format!("{} {solver}", place.title());
        let whole = Folder::with(&spec(place, solver));
        let (ended, all) = run(&whole, usize::MAX);
        assert_eq!(ended.unwrap(), 0, "{what}");
        let folder = Folder::with(&spec(place, solver));
        // The second checkpoint is that of step 16: five rows and the header were written before, two come after.
        let (ended, before) = run(&folder, 2);
        assert_eq!(ended.unwrap_err().exit_code(), 3, "{what}");
        let (ended, after) = run(&folder, usize::MAX);
        assert_eq!(ended.unwrap(), 0, "{what}");
        assert_eq!((all, before, after), (8, 6, 2), "{what}: it went on from the checkpoint");
        same_records(&whole, &folder, "out/died");
    }
}
