//! One run's configuration with every default spelled out and checked.

use std::path::Path;

use nfa_metrics::Thresholds;
use nfa_models::SpecError;
use nfa_models::spec::read;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use toml::{Table, Value};

use crate::data::{Preparation, WeightSource};
use crate::device::Dtype;
use crate::registries::Registries;
use crate::schedule::{ProbeSchedule, Rate};

/// The keys of `[solver]` that every kind has.
///
/// | key | default | meaning |
/// |---|---|---|
/// | `lr` | required | learning rate, or pieces `[[from step, value], ...]`; the time that a step of `flow` takes |
/// | `steps` or `time` | required | how long; `time` = lr · steps, constant lr only |
/// | `batch` | `"full"` | rows per step, reshuffled every epoch |
/// | `diverged_above` | 1e6 | loss over its first value from which a run counts as diverged |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Course {
    /// Learning rate.
    pub lr: Rate,
    /// Number of steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// lr · steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<f64>,
    /// Rows per step.
    #[serde(default)]
    pub batch: Batch,
    /// Loss over its first value.
    #[serde(default = "million")]
    pub diverged_above: f64,
}

fn million() -> f64 {
    1e6
}

/// `"full"` or a number of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Batch {
    /// All rows.
    #[default]
    Full,
    /// So many, reshuffled every epoch.
    Rows(usize),
}

impl Serialize for Batch {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Batch::Full => serializer.serialize_str("full"),
            Batch::Rows(rows) => serializer.serialize_u64(*rows as u64),
        }
    }
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        match Value::deserialize(deserializer)? {
            Value::String(word) if word == "full" => Ok(Batch::Full),
            Value::Integer(rows) if rows > 0 => Ok(Batch::Rows(usize::try_from(rows).map_err(D::Error::custom)?)),
            other => Err(D::Error::custom(format!("must be \"full\" or a positive number of rows, not {other}"))),
        }
    }
}

impl Course {
    const KEYS: [&'static str; 5] = ["lr", "steps", "time", "batch", "diverged_above"];

    fn check(&self) -> Result<(), SpecError> {
        self.lr.check().map_err(|why| SpecError::value("lr", why))?;
        match (self.steps, self.time, self.lr.constant()) {
            (Some(_), None, _) => {}
            (None, Some(_), None) => {
                return Err(SpecError::value("time", "goes with a constant lr; give `steps` instead".into()));
            }
            (None, Some(time), Some(_)) if !(time.is_finite() && time > 0.0) => {
                return Err(SpecError::value("time", format!("must be positive and finite, not {time}")));
            }
            (None, Some(_), Some(_)) => {}
            (None, None, _) => {
                return Err(SpecError::value("steps", "is required and missing (or `time` = lr * steps)".into()));
            }
            (Some(_), Some(_), _) => {
                return Err(SpecError::value("time", "stands instead of `steps`; keep one of the two".into()));
            }
        }
        if self.diverged_above.is_nan() || self.diverged_above <= 1.0 {
            return Err(SpecError::value("diverged_above", format!("must be above 1, not {}", self.diverged_above)));
        }
        Ok(())
    }

    /// The number of steps.
    pub fn steps(&self) -> u64 {
        match (self.steps, self.time, self.lr.constant()) {
            (Some(steps), ..) => steps,
            (None, Some(time), Some(lr)) => (time / lr).round() as u64,
            _ => 0,
        }
    }

    /// Rows per step, if not all.
    pub fn batch(&self) -> Option<usize> {
        match self.batch {
            Batch::Full => None,
            Batch::Rows(rows) => Some(rows),
        }
    }
}

/// `[probe]`: what is measured, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProbePlan {
    /// Which steps.
    pub at: ProbeSchedule,
    /// Which layers, from 0.
    pub layers: Layers,
    /// Names of laws and metrics.
    pub metrics: Vec<String>,
    /// More exponents for the cosines.
    pub alpha: Vec<f64>,
    /// What the exponent's interval speaks of.
    pub interval: ProbeInterval,
    /// Whether NFM and AGOP are written too.
    pub matrices: bool,
}

impl Default for ProbePlan {
    fn default() -> Self {
        ProbePlan {
            at: ProbeSchedule::Log(60),
            layers: Layers::All,
            metrics: ["loss", "accuracy", "nfa", "balance"].map(String::from).to_vec(),
            alpha: Vec::new(),
            interval: ProbeInterval::None,
            matrices: false,
        }
    }
}

/// Where the exponent's interval comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeInterval {
    /// No interval: exact for the rows given.
    None,
    /// The training rows as draws from a distribution: two more sweeps a layer.
    Inputs,
}

/// `"all"` or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layers {
    /// Every one.
    All,
    /// These, from 0.
    List(Vec<usize>),
}

impl Layers {
    /// Whether a layer is among them.
    pub fn contains(&self, layer: usize) -> bool {
        match self {
            Layers::All => true,
            Layers::List(list) => list.contains(&layer),
        }
    }
}

