//! The application: registries in, exit code out.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use clap::{CommandFactory, Parser};
use nfa_metrics::{Law, Laws, Metrics};
use nfa_models::spec::Component;
use nfa_models::{AnyNetwork, Registry};
use serde_json::json;
use toml::Value;

use crate::cli::Options;
use crate::cli::voice::{Color, Voice};
use crate::cli::{Cli, Command, Listed};
use crate::data::source::Source;
use crate::error::{Error, Result};
use crate::experiment::Experiment;
use crate::experiment::arm::Grid;
use crate::experiment::plan::{PlannedRun, plan};
use crate::keys::{parse_value, plain};
use crate::machine::devices::{Backend, Card};
use crate::machine::disk::{Disk, Store};
use crate::machine::progress::{Progress, message};
use crate::machine::threads;
use crate::record::layout::{PlanFile, PlanLine};
use crate::record::status::{Outcome, Status};
use crate::registries::Registries;
use crate::run::Runner;
use crate::run::manifest::Provenance;
use crate::study::Study;
use crate::train::loss::Loss;
use crate::train::solver::Solver;
use nfa_metrics::forecast::{Forecast, REACHED};

/// Experiments that are part of the binary: name, text.
pub const BUILT_IN: [(&str, &str); 1] = [("depth_law", include_str!("../experiments/depth_law.toml"))];

/// Under the table of runs.
const LEGEND: &str = "\nalpha, 1-cos (at 1/L), misfit, verdict: of layer 0; theory: 1/L for linear networks; imbal.: |D(t)|/|D(0)| of the pair\n\
    of layers furthest from its law (1 - lr lambda)^(2t), exp(-2 lambda t) under flow; test: loss, or share of errors (%), held out; met: expectations met";

/// Set by Ctrl-C: runs save their state and stop.
static INTERRUPT: AtomicBool = AtomicBool::new(false);

/// The command line over some registries.
///
/// A user's crate adds its own models, laws, metrics, datasets, losses and solvers and calls
/// [`App::main`]: same commands, same reports, no fork. `examples/custom_model` is one to copy.
pub struct App {
    registries: Registries,
    store: Box<dyn Store>,
}

/// What became of an experiment.
struct Ended {
    folder: PathBuf,
    study: Study,
    unhappy: bool,
}

impl App {
    /// Everything built in, on the real file system.
    pub fn standard() -> Self {
        App { registries: Registries::standard(), store: Box::new(Disk) }
    }

    /// Changes the models.
    #[must_use]
    pub fn models(mut self, f: impl FnOnce(Registry<dyn AnyNetwork>) -> Registry<dyn AnyNetwork>) -> Self {
        self.registries.models = f(self.registries.models);
        self
    }

    /// Changes the datasets.
    #[must_use]
    pub fn data(mut self, f: impl FnOnce(Registry<dyn Source>) -> Registry<dyn Source>) -> Self {
        self.registries.data = f(self.registries.data);
        self
    }

    /// Changes the solvers.
    #[must_use]
    pub fn solvers(mut self, f: impl FnOnce(Registry<dyn Solver>) -> Registry<dyn Solver>) -> Self {
        self.registries.solvers = f(self.registries.solvers);
        self
    }

    /// Changes the losses.
    #[must_use]
    pub fn losses(mut self, f: impl FnOnce(Registry<dyn Loss>) -> Registry<dyn Loss>) -> Self {
        self.registries.losses = f(self.registries.losses);
        self
    }

    /// Changes the laws.
    #[must_use]
    pub fn laws(mut self, f: impl FnOnce(Laws) -> Laws) -> Self {
        self.registries.laws = f(self.registries.laws);
        self
    }

    /// Changes the metrics.
    #[must_use]
    pub fn metrics(mut self, f: impl FnOnce(Metrics) -> Metrics) -> Self {
        self.registries.metrics = f(self.registries.metrics);
        self
    }

    /// Works on another file system.
    #[must_use]
    pub fn store(mut self, store: Box<dyn Store>) -> Self {
        self.store = store;
        self
    }

