//! Training steps by every engine: one line of [`ENGINES`] each.

use std::sync::{Mutex, PoisonError};

use burn::tensor::Device;
use nfa_models::place::is_on_host;
use nfa_models::{AnyNetwork, Registry};

use crate::bench::args::{Common, TrainArgs};
use crate::bench::memory::Peak;
use crate::bench::problem::{Drawn, Problem, TRAIN};
use crate::bench::row::{Row, finite};
use crate::bench::saved::Saved;
use crate::bench::{Bench, clock, work};
use crate::data::split::Split;
use crate::error::{Error, Result};
use crate::machine::devices::{self, Dtype};
use crate::machine::threads;
use crate::train::loss::Loss;
use crate::train::objective::Training as Objective;
use crate::train::problem::{Problem as OnHost, REFUSAL};
use crate::train::rate::Rate;
use crate::train::solver::Solver;
use crate::train::solvers;

/// Something that trains.
pub trait Steps: Send {
    /// Does so many steps, waits for the device, and says how many gradients that took.
    ///
    /// # Errors
    /// Where there is no next step.
    fn advance(&mut self, steps: u64) -> Result<u64>;

    /// All parameters, in the network's order.
    ///
    /// # Errors
    /// Where the device does not hand them out.
    fn parameters(&self) -> Result<Vec<f64>>;
}

/// What an engine starts from.
pub struct Start<'a> {
    /// Its numbers.
    pub drawn: &'a Drawn,
    /// Targets, `[n, c]` row-major.
    pub targets: &'a [f64],
    /// Where.
    pub device: &'a Device,
    /// In what.
    pub dtype: Dtype,
    /// Builds the solver and the loss.
    pub plan: &'a Plan<'a>,
}

