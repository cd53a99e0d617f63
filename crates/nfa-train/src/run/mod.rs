//! One run: step, probe, record, checkpoint, until an outcome.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use burn::tensor::Device;
use nfa_metrics::{Forecast, Mat, Update, forecast, weights_of};
use nfa_models::parameters::Parameter;
use nfa_models::{AnyNetwork, Context, Parameters, Stream};

use crate::array::save::{matrix_entry, serialize};
use crate::data::source::LoadContext;
use crate::data::split::{Data, prepare};
use crate::error::{Error, Result};
use crate::experiment::plan::PlannedRun;
use crate::machine::disk::Store;
use crate::observe::probe::{Baseline, Measured, Probe};
use crate::record::direction::COLUMNS;
use crate::record::status::{Outcome, Status};
use crate::record::{Cell, csv_line};
use crate::registries::Registries;
use crate::run::checkpoint::{Checkpoint, Progress, newest_first};
use crate::run::manifest::Provenance;
use crate::train::engine::Engine;
use crate::train::loss::Loss;
use crate::train::objective::{Training, scalar};
use crate::train::problem::{self, Problem};
use crate::train::solver::{Solver, StepError, Stretch};

pub mod checkpoint;
pub mod manifest;
pub mod start;

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

/// By default state is saved about this often.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(10);
/// How often progress is reported.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// The parts of a run that its configuration describes, built.
struct Built {
    network: Box<dyn AnyNetwork>,
    solver: Box<dyn Solver>,
    loss: Box<dyn Loss>,
    data: Data,
    /// SHA-256 of the file that the weights start from.
    start: Option<String>,
    stream: Stream,
}

/// The files of a run.
struct Files<'a> {
    store: &'a dyn Store,
    folder: PathBuf,
}

impl Files<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(name);
        self.store.write(&path, bytes).map_err(|error| Error::io("cannot write", &path, &error))
    }

    /// Appends and returns the number of bytes.
    fn append(&self, name: &str, text: &str) -> Result<u64> {
        let path = self.path(name);
        self.store.append(&path, text.as_bytes()).map_err(|error| Error::io("cannot write", &path, &error))?;
        Ok(text.len() as u64)
    }

    fn truncate(&self, name: &str, length: u64) -> Result<()> {
        let path = self.path(name);
        self.store.truncate(&path, length).map_err(|error| Error::io("cannot write", &path, &error))
    }

    /// Cuts the records back to a checkpoint, or says why they don't reach that far: rows that a
    /// power cut took.
    fn cut(&self, progress: &Progress) -> Result<std::result::Result<(), String>> {
        for (name, length) in [("metrics.csv", progress.metrics_bytes), ("directions.csv", progress.directions_bytes)] {
            match self.store.truncate(&self.path(name), length) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    return Ok(Err(format!("{name} {error}")));
                }
                Err(error) => return Err(Error::io("cannot write", &self.path(name), &error)),
            }
        }
        Ok(Ok(()))
    }

    fn status(&self, status: &Status) -> Result<()> {
        let mut text = serde_json::to_string_pretty(status).unwrap_or_default();
        text.push('\n');
        self.write("status.json", text.as_bytes())
    }
}

/// Where the loop stands.
struct Standing {
    step: u64,
    metrics_bytes: u64,
    directions_bytes: u64,
    first_loss: Option<f64>,
    baseline: Option<Baseline>,
    /// Gradients evaluated.
    evaluations: u64,
    /// Whether the probe at `step` is already in the record.
    recorded: bool,
}