    /// Reads the process's arguments, does what they say, and says how it went.
    pub fn main(self) -> ExitCode {
        crate::machine::allocator::keep_pages();
        let cli = Cli::parse();
        // A second Ctrl-C does not wait for the step to end.
        let _ = ctrlc::set_handler(|| {
            if INTERRUPT.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
        });
        match self.dispatch(&cli) {
            Ok(code) => ExitCode::from(code),
            Err(error) => {
                complain(&error, cli.voice);
                ExitCode::from(error.exit_code())
            }
        }
    }

    /// Does what a parsed command line says; returns the exit code.
    ///
    /// # Errors
    /// Wrong input, a machine that does not play along, or an interruption.
    pub fn dispatch(&self, cli: &Cli) -> Result<u8> {
        let voice = cli.voice;
        match &cli.command {
            None => {
                let options = Options { out: "out".into(), ..Options::default() };
                self.check(&[PathBuf::from(BUILT_IN[0].0)], None, &options, voice)
            }
            Some(Command::Run(args)) => {
                let ended = self.experiment(&args.spec, None, &args.options, voice)?.flatten();
                if let (Some(ended), false) = (&ended, voice.json) {
                    self.show(ended, voice);
                }
                Ok(u8::from(ended.is_some_and(|ended| ended.unhappy)))
            }
            Some(Command::Check(args)) => self.check(&args.specs, args.claim.as_deref(), &args.options, voice),
            Some(Command::Measure(args)) => {
                let call = crate::measure::command::Call {
                    args,
                    laws: &self.registries.laws,
                    losses: &self.registries.losses,
                    store: self.store.as_ref(),
                };
                for line in call.run(voice.json, colored(voice.color))? {
                    out(line.trim_end());
                }
                Ok(0)
            }
            Some(Command::Bench { what }) => {
                let call = crate::bench::Call {
                    what,
                    registries: &self.registries,
                    store: self.store.as_ref(),
                    interrupt: &INTERRUPT,
                    json: voice.json,
                    quiet: voice.quiet,
                    out: &out,
                };
                call.run()?;
                Ok(0)
            }
            Some(Command::Report { folders }) => {
                for folder in folders {
                    let study = crate::study::read(self.store.as_ref(), folder, &self.registries)?;
                    self.write_report(folder, &study)?;
                    out(&folder.join("report.html").display().to_string());
                }
                Ok(0)
            }
            Some(Command::Explain { kind }) => {
                out(crate::cli::explain::explain(kind, &self.registries)?.trim_end());
                Ok(0)
            }
            Some(Command::Init { model, solver, data }) => {
                out(crate::cli::explain::starter(model, solver, data, &self.registries)?.trim_end());
                Ok(0)
            }
            Some(Command::Completions { shell }) => {
                let mut script = Vec::new();
                clap_complete::generate(*shell, &mut Cli::command(), crate::machine::build::program(), &mut script);
                out(String::from_utf8_lossy(&script).trim_end());
                Ok(0)
            }
            Some(Command::Ls { folder }) => self.ls(folder, voice),
            Some(Command::List { what }) => {
                self.list(*what, voice);
                Ok(0)
            }
        }
    }

    fn check(&self, specs: &[PathBuf], claim: Option<&str>, options: &Options, voice: Voice) -> Result<u8> {
        let mut code = 0;
        let mut found = false;
        for spec in specs {
            let Some(outcome) = self.experiment(spec, claim, options, voice)? else { continue };
            found = true;
            let Some(ended) = outcome else { continue };
            if voice.json {
                for checked in &ended.study.expectations {
                    let mut line = json!({ "schema": "nfa.expectation/1", "experiment": ended.study.name });
                    if let (Some(line), Ok(serde_json::Value::Object(fields))) =
                        (line.as_object_mut(), serde_json::to_value(checked))
                    {
                        line.extend(fields);
                    }
                    out(&line.to_string());
                }
            } else {
                if !ended.study.expectations.is_empty() {
                    out(crate::report::checks_text(&ended.study, colored(voice.color)).trim_end());
                    out("");
                }
                self.show(&ended, voice);
            }
            let missed = ended.study.expectations.iter().any(|checked| !checked.met);
            if ended.unhappy || missed {
                code = 1;
            }
        }
        match claim {
            Some(claim) if !found => Err(Error::input(format!("--claim {claim}: none of the files given has this id"))),
            _ => Ok(code),
        }
    }