impl Serialize for Layers {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Layers::All => serializer.serialize_str("all"),
            Layers::List(list) => list.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Layers {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        match Value::deserialize(deserializer)? {
            Value::String(word) if word == "all" => Ok(Layers::All),
            list @ Value::Array(_) => list.try_into().map(Layers::List).map_err(D::Error::custom),
            other => Err(D::Error::custom(format!("must be \"all\" or a list of layers from 0, not {other}"))),
        }
    }
}

/// `[checkpoint]`: records don't depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointPlan {
    /// Steps between checkpoints; by default about 10 s of work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
}

/// Everything that fixes a run's numbers, checked and complete.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The seed of all streams.
    pub seed: u64,
    /// What is trained in.
    pub dtype: Dtype,
    /// Where.
    pub device: String,
    /// What the gradients come from.
    pub engine: Engine,
    /// For [`Registries::models`].
    pub model: Table,
    /// For [`Registries::data`].
    pub data: Table,
    /// What is done to the data.
    pub preparation: Preparation,
    /// For [`Registries::losses`].
    pub loss: Table,
    /// For [`Registries::solvers`].
    pub solver: Table,
    /// How long, how fast.
    pub course: Course,
    /// What is measured.
    pub probe: ProbePlan,
    /// Of the verdict.
    pub verdict: Thresholds,
    /// How often state is saved.
    pub checkpoint: CheckpointPlan,
}

/// The tables and keys that describe a run, as opposed to an experiment around it.
pub const RUN_KEYS: [&str; 11] =
    ["seed", "dtype", "device", "engine", "model", "data", "loss", "solver", "probe", "checkpoint", "verdict"];

#[derive(Deserialize)]
struct Top {
    #[serde(default)]
    seed: u64,
    #[serde(default = "double")]
    dtype: Dtype,
    #[serde(default = "flex")]
    device: String,
    #[serde(default)]
    engine: Engine,
}

/// What the gradients of training come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// The host engine where it can, else Burn.
    #[default]
    Auto,
    /// [`crate::host`]: chains of dense layers on a CPU under first-order solvers.
    Host,
    /// Burn's autodiff, on any device.
    Autodiff,
}

impl Engine {
    /// Its word in files.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Auto => "auto",
            Engine::Host => "host",
            Engine::Autodiff => "autodiff",
        }
    }
}

fn double() -> Dtype {
    Dtype::F64
}

fn flex() -> String {
    "flex".into()
}

/// A path that means the same from everywhere: a run's own `config.toml` lies elsewhere than the
/// file that named it.
fn absolute(base: &Path, file: &str) -> String {
    let path = base.join(file);
    std::path::absolute(&path).unwrap_or(path).display().to_string()
}

/// Splits a table into the keys named and the others.
fn peel(mut table: Table, keys: &[&str]) -> (Table, Table) {
    let mut peeled = Table::new();
    for key in keys {
        if let Some(value) = table.remove(*key) {
            peeled.insert(key.to_string(), value);
        }
    }
    (peeled, table)
}

fn to_table(value: &impl Serialize) -> Table {
    // Plain structs of numbers, words and lists always have a TOML form.
    Table::try_from(value).unwrap_or_default()
}

