//! One run: step, probe, record, checkpoint, until an outcome.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::tensor::Tensor;
use nfa_metrics::{Forecast, forecast, to_host, weights_of};

use crate::error::{Error, Result};
use crate::experiment::plan::PlannedRun;
use crate::machine::disk::Store;
use crate::record::status::{Outcome, Status};
use crate::record::theory::DecayLaw;
use crate::registries::Registries;
use crate::run::build::Built;
use crate::run::files::Files;
use crate::run::form::{Form, unmeasured};
use crate::run::manifest::Provenance;
use crate::train::engine::Engine;
use crate::train::problem::{self, Problem};
use crate::train::rows::is_linear_map;

mod build;
mod capture;
pub mod checkpoint;
mod files;
mod form;
pub mod manifest;
mod record;
mod standing;
pub mod start;
mod steps;

/// What runs of an experiment share.
#[derive(Clone, Copy)]
pub struct Runner<'a> {
    /// What configurations may name.
    pub registries: &'a Registries,
    /// The file system.
    pub store: &'a dyn Store,
    /// `out/<experiment>`.
    pub folder: &'a Path,
    /// The experiment's name.
    pub experiment: &'a str,
    /// The folder that relative data paths start from.
    pub base: &'a Path,
    /// Set when the user asks to stop.
    pub interrupt: &'a AtomicBool,
    /// Facts about this process.
    pub provenance: &'a Provenance,
    /// Told (step, loss) now and then.
    pub progress: &'a (dyn Fn(u64, f64) + Sync),
    /// Told what a person should know: a damaged checkpoint that was passed over.
    pub warn: &'a (dyn Fn(&str) + Sync),
}

impl Runner<'_> {
    /// Starts, continues or skips a run.
    ///
    /// # Errors
    /// Where it can't be built or its files can't be written; a run that diverges is an outcome.
    pub fn run(&self, run: &PlannedRun) -> Result<Status> {
        let files = Files::create(self.store, self.folder.join("runs").join(&run.id))?;
        let lock_path = files.path("lock");
        let lock = self.store.lock(&lock_path).map_err(|error| Error::io("cannot lock", &lock_path, &error))?;
        let Some(_lock) = lock else {
            return Err(Error::environment(format!("another process is working on {}", files.folder.display())));
        };
        if let Some(status) = self.finished(&files)? {
            return Ok(status);
        }
        let ended = self.build(run).and_then(|built| self.work(run, built, &files));
        if let Err(error) = &ended
            && !error.is_interrupted()
        {
            let failed = Status::new(Outcome::Failed, 0, Some(error.to_string()));
            // The error itself is what the user sees; a full disk may refuse this file too.
            let _ = files.status(&failed);
        }
        ended
    }

    /// Loads all data and builds all networks, each once, and drops them: what can be refused is
    /// refused.
    ///
    /// # Errors
    /// As [`Runner::run`] would, before anything is written.
    pub fn preflight(&self, runs: &[&PlannedRun]) -> Result<()> {
        let mut loaded: Vec<(_, (usize, usize), Tensor<2>)> = Vec::new();
        let mut built = Vec::new();
        for run in runs {
            let config = &run.config;
            let rows = (&config.data, &config.preparation, &config.loss);
            let on_host = (config.engine == Engine::Host).then_some(&config.solver);
            let network = (rows, &config.model, &config.probe.layers, &config.device, config.dtype, on_host);
            if built.contains(&network) {
                continue;
            }
            built.push(network);
            let device = crate::machine::devices::open(&config.device, config.dtype)?;
            let there = (rows, &config.device, config.dtype);
            let known = loaded.iter().position(|(other, ..)| *other == there);
            if known.is_none() {
                let data = self.load(run, &device)?.1;
                let few = data.train.rows().min(FEW);
                loaded.push((there, data.dims(), data.train.inputs.slice([0..few])));
            }
            let (_, dims, few) = &loaded[known.unwrap_or(loaded.len() - 1)];
            let (network, _) = self.network(run, *dims, &device)?;
            Form::new(network.as_ref(), few, &config.probe.layers)?;
            if on_host.is_some() {
                let (solver, loss) = (self.solver(run, None)?, self.loss(run)?);
                if !(solver.has_host_form() && Problem::fits(network.as_ref(), loss.as_ref())) {
                    return Err(refused_by_host());
                }
            }
        }
        Ok(())
    }

    /// When a linear network whose solver has a law of decay will have come to the ansatz.
    ///
    /// # Errors
    /// As [`Runner::run`] would, before anything is written.
    pub fn forecast(&self, run: &PlannedRun) -> Result<Option<Forecast>> {
        let Built { network, loss, data, .. } = self.build(run)?;
        let solver = self.solver(run, None)?;
        let (Some(lr), Some(law)) = (run.config.course.lr.constant(), solver.decay_law()) else { return Ok(None) };
        if !(is_linear_map(network.as_ref()) && loss.is_squared()) {
            return Ok(None);
        }
        let decay = lr * solver.decay().weight_decay;
        let factor = match law {
            DecayLaw::Discrete => (1.0 - decay).powi(2),
            DecayLaw::Continuous => (-2.0 * decay).exp(),
        };
        let weights = weights_of(network.as_ref(), &data.train.inputs).map_err(|error| unmeasured(&error))?;
        let (inputs, targets) = (to_host(data.train.inputs), to_host(data.train.targets));
        Ok(forecast(&weights, &inputs, &targets, factor))
    }

    /// The status of a run that has nothing left to do.
    fn finished(&self, files: &Files<'_>) -> Result<Option<Status>> {
        let path = files.path("status.json");
        let text = match self.store.read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| Error::io("cannot read", &path, &error))?,
        };
        // A damaged status is written anew by continuing the run.
        let status = serde_json::from_slice::<Status>(&text).ok();
        Ok(status.filter(|status| status.outcome.is_final()))
    }
}

/// Rows that a network's form is looked at with before anything is written.
const FEW: usize = 32;

fn refused_by_host() -> Error {
    Error::input(format!("engine: {}", problem::REFUSAL))
}