    /// The summary on stdout, and where the report is.
    fn show(&self, ended: &Ended, voice: Voice) {
        let width = terminal_width();
        out(crate::report::text(&ended.study, width, colored(voice.color)).trim_end());
        if !voice.quiet {
            out(LEGEND);
        }
        out(&format!("\nreport: {}", ended.folder.join("report.html").display()));
    }

    /// Runs an experiment to its report; `None` where it is not the claim asked for, `Some(None)`
    /// where only its plan was.
    fn experiment(
        &self,
        spec: &Path,
        claim: Option<&str>,
        options: &Options,
        voice: Voice,
    ) -> Result<Option<Option<Ended>>> {
        let (source, origin, base) = self.read_spec(spec)?;
        let (overrides, grid) = overrides(options)?;
        let experiment = Experiment::parse(source, &origin, &base, &overrides, &grid, &self.registries)?;
        if claim.is_some() && claim != experiment.id.as_deref() {
            return Ok(None);
        }
        // What --grid set is the command line's too, when a complaint asks where it came from.
        let typed: Vec<(String, Value)> = grid.iter().map(|(key, _)| (key.clone(), Value::Boolean(true))).collect();
        let runs = plan(&experiment, &[overrides.clone(), typed].concat(), &self.registries)?;
        let chosen = chosen(&experiment, &runs, options)?;
        if options.dry_run {
            self.dry_run(&experiment, &chosen, voice)?;
            return Ok(Some(None));
        }
        let folder = self.folder(&options.out, &experiment.name, options.fresh);
        let statuses = self.execute(&experiment, &runs, &chosen, &folder, options.jobs, voice)?;
        let mut study = crate::study::read(self.store.as_ref(), &folder, &self.registries)?;
        self.write_report(&folder, &study)?;
        if chosen.len() < runs.len() {
            // What was not to be run is not held against what was.
            let asked = |id: &str| chosen.iter().any(|run| run.id == id);
            study.expectations.retain(|checked| asked(&checked.run));
            study.runs.retain(|run| asked(&run.id));
        }
        let unhappy = statuses.iter().any(|status| status.outcome != Outcome::Completed);
        Ok(Some(Some(Ended { folder, study, unhappy })))
    }

    fn read_spec(&self, spec: &Path) -> Result<(String, String, PathBuf)> {
        let name = spec.to_str().unwrap_or("");
        match self.store.read(spec) {
            Ok(bytes) => {
                let text = String::from_utf8(bytes)
                    .map_err(|_| Error::input(format!("{} is not UTF-8 text", spec.display())))?;
                let base = spec.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
                Ok((text, spec.display().to_string(), base.to_path_buf()))
            }
            Err(error) => match BUILT_IN.iter().find(|(built_in, _)| *built_in == name) {
                Some((name, text)) => Ok((text.to_string(), format!("{name} (built in)"), PathBuf::from("."))),
                None => {
                    let known = BUILT_IN.map(|(name, _)| name).join(", ");
                    Err(Error::input(format!(
                        "{}: {error}; give the path of an experiment file, or a built-in name: {known}",
                        spec.display()
                    )))
                }
            },
        }
    }

    /// `out/<name>`, or the first free `out/<name>-2`, `-3`, ... for a fresh start.
    fn folder(&self, out: &Path, name: &str, fresh: bool) -> PathBuf {
        let taken = |folder: &Path| self.store.list(folder).is_ok_and(|entries| !entries.is_empty());
        let first = out.join(name);
        if !fresh || !taken(&first) {
            return first;
        }
        (2u64..).map(|k| out.join(format!("{name}-{k}"))).find(|folder| !taken(folder)).unwrap_or(first)
    }

