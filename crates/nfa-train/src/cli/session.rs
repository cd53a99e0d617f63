//! What every command works with.

use std::path::Path;
#[cfg(feature = "burn")]
use std::sync::atomic::AtomicBool;

#[cfg(feature = "burn")]
use crate::bench::BenchCall;
#[cfg(feature = "burn")]
use crate::bench::args::BenchArgs;
use crate::cli::voice::{Voice, out};
use crate::error::{Error, Result};
#[cfg(feature = "burn")]
use crate::experiment::Experiment;
use crate::machine::disk::Store;
use crate::machine::progress::Progress;
use crate::measure::args::MeasureArgs;
use crate::measure::command::Call;
use crate::registries::Registries;
#[cfg(feature = "burn")]
use crate::run::Runner;
#[cfg(feature = "burn")]
use crate::run::manifest::Provenance;

/// What every command works with.
pub(crate) struct Session<'a> {
    /// What files and options may name.
    pub registries: &'a Registries,
    /// The file system.
    pub store: &'a dyn Store,
    /// How results are presented.
    pub voice: Voice,
    /// Set when the user asks to stop.
    #[cfg(feature = "burn")]
    pub interrupt: &'a AtomicBool,
}

impl Session<'_> {
    /// `measure`.
    pub(crate) fn measure(&self, args: &MeasureArgs) -> Result<u8> {
        let Registries { laws, losses, .. } = self.registries;
        let progress = Progress::late(self.voice.quiet);
        let tell = |done: usize, all: usize, what: &str| progress.of(done, all, what);
        let call = Call { args, laws, losses, store: self.store, tell: &tell };
        let said = call.run(self.voice.json, self.voice.colored());
        progress.finish();
        let said = said?;
        said.lines.iter().for_each(|line| out(line.trim_end()));
        Ok(u8::from(said.doubtful))
    }

    /// `bench`.
    #[cfg(feature = "burn")]
    pub(crate) fn bench(&self, what: &BenchArgs) -> Result<()> {
        let call = BenchCall {
            what,
            registries: self.registries,
            store: self.store,
            interrupt: self.interrupt,
            json: self.voice.json,
            quiet: self.voice.quiet,
            out: &out,
        };
        call.run()
    }

    /// What runs the runs of an experiment.
    #[cfg(feature = "burn")]
    pub(crate) fn runner<'a>(
        &'a self,
        experiment: &'a Experiment,
        folder: &'a Path,
        provenance: &'a Provenance,
        warn: &'a (dyn Fn(&str) + Sync),
    ) -> Runner<'a> {
        Runner {
            registries: self.registries,
            store: self.store,
            folder,
            experiment: &experiment.name,
            base: &experiment.base,
            interrupt: self.interrupt,
            provenance,
            progress: &|_, _| (),
            warn,
        }
    }

    /// Replaces a file.
    pub(crate) fn write(&self, path: &Path, text: &str) -> Result<()> {
        self.store.write(path, text.as_bytes()).map_err(|error| Error::io("cannot write", path, &error))
    }

    /// Creates a folder and its parents.
    pub(crate) fn create(&self, folder: &Path) -> Result<()> {
        self.store.create_dir(folder).map_err(|error| Error::io("cannot create", folder, &error))
    }
}
