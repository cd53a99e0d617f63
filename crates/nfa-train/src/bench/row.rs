//! One line of results: `nfa.bench/1`.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::bench::clock::Times;
use crate::bench::problem::Problem;

/// The schema's name.
pub const SCHEMA: &str = "nfa.bench/1";

/// A line. What is undefined is `None`, and `null` in JSON.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Row {
    /// `agop`, `train`, `spectra`, `sites`, `fidelity` or `scale`.
    pub kind: &'static str,
    /// The device's name, `host` for what runs on none of Burn's.
    pub device: String,
    /// How an AGOP was computed.
    pub path: Option<&'static str>,
    /// What did the training steps or the decomposition.
    pub engine: Option<&'static str>,
    /// `f32` or `f64`.
    pub dtype: &'static str,
    /// Inputs, hidden widths, outputs.
    pub widths: Option<Vec<usize>>,
    /// Between layers.
    pub activation: Option<String>,
    /// Rows.
    pub samples: Option<usize>,
    /// Timed repeats.
    pub repeats: Option<u64>,
    /// Seconds of a call (agop, spectra) or a step (train): the median over repeats.
    pub median_s: Option<f64>,
    /// The fastest repeat.
    pub min_s: Option<f64>,
    /// The slowest repeat.
    pub max_s: Option<f64>,
    /// Samples or steps per second, at the median.
    pub rate_per_s: Option<f64>,
    /// 2e-9 times the multiply-adds per second, at the median.
    pub gflops: Option<f64>,
    /// The best matrix product of this device and dtype, in this process.
    pub peak_gflops: Option<f64>,
    /// gflops / peak_gflops.
    pub share_of_peak: Option<f64>,
    /// Most memory that the process had resident while the row was measured.
    pub peak_memory_bytes: Option<u64>,
    /// max|X - X64| / max|X64| against the result in f64.
    pub max_relative_error: Option<f64>,
    /// Whether this is what runs without a choice.
    pub auto: bool,
    /// The standard problem's letter.
    pub problem: Option<&'static str>,
    /// Seconds of the very first call.
    pub first_call_s: Option<f64>,
    /// Calls or steps in each repeat.
    pub calls: Option<u64>,
    /// Whatever else the kind has.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl Row {
    /// A row about a problem.
    pub fn of(kind: &'static str, problem: &Problem) -> Self {
        let mut row = Row {
            kind,
            widths: Some(problem.widths.clone()),
            activation: Some(problem.activation.to_string()),
            samples: Some(problem.samples),
            problem: problem.name,
            ..Row::default()
        };
        row.note("bias", problem.bias);
        row.note("seed", problem.seed);
        row
    }

    /// Sets a field of the kind's own.
    pub fn note(&mut self, name: &str, value: impl Into<Value>) {
        self.more.insert(name.to_string(), value.into());
    }

    /// Takes up times: per call `units` samples or steps, and so many multiply-adds.
    pub fn timed(&mut self, times: &Times, units: f64, multiply_adds: Option<f64>, peak: Option<f64>) {
        let median = times.median();
        self.repeats = Some(times.repeats.len() as u64);
        self.calls = Some(times.calls);
        self.first_call_s = finite(times.first);
        (self.median_s, self.min_s, self.max_s) = (finite(median), finite(times.min()), finite(times.max()));
        self.rate_per_s = finite(units / median);
        self.gflops = multiply_adds.and_then(|count| finite(2e-9 * count / median));
        self.peak_gflops = peak.and_then(finite);
        self.share_of_peak = self.gflops.zip(self.peak_gflops).and_then(|(gflops, peak)| finite(gflops / peak));
    }

    /// As a JSON object, its schema in front.
    pub fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("schema".into(), SCHEMA.into());
        if let Ok(Value::Object(fields)) = serde_json::to_value(self) {
            object.extend(fields);
        }
        Value::Object(object)
    }
}

/// A number that JSON has, if it is one.
pub fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
