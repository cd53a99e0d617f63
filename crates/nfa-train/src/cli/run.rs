//! `run` and `check`: an experiment to its report.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::json;
use toml::Value;

use crate::cli::options::{Options, chosen};
use crate::cli::session::Session;
use crate::cli::voice::{InOrder, out, out_json, terminal_width};
use crate::cli::{CheckArgs, RunArgs};
use crate::error::{Error, Result};
use crate::experiment::Experiment;
use crate::experiment::built_in::BUILT_IN;
use crate::experiment::plan::{PlannedRun, plan};
use crate::keys::plain;
use crate::machine::message::message;
use crate::machine::progress::Progress;
use crate::machine::threads;
use crate::record::layout::{PlanFile, PlanLine};
use crate::record::status::{Outcome, Status};
use crate::run::Runner;
use crate::run::manifest::Provenance;
use crate::study::Study;

/// Under the table of runs.
const LEGEND: &str = "\nalpha, 1-cos (at 1/L), misfit, verdict: of layer 0; theory: 1/L for linear networks; imbal.: |D(t)|/|D(0)| of the pair\n\
    of layers furthest from its law (1 - lr lambda)^(2t), exp(-2 lambda t) under flow; test: loss, or share of errors (%), held out; met: expectations met";

/// What became of an experiment.
enum Ended {
    /// It is not the claim that was asked for.
    Passed,
    /// Its plan was printed.
    Planned,
    /// Its runs were run.
    Ran(Box<Ran>),
}

struct Ran {
    folder: PathBuf,
    study: Study,
    unhappy: bool,
}

/// `run`; returns the exit code.
pub(crate) fn run(session: &Session<'_>, args: &RunArgs) -> Result<u8> {
    let Ended::Ran(ran) = experiment(session, &args.spec, None, &args.options)? else { return Ok(0) };
    if !session.voice.json {
        show(session, &ran);
    }
    Ok(u8::from(ran.unhappy))
}

/// `check`; returns the exit code.
pub(crate) fn check(session: &Session<'_>, args: &CheckArgs) -> Result<u8> {
    let mut code = 0;
    let mut found = false;
    for spec in &args.specs {
        let ended = experiment(session, spec, args.claim.as_deref(), &args.options)?;
        found |= !matches!(ended, Ended::Passed);
        let Ended::Ran(ran) = ended else { continue };
        let expectations = &ran.study.expectations;
        if session.voice.json {
            for checked in expectations {
                let mut fields = json!({ "experiment": ran.study.name });
                if let (Some(fields), Ok(serde_json::Value::Object(more))) =
                    (fields.as_object_mut(), serde_json::to_value(checked))
                {
                    fields.extend(more);
                }
                out_json("nfa.expectation/1", &fields);
            }
        } else {
            if !expectations.is_empty() {
                out(crate::report::checks_text(&ran.study, session.voice.colored()).trim_end());
                out("");
            }
            show(session, &ran);
        }
        if ran.unhappy || expectations.iter().any(|checked| !checked.met) {
            code = 1;
        }
    }
    match &args.claim {
        Some(claim) if !found => Err(Error::input(format!("--claim {claim}: none of the files given has this id"))),
        _ => Ok(code),
    }
}

/// What is done without a command: checks the built-in experiment.
pub(crate) fn flagship(session: &Session<'_>) -> Result<u8> {
    let options = Options { out: "out".into(), ..Options::default() };
    check(session, &CheckArgs { specs: vec![BUILT_IN[0].0.into()], claim: None, options })
}

/// The summary on stdout, and where the report is.
fn show(session: &Session<'_>, ran: &Ran) {
    out(crate::report::text(&ran.study, terminal_width(), session.voice.colored()).trim_end());
    if !session.voice.quiet {
        out(LEGEND);
    }
    out(&format!("\nreport: {}", ran.folder.join("report.html").display()));
}

