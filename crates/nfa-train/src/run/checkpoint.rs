//! A run's state on disk: complete, checksummed, atomic.
//!
//! Layout: the magic `NFACKPT1`, a little-endian u64 length, that many bytes of safetensors (one
//! `f64` tensor per entry), a length and JSON with everything that is no tensor, and SHA-256 of
//! all before. A flipped bit anywhere is an error that names the file, never a silent restart.

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Tensor, TensorData};
use nfa_models::Parameters;
use nfa_models::parameters::Parameter;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::array::save::serialize;
use crate::machine::disk::Store;
use crate::observe::probe::Baseline;
use crate::train::solver::State;

const MAGIC: &[u8; 8] = b"NFACKPT1";
/// How many are kept: the newest, and one to fall back on.
const KEPT: usize = 2;

/// Everything that the rest of a run depends on.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The parameters.
    pub parameters: Parameters,
    /// The solver's memory.
    pub solver: State,
    /// What is no tensor.
    pub progress: Progress,
}

/// Where a run stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// The run's fingerprint: a state of another run is refused.
    pub fingerprint: String,
    /// Steps done.
    pub step: u64,
    /// Steps that the solver counted.
    pub solver_steps: u64,
    /// The solver's numbers.
    pub numbers: Vec<(String, f64)>,
    /// Names of the solver's slots.
    pub slots: Vec<String>,
    /// Bytes of `metrics.csv` so far.
    pub metrics_bytes: u64,
    /// Bytes of `directions.csv` so far.
    pub directions_bytes: u64,
    /// The training loss of the first step.
    pub first_loss: Option<f64>,
    /// What probes compare with.
    pub baseline: Option<Baseline>,
    /// Gradients evaluated so far.
    pub evaluations: u64,
}

pub(crate) fn entries(prefix: &str, parameters: &Parameters) -> Vec<(String, Vec<usize>, Vec<u8>)> {
    parameters
        .iter()
        .map(|p| {
            let values = p.value.clone().try_into_vec_as::<f64>().unwrap_or_default();
            (format!("{prefix}/{}", p.name), p.shape.clone(), values.iter().flat_map(|v| v.to_le_bytes()).collect())
        })
        .collect()
}

impl Checkpoint {
    /// As bytes.
    ///
    /// # Errors
    /// Where a tensor's data doesn't fit its shape.
    pub fn to_bytes(&self) -> Result<Vec<u8>, String> {
        let mut all = entries("parameter", &self.parameters);
        for (slot, values) in &self.solver.slots {
            all.extend(entries(&format!("slot/{slot}"), values));
        }
        let tensors = serialize(&all)?;
        let progress = serde_json::to_vec(&self.progress).map_err(|error| error.to_string())?;
        let mut bytes = MAGIC.to_vec();
        for part in [tensors, progress] {
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend(part);
        }
        let digest = Sha256::digest(&bytes);
        bytes.extend(digest);
        Ok(bytes)
    }

    /// From bytes, onto a device; `like` gives the names, shapes and order that must be there.
    ///
    /// # Errors
    /// In words: truncated, damaged, another version, another run, incomplete.
    pub fn from_bytes(
        bytes: &[u8],
        fingerprint: &str,
        like: &Parameters,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, String> {
        let (body, digest) = bytes.split_last_chunk::<32>().ok_or("it is truncated")?;
        if !body.starts_with(MAGIC) {
            return Err("it is no checkpoint of this version".into());
        }
        if Sha256::digest(body).as_slice() != digest {
            return Err("its checksum does not match: it is truncated or damaged".into());
        }
        let mut rest = &body[MAGIC.len()..];
        let mut part = || -> Option<&[u8]> {
            let (length, after) = rest.split_first_chunk::<8>()?;
            let (part, after) = after.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
            rest = after;
            Some(part)
        };
        let (tensors, progress) = part().zip(part()).ok_or("its parts don't add up")?;
        let progress: Progress = serde_json::from_slice(progress).map_err(|error| error.to_string())?;
        if progress.fingerprint != fingerprint {
            return Err("it belongs to a run with other settings".into());
        }
        let tensors = SafeTensors::deserialize(tensors).map_err(|error| error.to_string())?;
        let load = |prefix: &str| -> Result<Parameters, String> {
            let entries = like.iter().map(|p| {
                let name = format!("{prefix}/{}", p.name);
                let view = tensors.tensor(&name).map_err(|_| format!("it has no entry {name}"))?;
                if view.shape() != p.shape || view.dtype() != Dtype::F64 {
                    return Err(format!("{name} has shape {:?}, the network {:?}", view.shape(), p.shape));
                }
                let values: Vec<f64> = view
                    .data()
                    .chunks_exact(8)
                    .map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
                    .collect();
                if values.iter().any(|v| !v.is_finite()) {
                    return Err(format!("{name} holds numbers that are not finite"));
                }
                let count = values.len();
                let value = Tensor::from_data(TensorData::new(values, [count]), (device, dtype));
                Ok(Parameter { name: p.name.clone(), shape: p.shape.clone(), value })
            });
            Ok(Parameters::new(entries.collect::<Result<_, String>>()?))
        };
        let parameters = load("parameter")?;
        let slots = progress
            .slots
            .iter()
            .map(|slot| Ok((slot.clone(), load(&format!("slot/{slot}"))?)))
            .collect::<Result<Vec<_>, String>>()?;
        if tensors.len() != like.len() * (1 + slots.len()) {
            return Err("it has entries that the network does not know".into());
        }
        let solver = State { steps: progress.solver_steps, numbers: progress.numbers.clone(), slots };
        Ok(Checkpoint { parameters, solver, progress })
    }

    /// Writes it into a folder that is there and removes all but the newest two.
    ///
    /// # Errors
    /// As the file system says.
    pub fn save(&self, store: &dyn Store, folder: &Path) -> std::io::Result<()> {
        let bytes = self.to_bytes().map_err(std::io::Error::other)?;
        store.write(&folder.join(format!("step-{:012}.ckpt", self.progress.step)), &bytes)?;
        for old in newest_first(store, folder)?.into_iter().skip(KEPT) {
            store.remove(&old)?;
        }
        Ok(())
    }
}

/// Checkpoints of a folder; none where there is no such folder.
///
/// # Errors
/// As the file system says.
pub fn newest_first(store: &dyn Store, folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = match store.list(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        listed => listed?,
    };
    files.retain(|file| file.extension().is_some_and(|extension| extension == "ckpt"));
    files.reverse();
    Ok(files)
}
