//! What a capture says of how it was recorded.

use std::collections::BTreeMap;

/// The notes of a capture that a reader of its table should know. Empty where a file has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// `torch 2.9.0`, `jax 0.8.0`...
    pub framework: String,
    /// `eval` or `train`: what the modules were set to.
    pub mode: String,
    /// `exact`, or `sketch:K` random combinations of the outputs.
    pub estimator: String,
    /// Outputs of a sample.
    pub outputs: Option<u64>,
    /// Sites whose output is the network's own: their AGOP is WᵀW by definition.
    pub last: Vec<String>,
    /// What has weights and is no site, each with its reason.
    pub skipped: Vec<String>,
}

/// A note is shown in a headline; longer ones are cut there.
const LONGEST: usize = 80;

impl Recorded {
    /// From a capture's metadata.
    pub fn new(notes: &BTreeMap<String, String>) -> Self {
        let note = |key: &str| clean(notes.get(key).map_or("", String::as_str));
        let short = |key: &str| -> String { note(key).chars().take(LONGEST).collect() };
        let list = |key: &str, separator: &str| -> Vec<String> {
            note(key).split(separator).map(str::trim).filter(|part| !part.is_empty()).map(String::from).collect()
        };
        Recorded {
            framework: short("framework"),
            mode: short("mode"),
            estimator: short("estimator"),
            outputs: note("outputs").parse().ok(),
            last: list("last", ","),
            skipped: list("skipped", "; "),
        }
    }
}

/// Text from a file without what a terminal would obey.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_and_cleaned() {
        let notes = [
            ("framework", "torch\u{1b}[31m 2"),
            ("outputs", "3424"),
            ("last", "head,"),
            ("skipped", "wpe: once; c: depthwise: 32 groups"),
        ];
        let notes = notes.map(|(key, value)| (key.to_string(), value.to_string()));
        let recorded = Recorded::new(&BTreeMap::from(notes));
        assert_eq!(recorded.framework, "torch\u{fffd}[31m 2");
        assert_eq!((recorded.outputs, recorded.last), (Some(3424), vec!["head".to_string()]));
        assert_eq!(recorded.skipped, ["wpe: once", "c: depthwise: 32 groups"]);
        assert_eq!(Recorded::new(&BTreeMap::new()), Recorded::default());
    }
}
