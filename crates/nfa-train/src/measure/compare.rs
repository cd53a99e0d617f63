//! Two checkpoints of one network side by side.

use serde_json::{Value, json};

use crate::measure::measurement::Measurement;
use crate::weights::names::bare;

/// Why measurements are no two checkpoints of one network, if so.
pub fn refusal(measurements: &[Measurement]) -> Option<String> {
    let [a, b] = measurements else {
        return Some(format!("takes two files of --weights or --capture, not {}", measurements.len()));
    };
    // A file of weights has the layers it has; a capture's sites depend on how it was recorded.
    let differ = a.source == "capture" && sites(a) != sites(b);
    differ.then(|| format!("{} and {} have different sites", a.title, b.title))
}

/// Names without what wrappers add, and sizes.
fn sites(of: &Measurement) -> Vec<(String, Option<usize>, usize)> {
    of.layers.iter().map(|layer| (bare(&layer.name), layer.d_out, layer.d_in)).collect()
}

/// Why files of weights are no trajectory of one network, if so.
pub fn strangers(measurements: &[Measurement]) -> Option<String> {
    let (first, rest) = measurements.split_first()?;
    let other = rest.iter().find(|other| first.source == "weights" && sites(first) != sites(other))?;
    Some(format!(
        "{} and {} have layers of other names or sizes: several files are one network over time; a network in several files \
         is given by its model.safetensors.index.json or their folder",
        first.title, other.title
    ))
}

/// |W_b - W_a| / |W_a| of each layer.
fn change(a: &Measurement, b: &Measurement, layer: usize) -> Option<f64> {
    let (before, after) = (a.layers[layer].weight.as_ref()?, b.layers[layer].weight.as_ref()?);
    (before.shape() == after.shape()).then(|| (after - before).norm_l2() / before.norm_l2())
}

/// `nfa.compare/1`.
pub fn json(a: &Measurement, b: &Measurement) -> Value {
    let layers: Vec<Value> = (0..a.layers.len().min(b.layers.len()))
        .map(|i| {
            let of = |m: &Measurement| m.layers[i].laws.first().map(|found| found.finding.clone());
            let (first, second) = (of(a), of(b));
            let both = |f: &dyn Fn(&nfa_metrics::Finding) -> Value| {
                json!([first.as_ref().map_or(Value::Null, f), second.as_ref().map_or(Value::Null, f)])
            };
            json!({
                "layer": a.layers[i].layer,
                "name": a.layers[i].name,
                "change": change(a, b, i),
                "alpha": both(&|f| f.alpha.into()),
                "misfit": both(&|f| f.misfit.into()),
                "verdict": both(&|f| f.verdict.name().into()),
                "moved": b.layers[i].since(&a.layers[i]).as_ref().map(crate::measure::json::change),
            })
        })
        .collect();
    json!({ "schema": "nfa.compare/1", "titles": [a.title, b.title], "layers": layers })
}

/// The same for people.
pub fn text(a: &Measurement, b: &Measurement) -> String {
    let mut text = format!("{} -> {}\n", a.title, b.title);
    let width = a.layers.iter().map(|layer| layer.name.len()).max().unwrap_or(0).max(5);
    text.push_str(&format!(
        "{:width$}  {:>10}  {:>19}  {:>19}  {:>25}  verdict\n",
        "layer", "|dW|/|W|", "alpha", "misfit", "by"
    ));
    let number = |value: &Value| value.as_f64().map_or("-".to_string(), |v| format!("{v:.4}"));
    for layer in json(a, b)["layers"].as_array().into_iter().flatten() {
        let pair = |key: &str| format!("{} -> {}", number(&layer[key][0]), number(&layer[key][1]));
        // Of the misfit, block by block over the same rows.
        let end = |i: usize| layer["moved"]["misfit_interval"][i].as_f64();
        let by = match (layer["moved"]["misfit"].as_f64(), end(0), end(1)) {
            (Some(by), Some(low), Some(high)) => format!("{by:+.4} [{low:+.4}, {high:+.4}]"),
            _ => "-".to_string(),
        };
        let word = |k: usize| layer["verdict"][k].as_str().unwrap_or("-").to_string();
        text.push_str(&format!(
            "{:width$}  {:>10}  {:>19}  {:>19}  {by:>25}  {} -> {}\n",
            layer["name"].as_str().unwrap_or(""),
            number(&layer["change"]),
            pair("alpha"),
            pair("misfit"),
            word(0),
            word(1)
        ));
    }
    text
}