/// An experiment to its report, unless another claim is asked for, or its plan alone.
fn experiment(session: &Session<'_>, spec: &Path, claim: Option<&str>, options: &Options) -> Result<Ended> {
    let (source, origin, base) = read_spec(session, spec)?;
    let (overrides, grid) = options.overrides()?;
    let experiment = Experiment::parse(source, &origin, &base, &overrides, &grid, session.registries)?;
    if claim.is_some() && claim != experiment.id.as_deref() {
        return Ok(Ended::Passed);
    }
    // What --grid set is the command line's too, when a complaint asks where it came from.
    let typed: Vec<(String, Value)> = grid.iter().map(|(key, _)| (key.clone(), Value::Boolean(true))).collect();
    let plan = plan(&experiment, &[overrides, typed].concat(), session.registries)?;
    if !session.voice.quiet {
        experiment.notes.iter().cloned().chain(plan.repeated()).for_each(|note| message(&note));
    }
    let runs = plan.runs;
    let chosen = chosen(&experiment, &runs, options)?;
    if options.dry_run {
        crate::cli::dry_run::print(session, &experiment, &chosen)?;
        return Ok(Ended::Planned);
    }
    let folder = folder(session, &options.out, &experiment.name, options.fresh);
    let statuses = execute(session, &experiment, &runs, &chosen, &folder, options.jobs)?;
    let mut study = crate::study::read(session.store, &folder, session.registries)?;
    crate::cli::report::write(session, &folder, &study)?;
    if chosen.len() < runs.len() {
        // What was not to be run is not held against what was.
        let asked = |id: &str| chosen.iter().any(|run| run.id == id);
        study.expectations.retain(|checked| asked(&checked.run));
        study.runs.retain(|run| asked(&run.id));
    }
    let unhappy = statuses.iter().any(|status| status.outcome != Outcome::Completed);
    Ok(Ended::Ran(Box::new(Ran { folder, study, unhappy })))
}

/// Text, origin and base of an experiment file or a built-in experiment.
fn read_spec(session: &Session<'_>, spec: &Path) -> Result<(String, String, PathBuf)> {
    let name = spec.to_str().unwrap_or("");
    match session.store.read(spec) {
        Ok(bytes) => {
            let text =
                String::from_utf8(bytes).map_err(|_| Error::input(format!("{} is not UTF-8 text", spec.display())))?;
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
fn folder(session: &Session<'_>, out: &Path, name: &str, fresh: bool) -> PathBuf {
    let taken = |folder: &Path| session.store.list(folder).is_ok_and(|entries| !entries.is_empty());
    let first = out.join(name);
    if !fresh || !taken(&first) {
        return first;
    }
    (2u64..).map(|k| out.join(format!("{name}-{k}"))).find(|folder| !taken(folder)).unwrap_or(first)
}

/// Runs what is `chosen` of a plan, several at a time; statuses in order.
fn execute(
    session: &Session<'_>,
    experiment: &Experiment,
    plan: &[PlannedRun],
    chosen: &[&PlannedRun],
    folder: &Path,
    jobs: usize,
) -> Result<Vec<Status>> {
    let voice = session.voice;
    let progress = Progress::new(chosen.iter().map(|run| run.config.course.steps()).sum(), voice.quiet);
    let provenance = Provenance::collect();
    let warn = |line: &str| progress.warn(line);
    let runner = session.runner(experiment, folder, &provenance, &warn);
    // Whatever the data can refuse is refused before anything is written.
    runner.preflight(chosen).map_err(|error| error.context(&experiment.origin))?;
    write_plan(session, experiment, plan, folder)?;
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
        let status = one(&Runner { progress: &tell, ..runner }, run, &progress)
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
fn one(runner: &Runner<'_>, run: &PlannedRun, progress: &Progress) -> Result<Status> {
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

fn write_plan(session: &Session<'_>, experiment: &Experiment, runs: &[PlannedRun], folder: &Path) -> Result<()> {
    session.create(folder)?;
    session.write(&folder.join("experiment.toml"), &experiment.as_run)?;
    let line = |run: &PlannedRun| {
        let keys = run.keys.iter().map(|(key, value)| (key.clone(), plain(value)));
        PlanLine { id: run.id.clone(), keys: keys.collect(), steps: run.config.course.steps() }
    };
    let plan = PlanFile { runs: runs.iter().map(line).collect() };
    let text = serde_json::to_string_pretty(&plan).unwrap_or_default();
    session.write(&folder.join("plan.json"), &(text + "\n"))
}
