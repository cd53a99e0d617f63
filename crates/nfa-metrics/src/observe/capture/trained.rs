//! What a capture says of how its network was trained.

use std::collections::BTreeMap;

use crate::observation::penalty::Penalty;
use crate::observe::capture::error::{CaptureError, wrong};
use crate::observe::capture::shown;

/// What a capture says of how its network was trained: the notes that go with gradients of a loss.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trained {
    /// The loss whose gradients there are; empty where the file doesn't say.
    pub loss: String,
    /// How decay acted, with a λ for all sites.
    penalty: Penalty,
    /// λ of each site, where they differ.
    each: Option<BTreeMap<String, f64>>,
    /// Sites that share a weight.
    shared: Vec<[String; 2]>,
}

impl Trained {
    /// From a file's notes.
    ///
    /// # Errors
    /// A λ that is no number, or negative; a word for the decay that is none of three.
    pub fn read(notes: &BTreeMap<String, String>) -> Result<Self, CaptureError> {
        let note = |key: &str| notes.get(key).map_or("", |text| text.trim());
        let bad =
            |key: &str, expected: &str| wrong("", format!("the metadata's {key} is {}: {expected}", shown(note(key))));
        let lambda = |text: &str| text.parse::<f64>().ok().filter(|lambda| lambda.is_finite() && *lambda >= 0.0);
        const NUMBER: &str = "a number from 0, or JSON with one for each site";
        let (whole, each) = match note("weight_decay") {
            "" => (0.0, None),
            text if text.starts_with('{') => {
                let each: BTreeMap<String, f64> =
                    serde_json::from_str(text).map_err(|_| bad("weight_decay", NUMBER))?;
                if each.values().any(|lambda| !(lambda.is_finite() && *lambda >= 0.0)) {
                    return Err(bad("weight_decay", NUMBER));
                }
                (0.0, Some(each))
            }
            text => (lambda(text).ok_or_else(|| bad("weight_decay", NUMBER))?, None),
        };
        let penalty = match note("decay") {
            "" => Penalty::Unknown,
            "none" => Penalty::None,
            "coupled" => Penalty::Coupled(whole),
            "decoupled" => Penalty::Decoupled(whole),
            _ => return Err(bad("decay", "coupled, decoupled or none")),
        };
        let pair = |pair: &str| {
            let (a, b) = pair.split_once('=')?;
            let b = b.trim().trim_end_matches(" transposed");
            Some([a.trim().to_string(), b.to_string()])
        };
        let shared = note("shared").split(',').filter_map(pair).collect();
        let loss = if note("loss") == "none" { "" } else { note("loss") };
        Ok(Trained { loss: loss.into(), penalty, each, shared })
    }

    /// How decay acted on a site; a head is a part of its map.
    pub fn penalty(&self, site: &str) -> Penalty {
        let Some(each) = &self.each else { return self.penalty };
        let whole = site.rsplit_once('.').map_or(site, |(whole, _)| whole);
        match (each.get(site).or_else(|| each.get(whole)), self.penalty) {
            (Some(&lambda), Penalty::Coupled(_)) => Penalty::Coupled(lambda),
            (Some(&lambda), Penalty::Decoupled(_)) => Penalty::Decoupled(lambda),
            (_, Penalty::None) => Penalty::None,
            _ => Penalty::Unknown,
        }
    }

    /// Why no site of these names has a law of stationary points, where none has, for one reason.
    pub fn refusal(&self, names: &[String]) -> Option<String> {
        let why = |name: &String| match self.penalty(name).lambda() {
            Err(why) => Some(format!("refused: {why}")),
            Ok(_) => self.unsound(name, names),
        };
        let first = why(names.first()?)?;
        names.iter().all(|name| why(name).as_ref() == Some(&first)).then_some(first)
    }

    /// Why a site's gradient is not that of the loss which was trained in these weights alone, where the file shows it;
    /// `names` are its sites.
    pub fn unsound(&self, site: &str, names: &[String]) -> Option<String> {
        if self.loss.is_empty() {
            return Some("refused: the capture doesn't name the loss that its gradients are of".into());
        }
        let is = |name: &str| site == name || site.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        let there = |name: &str| names.iter().any(|known| known == name || known.starts_with(&format!("{name}.")));
        let left_out = |[a, b]: &&[String; 2]| (is(a) && !there(b)) || (is(b) && !there(a));
        self.shared.iter().find(left_out).map(|[a, b]| {
            let other = if is(a) { b } else { a };
            format!("its weights are shared and recorded in part: {other} has them too and is not recorded")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(notes: &[(&str, &str)]) -> Result<Trained, CaptureError> {
        Trained::read(&notes.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect())
    }

    #[test]
    fn one_number_for_all_or_one_for_each() {
        let all = read(&[("weight_decay", "1e-4"), ("decay", "coupled"), ("loss", "mse")]).expect("valid");
        assert_eq!(all.penalty("fc"), Penalty::Coupled(1e-4));
        let notes = [("weight_decay", r#"{"fc": 0.1, "embed": 0, "q": 0.2}"#), ("decay", "coupled"), ("loss", "mse")];
        let each = read(&notes).expect("valid");
        assert_eq!(each.penalty("fc"), Penalty::Coupled(0.1));
        assert_eq!(each.penalty("q.head3"), Penalty::Coupled(0.2));
        assert!(each.penalty("embed").lambda().is_err(), "0 there");
        assert_eq!(each.penalty("other"), Penalty::Unknown);
        assert!(read(&[("weight_decay", "0.1")]).expect("valid").penalty("fc").lambda().is_err(), "how is not said");
        assert!(read(&[("decay", "decoupled")]).expect("valid").penalty("fc").lambda().is_err());
        for bad in [("weight_decay", "-1"), ("weight_decay", "{1"), ("weight_decay", r#"{"a": -1}"#), ("decay", "l2")] {
            assert!(read(&[bad]).expect_err("no").to_string().contains(bad.0), "{bad:?}");
        }
    }

    #[test]
    fn a_loss_without_a_name_and_a_weight_that_is_recorded_in_part_are_unsound() {
        let names = ["head".to_string(), "fc".into()];
        let tied = read(&[("loss", "mse"), ("shared", "head=embed transposed")]).expect("valid");
        assert!(tied.unsound("head", &names).expect("embed is not there").contains("embed"));
        assert_eq!(tied.unsound("fc", &names), None);
        assert_eq!(tied.unsound("head", &["head".into(), "embed".into()]), None);
        assert!(read(&[]).expect("valid").unsound("fc", &names).expect("no loss").contains("name the loss"));
    }
}
