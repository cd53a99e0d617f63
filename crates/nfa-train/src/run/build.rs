//! What a run's configuration describes, built.

use burn::tensor::Device;
use nfa_models::{AnyNetwork, Context, SpecError, Stream};

use crate::data::source::LoadContext;
use crate::data::split::{Data, prepare};
use crate::error::{Error, Result};
use crate::experiment::plan::PlannedRun;
use crate::machine::devices;
use crate::run::form::Form;
use crate::run::{Runner, start};
use crate::train::loss::Loss;
use crate::train::problem::Problem;
use crate::train::solver::Solver;
use crate::train::solvers;

/// The parts of a run that its configuration describes, built.
pub(super) struct Built {
    pub(super) network: Box<dyn AnyNetwork>,
    pub(super) form: Form,
    pub(super) loss: Box<dyn Loss>,
    pub(super) data: Data,
    /// SHA-256 of the file that the weights start from.
    pub(super) start: Option<String>,
    pub(super) stream: Stream,
}

impl Runner<'_> {
    pub(super) fn build(&self, run: &PlannedRun) -> Result<Built> {
        let config = &run.config;
        let device = devices::open(&config.device, config.dtype)?;
        let (loss, data) = self.load(run, &device)?;
        let (network, start) = self.network(run, data.dims(), &device)?;
        let form = Form::new(network.as_ref(), &data.train.inputs, &config.probe.layers)?;
        Ok(Built { network, form, loss, data, start, stream: Stream::root(config.seed) })
    }

    pub(super) fn loss(&self, run: &PlannedRun) -> Result<Box<dyn Loss>> {
        self.registries.losses.build(run.config.loss.clone(), &()).map_err(under("loss"))
    }

    /// The solver at its start, on the host engine where it is given a problem that it takes.
    pub(super) fn solver(&self, run: &PlannedRun, problem: Option<Problem<'_>>) -> Result<Box<dyn Solver>> {
        let config = &run.config;
        solvers::build_seeded(&self.registries.solvers, config.solver.clone(), &config.course.lr, config.seed, problem)
            .map_err(under("solver"))
    }

    pub(super) fn load(&self, run: &PlannedRun, device: &Device) -> Result<(Box<dyn Loss>, Data)> {
        let config = &run.config;
        let loss = self.loss(run)?;
        let source = self.registries.data.build(config.data.clone(), &()).map_err(under("data"))?;
        let stream = Stream::root(config.seed).fork("data");
        let context = LoadContext { stream, base: self.base, test: config.preparation.test, store: self.store };
        let data = prepare(source.as_ref(), &config.preparation, loss.wants_one_hot(), &context, device, config.dtype)
            .map_err(under("data"))?;
        Ok((loss, data))
    }

    /// The network at its start, and the SHA-256 of the file that this is from, if any.
    pub(super) fn network(
        &self,
        run: &PlannedRun,
        (inputs, outputs): (usize, usize),
        device: &Device,
    ) -> Result<(Box<dyn AnyNetwork>, Option<String>)> {
        let config = &run.config;
        let stream = Stream::root(config.seed).fork("init");
        let start = start::read(&config.model, self.store).map_err(under("model"))?;
        let stored = start.as_ref().map(|start| start.layers.as_slice());
        let context = Context { inputs, outputs, device, dtype: config.dtype.burn(), stream, stored };
        let network = self.registries.models.build(config.model.clone(), &context).map_err(under("model"))?;
        Ok((network, start.map(|start| start.sha256)))
    }
}

fn under(section: &'static str) -> impl Fn(SpecError) -> Error {
    move |error| Error::from(error.under(section))
}
