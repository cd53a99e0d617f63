//! `nfa.measure/1`.

use nfa_metrics::{AlphaDetails, Details, Finding, Interval};
use serde_json::{Map, Value, json};

use crate::measure::{LayerMeasurement, Measurement};
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
        "layers": measurement.layers.iter().map(layer).collect::<Vec<_>>(),
        "imbalance": measurement.imbalance.iter().map(|i| {
            json!({ "layer": i.layer, "frobenius": i.frobenius, "relative": i.relative })
        }).collect::<Vec<_>>(),
        "thresholds": measurement.thresholds,
    })
}

/// A number of samples: whole, unless weights made it otherwise.
fn count(samples: f64) -> Value {
    if samples.fract() == 0.0 && samples < 2f64.powi(53) { (samples as u64).into() } else { samples.into() }
}

fn layer(layer: &LayerMeasurement) -> Value {
    let laws: Map<String, Value> =
        layer.laws.iter().map(|(name, found)| ((*name).to_string(), finding(found))).collect();
    json!({
        "layer": layer.layer,
        "name": layer.name,
        "d_in": layer.d_in,
        "d_out": layer.d_out,
        "depth_from_here": layer.depth_from_here,
        "laws": laws,
        "details": layer.details.as_ref().map(details),
    })
}

fn interval(interval: Option<Interval>) -> Value {
    interval.map_or(Value::Null, |i| json!([i.low, i.high]))
}

fn finding(found: &Finding) -> Value {
    json!({
        "alpha": found.alpha,
        "alpha_interval": interval(found.alpha_interval),
        "interval_source": found.interval_source,
        "predicted": found.predicted,
        "exponent_agrees": found.exponent_agrees,
        "misfit": found.misfit,
        "misfit_interval": interval(found.misfit_interval),
        "parts": found.parts,
        "certificates": found.certificates,
        "null": found.null,
        "verdict": found.verdict,
        "reason": found.reason,
    })
}

fn details(details: &Details) -> Value {
    let at = |quantity: fn(&AlphaDetails) -> Option<f64>| -> Value {
        details.at.iter().map(|a| (decimal(a.alpha), quantity(a).into())).collect::<Map<String, Value>>().into()
    };
    let overlap: Map<String, Value> =
        details.top_k_overlap.iter().map(|(k, value)| (k.to_string(), (*value).into())).collect();
    json!({
        "nfm_trace": details.nfm_trace,
        "agop_trace": details.agop_trace,
        "agop_rank": details.agop_rank,
        "rank_rule": details.rank_rule.name(),
        "nfm_effective_rank": details.nfm_effective_rank,
        "cosine": at(|a| a.cosine),
        "one_minus_cosine": at(|a| a.one_minus_cosine),
        "traceless_cosine": at(|a| a.traceless_cosine),
        "pearson": at(|a| a.pearson),
        "pearson_offdiag": at(|a| a.pearson_offdiag),
        "relative_error": at(|a| a.relative_error),
        "kappa": at(|a| a.kappa),
        "loglog_slope": details.loglog_slope,
        "loglog_r2": details.loglog_r2,
        "kendall_tau": details.kendall_tau,
        "cosine_sorted": at(|a| a.cosine_sorted),
        "haar": at(|a| a.haar),
        "top_k_overlap": overlap,
        "fact": Value::Null,
    })
}
