//! `nfa.measure/1`.

use nfa_metrics::laws::fact;
use nfa_metrics::laws::quantity::{AGREEMENT, AT_ALPHA, DETAILS, FINDING, OVERLAP, Quantity, Reading};
use nfa_metrics::{Agreement, Change, Details, Finding, Judged, Law};
use serde_json::{Map, Value, json};

use crate::measure::measurement::{LayerMeasurement, Measurement};
use crate::measure::{columns, summary};
use crate::record::decimal;

/// One object per network.
pub fn measurement(measurement: &Measurement) -> Value {
    json!({
        "schema": "nfa.measure/1",
        "title": measurement.title,
        "n": measurement.samples.map(count),
        "dtype": measurement.dtype,
        "device": measurement.device,
        "source": measurement.source,
        "capture": measurement.capture.as_ref().map(|about| json!({
            "framework": about.framework,
            "mode": about.mode,
            "estimator": about.estimator,
            "outputs": about.outputs,
            "last": about.last,
            "skipped": about.skipped,
        })),
        "task": { "loss": measurement.task.loss, "error": measurement.task.error },
        "warnings": measurement.task.doubts,
        "summary": summary::json(measurement),
        "coverage": summary::coverage(measurement),
        "layers": measurement.layers.iter().map(layer).collect::<Vec<_>>(),
        "columns": measurement.columns.as_ref().map(columns::json),
        "imbalance": measurement.imbalance.iter().map(|i| {
            json!({ "layer": i.layer, "frobenius": i.frobenius, "relative": i.relative })
        }).collect::<Vec<_>>(),
        "notes": measurement.notes,
        "thresholds": measurement.thresholds,
        "intervals": measurement.has_intervals().then_some(INTERVALS),
    })
}

/// What intervals are of.
const INTERVALS: &str = "of these weights over fresh inputs; too narrow where these rows were trained on";

/// A number of samples: whole, unless weights made it otherwise.
fn count(samples: f64) -> Value {
    if samples.fract() == 0.0 && samples < 2f64.powi(53) { (samples as u64).into() } else { samples.into() }
}

fn layer(layer: &LayerMeasurement) -> Value {
    // The details of the first law that has them stand beside the laws, of others in their law.
    let own = layer.laws.iter().find(|found| found.law.details);
    let law = |found: &Judged| {
        let mut value = finding(&found.finding);
        if found.law.details && own.is_some_and(|own| own.law.name != found.law.name) {
            value.insert("details".into(), found.details.as_ref().map(|more| details(more, &found.law)).into());
        }
        if found.law.signed || !found.law.beside.is_empty() {
            let mut all = agreement(found);
            if let Some(Value::Object(more)) = value.remove("details") {
                all.extend(more);
            }
            value.insert("details".into(), all.into());
        }
        (found.law.name.to_string(), Value::Object(value))
    };
    let mut beside: Value = own.and_then(|own| Some(details(own.details.as_ref()?, &own.law))).into();
    if let (Some(beside), Some(fact)) =
        (beside.as_object_mut(), layer.laws.iter().find(|found| found.law.name == fact::LAW.name))
    {
        beside.insert("fact".into(), agreement(fact).into());
    }
    json!({
        "layer": layer.layer,
        "name": layer.name,
        "d_in": layer.d_in,
        "d_out": layer.d_out,
        "depth_from_here": layer.depth_from_here,
        "since_init": layer.change.as_ref().map(change),
        "laws": layer.laws.iter().map(law).collect::<Map<String, Value>>(),
        "details": beside,
    })
}

/// How far a law moved, with intervals over rows.
pub(super) fn change(change: &Change) -> Value {
    json!({
        "alpha": change.alpha,
        "alpha_interval": [change.alpha_interval.low, change.alpha_interval.high],
        "misfit": change.misfit,
        "misfit_interval": [change.misfit_interval.low, change.misfit_interval.high],
    })
}

fn value(reading: Reading) -> Value {
    match reading {
        Reading::Undefined => Value::Null,
        Reading::Number(number) => number.into(),
        Reading::Count(count) => count.into(),
        Reading::Flag(flag) => flag.into(),
        Reading::Text(text) => text.into(),
    }
}

/// What is said of something, quantities with a dot in an object of what stands before it.
fn nested<T>(quantities: &[Quantity<T>], of: &T) -> Map<String, Value> {
    let mut map = Map::new();
    for quantity in quantities {
        let value = value((quantity.of)(of));
        match quantity.name.split_once('.') {
            None => drop(map.insert(quantity.name.into(), value)),
            Some((group, name)) => map.entry(group).or_insert_with(|| json!({}))[name] = value,
        }
    }
    map
}

fn finding(found: &Finding) -> Map<String, Value> {
    let mut map = nested(FINDING, found);
    // The largest margin first.
    map.insert("certificates".into(), json!(found.certificates));
    // What is there as a whole or not at all.
    let whole = |map: &Map<String, Value>, name: &str| {
        map.get(name)
            .filter(|group| group.as_object().is_some_and(|g| g.values().any(|value| !value.is_null())))
            .cloned()
    };
    let parts = whole(&map, "parts");
    map.insert("parts".into(), parts.into());
    for interval in ["alpha_interval", "misfit_interval"] {
        let ends = whole(&map, interval).map(|ends| json!([ends["low"], ends["high"]]));
        map.insert(interval.into(), ends.into());
    }
    map
}

/// What stands beside a law, and its two matrices as they are.
fn agreement(found: &Judged) -> Map<String, Value> {
    let beside = found.law.beside.iter().zip(&found.beside);
    let mut map: Map<String, Value> =
        beside.map(|(quantity, reading)| (quantity.name.to_string(), value(reading.clone()))).collect();
    let nothing = Agreement::default();
    if found.law.signed {
        map.extend(nested(AGREEMENT, found.agreement.as_ref().unwrap_or(&nothing)));
    }
    map
}

fn details(details: &Details, law: &Law) -> Map<String, Value> {
    let mut map = nested(DETAILS, details);
    DETAILS.iter().filter(|quantity| !quantity.is_column(law)).for_each(|quantity| drop(map.remove(quantity.name)));
    for quantity in AT_ALPHA {
        let at: Map<String, Value> =
            details.at.iter().map(|at| (decimal(at.alpha), value((quantity.of)(at)))).collect();
        map.insert(quantity.name.into(), at.into());
    }
    let overlap: Map<String, Value> =
        details.top_k_overlap.iter().map(|(k, found)| (k.to_string(), value((OVERLAP.of)(&Some(*found))))).collect();
    map.insert(OVERLAP.name.into(), overlap.into());
    map.insert("fact".into(), Value::Null);
    map
}
