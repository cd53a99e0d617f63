//! Where a run stands, and how it is taken up and saved.

use nfa_models::AnyNetwork;
use nfa_models::network::placement;

use crate::error::{Error, Result};
use crate::observe::average::Averages;
use crate::observe::probe::Baseline;
use crate::run::Runner;
use crate::run::checkpoint::{Checkpoint, CheckpointError, Progress, newest_first};
use crate::run::files::Files;
use crate::train::solver::{Solver, State};

/// Where the loop stands.
#[derive(Default)]
pub(super) struct Standing {
    pub(super) step: u64,
    pub(super) metrics_bytes: u64,
    pub(super) directions_bytes: u64,
    pub(super) first_loss: Option<f64>,
    pub(super) baseline: Option<Baseline>,
    /// Of the probes to come.
    pub(super) averages: Averages,
    /// Gradients evaluated.
    pub(super) evaluations: u64,
    /// Whether the probe at `step` is already in the record.
    pub(super) recorded: bool,
}

impl Runner<'_> {
    /// Takes up the newest checkpoint that is whole, or starts.
    pub(super) fn resume(
        &self,
        files: &Files<'_>,
        fingerprint: &str,
        network: &mut dyn AnyNetwork,
        solver: &mut dyn Solver,
    ) -> Result<Standing> {
        let like = network.parameters();
        let folder = files.path("checkpoints");
        let checkpoints =
            newest_first(self.store, &folder).map_err(|error| Error::io("cannot read", &folder, &error))?;
        for file in checkpoints {
            let bytes = self.store.read(&file).map_err(|error| Error::io("cannot read", &file, &error))?;
            let restored = match take_up(&bytes, fingerprint, network, solver) {
                Ok((progress, averages)) => files.cut(&progress)?.map(|()| (progress, averages)),
                Err(why) => Err(why),
            };
            match restored {
                Ok((progress, averages)) => {
                    return Ok(Standing {
                        step: progress.step,
                        metrics_bytes: progress.metrics_bytes,
                        directions_bytes: progress.directions_bytes,
                        first_loss: progress.first_loss,
                        baseline: progress.baseline,
                        averages,
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
        solver.restore(State::default()).map_err(|error| Error::environment(error.to_string()))?;
        files.truncate("metrics.csv", 0)?;
        files.truncate("directions.csv", 0)?;
        Ok(Standing::default())
    }

    /// Writes a checkpoint.
    pub(super) fn save(
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
            averages: at.averages.heads(),
            averaged_to: at.averages.next,
            evaluations: at.evaluations,
        };
        let averages = at.averages.clone();
        let checkpoint = Checkpoint { parameters: network.parameters(), solver: state, averages, progress };
        let folder = files.path("checkpoints");
        checkpoint
            .save(self.store, &folder)
            .map_err(|error| Error::io("cannot write a checkpoint into", &folder, &error))
    }
}

/// Puts a checkpoint's numbers into the network and the solver.
fn take_up(
    bytes: &[u8],
    fingerprint: &str,
    network: &mut dyn AnyNetwork,
    solver: &mut dyn Solver,
) -> std::result::Result<(Progress, Averages), CheckpointError> {
    let (device, dtype) = placement(network).ok_or(CheckpointError::NoWeights)?;
    let checkpoint = Checkpoint::from_bytes(bytes, fingerprint, &network.parameters(), &device, dtype)?;
    network.set_parameters(&checkpoint.parameters).map_err(CheckpointError::Network)?;
    solver.restore(checkpoint.solver).map_err(CheckpointError::Solver)?;
    Ok((checkpoint.progress, checkpoint.averages))
}