    /// The plan, and for linear networks when they will have come to the ansatz.
    fn dry_run(&self, experiment: &Experiment, runs: &[&PlannedRun], voice: Voice) -> Result<()> {
        if !voice.json {
            let steps: u64 = runs.iter().map(|run| run.config.course.steps()).sum();
            let takes = experiment.takes.as_ref().map_or(String::new(), |takes| format!(" (the whole takes {takes})"));
            out(&format!("{}: {} runs, {steps} steps{takes}", experiment.name, runs.len()));
        }
        let provenance = Provenance::collect();
        let runner = self.runner(experiment, Path::new(""), &provenance, &|_| ());
        for run in runs {
            let steps = run.config.course.steps();
            let forecast = runner.forecast(run).map_err(|error| error.context(&experiment.origin))?;
            if voice.json {
                let step = match forecast {
                    Some(Forecast::Always) => Some(0.0),
                    Some(Forecast::Step(step)) => Some(step.round()),
                    Some(Forecast::Never) | None => None,
                };
                let config = run.config.table();
                line("nfa.plan/1", &json!({ "run": run.id, "steps": steps, "forecast": step, "config": config }));
                continue;
            }
            let outlook = match forecast {
                None => String::new(),
                Some(Forecast::Always) => "; balanced from the start".into(),
                Some(Forecast::Never) => "; unbalanced, and nothing changes that".into(),
                Some(Forecast::Step(step)) => format!(
                    "; cosine beyond {} at about step {step:.0}{}",
                    1.0 - REACHED,
                    if step > steps as f64 { ", after the end" } else { "" }
                ),
            };
            let probes = run.config.probe.at.steps(steps).len();
            out(&format!("  {}  {steps} steps, {probes} probes{outlook}", run.id));
            if voice.verbose {
                out(&toml::to_string(&run.config.table()).unwrap_or_default());
            }
        }
        Ok(())
    }