impl Runner<'_> {
    /// Starts, continues or skips a run.
    ///
    /// # Errors
    /// Where it can't be built or its files can't be written; a run that diverges is an outcome.
    pub fn run(&self, run: &PlannedRun) -> Result<Status> {
        let files = Files { store: self.store, folder: self.folder.join("runs").join(&run.id) };
        self.store.create_dir(&files.folder).map_err(|error| Error::io("cannot create", &files.folder, &error))?;
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
        let (mut loaded, mut built) = (Vec::new(), Vec::new());
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
            let dims = match loaded.iter().find(|(other, _)| *other == rows) {
                Some((_, dims)) => *dims,
                None => {
                    let dims = self.load(run, &device)?.1.dims();
                    loaded.push((rows, dims));
                    dims
                }
            };
            let (network, _) = self.network(run, dims, &device)?;
            if let Some(solver) = on_host {
                let solver =
                    self.registries.solvers.build(solver.clone(), &config.course.lr).map_err(under("solver"))?;
                let loss = self.registries.losses.build(config.loss.clone(), &()).map_err(under("loss"))?;
                if !problem::takes(network.as_ref(), loss.as_ref(), solver.as_ref()) {
                    return Err(refused_by_host());
                }
            }
        }
        Ok(())
    }

    /// When a linear network under gd, sgd or flow will have come to the ansatz.
    ///
    /// # Errors
    /// As [`Runner::run`] would, before anything is written.
    pub fn forecast(&self, run: &PlannedRun) -> Result<Option<Forecast>> {
        let Built { network, solver, data, .. } = self.build(run)?;
        let word = |table: &toml::Table| table.get("kind").and_then(toml::Value::as_str).map(String::from);
        let (kind, loss) = (word(&run.config.solver), word(&run.config.loss));
        let squared = matches!(loss.as_deref(), Some("half_mse" | "mse"));
        let plain = network.chain().filter(|chain| chain.is_linear() && chain.biases.iter().all(Option::is_none));
        let (Some(lr), Some(_), true) = (run.config.course.lr.constant(), plain, squared) else { return Ok(None) };
        let decay = lr * solver.weight_decay();
        let factor = match kind.as_deref() {
            Some("gd" | "sgd") => (1.0 - decay).powi(2),
            Some("flow") => (-2.0 * decay).exp(),
            _ => return Ok(None),
        };
        let host = |tensor: &burn::tensor::Tensor<2>| nfa_metrics::to_host(tensor.clone());
        Ok(forecast(&weights_of(network.as_ref()), &host(&data.train.inputs), &host(&data.train.targets), factor))
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

    fn build(&self, run: &PlannedRun) -> Result<Built> {
        let config = &run.config;
        let device = crate::machine::devices::open(&config.device, config.dtype)?;
        let (loss, data) = self.load(run, &device)?;
        let (network, start) = self.network(run, data.dims(), &device)?;
        let solver =
            self.registries.solvers.build(config.solver.clone(), &config.course.lr).map_err(under("solver"))?;
        Ok(Built { network, solver, loss, data, start, stream: Stream::root(config.seed) })
    }

    fn load(&self, run: &PlannedRun, device: &Device) -> Result<(Box<dyn Loss>, Data)> {
        let config = &run.config;
        let loss = self.registries.losses.build(config.loss.clone(), &()).map_err(under("loss"))?;
        let source = self.registries.data.build(config.data.clone(), &()).map_err(under("data"))?;
        let stream = Stream::root(config.seed).fork("data");
        let context = LoadContext { stream, base: self.base, test: config.preparation.test, store: self.store };
        let data = prepare(source.as_ref(), &config.preparation, loss.wants_one_hot(), &context, device, config.dtype)
            .map_err(under("data"))?;
        Ok((loss, data))
    }

    /// The network at its start, and the SHA-256 of the file that this is from, if any.
    fn network(
        &self,
        run: &PlannedRun,
        (inputs, outputs): (usize, usize),
        device: &Device,
    ) -> Result<(Box<dyn AnyNetwork>, Option<String>)> {
        let config = &run.config;
        let stream = Stream::root(config.seed).fork("init");
        let start = crate::run::start::read(&config.model, self.store).map_err(under("model"))?;
        let stored = start.as_ref().map(|start| start.layers.as_slice());
        let context = Context { inputs, outputs, device, dtype: config.dtype.burn(), stream, stored };
        let network = self.registries.models.build(config.model.clone(), &context).map_err(under("model"))?;
        if let crate::observe::plan::Layers::List(list) = &config.probe.layers
            && let Some(layer) = list.iter().find(|&&layer| layer >= network.sites())
        {
            let sites = network.sites();
            return Err(Error::input(format!(
                "probe.layers: there is no layer {layer}; the network has layers 0 to {}",
                sites - 1
            )));
        }
        Ok((network, start.map(|start| start.sha256)))
    }

    fn work(&self, run: &PlannedRun, built: Built, files: &Files<'_>) -> Result<Status> {
        let Built { mut network, mut solver, loss, data, start, stream } = built;
        let config = &run.config;
        let total = config.course.steps();
        let probes = config.probe.at.steps(total);
        let fingerprint = config.fingerprint();
        let objective = Training::new(&data.train, loss.as_ref(), config.course.batch(), network.as_ref(), &stream);
        let probe = Probe {
            laws: &self.registries.laws,
            metrics: &self.registries.metrics,
            plan: &config.probe,
            thresholds: &config.verdict,
            data: &data,
            loss: loss.as_ref(),
        };
        // Here and not where they are used: a folder that vanishes later must not come back half empty.
        for name in ["checkpoints", "matrices"].into_iter().take(1 + usize::from(config.probe.matrices)) {
            let folder = files.path(name);
            self.store.create_dir(&folder).map_err(|error| Error::io("cannot create", &folder, &error))?;
        }
        let untrained = 0.5 * scalar(data.train.targets.clone().square().sum()) / data.train.rows() as f64;
        let problem = (config.engine != Engine::Autodiff).then(|| Problem::new(network.as_ref(), &objective));
        match problem.flatten().and_then(|problem| solver.fused(problem)) {
            Some(fused) => solver = fused,
            None if config.engine == Engine::Host => return Err(refused_by_host()),
            None => {}
        }
        let mut at = self.resume(files, &fingerprint, network.as_mut(), solver.as_mut())?;
        files.write("config.toml", self.config_file(run).as_bytes())?;
        let rows = objective.compressed_rows();
        let manifest = self.provenance.manifest(run, &data.sha256, start.as_deref(), rows, solver.engine());
        files.write("manifest.json", format!("{manifest:#}\n").as_bytes())?;
        files.status(&Status::new(Outcome::Running, at.step, None))?;

        let started = Instant::now();
        let (mut saved, mut reported) = (Instant::now(), Instant::now());
        let mut update: Option<Update> = None;
        let mut note = None;
        loop {
            if !at.recorded && probes.binary_search(&at.step).is_ok() {
                let measured = probe.measure(
                    network.as_ref(),
                    solver.as_ref(),
                    at.step,
                    update.take().as_ref(),
                    at.baseline.as_ref(),
                );
                if let Some(what) = not_finite(&measured) {
                    return self.diverged(files, network.as_ref(), at.step, what);
                }
                let last = at.step == total;
                self.record(files, &measured, &mut at, last, config.probe.matrices)?;
                let elapsed = started.elapsed().as_secs_f64();
                if at.step == 0 {
                    files.truncate("timings.csv", 0)?;
                    files.append("timings.csv", "step,seconds\n")?;
                }
                files.append("timings.csv", &format!("{},{elapsed:.6}\n", at.step))?;
                at.recorded = true;
            }
            if at.step >= total {
                break;
            }
            if self.interrupt.load(Ordering::Relaxed) {
                self.save(files, &fingerprint, network.as_ref(), solver.as_ref(), &at)?;
                files.status(&Status::new(Outcome::Interrupted, at.step, None))?;
                return Err(Error::interrupted(format!(
                    "interrupted at step {} of {}; state is saved",
                    at.step, run.id
                )));
            }
            let due = match config.checkpoint.every {
                Some(every) => at.step > 0 && at.step.is_multiple_of(every),
                None => saved.elapsed() >= CHECKPOINT_INTERVAL,
            };
            // A checkpoint between a step and its probe would lose the update that led there.
            if due && (at.recorded || probes.binary_search(&at.step).is_err()) {
                self.save(files, &fingerprint, network.as_ref(), solver.as_ref(), &at)?;
                saved = Instant::now();
            }
            // The next step that something happens at: a probe, one that is watched, a checkpoint.
            let probe = probes.get(probes.partition_point(|&probe| probe <= at.step)).copied().unwrap_or(total);
            let before = (solver.is_plain() && probe == at.step + 1)
                .then(|| (network.parameters(), weights_of(network.as_ref())));
            let checkpoint = config.checkpoint.every.map_or(u64::MAX, |every| (at.step / every + 1) * every);
            let stop = match solver.is_plain() && probe > at.step + 1 {
                true => (probe - 1).min(checkpoint),
                false => probe.min(checkpoint),
            };
            let first_loss = &mut at.first_loss;
            let mut wrong = None;
            let watch = &mut |step: u64, loss: f64| {
                // A start without any loss is no measure of what is much.
                let first = *first_loss.get_or_insert(loss);
                let usual = first.max(untrained);
                if !loss.is_finite() || loss > config.course.diverged_above * usual {
                    wrong = Some((step, rise(loss, usual, first < untrained)));
                    return false;
                }
                if reported.elapsed() >= PROGRESS_INTERVAL {
                    (self.progress)(step + 1, loss);
                    reported = Instant::now();
                }
                let due = config.checkpoint.every.is_none() && saved.elapsed() >= CHECKPOINT_INTERVAL;
                !due && !self.interrupt.load(Ordering::Relaxed)
            };
            let stretch = match solver.advance(network.as_mut(), &objective, at.step..stop, watch) {
                Ok(stretch) => stretch,
                Err((step, StepError::Diverged(what))) => return self.diverged(files, network.as_ref(), step, what),
                Err((_, error)) => return Err(Error::environment(format!("{}: {error}", run.id))),
            };
            if let Some((step, what)) = wrong {
                return self.diverged(files, network.as_ref(), step, what);
            }
            at.step = stretch.next;
            at.evaluations += stretch.evaluations;
            at.recorded = false;
            update = before
                .and_then(|(parameters, weights)| update_of(&parameters, weights, &stretch, solver.weight_decay()));
            note = stretch.note;
        }
        self.model(files, network.as_ref())?;
        let status = Status { evaluations: Some(at.evaluations), ..Status::new(Outcome::Completed, total, note) };
        files.status(&status)?;
        Ok(status)
    }

    /// Takes up the newest checkpoint that is whole, or starts.
    fn resume(
        &self,
        files: &Files<'_>,
        fingerprint: &str,
        network: &mut dyn AnyNetwork,
        solver: &mut dyn Solver,
    ) -> Result<Standing> {
        let like = network.parameters();
        let placement = nfa_models::network::placement(network);
        let folder = files.path("checkpoints");
        let checkpoints =
            newest_first(self.store, &folder).map_err(|error| Error::io("cannot read", &folder, &error))?;
        for file in checkpoints {
            let bytes = self.store.read(&file).map_err(|error| Error::io("cannot read", &file, &error))?;
            let loaded = placement
                .as_ref()
                .ok_or_else(|| "the network has no weights".to_string())
                .and_then(|(device, dtype)| Checkpoint::from_bytes(&bytes, fingerprint, &like, device, *dtype));
            let restored = loaded.and_then(|checkpoint| {
                network.set_parameters(&checkpoint.parameters).map_err(|error| error.to_string())?;
                solver.restore(checkpoint.solver)?;
                Ok(checkpoint.progress)
            });
            let restored = match restored {
                Ok(progress) => files.cut(&progress)?.map(|()| progress),
                Err(why) => Err(why),
            };
            match restored {
                Ok(progress) => {
                    return Ok(Standing {
                        step: progress.step,
                        metrics_bytes: progress.metrics_bytes,
                        directions_bytes: progress.directions_bytes,
                        first_loss: progress.first_loss,
                        baseline: progress.baseline,
                        evaluations: progress.evaluations,
                        recorded: true,
                    });
                }
                Err(why) => (self.warn)(&format!(
                    "checkpoint {}: {why}; going back to the one before it, or to the start",
                    file.display()
                )),
            }
        }
        // Whatever a failed attempt left in them, the network and the solver start afresh.
        network.set_parameters(&like).map_err(|error| Error::environment(error.to_string()))?;
        solver.restore(crate::train::solver::State::default()).map_err(Error::environment)?;
        files.truncate("metrics.csv", 0)?;
        files.truncate("directions.csv", 0)?;
        Ok(Standing {
            step: 0,
            metrics_bytes: 0,
            directions_bytes: 0,
            first_loss: None,
            baseline: None,
            evaluations: 0,
            recorded: false,
        })
    }

    fn record(
        &self,
        files: &Files<'_>,
        measured: &Measured,
        at: &mut Standing,
        last: bool,
        matrices: bool,
    ) -> Result<()> {
        if at.metrics_bytes == 0 {
            let header = csv_line(measured.row.iter().map(|(column, _)| column.clone()));
            at.metrics_bytes += files.append("metrics.csv", &header)?;
            let header = csv_line(COLUMNS.into_iter().map(String::from));
            at.directions_bytes += files.append("directions.csv", &header)?;
        }
        at.metrics_bytes +=
            files.append("metrics.csv", &csv_line(measured.row.iter().map(|(_, cell)| Cell::to_string(cell))))?;
        // The fan is drawn at both ends; in between the columns say enough.
        if at.step == 0 || last {
            let lines: String = measured.directions.iter().map(crate::record::direction::Direction::csv).collect();
            at.directions_bytes += files.append("directions.csv", &lines)?;
        }
        if let Some(baseline) = &measured.baseline {
            at.baseline = Some(baseline.clone());
        }
        if matrices {
            let mut entries = Vec::new();
            for (i, layer) in measured.observation.layers.iter().enumerate() {
                let nfm = layer.weight.transpose() * &layer.weight;
                entries.push(matrix_entry(format!("layers.{i}.nfm"), &nfm));
                entries.extend(layer.agop.as_ref().map(|agop| matrix_entry(format!("layers.{i}.agop"), agop.matrix())));
            }
            let bytes = serialize(&entries).map_err(Error::environment)?;
            files.write(&format!("matrices/step-{:06}.safetensors", at.step), &bytes)?;
        }
        Ok(())
    }

    fn save(
        &self,
        files: &Files<'_>,
        fingerprint: &str,
        network: &dyn AnyNetwork,
        solver: &dyn Solver,
        at: &Standing,
    ) -> Result<()> {
        let state = solver.state();
        let progress = Progress {
            fingerprint: fingerprint.to_string(),
            step: at.step,
            solver_steps: state.steps,
            numbers: state.numbers.clone(),
            slots: state.slots.iter().map(|(name, _)| name.clone()).collect(),
            metrics_bytes: at.metrics_bytes,
            directions_bytes: at.directions_bytes,
            first_loss: at.first_loss,
            baseline: at.baseline.clone(),
            evaluations: at.evaluations,
        };
        let checkpoint = Checkpoint { parameters: network.parameters(), solver: state, progress };
        let folder = files.path("checkpoints");
        checkpoint
            .save(self.store, &folder)
            .map_err(|error| Error::io("cannot write a checkpoint into", &folder, &error))
    }

    fn diverged(&self, files: &Files<'_>, network: &dyn AnyNetwork, step: u64, what: String) -> Result<Status> {
        self.model(files, network)?;
        let status = Status::new(Outcome::Diverged, step, Some(what));
        files.status(&status)?;
        Ok(status)
    }

    /// `model.safetensors`, in PyTorch's layout.
    fn model(&self, files: &Files<'_>, network: &dyn AnyNetwork) -> Result<()> {
        let entries: Vec<_> = network
            .parameters()
            .iter()
            .map(|p| {
                let values = p.value.clone().try_into_vec_as::<f64>().unwrap_or_default();
                (p.name.clone(), p.shape.clone(), values.iter().flat_map(|v| v.to_le_bytes()).collect())
            })
            .collect();
        let bytes = serialize(&entries).map_err(Error::environment)?;
        files.write("model.safetensors", &bytes)
    }

    /// `config.toml`: an experiment of this run alone.
    fn config_file(&self, run: &PlannedRun) -> String {
        let mut table = toml::Table::new();
        table.insert("name".into(), format!("{}--{}", self.experiment, run.id).into());
        table.extend(run.config.table());
        toml::to_string(&table).unwrap_or_default()
    }
}

