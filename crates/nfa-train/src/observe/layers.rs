//! Which layers are measured: all, some by number, some by name.

use serde::{Deserialize, Serialize};
use toml::Value;

/// `"all"`, or a list of layers by number from 0, by name, or by a pattern of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layers {
    /// Every one.
    All,
    /// These.
    Chosen(Vec<Choice>),
}

/// A layer, or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Choice {
    /// By its place, from 0.
    Place(usize),
    /// By a name, in which `*` stands for any characters and `?` for one.
    Name(String),
}

impl Layers {
    /// From a word of the command line: `all`, or a list with commas.
    pub fn from_word(word: &str) -> Self {
        let choice = |part: &str| part.parse().map_or_else(|_| Choice::Name(part.into()), Choice::Place);
        match word {
            "all" => Layers::All,
            list => Layers::Chosen(list.split(',').map(|part| choice(part.trim())).collect()),
        }
    }

    /// The places of what is meant among layers of these names, in order; `None` for all.
    ///
    /// # Errors
    /// A number or a name that is none of them.
    pub fn among(&self, names: &[String]) -> Result<Option<Vec<usize>>, NoLayer> {
        let Layers::Chosen(choices) = self else { return Ok(None) };
        let mut places = Vec::new();
        for choice in choices {
            let meant: Vec<usize> = match choice {
                Choice::Place(place) => (0..names.len()).filter(|i| i == place).collect(),
                Choice::Name(pattern) => (0..names.len()).filter(|&i| matches(pattern, &names[i])).collect(),
            };
            if meant.is_empty() {
                let (asked, there) = match choice {
                    Choice::Place(place) => (place.to_string(), format!("0 to {}", names.len().saturating_sub(1))),
                    Choice::Name(name) => (name.clone(), listed(names)),
                };
                return Err(NoLayer { asked, there });
            }
            places.extend(meant);
        }
        places.sort_unstable();
        places.dedup();
        Ok(Some(places))
    }
}

/// A layer that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoLayer {
    /// As it was asked for.
    pub asked: String,
    /// Those that are there.
    pub there: String,
}

/// Names, not all of many.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Whether a name is what a pattern describes.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    // The places of the pattern that may stand before the next character.
    let mut here: Vec<bool> = vec![false; pattern.len() + 1];
    let skip = |here: &mut Vec<bool>| {
        for p in 0..pattern.len() {
            if here[p] && pattern[p] == '*' {
                here[p + 1] = true;
            }
        }
    };
    here[0] = true;
    skip(&mut here);
    for character in name {
        let mut next = vec![false; pattern.len() + 1];
        for p in (0..pattern.len()).filter(|&p| here[p]) {
            match pattern[p] {
                '*' => next[p] = true,
                one if one == '?' || one == character => next[p + 1] = true,
                _ => {}
            }
        }
        skip(&mut next);
        here = next;
    }
    here[pattern.len()]
}

impl Serialize for Layers {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Layers::All => serializer.serialize_str("all"),
            Layers::Chosen(choices) => choices.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Layers {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let expected =
            "\"all\" or a list of layers, by number from 0, by name or by a pattern of names such as \"*.up\"";
        let wrong = |value: &Value| D::Error::custom(format!("must be {expected}, not {value}"));
        match Value::deserialize(deserializer)? {
            Value::String(word) if word == "all" => Ok(Layers::All),
            ref list @ Value::Array(ref values) => {
                let choice = |value: &Value| match value {
                    Value::Integer(place) => usize::try_from(*place).map(Choice::Place).map_err(|_| wrong(list)),
                    Value::String(name) => Ok(Choice::Name(name.clone())),
                    _ => Err(wrong(list)),
                };
                values.iter().map(choice).collect::<Result<_, _>>().map(Layers::Chosen)
            }
            other => Err(wrong(&other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_names_and_patterns_choose_and_what_chooses_nothing_is_named() {
        let names = ["stem", "blocks.0.up", "blocks.0.down", "blocks.10.up", "head"].map(String::from);
        let among = |word: &str| Layers::from_word(word).among(&names);
        assert_eq!(among("all"), Ok(None));
        assert_eq!(among("4, stem"), Ok(Some(vec![0, 4])));
        assert_eq!(among("*.up"), Ok(Some(vec![1, 3])));
        assert_eq!(among("blocks.?.*,blocks.0.up"), Ok(Some(vec![1, 2])));
        assert_eq!(among("*"), Ok(Some(vec![0, 1, 2, 3, 4])));
        assert_eq!(among("5"), Err(NoLayer { asked: "5".into(), there: "0 to 4".into() }));
        let error = among("*.gate").expect_err("nothing is named so");
        assert!(error.asked == "*.gate" && error.there.contains("blocks.10.up"), "{error:?}");
        for (pattern, name, same) in
            [("a*b*c", "aXXbYc", true), ("a*b*c", "acb", false), ("", "", true), ("?", "", false), ("**", "x", true)]
        {
            assert_eq!(matches(pattern, name), same, "{pattern} {name}");
        }
    }
}
