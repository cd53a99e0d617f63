//! The solvers that files may name, and how a `[solver]` table becomes one of them.

use nfa_models::spec::read;
use nfa_models::{Registry, SpecError};
use toml::Table;

use crate::train::decay::Decay;
use crate::train::first_order::{adam, adamw, gd, momentum, muon, nesterov, rmsprop, sgd};
#[cfg(feature = "burn")]
use crate::train::problem::Problem;
#[cfg(feature = "burn")]
use crate::train::rate::Rate;
use crate::train::second_order::{arc, r_arc, r_arc_d};
#[cfg(feature = "burn")]
use crate::train::setting::Setting;
use crate::train::solver::Solver;
use crate::train::surface::{flow, lbfgs};

/// Every built-in solver: one line each.
pub fn solvers() -> Registry<dyn Solver> {
    Registry::new("solver")
        .with::<gd::Gd>()
        .with::<sgd::Sgd>()
        .with::<momentum::Momentum>()
        .with::<nesterov::Nesterov>()
        .with::<rmsprop::RmsProp>()
        .with::<adam::Adam>()
        .with::<adamw::AdamW>()
        .with::<muon::Muon>()
        .with::<lbfgs::Lbfgs>()
        .with::<flow::Flow>()
        .with::<arc::Arc>()
        .with::<r_arc::RArc>()
        .with::<r_arc_d::RArcD>()
}

/// A solver's table without its decay, and that decay: as given, else the kind's own default.
fn split(known: &Registry<dyn Solver>, mut table: Table) -> Result<(Table, Decay), SpecError> {
    let entry = table.get("kind").and_then(toml::Value::as_str).and_then(|kind| known.get(kind));
    let mut decay: Table = entry.map_or("", |entry| entry.defaults).parse().unwrap_or_default();
    decay.retain(|key, _| Decay::KEYS.contains(&key));
    decay.extend(Decay::KEYS.into_iter().filter_map(|key| Some((key.to_string(), table.remove(key)?))));
    let decay: Decay = read(decay)?;
    decay.check()?;
    Ok((table, decay))
}

/// The same table with every default spelled out, checked.
///
/// # Errors
/// As [`build`].
pub fn resolve(known: &Registry<dyn Solver>, table: Table) -> Result<Table, SpecError> {
    let (own, decay) = split(known, table)?;
    let mut resolved = known.resolve(own).map_err(|error| error.or_known(&Decay::KEYS))?;
    resolved.insert("weight_decay".into(), decay.weight_decay.into());
    resolved.insert("decay_bias".into(), decay.decay_bias.into());
    Ok(resolved)
}

#[cfg(feature = "burn")]
/// Builds what a table of a kind's own keys and its decay describes, drawing from seed 0 where it draws.
///
/// # Errors
/// Unknown kinds and keys (with a suggestion), wrong types and values.
pub fn build(
    known: &Registry<dyn Solver>,
    table: Table,
    rate: &Rate,
    problem: Option<Problem<'_>>,
) -> Result<Box<dyn Solver>, SpecError> {
    build_seeded(known, table, rate, 0, problem)
}

#[cfg(feature = "burn")]
/// The same, drawing from this seed.
///
/// # Errors
/// As [`build`].
pub fn build_seeded(
    known: &Registry<dyn Solver>,
    table: Table,
    rate: &Rate,
    seed: u64,
    problem: Option<Problem<'_>>,
) -> Result<Box<dyn Solver>, SpecError> {
    let (own, decay) = split(known, table)?;
    let setting = Setting { rate: rate.clone(), decay, seed, problem };
    known.build(own, &setting).map_err(|error| error.or_known(&Decay::KEYS))
}
