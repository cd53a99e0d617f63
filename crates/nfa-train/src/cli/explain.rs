//! `explain`: what a kind is.

use nfa_models::spec::Component;
use nfa_models::{Registry, Spec, SpecError};
use toml::Table;

use crate::cli::sections::SECTIONS;
use crate::error::{Error, Result};
use crate::minimise::problems::PROBLEMS;
use crate::registries::Registries;
use crate::train::second_order::function::FunctionSpec;
use crate::train::solvers;

/// One kind in words.
struct Page {
    section: &'static str,
    kind: String,
    doc: String,
    reference: String,
    /// Its table with every default spelled out.
    keys: String,
}

fn pages<T: ?Sized + Component>(section: &'static str, registry: &Registry<T>, resolve: Resolve<'_>) -> Vec<Page> {
    registry
        .entries()
        .iter()
        .map(|entry| Page {
            section,
            kind: entry.kind.into(),
            doc: entry.doc.into(),
            reference: entry.reference.into(),
            keys: table(registry, entry.kind, resolve),
        })
        .collect()
}

/// Spells out the defaults of a table.
pub(crate) type Resolve<'a> = &'a dyn Fn(Table) -> std::result::Result<Table, SpecError>;

/// Every key of a kind with its default, where it has one for all of them, else with its example's
/// values.
pub(crate) fn table<T: ?Sized + Component>(registry: &Registry<T>, kind: &str, resolve: Resolve<'_>) -> String {
    let bare = Table::from_iter([("kind".to_string(), toml::Value::from(kind))]);
    let example = registry.entries().iter().find(|entry| entry.kind == kind).map_or("", |entry| entry.example);
    let mut full: Table = example.parse().unwrap_or_default();
    full.extend(bare.clone());
    let resolved = resolve(bare).or_else(|_| resolve(full.clone())).unwrap_or(full);
    // Inline, so that the text can stand under any [section].
    let value = |value: &toml::Value| match value {
        toml::Value::Float(number) => crate::record::decimal(*number),
        other => other.to_string(),
    };
    resolved.iter().map(|(key, found)| format!("{key} = {}\n", value(found))).collect()
}

/// What is known of a kind: doc, keys with their defaults, reference.
///
/// # Errors
/// An unknown kind, with what it may have meant.
pub(crate) fn explain(kind: &str, registries: &Registries) -> Result<String> {
    let Registries { models, data, losses, solvers: known, .. } = registries;
    let mut all = pages("model", models, &|table| models.resolve(table));
    all.extend(pages("data", data, &|table| data.resolve(table)));
    all.extend(pages("loss", losses, &|table| losses.resolve(table)));
    all.extend(pages("solver", known, &|table| solvers::resolve(known, table)));
    let mut text = String::new();
    for page in all.iter().filter(|page| page.kind == kind) {
        text.push_str(&format!(
            "{} ({})\n\n  {}\n\n[{}]\n{}",
            page.kind, page.section, page.doc, page.section, page.keys
        ));
        match page.section {
            "model" if page.keys.lines().any(|line| line.starts_with("init = ")) => text.push_str(STARTS),
            "data" => text.push_str(&common_data(registries)),
            "solver" => text.push_str(&common_solver(registries, kind)),
            _ => {}
        }
        let columns =
            registries.solvers.get(kind).filter(|_| page.section == "solver").map_or(&[][..], |entry| entry.columns);
        if !columns.is_empty() {
            text.push_str("\nColumns of its own, of the last iteration before a probe:\n");
        }
        for (name, _, doc) in columns {
            text.push_str(&format!("  {:24} {doc}\n", format!("iteration.{name}")));
        }
        if page.section == "model" && kind == FunctionSpec::KIND {
            text.push_str("\nProblems:\n");
            PROBLEMS.iter().for_each(|problem| text.push_str(&format!("  {:24} {}\n", problem.name, problem.doc)));
        }
        text.push_str(&format!("\nReference: {}\n", page.reference));
    }
    if let Some(law) = registries.laws.get(kind) {
        text.push_str(&format!(
            "{} (law, {})\n\n  {}\n  {} against {}.\n\nColumns:\n",
            law.name,
            law.family.name(),
            law.doc,
            law.left,
            law.right
        ));
        for info in nfa_metrics::laws::columns::law_columns(law) {
            text.push_str(&format!("  {:44} {}\n", info.name, info.doc));
        }
        text.push_str(&format!("\nReference: {}\n", law.reference));
    }
    if let Some(metric) = registries.metrics.get(kind).filter(|_| text.is_empty() || kind != "loss") {
        for info in (metric.info)() {
            text.push_str(&format!(
                "{} ({}, {}): {}\n  Reference: {}\n",
                info.name, info.symbol, info.range, info.doc, info.reference
            ));
        }
    }
    text.extend(SECTIONS.iter().filter(|(name, _)| *name == kind).map(|(_, page)| *page));
    if !text.is_empty() {
        return Ok(text);
    }
    let known: Vec<String> = all
        .iter()
        .map(|page| page.kind.clone())
        .chain(registries.laws.rows().iter().map(|law| law.name.to_string()))
        .chain(registries.metrics.rows().iter().map(|metric| metric.name.to_string()))
        .chain(SECTIONS.map(|(name, _)| name.to_string()))
        .collect();
    let error = SpecError::unknown("", "kind", kind, known.iter().map(String::as_str));
    Err(Error::input(format!("explain: {error}")))
}

