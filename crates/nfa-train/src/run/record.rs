//! What a probe and an end leave on disk.

use nfa_metrics::laws::stationary::fact;
use nfa_models::AnyNetwork;

use crate::array::save::{matrix_entry, serialize};
use crate::error::{Error, Result};
use crate::observe::probe::Measured;
use crate::record::direction::{COLUMNS, Direction};
use crate::record::{Cell, csv_line};
use crate::run::checkpoint::entries;
use crate::run::files::Files;
use crate::run::standing::Standing;

impl Files<'_> {
    /// Adds a probe to the records; the fan is drawn at both ends, and in between the columns say enough.
    pub(super) fn record(&self, measured: &Measured, at: &mut Standing, last: bool) -> Result<()> {
        if at.metrics_bytes == 0 {
            let header = csv_line(measured.row.iter().map(|(column, _)| column.clone()));
            at.metrics_bytes += self.append("metrics.csv", &header)?;
            let header = csv_line(COLUMNS.into_iter().map(String::from));
            at.directions_bytes += self.append("directions.csv", &header)?;
        }
        let line = csv_line(measured.row.iter().map(|(_, cell)| Cell::to_string(cell)));
        at.metrics_bytes += self.append("metrics.csv", &line)?;
        if at.step == 0 || last {
            let lines: String = measured.directions.iter().map(Direction::csv).collect();
            at.directions_bytes += self.append("directions.csv", &lines)?;
        }
        if let Some(baseline) = &measured.baseline {
            at.baseline = Some(baseline.clone());
        }
        Ok(())
    }

    /// Every layer's matrices at a step.
    pub(super) fn matrices(&self, measured: &Measured, step: u64) -> Result<()> {
        let mut entries = Vec::new();
        for (i, layer) in measured.observation.layers.iter().enumerate() {
            let nfm = layer.weight.transpose() * &layer.weight;
            entries.push(matrix_entry(format!("layers.{i}.nfm"), &nfm));
            entries.extend(layer.agop.as_ref().map(|agop| matrix_entry(format!("layers.{i}.agop"), agop.matrix())));
            let of_loss = layer.loss.as_ref().zip(layer.penalty.lambda().ok());
            let fact = of_loss.map(|(loss, lambda)| fact(&layer.weight, &loss.gradient, lambda));
            entries.extend(fact.map(|fact| matrix_entry(format!("layers.{i}.fact"), &fact)));
            if let Some(averaged) = &layer.averaged {
                entries.push(matrix_entry(format!("layers.{i}.nfm_averaged"), &averaged.nfm));
                entries.push(matrix_entry(format!("layers.{i}.fact_averaged"), &averaged.fact));
            }
        }
        let bytes = serialize(&entries).map_err(Error::environment)?;
        self.write(&format!("matrices/step-{step:06}.safetensors"), &bytes)
    }

    /// Seconds since the start, of a probe.
    pub(super) fn timing(&self, step: u64, seconds: f64) -> Result<()> {
        if step == 0 {
            self.truncate("timings.csv", 0)?;
            self.append("timings.csv", "step,seconds\n")?;
        }
        self.append("timings.csv", &format!("{step},{seconds:.6}\n")).map(drop)
    }

    /// `model.safetensors`, in PyTorch's layout.
    pub(super) fn model(&self, network: &dyn AnyNetwork) -> Result<()> {
        let bytes = serialize(&entries("", &network.parameters())).map_err(Error::environment)?;
        self.write("model.safetensors", &bytes)
    }
}
