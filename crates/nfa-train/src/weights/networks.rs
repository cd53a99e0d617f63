//! Two networks in one file: the same names behind two prefixes.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Result;
use crate::weights::checkpoint::Checkpoint;
use crate::weights::names::{are_numbered, parts, words};

/// What copies of a network, and networks beside one another, are called.
const COPIES: [&str; 14] = [
    "ema", "target", "teacher", "student", "shadow", "swa", "averaged", "avg", "online", "best", "old", "momentum",
    "polyak", "copy",
];
const MEMBERS: [&str; 10] =
    ["ensemble", "members", "estimators", "models", "nets", "networks", "critics", "actors", "experts", "agents"];

fn is_copy(part: &str) -> bool {
    words(part).iter().any(|word| COPIES.contains(&word.as_str()))
}

/// Why two names may belong to two networks.
#[derive(PartialEq, Eq)]
enum Sign {
    /// The same name behind two prefixes: of several weights that says it.
    Same,
    /// One of the prefixes says that it is a copy, or a member of several.
    Said,
}

/// The prefixes under which two names differ where networks do.
fn prefixes<'a>(a: &'a str, b: &'a str) -> Option<(String, String, Sign)> {
    let (left, right) = (parts(a), parts(b));
    let start = |parts: &[&str]| parts.iter().map(|part| format!("{part}.")).collect::<String>();
    if left.len() != right.len() {
        // A whole name behind a prefix.
        let (short, long) = if left.len() < right.len() { (&left, &right) } else { (&right, &left) };
        let more = long.len() - short.len();
        let prefix = &long[..more];
        let numbers = prefix.iter().any(|part| part.chars().all(|c| c.is_ascii_digit()));
        if long[more..] != short[..] || numbers {
            return None;
        }
        let sign = if prefix.iter().any(|part| is_copy(part)) { Sign::Said } else { Sign::Same };
        return Some((String::new(), start(prefix), sign))
            .filter(|_| short.len() > 1 || prefix.iter().any(|p| is_copy(p)));
    }
    let at = (0..left.len()).find(|&i| left[i] != right[i])?;
    if left[at + 1..] != right[at + 1..] || at + 1 == left.len() {
        return None;
    }
    let pair = (start(&left[..=at]), start(&right[..=at]));
    let members = at > 0 && words(left[at - 1]).iter().any(|word| MEMBERS.contains(&word.as_str()));
    if is_copy(left[at]) || is_copy(right[at]) || (members && are_numbered(left[at], right[at])) {
        return Some((pair.0, pair.1, Sign::Said));
    }
    // Layers and blocks are numbered, or have no names of their own below.
    (!are_numbered(left[at], right[at]) && left.len() - at > 2).then_some((pair.0, pair.1, Sign::Same))
}

/// Refuses names that belong to two networks; `said_alone`: where one of the prefixes says so.
///
/// # Errors
/// Two prefixes with the same names behind them.
pub fn check<'a>(checkpoint: &Checkpoint<'_>, names: impl Iterator<Item = &'a str>, said_alone: bool) -> Result<()> {
    let names: Vec<&str> = names.collect();
    let whole: BTreeSet<Vec<&str>> = names.iter().map(|name| parts(name)).collect();
    // The first name of those that are the same but for one part.
    let mut first: BTreeMap<(usize, Vec<&str>), &str> = BTreeMap::new();
    let mut same: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut found = |a: &str, b: &str| {
        let (one, other, sign) = prefixes(a, b)?;
        let count = same.entry((one.clone(), other.clone())).or_default();
        *count += 1;
        (sign == Sign::Said || (!said_alone && *count > 1)).then_some((one, other))
    };
    for name in &names {
        let own = parts(name);
        let mut alike: Vec<String> = Vec::new();
        for at in 0..own.len() {
            let mut others = own.clone();
            others[at] = "";
            let before = *first.entry((at, others)).or_insert(name);
            if before != *name {
                alike.push(before.into());
            }
            // A whole name behind a prefix.
            if at > 0 && whole.contains(&own[at..]) {
                alike.push(own[at..].join("."));
            }
        }
        for other in alike {
            let Some((one, second)) = found(&other, name) else { continue };
            let shown = |prefix: &str| if prefix.is_empty() { "no prefix".into() } else { format!("`{prefix}`") };
            return Err(checkpoint.wrong(format!(
                "{other} and {name}: two networks, or two parts of one, under {} and {}; --prefix {} takes one, \
                 --layers NAME,NAME names layers in order",
                shown(&one),
                shown(&second),
                if second.is_empty() { &one } else { &second },
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_of_networks_and_of_layers_differ() {
        let found = |a: &str, b: &str| prefixes(a, b).map(|(first, second, sign)| (first, second, sign == Sign::Said));
        let said = |a: &str, b: &str| Some((a.to_string(), b.to_string(), true));
        let same = |a: &str, b: &str| Some((a.to_string(), b.to_string(), false));
        assert_eq!(found("ema.fc1.weight", "model.fc1.weight"), said("ema.", "model."));
        assert_eq!(found("fc1.weight", "ema_model.fc1.weight"), said("", "ema_model."));
        assert_eq!(found("net.ema.weight", "net.model.weight"), said("net.ema.", "net.model."));
        assert_eq!(found("nets.0.fc.weight", "nets.1.fc.weight"), said("nets.0.", "nets.1."));
        assert_eq!(found("actor.fc1.weight", "critic.fc1.weight"), same("actor.", "critic."));
        assert_eq!(found("layers.0.weight", "layers.1.weight"), None);
        assert_eq!(found("layers.0.fc.weight", "layers.1.fc.weight"), None);
        assert_eq!(found("layer1.0.weight", "layer2.0.weight"), None);
        assert_eq!(found("fc1.weight", "out.weight"), None);
        assert_eq!(found("fc.weight", "fc.bias"), None);
        assert_eq!(found("weight", "fc.weight"), None);
    }
}