/// A way to train.
pub struct Engine {
    /// Its name in tables.
    pub name: &'static str,
    /// What its rows call the device, where that isn't the one that was asked for.
    pub device: Option<&'static str>,
    /// Whether it trains this.
    pub takes: fn(&Plan<'_>, &Device) -> bool,
    /// Sets it up.
    pub start: fn(&Start<'_>) -> Result<Box<dyn Steps>>,
}

/// Every engine, one line each; the first referees.
pub const ENGINES: [Engine; 2] = [
    Engine { name: "autodiff", device: None, takes: |_, _| true, start: autodiff },
    Engine { name: "host", device: Some("host"), takes: on_host, start: host },
];

/// The engine that runs take.
fn automatic(plan: &Plan<'_>, device: &Device) -> &'static str {
    if on_host(plan, device) { "host" } else { "autodiff" }
}

fn on_host(plan: &Plan<'_>, device: &Device) -> bool {
    is_on_host(device) && plan.solver(None).is_ok_and(|solver| solver.has_host_form())
}

/// A network under a solver of runs.
struct Training {
    network: Box<dyn AnyNetwork>,
    solver: Box<dyn Solver>,
    loss: Box<dyn Loss>,
    split: Split,
    device: Device,
    step: u64,
}

fn autodiff(start: &Start<'_>) -> Result<Box<dyn Steps>> {
    training(start, false)
}

/// The same on [`crate::train::host`].
fn host(start: &Start<'_>) -> Result<Box<dyn Steps>> {
    training(start, true)
}

fn training(start: &Start<'_>, on_host: bool) -> Result<Box<dyn Steps>> {
    let dtype = start.dtype.burn();
    let network: Box<dyn AnyNetwork> = Box::new(start.drawn.network(start.device, dtype)?);
    let (loss, split) = (start.plan.loss()?, start.drawn.split(start.targets, start.device, dtype));
    let objective = Objective::of_all_rows(&split, loss.as_ref());
    let problem = on_host.then(|| OnHost::new(network.as_ref(), &objective));
    let solver = start.plan.solver(problem.flatten())?;
    if on_host && solver.engine() != "host" {
        return Err(Error::input(format!("--engine host: {REFUSAL}")));
    }
    Ok(Box::new(Training { network, solver, loss, split, device: start.device.clone(), step: 0 }))
}

impl Steps for Training {
    fn advance(&mut self, steps: u64) -> Result<u64> {
        // Runs of linear networks read a triangle instead of the rows; a rate of steps over n rows
        // that read fewer would compare with nobody's.
        let objective = Objective::of_all_rows(&self.split, self.loss.as_ref());
        let range = self.step..self.step + steps;
        let stretch = self.solver.advance(self.network.as_mut(), &objective, range, &mut |_, _| true);
        let stretch = stretch.map_err(|(step, error)| Error::environment(format!("training step {step}: {error}")))?;
        self.step = stretch.next;
        self.device.sync().map_err(|error| Error::environment(format!("the device stopped: {error}")))?;
        Ok(stretch.evaluations)
    }

    fn parameters(&self) -> Result<Vec<f64>> {
        let mut all = Vec::new();
        for parameter in self.network.parameters().iter() {
            let values = parameter.value.clone().try_into_vec_as::<f64>();
            all.extend(values.map_err(|error| Error::environment(format!("{}: {error}", parameter.name)))?);
        }
        Ok(all)
    }
}

/// A repeat lasts at least so many seconds.
const BLOCK: f64 = 0.2;
/// Errors are those of the parameters after so many steps.
pub const CHECKED: u64 = 10;
/// More multiply-adds than this are too many for a reference.
const AFFORDABLE: f64 = 1.5e11;

/// What is timed.
pub struct Plan<'a> {
    /// The network and its rows.
    pub problem: Problem,
    /// The solver's table.
    solver: toml::Table,
    lr: f64,
    /// The loss's kind.
    loss: String,
    /// `all`, `auto` or an engine's name.
    engine: &'a str,
    runs: u64,
    jobs: u64,
    solvers: &'a Registry<dyn Solver>,
    losses: &'a Registry<dyn Loss>,
    /// Devices, dtypes and repeats.
    pub common: &'a Common,
}

impl<'a> Plan<'a> {
    /// A standard problem with gradient descent on the mean squared error.
    pub fn standard(problem: Problem, session: &'a Bench<'_>, common: &'a Common) -> Self {
        Plan {
            problem,
            solver: toml::Table::from_iter([("kind".to_string(), "gd".into())]),
            lr: 0.01,
            loss: "mse".into(),
            engine: "all",
            runs: 1,
            jobs: 1,
            solvers: &session.registries().solvers,
            losses: &session.registries().losses,
            common,
        }
    }

    /// What the command line asks for.
    ///
    /// # Errors
    /// Unknown problems, solvers, losses and engines.
    pub fn read(args: &'a TrainArgs, session: &'a Bench<'_>) -> Result<Self> {
        let problem = Problem::read(&args.problem, &TRAIN, 500)?;
        let mut plan = Plan::standard(problem, session, &args.common);
        plan.solver.insert("kind".into(), args.solver.clone().into());
        if let Some(decay) = args.weight_decay {
            plan.solver.insert("weight_decay".into(), decay.into());
        }
        (plan.lr, plan.loss, plan.engine) = (args.lr, args.loss.clone(), &args.engine);
        (plan.runs, plan.jobs) = (args.runs, args.jobs);
        if plan.jobs > plan.runs {
            let message = format!("--jobs {}: there are {} --runs to share among them", plan.jobs, plan.runs);
            return Err(Error::input(message));
        }
        let known = || ["all", "auto"].into_iter().chain(ENGINES.iter().map(|engine| engine.name));
        if !known().any(|word| word == plan.engine) {
            let known = known().collect::<Vec<_>>().join(", ");
            return Err(Error::input(format!("--engine {}: known are {known}", plan.engine)));
        }
        if !(plan.lr.is_finite() && plan.lr > 0.0) {
            return Err(Error::input(format!("--lr {}: must be positive and finite", plan.lr)));
        }
        plan.solver(None)?;
        plan.loss()?;
        Ok(plan)
    }

    /// The solver at its start.
    ///
    /// # Errors
    /// Unknown kinds and values.
    pub fn solver(&self, problem: Option<OnHost<'_>>) -> Result<Box<dyn Solver>> {
        let built = solvers::build(self.solvers, self.solver.clone(), &Rate::Constant(self.lr), problem);
        built.map_err(|error| Error::input(format!("--solver {}: {error}", self.kind())))
    }

    /// The loss.
    ///
    /// # Errors
    /// Unknown kinds.
    pub fn loss(&self) -> Result<Box<dyn Loss>> {
        let table = toml::Table::from_iter([("kind".to_string(), self.loss.clone().into())]);
        self.losses.build(table, &()).map_err(|error| Error::input(format!("--loss {}: {error}", self.loss)))
    }

    fn kind(&self) -> &str {
        self.solver.get("kind").and_then(toml::Value::as_str).unwrap_or("")
    }

    /// The engines that run.
    ///
    /// # Errors
    /// One that was named and does not take this.
    fn engines(&self, device: &Device) -> Result<Vec<&'static Engine>> {
        let chosen = |engine: &&Engine| match self.engine {
            "all" => true,
            "auto" => engine.name == automatic(self, device),
            name => engine.name == name,
        };
        let found: Vec<_> = ENGINES.iter().filter(|engine| chosen(engine) && (engine.takes)(self, device)).collect();
        match found.is_empty() {
            true => Err(Error::input(format!("--engine {}: {}", self.engine, REFUSAL))),
            false => Ok(found),
        }
    }

    /// Whether all runs together find room.
    ///
    /// # Errors
    /// Where they don't.
    fn check_size(&self, session: &Bench<'_>) -> Result<()> {
        let widths = &self.problem.widths;
        let parameters: usize = widths.windows(2).map(|pair| pair[0] * pair[1]).sum();
        // Values, gradients, memories and transposes; rows as drawn, as tensors and on their way through.
        let each = 6 * parameters + self.problem.samples * (3 * widths[0] + 3 * widths.iter().sum::<usize>());
        session.fits(8.0 * each as f64 * self.runs as f64, "fewer --runs, fewer --samples or smaller --widths")
    }

    fn targets(&self, drawn: &Drawn) -> Vec<f64> {
        // Classes where the loss reads probabilities: they add up to 1.
        self.problem.targets(&drawn.inputs, self.loss == "cross_entropy")
    }

    /// Every run of the grid at its start, each behind a lock of its own.
    fn replicas(&self, session: &Bench<'_>, engine: &Engine, device: &Device, dtype: Dtype) -> Result<Vec<Replica>> {
        let replica = |run: u64| {
            session.goes_on()?;
            let drawn = self.problem.draw(run);
            let targets = self.targets(&drawn);
            let start = Start { drawn: &drawn, targets: &targets, device, dtype, plan: self };
            Ok(Mutex::new((engine.start)(&start)?))
        };
        (0..self.runs).map(replica).collect()
    }

    /// So many steps of every run; returns gradients.
    fn advance(&self, replicas: &[Replica], steps: u64) -> Result<u64> {
        let one = |run: usize| replicas[run].lock().unwrap_or_else(PoisonError::into_inner).advance(steps);
        threads::run(self.jobs as usize, replicas.len(), one).into_iter().sum()
    }
}

type Replica = Mutex<Box<dyn Steps>>;

/// Times what a plan says; one row per device, dtype and engine.
///
/// # Errors
/// Devices that are not there; training that can't go on; an interruption.
pub fn run(session: &Bench<'_>, plan: &Plan<'_>) -> Result<()> {
    let places = session.places(plan.common, &[Dtype::F32])?;
    let problem = &plan.problem;
    let title = format!("training {}", problem.title());
    plan.check_size(session)?;
    let mut opened = Vec::new();
    for (name, dtype) in places {
        let device = devices::open(&name, dtype)?;
        let engines = plan.engines(&device)?;
        opened.push((name, dtype, device, engines));
    }
    let rows: usize = opened.iter().map(|(.., engines)| engines.len()).sum();
    session.begin(rows as u64 * (plan.common.repeats + 1), &title);
    let reference = reference(plan)?;
    let mut done: Vec<(&str, Dtype)> = Vec::new();
    for (name, dtype, device, engines) in opened {
        for engine in engines {
            if engine.device.is_some_and(|own| done.contains(&(own, dtype))) {
                continue;
            }
            done.extend(engine.device.map(|own| (own, dtype)));
            let label = format!("{title} {name} {} {}", dtype.name(), engine.name);
            let peak = session.peak(&name, &device, dtype)?;
            let memory = Peak::start(session.store());
            let replicas = plan.replicas(session, engine, &device, dtype)?;
            let (mut gradients, mut steps) = (0, 0);
            let mut work = |count: u64| {
                gradients += plan.advance(&replicas, count)?;
                steps += count * plan.runs;
                Ok(())
            };
            let times = clock::time(&mut work, BLOCK, plan.common.repeats, &|| session.pulse(&label))?.per(plan.runs);
            let each = gradients as f64 / steps as f64 * work::gradient(&problem.widths, problem.samples);
            let mut row = Row::of("train", problem);
            row.device = engine.device.unwrap_or(&name).to_string();
            (row.engine, row.dtype, row.auto) =
                (Some(engine.name), dtype.name(), engine.name == automatic(plan, &device));
            row.timed(&times, 1.0, Some(each), Some(peak));
            row.peak_memory_bytes = memory.and_then(|peak| peak.bytes());
            // Nothing is held against itself.
            let itself = dtype == Dtype::F64 && name == "flex" && engine.name == ENGINES[0].name;
            if let (Some(exact), false) = (&reference, itself) {
                row.max_relative_error = difference(&after(plan, engine, &device, dtype)?, exact);
                if row.max_relative_error.is_none() {
                    session.say(&format!(
                        "note: after {CHECKED} steps the weights are no numbers: training diverged, and steps over NaNs \
                         were timed; --lr {} is too large",
                        plan.lr
                    ));
                }
            }
            row.note("solver", plan.kind());
            row.note("loss", plan.loss.as_str());
            row.note("lr", plan.lr);
            row.note("weight_decay", plan.solver(None)?.decay().weight_decay);
            row.note("runs", plan.runs);
            row.note("jobs", plan.jobs);
            session.emit(row);
        }
    }
    Ok(())
}

/// The parameters after [`CHECKED`] steps.
fn after(plan: &Plan<'_>, engine: &Engine, device: &Device, dtype: Dtype) -> Result<Vec<f64>> {
    let drawn = plan.problem.draw(0);
    let targets = plan.targets(&drawn);
    let mut steps = (engine.start)(&Start { drawn: &drawn, targets: &targets, device, dtype, plan })?;
    steps.advance(CHECKED)?;
    steps.parameters()
}

/// The same in f64 on the CPU; `None` where that is too slow or has no device.
fn reference(plan: &Plan<'_>) -> Result<Option<Vec<f64>>> {
    let cost = CHECKED as f64 * work::gradient(&plan.problem.widths, plan.problem.samples);
    match devices::open("flex", Dtype::F64) {
        Ok(device) if cost <= AFFORDABLE => after(plan, &ENGINES[0], &device, Dtype::F64).map(Some),
        _ => Ok(None),
    }
}

fn difference(got: &[f64], exact: &[f64]) -> Option<f64> {
    let largest = exact.iter().fold(0.0f64, |most, value| most.max(value.abs()));
    let worst = got.iter().zip(exact).try_fold(0.0f64, |most, (a, b)| Some(most.max(finite((a - b).abs())?)));
    finite(worst? / largest)
}

/// Sets one engine up, then times a repeat for every line that comes.
///
/// # Errors
/// More than one thing to time; training that can't go on; input that ends is no error.
pub fn on_demand(session: &Bench<'_>, plan: &Plan<'_>) -> Result<()> {
    let (name, dtype) = session.one_place(plan.common, Dtype::F32)?;
    let device = devices::open(&name, dtype)?;
    plan.check_size(session)?;
    let engines = plan.engines(&device)?;
    let [engine] = engines.as_slice() else {
        return Err(Error::input("--on-demand times one engine: give --engine auto, or one by name"));
    };
    let replicas = plan.replicas(session, engine, &device, dtype)?;
    // In blocks, so that a second is a second of steps: per step of the grid.
    let runs = plan.runs as f64;
    let mut work = |count: u64| plan.advance(&replicas, count).map(drop);
    session.serve_scaled(engine.name, engine.name == automatic(plan, &device), &mut work, BLOCK, 1.0 / runs)
}

/// Weights, rows, targets, and the parameters after some steps as a file.
///
/// # Errors
/// A file that can't be written.
pub fn save(session: &Bench<'_>, plan: &Plan<'_>, path: &std::path::Path) -> Result<()> {
    let problem = &plan.problem;
    let drawn = problem.draw(0);
    let mut saved = Saved::of(problem, &drawn);
    let targets = plan.targets(&drawn);
    saved.exact("y", vec![problem.samples, problem.widths[problem.depth()]], &targets);
    for (word, text) in [
        ("solver", plan.kind().to_string()),
        ("loss", plan.loss.clone()),
        ("lr", plan.lr.to_string()),
        ("weight_decay", plan.solver(None)?.decay().weight_decay.to_string()),
        ("steps", CHECKED.to_string()),
    ] {
        saved.say(word, text);
    }
    let after = after(plan, &ENGINES[0], &devices::open("flex", Dtype::F64)?, Dtype::F64)?;
    saved.result("parameters_after_steps", vec![after.len()], after);
    saved.write(session.store(), path)
}
