//! What the cells of both tables of runs say.

use crate::keys::get;
use crate::report::draw::format::fixed;
use crate::report::figures::view::value;
use crate::study::StudyRun;

/// How well the network does its job at the last probe, beside its verdict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Task {
    /// Share of the held-out samples that are misclassified, in 0..=1.
    Wrong(f64),
    /// Loss on the held-out samples, without penalty.
    Loss(f64),
}

impl Task {
    /// The test error of a run, where a split was held out.
    pub(super) fn of(run: &StudyRun) -> Option<Self> {
        let wrong = run.last("accuracy.test").map(|accuracy| Task::Wrong(1.0 - accuracy));
        wrong.or_else(|| run.last("loss.test").map(Task::Loss))
    }
}

/// The value of a run's key; where only other arms vary it, the resolved configuration's.
pub(super) fn setting(run: &StudyRun, key: &str) -> String {
    let known = value(run, key);
    if !known.is_empty() || key == "arm" {
        return known.to_string();
    }
    match get(&run.config, key) {
        Some(toml::Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    }
}

/// α, or that there is none.
pub(super) fn alpha(value: Option<f64>) -> String {
    if value.is_some_and(is_lowest) { "→ 0".to_string() } else { fixed(value, 4) }
}

/// Whether an exponent is the lower end of the search, which is no measurement.
pub(super) fn is_lowest(alpha: f64) -> bool {
    alpha <= nfa_metrics::judge::misfit::ALPHA_RANGE[0]
}

/// The class of a verdict.
pub(super) fn class(word: &str) -> &'static str {
    match word {
        "holds" => "holds",
        "approximate" => "approximate",
        "fails" => "fails",
        _ => "undetermined",
    }
}