fn refused_by_host() -> Error {
    Error::input(format!("engine: {}", problem::REFUSAL))
}

fn under(section: &'static str) -> impl Fn(nfa_models::SpecError) -> Error {
    move |error| Error::from(error.under(section))
}

/// What in a probe is not finite, if anything.
fn not_finite(measured: &Measured) -> Option<String> {
    if !measured.train.loss.is_finite() {
        return Some("the loss is not finite".into());
    }
    let finite = |w: &Mat| w.col_iter().all(|col| col.iter().all(|x| x.is_finite()));
    let layer = measured.observation.layers.iter().position(|layer| !finite(&layer.weight))?;
    Some(format!("the weights of layer {layer} are not finite"))
}

/// Why a run with this loss has diverged.
fn rise(loss: f64, usual: f64, untrained: bool) -> String {
    if loss.is_finite() {
        let of = if untrained { "that of no output at all" } else { "its first value" };
        format!("the loss rose to {loss:.3e}, {:.1e} times {of}", loss / usual)
    } else {
        "the loss is not finite".to_string()
    }
}

/// Weights before the step and their gradients, as the recurrence needs them: where every site's
/// weights are one parameter, in order. A site that several parameters read has no such gradient.
fn update_of(before: &Parameters, weights: Vec<Mat>, stretch: &Stretch, decay: f64) -> Option<Update> {
    let matrices = |parameters: &Parameters| -> Vec<Mat> {
        let matrices = parameters.iter().filter(|p| p.shape.len() == 2);
        matrices.map(|p: &Parameter| nfa_metrics::to_host(p.matrix())).collect()
    };
    (matrices(before) == weights).then(|| Update {
        before: weights,
        gradients: matrices(&stretch.gradient),
        lr: stretch.lr,
        decay,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::{Module, Param};
    use burn::tensor::{DType, Tensor, TensorData};
    use nfa_models::{Activation, Mlp, Network, Site};

    /// f(x) = V (Wx ∘ Ux), with a second parameter between those that sites are read by.
    #[derive(Module, Debug)]
    struct Gated {
        w: Param<Tensor<2>>,
        u: Param<Tensor<2>>,
        v: Param<Tensor<2>>,
    }

    impl Network for Gated {
        fn forward(&self, x: Tensor<2>) -> Tensor<2> {
            let gate = x.clone().matmul(self.u.val().transpose());
            (x.matmul(self.w.val().transpose()) * gate).matmul(self.v.val().transpose())
        }

        fn weight(&self, site: Site) -> Option<Tensor<2>> {
            [&self.w, &self.v].get(site.0).map(|weight| weight.val())
        }

        fn sites(&self) -> usize {
            2
        }
    }

    #[test]
    fn a_step_is_told_to_metrics_only_where_sites_are_single_parameters() {
        let tensor = |name: &str, rows: usize, cols: usize| {
            let data = TensorData::new(Stream::root(5).fork(name).normals(rows * cols), [rows, cols]);
            Tensor::<2>::from_data(data, (&Device::flex(), DType::F64))
        };
        let (w, u, v) = (tensor("w", 4, 3), tensor("u", 4, 3), tensor("v", 2, 4));
        let mlp = Mlp::new(vec![w.clone(), v.clone()], vec![None; 2], vec![Activation::Tanh]).expect("chains");
        let gated = Gated { w: Param::from_tensor(w), u: Param::from_tensor(u), v: Param::from_tensor(v) };
        let update = |network: &dyn AnyNetwork| {
            let (_, gradient) = network.gradient(&|net| net.forward(tensor("x", 5, 3)).sum());
            let stretch = Stretch { next: 1, gradient, lr: 0.1, evaluations: 1, note: None };
            update_of(&network.parameters(), weights_of(network), &stretch, 0.0)
        };
        let told = update(&mlp).expect("each site is one parameter");
        assert_eq!(told.before, weights_of(&mlp));
        assert_eq!((told.gradients[1].nrows(), told.gradients[1].ncols()), (2, 4));
        assert!(update(&gated).is_none(), "u is no site's weights");
    }
}
