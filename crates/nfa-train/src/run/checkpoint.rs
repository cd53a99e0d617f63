//! A run's state on disk: complete, checksummed, atomic.
//!
//! Layout: the magic `NFACKPT1`, a little-endian u64 length, that many bytes of safetensors (one
//! `f64` tensor per entry), a length and JSON with everything that is no tensor, and SHA-256 of
//! all before. A flipped bit anywhere is an error that names the file, never a silent restart.

use std::fmt;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Tensor, TensorData};
use nfa_metrics::Mat;
use nfa_models::Parameters;
use nfa_models::parameters::{Parameter, ParameterError};
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::array::save::serialize;
use crate::machine::disk::Store;
use crate::observe::average::{Averages, WindowHead};
use crate::observe::probe::Baseline;
use crate::train::solver::{State, StateError};

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
    /// Sums of the averages of probes to come.
    pub averages: Averages,
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
    /// What of the averages is no matrix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub averages: Vec<WindowHead>,
    /// See [`Averages::next`].
    #[serde(default)]
    pub averaged_to: u64,
}

/// Every parameter in `f64`, its name behind a prefix.
pub(crate) fn entries(prefix: &str, parameters: &Parameters) -> Vec<(String, Vec<usize>, Vec<u8>)> {
    parameters
        .iter()
        .map(|p| {
            let values = p.value.clone().try_into_vec_as::<f64>().unwrap_or_default();
            (format!("{prefix}{}", p.name), p.shape.clone(), values.iter().flat_map(|v| v.to_le_bytes()).collect())
        })
        .collect()
}

impl Checkpoint {
    /// As bytes.
    ///
    /// # Errors
    /// Where a tensor's data doesn't fit its shape.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CheckpointError> {
        let mut all = entries("parameter/", &self.parameters);
        for (slot, values) in &self.solver.slots {
            all.extend(entries(&format!("slot/{slot}/"), values));
        }
        all.extend(self.averages.entries());
        let tensors = serialize(&all).map_err(unreadable)?;
        let progress = serde_json::to_vec(&self.progress).map_err(unreadable)?;
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
    /// Truncated, damaged, of another version or another run, incomplete.
    pub fn from_bytes(
        bytes: &[u8],
        fingerprint: &str,
        like: &Parameters,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, CheckpointError> {
        let (body, digest) = bytes.split_last_chunk::<32>().ok_or(CheckpointError::Truncated)?;
        if !body.starts_with(MAGIC) {
            return Err(CheckpointError::Version);
        }
        if Sha256::digest(body).as_slice() != digest {
            return Err(CheckpointError::Checksum);
        }
        let mut rest = &body[MAGIC.len()..];
        let mut part = || -> Option<&[u8]> {
            let (length, after) = rest.split_first_chunk::<8>()?;
            let (part, after) = after.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
            rest = after;
            Some(part)
        };
        let (tensors, progress) = part().zip(part()).ok_or(CheckpointError::Parts)?;
        let progress: Progress = serde_json::from_slice(progress).map_err(unreadable)?;
        if progress.fingerprint != fingerprint {
            return Err(CheckpointError::OtherRun);
        }
        let tensors = SafeTensors::deserialize(tensors).map_err(unreadable)?;
        let load = |prefix: &str| -> Result<Parameters, CheckpointError> {
            let entries = like.iter().map(|p| {
                let name = format!("{prefix}/{}", p.name);
                let Ok(view) = tensors.tensor(&name) else { return Err(CheckpointError::Missing(name)) };
                if view.shape() != p.shape || view.dtype() != Dtype::F64 {
                    let (got, expected) = (view.shape().to_vec(), p.shape.clone());
                    return Err(CheckpointError::Shape { name, got, expected });
                }
                let values: Vec<f64> = view
                    .data()
                    .chunks_exact(8)
                    .map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
                    .collect();
                if values.iter().any(|v| !v.is_finite()) {
                    return Err(CheckpointError::NotFinite(name));
                }
                let count = values.len();
                let value = Tensor::from_data(TensorData::new(values, [count]), (device, dtype));
                Ok(Parameter { name: p.name.clone(), shape: p.shape.clone(), value })
            });
            Ok(Parameters::new(entries.collect::<Result<_, CheckpointError>>()?))
        };
        let parameters = load("parameter")?;
        let slots = progress
            .slots
            .iter()
            .map(|slot| Ok((slot.clone(), load(&format!("slot/{slot}"))?)))
            .collect::<Result<Vec<_>, CheckpointError>>()?;
        let averages = Averages::read(&progress.averages, progress.averaged_to, &|name| {
            let view = tensors.tensor(name).map_err(|_| CheckpointError::Missing(name.into()))?;
            let &[rows, cols] = view.shape() else { return Err(CheckpointError::Parts) };
            let values = view.data().as_chunks::<8>().0;
            let fits = view.dtype() == Dtype::F64 && values.len() == rows * cols;
            let value = |i: usize, j: usize| f64::from_le_bytes(values[i * cols + j]);
            fits.then(|| Mat::from_fn(rows, cols, value)).ok_or(CheckpointError::Parts)
        })?;
        if tensors.len() != like.len() * (1 + slots.len()) + averages.matrices().count() {
            return Err(CheckpointError::Unexpected);
        }
        let solver = State { steps: progress.solver_steps, numbers: progress.numbers.clone(), slots };
        Ok(Checkpoint { parameters, solver, averages, progress })
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

/// Why a run is not continued from a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointError {
    /// Too short for a checksum.
    Truncated,
    /// Another magic.
    Version,
    /// A checksum that is not that of the bytes.
    Checksum,
    /// Lengths that lead past its end.
    Parts,
    /// Tensors or JSON that can't be read or written, in words.
    Format(String),
    /// Another run's fingerprint.
    OtherRun,
    /// No entry of this name.
    Missing(String),
    /// An entry of another shape than the network's.
    Shape {
        /// Its name.
        name: String,
        /// Its shape.
        got: Vec<usize>,
        /// The network's.
        expected: Vec<usize>,
    },
    /// An entry of this name with numbers that are not finite.
    NotFinite(String),
    /// More entries than the network has.
    Unexpected,
    /// The network to be restored has no weights.
    NoWeights,
    /// Parameters that the network refuses.
    Network(ParameterError),
    /// A state that the solver refuses.
    Solver(StateError),
    /// Records that end before it, in words.
    Records(String),
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CheckpointError::Truncated => f.write_str("it is truncated"),
            CheckpointError::Version => f.write_str("it is no checkpoint of this version"),
            CheckpointError::Checksum => f.write_str("its checksum does not match: it is truncated or damaged"),
            CheckpointError::Parts => f.write_str("its parts don't add up"),
            CheckpointError::Format(what) | CheckpointError::Records(what) => f.write_str(what),
            CheckpointError::OtherRun => f.write_str("it belongs to a run with other settings"),
            CheckpointError::Missing(name) => write!(f, "it has no entry {name}"),
            CheckpointError::Shape { name, got, expected } => {
                write!(f, "{name} has shape {got:?}, the network {expected:?}")
            }
            CheckpointError::NotFinite(name) => write!(f, "{name} holds numbers that are not finite"),
            CheckpointError::Unexpected => f.write_str("it has entries that the network does not know"),
            CheckpointError::NoWeights => f.write_str("the network has no weights"),
            CheckpointError::Network(error) => error.fmt(f),
            CheckpointError::Solver(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CheckpointError {}

fn unreadable(error: impl fmt::Display) -> CheckpointError {
    CheckpointError::Format(error.to_string())
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