    fn runner<'a>(
        &'a self,
        experiment: &'a Experiment,
        folder: &'a Path,
        provenance: &'a Provenance,
        warn: &'a (dyn Fn(&str) + Sync),
    ) -> Runner<'a> {
        Runner {
            registries: &self.registries,
            store: self.store.as_ref(),
            folder,
            experiment: &experiment.name,
            base: &experiment.base,
            interrupt: &INTERRUPT,
            provenance,
            progress: &|_, _| (),
            warn,
        }
    }

    /// Runs what is `chosen` of a plan, several at a time; statuses in order.
    fn execute(
        &self,
        experiment: &Experiment,
        plan: &[PlannedRun],
        chosen: &[&PlannedRun],
        folder: &Path,
        jobs: usize,
        voice: Voice,
    ) -> Result<Vec<Status>> {
        let progress = Progress::new(chosen.iter().map(|run| run.config.course.steps()).sum(), voice.quiet);
        let provenance = Provenance::collect();
        let warn = |line: &str| progress.warn(line);
        let runner = self.runner(experiment, folder, &provenance, &warn);
        // Whatever the data can refuse is refused before anything is written.
        runner.preflight(chosen).map_err(|error| error.context(&experiment.origin))?;
        self.write_plan(experiment, plan, folder)?;
        let done = AtomicU64::new(0);
        let stop = AtomicBool::new(false);
        let lines = InOrder::default();
        let work = |index: usize| -> Result<Option<Status>> {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let run = chosen[index];
            let name = format!("run {}/{}  {}", index + 1, chosen.len(), run.id);
            if voice.verbose {
                progress.say(&name);
            }
            let reached = AtomicU64::new(0);
            let tell = |step: u64, loss: f64| {
                let before = reached.swap(step, Ordering::Relaxed);
                let all = done.fetch_add(step.saturating_sub(before), Ordering::Relaxed) + step.saturating_sub(before);
                let loss = if loss.is_finite() { format!("  loss {loss:.3e}") } else { String::new() };
                progress.at(all, &format!("{name}  step {step}{loss}"));
            };
            let status = self
                .one(&Runner { progress: &tell, ..runner }, run, &progress)
                .inspect_err(|_| stop.store(true, Ordering::Relaxed))?;
            tell(run.config.course.steps(), f64::NAN);
            if voice.json {
                let directory = folder.join("runs").join(&run.id);
                let line = json!({
                    "schema": "nfa.run/1", "run": run.id, "outcome": status.outcome, "step": status.step,
                    "directory": directory.display().to_string(),
                });
                lines.push(index, line.to_string());
            }
            Ok(Some(status))
        };
        let statuses: Result<Vec<Option<Status>>> = threads::run(jobs, chosen.len(), work).into_iter().collect();
        progress.finish();
        Ok(statuses?.into_iter().flatten().collect())
    }

    /// One run: what its own input makes impossible is an outcome, everything else an error.
    fn one(&self, runner: &Runner<'_>, run: &PlannedRun, progress: &Progress) -> Result<Status> {
        let status = match runner.run(run) {
            Ok(status) => status,
            Err(error) if error.is_input() => {
                progress.warn(&format!("run {} failed: {error}", run.id));
                Status::new(Outcome::Failed, 0, Some(error.to_string()))
            }
            Err(error) if error.is_interrupted() => {
                return Err(Error::interrupted(format!("{error}; the same command continues it")));
            }
            Err(error) => return Err(error),
        };
        if status.outcome == Outcome::Diverged {
            let why = status.reason.as_deref().unwrap_or("");
            progress.warn(&format!("run {} diverged at step {}: {why}", run.id, status.step));
        }
        Ok(status)
    }

    fn write(&self, path: &Path, text: &str) -> Result<()> {
        self.store.write(path, text.as_bytes()).map_err(|error| Error::io("cannot write", path, &error))
    }

    fn create(&self, folder: &Path) -> Result<()> {
        self.store.create_dir(folder).map_err(|error| Error::io("cannot create", folder, &error))
    }

    fn write_plan(&self, experiment: &Experiment, runs: &[PlannedRun], folder: &Path) -> Result<()> {
        self.create(folder)?;
        self.write(&folder.join("experiment.toml"), &experiment.as_run)?;
        let lines = runs
            .iter()
            .map(|run| PlanLine { id: run.id.clone(), keys: keys(run), steps: run.config.course.steps() })
            .collect();
        let plan = serde_json::to_string_pretty(&PlanFile { runs: lines }).unwrap_or_default();
        self.write(&folder.join("plan.json"), &(plan + "\n"))
    }

    fn write_report(&self, folder: &Path, study: &Study) -> Result<()> {
        self.write(&folder.join("summary.csv"), &study.summary())?;
        if let Some(seeds) = crate::study::seeds::csv(study) {
            self.write(&folder.join("seeds.csv"), &seeds)?;
        }
        let checked = serde_json::to_string_pretty(&study.expectations).unwrap_or_default();
        self.write(&folder.join("expectations.json"), &(checked + "\n"))?;
        let plots = folder.join("plots");
        self.create(&plots)?;
        for (name, svg) in crate::report::figures(study) {
            self.write(&plots.join(name), &svg)?;
        }
        self.write(&folder.join("report.html"), &crate::report::html(study))
    }

    fn ls(&self, folder: &Path, voice: Voice) -> Result<u8> {
        let is_experiment = |folder: &Path| self.store.read(&folder.join("plan.json")).is_ok();
        let folders: Vec<PathBuf> = if is_experiment(folder) {
            vec![folder.to_path_buf()]
        } else {
            let entries = self
                .store
                .list(folder)
                .map_err(|error| Error::input(format!("{}: {error}; give an experiment's folder", folder.display())))?;
            // One level deeper too: `--out out/seeds` leaves out/seeds/<name>.
            let below = |entry: PathBuf| match is_experiment(&entry) {
                true => vec![entry],
                false => self.store.list(&entry).unwrap_or_default().into_iter().filter(|e| is_experiment(e)).collect(),
            };
            entries.into_iter().flat_map(below).collect()
        };
        if folders.is_empty() {
            return Err(Error::input(format!("{}: no experiment here (a folder with a plan.json)", folder.display())));
        }
        for folder in folders {
            let study = crate::study::read(self.store.as_ref(), &folder, &self.registries)?;
            if voice.json {
                for run in &study.runs {
                    let keys: serde_json::Map<String, serde_json::Value> =
                        run.keys.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
                    out(&json!({
                        "schema": "nfa.run/1", "experiment": study.name, "run": run.id, "keys": keys,
                        "outcome": run.outcome, "step": run.step, "reason": run.reason,
                        "directory": folder.join("runs").join(&run.id).display().to_string(),
                    })
                    .to_string());
                }
                continue;
            }
            let met = study.expectations.iter().filter(|checked| checked.met).count();
            out(&format!(
                "{}  {} runs  {met}/{} expectations met",
                folder.display(),
                study.runs.len(),
                study.expectations.len()
            ));
            let width = study.runs.iter().map(|run| run.id.len()).max().unwrap_or(0);
            for run in &study.runs {
                let reason = run.reason.as_deref().map_or(String::new(), |reason| format!("  {reason}"));
                out(&format!("  {:width$}  {:11}  step {}{reason}", run.id, run.outcome, run.step));
            }
        }
        Ok(0)
    }

    fn list(&self, what: Listed, voice: Voice) {
        match what {
            Listed::Models => entries("model", &self.registries.models, voice),
            Listed::Solvers => entries("solver", &self.registries.solvers, voice),
            Listed::Data => entries("data", &self.registries.data, voice),
            Listed::Losses => entries("loss", &self.registries.losses, voice),
            Listed::Laws => {
                for law in self.registries.laws.rows() {
                    law_line(law, voice);
                }
            }
            Listed::Metrics => {
                let metrics = self.registries.metrics.rows().iter().flat_map(|metric| (metric.info)());
                let laws = self.registries.laws.rows().iter().flat_map(nfa_metrics::laws::quantity::law_columns);
                for info in metrics.chain(laws) {
                    if voice.json {
                        line("nfa.metric/1", &info);
                    } else {
                        out(&format!("{:44} {}", info.name, info.doc));
                    }
                }
            }
            Listed::Devices => {
                for backend in crate::machine::devices::BACKENDS {
                    let cards = backend.cards();
                    if voice.json {
                        line("nfa.device/1", &Found { backend, cards });
                        continue;
                    }
                    let way = match (backend.compiled, cards.is_empty()) {
                        (true, false) => "compiled in".to_string(),
                        (true, true) => "compiled in; no card found".to_string(),
                        (false, _) => crate::machine::devices::build_with(backend.name),
                    };
                    let dtypes = if backend.f64 { "f32 f64" } else { "f32" };
                    out(&format!("{:8} {dtypes:8} {}  ({way})", backend.name, backend.doc));
                    for card in &cards {
                        if let Some(name) = &card.name {
                            out(&format!("{:17} {:9} {name}", "", card.device));
                        }
                    }
                }
            }
            Listed::Experiments => {
                for (name, text) in BUILT_IN {
                    let claim =
                        text.parse::<toml::Table>().ok().and_then(|t| Some(t.get("claim")?.as_str()?.to_string()));
                    if voice.json {
                        line("nfa.experiment/1", &json!({ "name": name, "claim": claim }));
                    } else {
                        out(&format!("{name:12} {}", claim.unwrap_or_default()));
                    }
                }
            }
        }
    }
}

