//! One run's configuration with every default spelled out and checked.

use std::path::Path;

use nfa_metrics::{Law, Needs, Thresholds};
use nfa_models::spec::{Component, read};
use nfa_models::{Registry, SpecError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use toml::{Table, Value};

use crate::data::preparation::{Preparation, WeightSource};
use crate::data::source::Source;
use crate::keys::get_mut;
use crate::machine::devices::Dtype;
use crate::observe::plan::{ProbeInterval, ProbePlan, ProbeRows};
use crate::registries::Registries;
#[cfg(feature = "burn")]
use crate::train::course::Batch;
use crate::train::course::Course;
use crate::train::engine::Engine;
use crate::train::solvers;

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

/// Makes the files that a table names [`absolute`].
fn make_absolute<T: ?Sized + Component>(registry: &Registry<T>, table: &mut Table, base: &Path) {
    let kind = table.get("kind").and_then(Value::as_str).unwrap_or_default();
    for path in registry.get(kind).map_or(&[][..], |entry| entry.paths) {
        if let Some(Value::String(file)) = get_mut(table, path) {
            *file = absolute(base, file);
        }
    }
}

/// `[data]`: the kind's own keys, and what is done to its rows.
fn data(given: Table, datasets: &Registry<dyn Source>, base: &Path) -> Result<(Table, Preparation), SpecError> {
    let entry = given.get("kind").and_then(Value::as_str).and_then(|kind| datasets.get(kind));
    // `targets` may be a file, or rows; else it is the form of integer targets.
    let is_own = entry.is_some_and(|entry| entry.paths.contains(&"targets"))
        || given.get("targets").is_some_and(Value::is_array);
    let keys: Vec<&str> = Preparation::KEYS.into_iter().filter(|key| !(is_own && *key == "targets")).collect();
    let (mut common, own) = peel(given, &keys);
    let mut data = datasets.resolve(own).map_err(|error| error.or_known(&Preparation::KEYS))?;
    if let Some(entry) = entry {
        for (key, value) in entry.default_table()? {
            common.entry(key).or_insert(value);
        }
    }
    let mut preparation: Preparation = read(common)?;
    preparation.check()?;
    make_absolute(datasets, &mut data, base);
    if let Some(WeightSource::File(file)) = &mut preparation.weights {
        *file = absolute(base, file);
    }
    Ok((data, preparation))
}

/// `[probe]`: what is known to these registries, when and on which rows.
fn probe(given: Table, registries: &Registries, held_out: bool) -> Result<ProbePlan, SpecError> {
    let mut probe: ProbePlan = read(given)?;
    probe.at.check()?;
    if probe.samples == Some(0) {
        return Err(SpecError::value("samples", "must be at least 1".into()));
    }
    let fresh = held_out && probe.interval == ProbeInterval::Inputs;
    let rows = *probe.rows.get_or_insert(if fresh { ProbeRows::Test } else { ProbeRows::Train });
    if rows == ProbeRows::Test && !held_out {
        let message = "is \"test\" and no rows are held out; set data.test, to 0.2 for a fifth of them";
        return Err(SpecError::value("rows", message.into()));
    }
    if let Some(bad) = probe.alpha.iter().find(|alpha| !(alpha.is_finite() && **alpha > 0.0)) {
        return Err(SpecError::value("alpha", format!("exponents are positive, not {bad}")));
    }
    let known = || {
        let laws = registries.laws.rows().iter().map(|law| law.name);
        laws.chain(registries.metrics.rows().iter().map(|metric| metric.name))
    };
    if let Some(name) = probe.metrics.iter().find(|name| !known().any(|known| known == *name)) {
        return Err(SpecError::unknown("metrics", "law or metric", name, known()));
    }
    let averaging = asked(&probe, registries).find(|law| law.needs.contains(Needs::AVERAGE));
    match (probe.average, averaging) {
        (None, Some(law)) => {
            let message =
                format!("{} is an average: say of what with average = {{ last = 1000, every = 1 }}", law.name);
            Err(SpecError::value("metrics", message))
        }
        (Some(_), None) => {
            Err(SpecError::value("average", "averages for no law; add \"fact.averaged\" to metrics".into()))
        }
        (Some(plan), _) if plan.every == 0 || plan.last < plan.every => {
            let message = format!("every = {} must be at least 1 and at most last = {}", plan.every, plan.last);
            Err(SpecError::value("average", message))
        }
        _ => Ok(probe),
    }
}

/// The laws that a probe asks for.
fn asked<'a>(probe: &'a ProbePlan, registries: &'a Registries) -> impl Iterator<Item = &'a Law> {
    registries.laws.rows().iter().filter(|law| probe.metrics.iter().any(|name| name == law.name))
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
        crate::machine::devices::check(&top.device, top.dtype).map_err(|error| {
            let message = error.to_string();
            SpecError::value("device", message.strip_prefix("device: ").unwrap_or(&message).to_string())
        })?;
        let mut model = registries.models.resolve(section("model", true)?).map_err(|error| error.under("model"))?;
        make_absolute(&registries.models, &mut model, base);
        let (data, preparation) =
            data(section("data", true)?, &registries.data, base).map_err(|error| error.under("data"))?;

        let mut loss = section("loss", false)?;
        loss.entry("kind").or_insert_with(|| "half_mse".into());
        let loss = registries.losses.resolve(loss).map_err(|error| error.under("loss"))?;

        let (mut common, own) = peel(section("solver", true)?, &Course::KEYS);
        let entry = own.get("kind").and_then(Value::as_str).and_then(|kind| registries.solvers.get(kind));
        if let Some(entry) = entry {
            let defaults = entry.default_table()?.into_iter();
            for (key, value) in defaults.filter(|(key, _)| Course::KEYS.contains(&key.as_str())) {
                common.entry(key).or_insert(value);
            }
        }
        let solver = solvers::resolve(&registries.solvers, own);
        let solver = solver.map_err(|error| error.or_known(&Course::KEYS).under("solver"))?;
        let course: Course = read(common).map_err(|error| error.under("solver"))?;
        course.check().map_err(|error| error.under("solver"))?;
        #[cfg(feature = "burn")]
        check_course(&registries.solvers, &solver, &course)?;

        let source = registries.data.build(data.clone(), &()).map_err(|error| error.under("data"))?;
        let held_out = preparation.test.0 > 0.0 || source.holds_out();
        let probe = probe(section("probe", false)?, registries, held_out).map_err(|error| error.under("probe"))?;
        #[cfg(feature = "burn")]
        check_penalty(registries, &solver, &course, &probe)?;
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
        let mut table = self.table();
        for (section, key, default) in later() {
            if let Some(Value::Table(section)) = table.get_mut(section)
                && section.get(key) == Some(&default)
            {
                section.remove(key);
            }
        }
        canonical(&Value::Table(table), &mut hash);
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// λ of the penalty, where the solver has one.
    pub fn weight_decay(&self) -> f64 {
        self.solver.get("weight_decay").and_then(crate::keys::number).unwrap_or(0.0)
    }
}

/// Keys that came after runs had ids: at these values they are not hashed, so that no run is renamed.
fn later() -> [(&'static str, &'static str, Value); 4] {
    [
        ("verdict", "chance", 0.5.into()),
        ("probe", "rows", "train".into()),
        ("probe", "capture", false.into()),
        ("data", "intercept", 0.0.into()),
    ]
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
            let text = match crate::keys::number(other) {
                Some(number) => crate::record::decimal(number),
                None => other.to_string(),
            };
            hash.update(text.as_bytes());
            hash.update(b";");
        }
    }
}
/// Refuses batches of a solver that takes all rows at once, and a learning rate of one that has none.
#[cfg(feature = "burn")]
fn check_course(
    known: &nfa_models::Registry<dyn crate::train::solver::Solver>,
    solver: &Table,
    course: &Course,
) -> Result<(), SpecError> {
    let built = solvers::build(known, solver.clone(), &course.lr, None).map_err(|error| error.under("solver"))?;
    let kind = solver.get("kind").and_then(Value::as_str).unwrap_or_default();
    if course.lr.constant() != Some(1.0) && !built.takes_rate() {
        let message = format!("{kind} has no learning rate: it finds the length of its steps by itself; leave lr out");
        return Err(SpecError::value("solver.lr", message));
    }
    if course.batch != Batch::Full && !built.takes_batches() {
        let message = format!("{kind} is full batch; use kind = \"sgd\" for batches");
        return Err(SpecError::value("solver.batch", message));
    }
    Ok(())
}

/// Refuses laws of stationary points of a penalised loss where none is approached.
#[cfg(feature = "burn")]
fn check_penalty(registries: &Registries, solver: &Table, course: &Course, probe: &ProbePlan) -> Result<(), SpecError> {
    let Some(law) = asked(probe, registries).find(|law| law.needs.contains(Needs::DECAY)) else { return Ok(()) };
    let built = solvers::build(&registries.solvers, solver.clone(), &course.lr, None);
    let built = built.map_err(|error| error.under("solver"))?;
    crate::observe::loss::penalty_of(built.as_ref()).lambda().map(drop).map_err(|why| {
        let message =
            format!("{}: refused: {why}; leave it out here (an [[arm]] may have its own \"probe.metrics\")", law.name);
        SpecError::value("probe.metrics", message)
    })
}