const STARTS: &str = "# init = one of (widths allowing):\n\
    #   { kind = \"gaussian\", scale = 1.0 }               std = scale / sqrt(fan_in)\n\
    #   { kind = \"kaiming\", gain = 1.4142135623730951 }  std = gain / sqrt(fan_in)\n\
    #   { kind = \"xavier\", gain = 1.0 }                  std = gain * sqrt(2 / (fan_in + fan_out))\n\
    #   { kind = \"orthogonal\", gain = 1.0 }              orthonormal rows or columns, times gain\n\
    #   { kind = \"balanced\", spectrum = [0.9, 0.5] }     W'^T W' = W W^T, geometric singular values\n\
    #   { kind = \"lambda_balanced\", c = 0.1 }            W'^T W' = W W^T + cI; spectrum = [1.0, 0.5]\n\
    #   { kind = \"values\", weights = [[[1, 0], [0, 1]], [[1, 1]]] }   these numbers, rows of each layer\n\
    #   { kind = \"file\", path = \"w.safetensors\" }        its 2-D tensors in natural order, biases too; or layers = [\"NAME\", ...]\n\
    # scale and gain: a number, or a list with one per layer, as in scale = [1.0, 0.1, 3.0]\n";

/// The keys of every dataset, and what they are for kinds with defaults of their own.
fn common_data(registries: &Registries) -> String {
    let own = registries.data.entries().iter().filter(|entry| !entry.defaults.is_empty());
    let own: String = own.map(|e| format!("; {}: {}", e.kind, e.defaults.trim_end().replace('\n', ", "))).collect();
    format!(
        "# and, as for every dataset (defaults{own}):\n\
         # scale = 1, center = false, standardize = false, targets = \"auto\", test = 0, limit = (all), permute_targets = false, weights = (none)\n"
    )
}

/// The keys of every solver, and what they are for kinds with defaults of their own.
fn common_solver(registries: &Registries, kind: &str) -> String {
    let finds_lengths = registries.solvers.get(kind).is_some_and(|entry| entry.defaults.contains("lr ="));
    let (lr, or_time) = match finds_lengths {
        true => ("(none: it finds the length of its steps by itself)", ""),
        false => (
            "(required; a number, or pieces [[0, 1e-3], [2000, 3e-4]]; flow: the time a step takes, lbfgs: the first length tried)",
            "; or time = lr * steps",
        ),
    };
    format!(
        "# and, as for every solver:\n# lr = {lr}\n# steps = (required{or_time})\n\
         # batch = \"full\" (or rows per step, reshuffled every epoch; not gd, flow, lbfgs, arc, r_arc, r_arc_d)\n\
         # diverged_above = 1e6\n"
    )
}
