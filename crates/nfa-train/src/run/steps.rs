//! The loop of a run: what happens between its first step and its last.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nfa_metrics::{Mat, Needs, Update, sharing, to_host, weights_of};
use nfa_models::parameters::Parameter;
use nfa_models::{AnyNetwork, Parameters};

use crate::error::{Error, Result};
use crate::experiment::plan::PlannedRun;
use crate::observe::loss::{LossSeen, penalty_of};
use crate::observe::plan::AveragePlan;
use crate::observe::probe::{Led, Measured, Probe, asked, distinct, probed, unpredicted};
use crate::record::status::{Outcome, Status};
use crate::record::theory::{DecayLaw, Theory};
use crate::run::build::Built;
use crate::run::capture::Captured;
use crate::run::files::Files;
use crate::run::form::unmeasured;
use crate::run::manifest::Facts;
use crate::run::standing::Standing;
use crate::run::{Runner, refused_by_host};
use crate::train::engine::Engine;
use crate::train::objective::{Training, scalar};
use crate::train::problem::Problem;
use crate::train::rows::is_linear_map;
use crate::train::solver::{Solver, StepError, Stretch};

/// By default state is saved about this often.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(10);
/// How often progress is reported.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// A run under way.
struct Steps<'a> {
    runner: &'a Runner<'a>,
    run: &'a PlannedRun,
    files: &'a Files<'a>,
    fingerprint: String,
    probe: Probe<'a>,
    objective: &'a Training<'a>,
    network: Box<dyn AnyNetwork>,
    solver: Box<dyn Solver>,
    at: Standing,
    /// The steps that are probed, in order.
    probes: Vec<u64>,
    total: u64,
    /// The loss of no output at all, about.
    untrained: f64,
    started: Instant,
    saved: Instant,
    reported: Instant,
    /// The last step, where it is one that metrics want to know.
    update: Option<Update>,
    /// What the solver last had to say.
    note: Option<String>,
    /// What a capture of the end is made of, where one is asked for.
    capture: Option<Captured<'a>>,
}

/// Why the loop ended before its last step.
enum Ended {
    Diverged(u64, String),
    Failed(Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Ended::Failed(error)
    }
}

impl Runner<'_> {
    /// Takes a run up where it stands and brings it to its end.
    pub(super) fn work(&self, run: &PlannedRun, built: Built, files: &Files<'_>) -> Result<Status> {
        let Built { mut network, form, loss, data, start, stream } = built;
        let config = &run.config;
        let objective = Training::new(&data.train, loss.as_ref(), config.course.batch(), network.as_ref(), &stream);
        let problem = (config.engine != Engine::Autodiff).then(|| Problem::new(network.as_ref(), &objective));
        let needs = asked(&config.probe, &self.registries.laws, &self.registries.metrics);
        let inputs = &data.train.inputs;
        let init = config.probe.capture || needs.contains(Needs::START);
        let init = init.then(|| weights_of(network.as_ref(), inputs)).transpose();
        let init = init.map_err(|error| unmeasured(&error))?;
        let sharing = needs.contains(Needs::DECAY).then(|| sharing(network.as_ref(), inputs)).transpose();
        let sharing = sharing.map_err(|error| unmeasured(&error))?;
        let mut solver = self.solver(run, problem.flatten())?;
        if config.engine == Engine::Host && solver.engine() != Engine::Host.name() {
            return Err(refused_by_host());
        }
        // Here and not where they are used: a folder that vanishes later must not come back half empty.
        for name in ["checkpoints", "matrices"].into_iter().take(1 + usize::from(config.probe.matrices)) {
            files.create_dir(name)?;
        }
        let fingerprint = config.fingerprint();
        let at = self.resume(files, &fingerprint, network.as_mut(), solver.as_mut())?;
        files.write("config.toml", self.config_file(run).as_bytes())?;
        let theory = Theory {
            clock: solver.clock(),
            decay: solver.decay_law(),
            decoupled: solver.decouples(),
            depth: network.depth(),
            linear: is_linear_map(network.as_ref()),
            unpredicted: unpredicted(network.as_ref(), solver.as_ref()).map(String::from),
        };
        let step_rows = objective.compressed_rows();
        let probed = probed(&config.probe, &data, &stream);
        let facts = Facts {
            data_sha256: &data.sha256,
            start_sha256: start.as_deref(),
            step_rows,
            probed_rows: probed.rows(),
            engine: solver.engine(),
            theory: &theory,
        };
        let manifest = self.provenance.manifest(run, &facts);
        files.write("manifest.json", format!("{manifest:#}\n").as_bytes())?;
        files.write("sites.json", format!("{:#}\n", form.json()).as_bytes())?;
        files.status(&Status::new(Outcome::Running, at.step, None))?;
        let probe = Probe {
            laws: &self.registries.laws,
            metrics: &self.registries.metrics,
            plan: &config.probe,
            thresholds: &config.verdict,
            data: &data,
            probed: &probed,
            layers: form.measured.as_deref(),
            rows: distinct(&config.probe, &probed),
            loss: LossSeen::new(loss.as_ref(), &data.train),
            start: init.as_deref(),
            sharing: sharing.as_deref(),
        };
        let capture = init.as_deref().filter(|_| config.probe.capture).map(|init| Captured {
            init,
            rows: &probed,
            loss: (
                config.loss.get("kind").and_then(toml::Value::as_str).unwrap_or_default(),
                LossSeen::new(loss.as_ref(), &data.train),
            ),
            penalty: penalty_of(solver.as_ref()),
        });
        let (total, now) = (config.course.steps(), Instant::now());
        let steps = Steps {
            runner: self,
            run,
            files,
            fingerprint,
            probe,
            objective: &objective,
            network,
            solver,
            at,
            probes: config.probe.at.steps(total),
            total,
            untrained: 0.5 * scalar(data.train.targets.clone().square().sum()) / data.train.rows() as f64,
            started: now,
            saved: now,
            reported: now,
            update: None,
            note: None,
            capture,
        };
        steps.finish()
    }

    /// `config.toml`: an experiment of this run alone.
    fn config_file(&self, run: &PlannedRun) -> String {
        let mut table = toml::Table::new();
        table.insert("name".into(), format!("{}--{}", self.experiment, run.id).into());
        table.extend(run.config.table());
        toml::to_string(&table).unwrap_or_default()
    }
}

