//! How weights were trained, where the run that left them lies beside them.

use std::path::Path;

use nfa_metrics::Penalty;

use crate::error::{Error, Result};
use crate::keys::number;
use crate::machine::disk::Store;
use crate::record::theory::Theory;

/// What a run's folder says.
struct Trained {
    loss: String,
    lambda: f64,
    decoupled: bool,
}

impl Trained {
    /// Of the folder that a file of weights lies in; `None` where it is no run's.
    fn beside(weights: &Path, store: &dyn Store) -> Option<Self> {
        let read = |name: &str| String::from_utf8(store.read(&weights.with_file_name(name)).ok()?).ok();
        let manifest: serde_json::Value = serde_json::from_str(&read("manifest.json")?).ok()?;
        let theory: Theory = serde_json::from_value(manifest.get("theory")?.clone()).ok()?;
        let config: toml::Table = read("config.toml")?.parse().ok()?;
        Some(Trained {
            loss: config.get("loss")?.get("kind")?.as_str()?.to_string(),
            lambda: config.get("solver")?.get("weight_decay").and_then(number)?,
            decoupled: theory.decoupled,
        })
    }
}

/// Refuses FACT of another loss, λ or kind of decay than a run's own weights were trained with.
///
/// # Errors
/// What was asked, and what the run beside the weights says.
pub fn check(weights: &Path, loss: &str, lambda: f64, store: &dyn Store) -> Result<()> {
    let Some(trained) = Trained::beside(weights, store) else { return Ok(()) };
    let refused = |option: String, why: &str| {
        Err(Error::input(format!("{option}: refused: {why} (the run beside {})", weights.display())))
    };
    if trained.decoupled
        && let Err(why) = Penalty::Decoupled(trained.lambda).lambda()
    {
        return refused(format!("--weight-decay {lambda}"), why);
    }
    if trained.loss != loss {
        return refused(format!("--loss {loss}"), &format!("these weights were trained with {}", trained.loss));
    }
    if trained.lambda != lambda {
        return refused(
            format!("--weight-decay {lambda}"),
            &format!("these weights were trained with {}", trained.lambda),
        );
    }
    Ok(())
}