/// Lines of results that may be ready in any order and are printed in theirs.
#[derive(Default)]
struct InOrder {
    waiting: Mutex<(usize, BTreeMap<usize, String>)>,
}

impl InOrder {
    fn push(&self, index: usize, line: String) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, lines) = &mut *waiting;
        lines.insert(index, line);
        while let Some(line) = lines.remove(next) {
            out(&line);
            *next += 1;
        }
    }
}

fn keys(run: &PlannedRun) -> Vec<(String, String)> {
    run.keys.iter().map(|(key, value)| (key.clone(), plain(value))).collect()
}

fn entries<T: ?Sized + Component>(schema: &str, registry: &Registry<T>, voice: Voice) {
    for entry in registry.entries() {
        if voice.json {
            let fields =
                json!({ "kind": entry.kind, "doc": entry.doc, "reference": entry.reference, "example": entry.example });
            line(&format!("nfa.{schema}/1"), &fields);
        } else {
            out(&format!("{:16} {}", entry.kind, entry.doc));
        }
    }
}

fn law_line(law: &Law, voice: Voice) {
    if voice.json {
        let fields = json!({
            "name": law.name, "left": law.left, "right": law.right, "family": law.family.name(),
            "doc": law.doc, "reference": law.reference,
        });
        line("nfa.law/1", &fields);
    } else {
        out(&format!("{:16} {} ~ {}: {}", law.name, law.left, law.right, law.doc));
    }
}