impl Steps<'_> {
    /// The loop, and the status that it leaves.
    fn finish(mut self) -> Result<Status> {
        let status = match self.go() {
            Ok(()) => self.completed()?,
            Err(Ended::Diverged(step, what)) => Status::new(Outcome::Diverged, step, Some(what)),
            Err(Ended::Failed(error)) => return Err(error),
        };
        self.files.model(self.network.as_ref())?;
        if let Some(capture) = self.capture.as_ref().filter(|_| status.outcome == Outcome::Completed) {
            self.files.write("capture.safetensors", &capture.bytes(self.network.as_ref())?)?;
        }
        self.files.status(&status)?;
        Ok(status)
    }

    /// The status of a run all of whose steps are done.
    fn completed(&mut self) -> Result<Status> {
        let end = self.solver.end(self.network.as_mut(), self.objective);
        let end = end.map_err(|error| Error::environment(format!("{}: {error}", self.run.id)))?;
        let (words, certificate) = end.map(|end| (end.words, end.certificate)).unzip();
        let status = Status::new(Outcome::Completed, self.total, words.or_else(|| self.note.take()));
        Ok(Status { evaluations: Some(self.at.evaluations), certificate, ..status })
    }

    fn go(&mut self) -> std::result::Result<(), Ended> {
        loop {
            self.look()?;
            self.measure()?;
            if self.at.step >= self.total {
                return Ok(());
            }
            self.end_where_asked()?;
            self.save_where_due()?;
            self.advance()?;
        }
    }

    /// What is averaged over, and λ, where averages are asked for.
    fn average(&self) -> Option<(AveragePlan, f64)> {
        Some((self.run.config.probe.average?, penalty_of(self.solver.as_ref()).lambda().ok()?))
    }

    /// Adds this step to the averages that it is part of.
    fn look(&mut self) -> std::result::Result<(), Ended> {
        let Some((plan, lambda)) = self.average() else { return Ok(()) };
        let step = self.at.step;
        if step >= self.at.averages.next && plan.wants(step, &self.probes) {
            let layers = self.probe.gradients(self.network.as_ref()).map_err(|error| unmeasured(&error))?;
            self.at.averages.add(plan, step, &self.probes, &layers, lambda);
        }
        Ok(())
    }

    /// Probes and records, where this step is one to probe and is not in the record yet.
    fn measure(&mut self) -> std::result::Result<(), Ended> {
        if self.at.recorded || !self.is_probed() {
            return Ok(());
        }
        let (network, solver, step) = (self.network.as_ref(), self.solver.as_ref(), self.at.step);
        let averaged = match (self.average(), &self.at.averages.windows[..]) {
            (None, _) | (_, []) => Vec::new(),
            (Some((plan, lambda)), _) => {
                let weights = weights_of(network, &self.probe.data.train.inputs).map_err(|error| unmeasured(&error))?;
                self.at.averages.take(plan, step, &weights, &self.run.config.course.lr, lambda)
            }
        };
        let work = solver.work().unwrap_or(self.at.evaluations as f64);
        let led = Led { update: self.update.take(), averaged, work };
        let measured = self.probe.measure(network, solver, step, &led, self.at.baseline.as_ref());
        let measured = measured.map_err(|error| unmeasured(&error))?;
        if let Some(what) = not_finite(&measured) {
            return Err(Ended::Diverged(step, what));
        }
        self.files.record(&measured, &mut self.at, step == self.total)?;
        if self.run.config.probe.matrices {
            self.files.matrices(&measured, step)?;
        }
        self.files.timing(step, self.started.elapsed().as_secs_f64())?;
        self.at.recorded = true;
        Ok(())
    }

    /// Saves and ends, where the user asked to stop.
    fn end_where_asked(&self) -> Result<()> {
        if !self.runner.interrupt.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.save()?;
        self.files.status(&Status::new(Outcome::Interrupted, self.at.step, None))?;
        let (step, id) = (self.at.step, &self.run.id);
        Err(Error::interrupted(format!("interrupted at step {step} of {id}; state is saved")))
    }

    /// Saves the state, where it is time to.
    fn save_where_due(&mut self) -> Result<()> {
        let due = match self.run.config.checkpoint.every {
            Some(every) => self.at.step > 0 && self.at.step.is_multiple_of(every),
            None => self.saved.elapsed() >= CHECKPOINT_INTERVAL,
        };
        // A checkpoint between a step and its probe would lose the update that led there.
        if due && (self.at.recorded || !self.is_probed()) {
            self.save()?;
            self.saved = Instant::now();
        }
        Ok(())
    }

    /// Steps until something is to happen.
    fn advance(&mut self) -> std::result::Result<(), Ended> {
        let (stop, watched) = self.next_stop();
        let weights = |network: &dyn AnyNetwork| weights_of(network, &self.probe.probed.inputs).ok();
        let before = watched.then(|| Some((self.network.parameters(), weights(self.network.as_ref())?))).flatten();
        let (runner, config, untrained, saved) = (self.runner, &self.run.config, self.untrained, self.saved);
        let (first_loss, reported) = (&mut self.at.first_loss, &mut self.reported);
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
                (runner.progress)(step + 1, loss);
                *reported = Instant::now();
            }
            let due = config.checkpoint.every.is_none() && saved.elapsed() >= CHECKPOINT_INTERVAL;
            !due && !runner.interrupt.load(Ordering::Relaxed)
        };
        let stretch = self.solver.advance(self.network.as_mut(), self.objective, self.at.step..stop, watch);
        let stretch = stretch.map_err(|(step, error)| match error {
            StepError::Diverged(what) => Ended::Diverged(step, what),
            StepError::Refused(what) => Ended::Failed(Error::input(what)),
            error => Ended::Failed(Error::environment(format!("{}: {error}", self.run.id))),
        })?;
        if let Some((step, what)) = wrong {
            return Err(Ended::Diverged(step, what));
        }
        self.at.step = stretch.next;
        self.at.evaluations += stretch.evaluations;
        self.at.recorded = false;
        let decay = self.solver.decay().weight_decay;
        self.update = before.and_then(|(parameters, weights)| update_of(&parameters, weights, &stretch, decay));
        self.note = stretch.note;
        Ok(())
    }

    /// The next step that something happens at, a probe or a checkpoint; and whether the step there is one
    /// that metrics want to know, which is done alone.
    fn next_stop(&self) -> (u64, bool) {
        let step = self.at.step;
        let probe = self.probes.get(self.probes.partition_point(|&probe| probe <= step)).copied();
        let probe = probe.unwrap_or(self.total);
        let checkpoint = self.run.config.checkpoint.every.map_or(u64::MAX, |every| (step / every + 1) * every);
        let plain = self.solver.decay_law() == Some(DecayLaw::Discrete);
        let stop = if plain && probe > step + 1 { probe - 1 } else { probe };
        let looked = self.average().and_then(|(plan, _)| plan.next(step, &self.probes)).unwrap_or(u64::MAX);
        (stop.min(checkpoint).min(looked), plain && probe == step + 1)
    }

    fn is_probed(&self) -> bool {
        self.probes.binary_search(&self.at.step).is_ok()
    }

    fn save(&self) -> Result<()> {
        self.runner.save(self.files, &self.fingerprint, self.network.as_ref(), self.solver.as_ref(), &self.at)
    }
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
        matrices.map(|p: &Parameter| to_host(p.matrix())).collect()
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
    use burn::tensor::{DType, Device, Tensor, TensorData};
    use nfa_models::{Activation, Mlp, Network, Sites, Stream};

    /// f(x) = V (Wx ∘ Ux), with a second parameter between those that sites are read by.
    #[derive(Module, Debug)]
    struct Gated {
        w: Param<Tensor<2>>,
        u: Param<Tensor<2>>,
        v: Param<Tensor<2>>,
    }

    impl Network for Gated {
        fn forward(&self, x: Tensor<2>, at: &mut Sites) -> Tensor<2> {
            let gate = x.clone().matmul(self.u.val().transpose());
            let h = at.dense("w", x, self.w.val(), None) * gate;
            at.dense("v", h, self.v.val(), None)
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
            let (_, gradient) = network.gradient(&|net| net.outputs(tensor("x", 5, 3)).sum());
            let stretch = Stretch { next: 1, gradient, lr: 0.1, evaluations: 1, note: None };
            let weights = weights_of(network, &tensor("x", 5, 3)).expect("has sites");
            update_of(&network.parameters(), weights, &stretch, 0.0)
        };
        let told = update(&mlp).expect("each site is one parameter");
        assert_eq!(told.before, weights_of(&mlp, &tensor("x", 5, 3)).expect("has sites"));
        assert_eq!((told.gradients[1].nrows(), told.gradients[1].ncols()), (2, 4));
        assert!(update(&gated).is_none(), "u is no site's weights");
    }
}
