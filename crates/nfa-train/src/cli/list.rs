//! `list`: what files and options may name.

use nfa_metrics::{Better, Law, MetricInfo};
use nfa_models::Registry;
use nfa_models::spec::Component;
use serde_json::json;

use crate::cli::Listed;
use crate::cli::session::Session;
use crate::cli::voice::{out, out_json};
use crate::experiment::built_in::BUILT_IN;
use crate::machine::devices::{BACKENDS, Backend, Card, build_with};

/// Lists everything of a sort.
pub(crate) fn list(session: &Session<'_>, what: Listed) {
    let (registries, json) = (session.registries, session.voice.json);
    match what {
        Listed::Models => kinds("model", &registries.models, json),
        Listed::Solvers => kinds("solver", &registries.solvers, json),
        Listed::Data => kinds("data", &registries.data, json),
        Listed::Losses => kinds("loss", &registries.losses, json),
        Listed::Laws => registries.laws.rows().iter().for_each(|row| law(row, json)),
        Listed::Metrics => {
            let metrics = registries.metrics.rows().iter().flat_map(|metric| (metric.info)());
            let laws = registries.laws.rows().iter().flat_map(nfa_metrics::laws::columns::law_columns);
            for info in metrics.chain(laws) {
                match json {
                    true => out_json("nfa.metric/1", &info),
                    false => out(&format!("{:44} {}", info.name, info.doc)),
                }
            }
            let mut told: Vec<&str> = Vec::new();
            for entry in registries.solvers.entries() {
                for &(column, unit, doc) in entry.columns.iter().filter(|(column, ..)| !told.contains(column)) {
                    let (name, range) = (format!("iteration.{column}"), "(-inf, inf)");
                    let info = MetricInfo {
                        name,
                        symbol: column,
                        unit,
                        range,
                        better: Better::Neither,
                        doc,
                        reference: entry.reference,
                    };
                    match json {
                        true => out_json("nfa.metric/1", &info),
                        false => out(&format!("{:44} {}", info.name, info.doc)),
                    }
                }
                told.extend(entry.columns.iter().map(|(column, ..)| *column));
            }
        }
        Listed::Devices => BACKENDS.into_iter().for_each(|backend| device(backend, json)),
        Listed::Experiments => {
            for (name, text) in BUILT_IN {
                let claim = text.parse::<toml::Table>().ok().and_then(|t| Some(t.get("claim")?.as_str()?.to_string()));
                match json {
                    true => out_json("nfa.experiment/1", &json!({ "name": name, "claim": claim })),
                    false => out(&format!("{name:12} {}", claim.unwrap_or_default())),
                }
            }
        }
    }
}

fn kinds<T: ?Sized + Component>(schema: &str, registry: &Registry<T>, json: bool) {
    for entry in registry.entries() {
        if json {
            let fields =
                json!({ "kind": entry.kind, "doc": entry.doc, "reference": entry.reference, "example": entry.example });
            out_json(&format!("nfa.{schema}/1"), &fields);
        } else {
            out(&format!("{:16} {}", entry.kind, entry.doc));
        }
    }
}

fn law(law: &Law, json: bool) {
    if json {
        let fields = json!({
            "name": law.name, "left": law.left, "right": law.right, "family": law.family.name(),
            "doc": law.doc, "reference": law.reference,
        });
        out_json("nfa.law/1", &fields);
    } else {
        out(&format!("{:16} {} ~ {}: {}", law.name, law.left, law.right, law.doc));
    }
}

/// A backend and what it finds.
#[derive(serde::Serialize)]
struct Found {
    #[serde(flatten)]
    backend: Backend,
    cards: Vec<Card>,
}

fn device(backend: Backend, json: bool) {
    let cards = backend.cards();
    if json {
        return out_json("nfa.device/1", &Found { backend, cards });
    }
    let way = match (backend.compiled, cards.is_empty()) {
        (true, false) => "compiled in".to_string(),
        (true, true) => "compiled in; no card found".to_string(),
        (false, _) => build_with(backend.name),
    };
    let dtypes = if backend.f64 { "f32 f64" } else { "f32" };
    out(&format!("{:8} {dtypes:8} {}  ({way})", backend.name, backend.doc));
    for card in &cards {
        if let Some(name) = &card.name {
            out(&format!("{:17} {:9} {name}", "", card.device));
        }
    }
}