/// A backend and what it finds.
#[derive(serde::Serialize)]
struct Found {
    #[serde(flatten)]
    backend: Backend,
    cards: Vec<Card>,
}

/// One JSON object with its schema in front.
fn line(schema: &str, fields: &impl serde::Serialize) {
    let mut object = serde_json::Map::new();
    object.insert("schema".into(), schema.into());
    if let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(fields) {
        object.extend(fields);
    }
    out(&serde_json::Value::Object(object).to_string());
}

/// `--set` and its kin as (dotted key, value), and `--grid` as axes.
fn overrides(options: &Options) -> Result<(Vec<(String, Value)>, Grid)> {
    let mut set = Vec::new();
    for text in &options.set {
        let (key, value) = text
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| Error::input(format!("--set {text}: write key=value, as in --set solver.lr=0.1")))?;
        set.push((key.to_string(), parse_value(value)));
    }
    if let Some(seed) = options.seed {
        let seed = i64::try_from(seed).map_err(|_| Error::input(format!("--seed {seed}: at most {}", i64::MAX)))?;
        set.push(("seed".into(), Value::Integer(seed)));
    }
    if let Some(device) = &options.device {
        set.push(("device".into(), Value::String(device.clone())));
    }
    if let Some(dtype) = options.dtype {
        set.push(("dtype".into(), Value::String(dtype.name().into())));
    }
    if let Some(engine) = options.engine {
        set.push(("engine".into(), Value::String(engine.name().into())));
    }
    let mut grid = Grid::new();
    for text in &options.grid {
        let axis = text.split_once('=').filter(|(key, values)| !key.is_empty() && !values.is_empty());
        let (key, values) =
            axis.ok_or_else(|| Error::input(format!("--grid {text}: write key=v1,v2, as in --grid seed=0,1,2")))?;
        // As a TOML list where it is one, else the words between the commas.
        let values = match parse_value(&format!("[{values}]")) {
            Value::Array(list) => list,
            _ => values.split(',').map(parse_value).collect(),
        };
        grid.push((key.to_string(), values));
    }
    Ok((set, grid))
}

/// The runs that the command line asks for: the reduced ones, or a shard, or a shard of those.
fn chosen<'a>(experiment: &Experiment, plan: &'a [PlannedRun], options: &Options) -> Result<Vec<&'a PlannedRun>> {
    let mut runs: Vec<&PlannedRun> = plan.iter().collect();
    if options.reduced {
        // A file that names none is short as it is.
        let scope = experiment.reduced.clone().unwrap_or_default();
        runs.retain(|run| scope.holds(run.arm(), &run.config.table()));
        if runs.is_empty() {
            return Err(Error::input(format!("{}: [reduced] names no run of the plan", experiment.origin)));
        }
    }
    Ok(match options.shard {
        Some((index, of)) => threads::shard(runs.len(), index, of).map(|i| runs[i]).collect(),
        None => runs,
    })
}

fn colored(color: Color) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
    }
}

fn terminal_width() -> usize {
    std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).unwrap_or(110)
}

/// A line of results. A reader that has seen enough (`| head`) ends the process in peace.
fn out(line: &str) {
    let mut stdout = std::io::stdout().lock();
    if let Err(error) = writeln!(stdout, "{line}") {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        message(&format!("error: cannot write to stdout: {error}"));
        std::process::exit(3);
    }
}

fn complain(error: &Error, voice: Voice) {
    if voice.json {
        let fields = json!({ "schema": "nfa.error/1", "code": error.exit_code(), "message": error.to_string() });
        message(&fields.to_string());
    } else {
        message(&format!("error: {error}"));
    }
}