impl Resolved {
    /// Checks a run's tables and fills in every default. Paths in it are relative to `base`.
    ///
    /// # Errors
    /// The dotted key at fault and why.
    pub fn new(table: &Table, registries: &Registries, base: &Path) -> Result<Self, SpecError> {
        let section = |key: &str, required: bool| match table.get(key) {
            Some(Value::Table(section)) => Ok(section.clone()),
            Some(other) => Err(SpecError::value(key, format!("must be a table, not {other}"))),
            None if required => Err(SpecError::value(key, "is required and missing".into())),
            None => Ok(Table::new()),
        };
        let (top, _) = peel(table.clone(), &["seed", "dtype", "device", "engine"]);
        let top: Top = read(top)?;
        crate::device::check(&top.device, top.dtype).map_err(|error| {
            let message = error.to_string();
            SpecError::value("device", message.strip_prefix("device: ").unwrap_or(&message).to_string())
        })?;
        let mut model = registries.models.resolve(section("model", true)?).map_err(|error| error.under("model"))?;
        if let Some(file) = crate::start::path(&mut model) {
            *file = absolute(base, file);
        }

        let given = section("data", true)?;
        // `targets` is a file for npy, rows for rows, and a form for all others.
        let kind = given.get("kind").and_then(Value::as_str);
        let is_own = kind == Some("npy") || given.get("targets").is_some_and(Value::is_array);
        let keys: Vec<&str> = Preparation::KEYS.into_iter().filter(|key| !(is_own && *key == "targets")).collect();
        let (common, own) = peel(given, &keys);
        let mut data =
            registries.data.resolve(own).map_err(|error| error.or_known(&Preparation::KEYS).under("data"))?;
        let mut preparation: Preparation = read(common).map_err(|error| error.under("data"))?;
        preparation.check().map_err(|error| error.under("data"))?;
        let source = registries.data.build(data.clone(), &()).map_err(|error| error.under("data"))?;
        for key in source.paths() {
            if let Some(Value::String(file)) = data.get_mut(*key) {
                *file = absolute(base, file);
            }
        }
        let (scale, center) = source.defaults();
        preparation.scale.get_or_insert(scale);
        preparation.center.get_or_insert(center);
        if let Some(WeightSource::File(file)) = &mut preparation.weights {
            *file = absolute(base, file);
        }

        let mut loss = section("loss", false)?;
        loss.entry("kind").or_insert_with(|| "half_mse".into());
        let loss = registries.losses.resolve(loss).map_err(|error| error.under("loss"))?;

        let (common, own) = peel(section("solver", true)?, &Course::KEYS);
        let solver = registries.solvers.resolve(own).map_err(|error| error.or_known(&Course::KEYS).under("solver"))?;
        let course: Course = read(common).map_err(|error| error.under("solver"))?;
        course.check().map_err(|error| error.under("solver"))?;
        let built = registries.solvers.build(solver.clone(), &course.lr).map_err(|error| error.under("solver"))?;
        if course.batch != Batch::Full && !built.takes_batches() {
            let kind = solver.get("kind").and_then(Value::as_str).unwrap_or_default();
            let message = format!("{kind} is full batch; use kind = \"sgd\" for batches");
            return Err(SpecError::value("solver.batch", message));
        }

        let probe: ProbePlan = read(section("probe", false)?).map_err(|error| error.under("probe"))?;
        probe.at.check().map_err(|why| SpecError::value("probe.at", why))?;
        if let Some(bad) = probe.alpha.iter().find(|alpha| !(alpha.is_finite() && **alpha > 0.0)) {
            return Err(SpecError::value("probe.alpha", format!("exponents are positive, not {bad}")));
        }
        let known = || {
            let laws = registries.laws.rows().iter().map(|law| law.name);
            laws.chain(registries.metrics.rows().iter().map(|metric| metric.name))
        };
        if let Some(name) = probe.metrics.iter().find(|name| !known().any(|known| known == *name)) {
            return Err(SpecError::unknown("probe.metrics", "law or metric", name, known()));
        }
        let verdict = read(section("verdict", false)?).map_err(|error| error.under("verdict"))?;
        let checkpoint: CheckpointPlan =
            read(section("checkpoint", false)?).map_err(|error| error.under("checkpoint"))?;
        if checkpoint.every == Some(0) {
            return Err(SpecError::value("checkpoint.every", "must be at least 1".into()));
        }
        Ok(Resolved {
            seed: top.seed,
            dtype: top.dtype,
            device: top.device,
            engine: top.engine,
            model,
            data,
            preparation,
            loss,
            solver,
            course,
            probe,
            verdict,
            checkpoint,
        })
    }

    /// What fixes the numbers, as TOML with every default.
    pub fn table(&self) -> Table {
        let mut data = self.data.clone();
        for (key, value) in to_table(&self.preparation) {
            data.entry(key).or_insert(value);
        }
        let mut solver = self.solver.clone();
        solver.extend(to_table(&self.course));
        let mut table = Table::new();
        table.insert("seed".into(), Value::Integer(self.seed.cast_signed()));
        table.insert("dtype".into(), self.dtype.name().into());
        table.insert("device".into(), self.device.clone().into());
        // The automatic choice follows from the rest.
        if self.engine != Engine::Auto {
            table.insert("engine".into(), self.engine.name().into());
        }
        for (key, section) in [
            ("model", self.model.clone()),
            ("data", data),
            ("loss", self.loss.clone()),
            ("solver", solver),
            ("probe", to_table(&self.probe)),
            ("verdict", to_table(&self.verdict)),
        ] {
            table.insert(key.into(), Value::Table(section));
        }
        table
    }

    /// SHA-256 over [`Resolved::table`] in a canonical form, in hexadecimal.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        canonical(&Value::Table(self.table()), &mut hash);
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// λ of the penalty, where the solver has one.
    pub fn weight_decay(&self) -> f64 {
        self.solver.get("weight_decay").and_then(crate::toml_text::number).unwrap_or(0.0)
    }
}

/// Keys sorted, numbers by value: 1 and 1.0 are the same setting.
fn canonical(value: &Value, hash: &mut Sha256) {
    match value {
        Value::Table(table) => {
            let mut keys: Vec<&String> = table.keys().collect();
            keys.sort();
            hash.update(b"{");
            for key in keys {
                hash.update(key.as_bytes());
                hash.update(b"=");
                canonical(&table[key], hash);
            }
            hash.update(b"}");
        }
        Value::Array(list) => {
            hash.update(b"[");
            list.iter().for_each(|item| canonical(item, hash));
            hash.update(b"]");
        }
        other => {
            let text = match crate::toml_text::number(other) {
                Some(number) => crate::record::decimal(number),
                None => other.to_string(),
            };
            hash.update(text.as_bytes());
            hash.update(b";");
        }
    }
}

/// The depth L of a model's table: `depth`, or one more than its `widths`.
pub fn depth_of(config: &Table) -> Option<f64> {
    let depth = crate::toml_text::get(config, "model.depth").and_then(crate::toml_text::number);
    depth.or_else(|| crate::toml_text::get(config, "model.widths")?.as_array().map(|widths| widths.len() as f64 + 1.0))
}
