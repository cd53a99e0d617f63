//! What the variables of formulas stand for in a run.

use serde::Deserialize;
use toml::{Table, Value};

use crate::keys::{depth_of, get, number};
use crate::train::rate::Rate;

/// The key that a variable is short for; another name as it is.
pub fn key_of(name: &str) -> &str {
    match name {
        "L" => "model.depth",
        "lr" => "solver.lr",
        "lambda" => "solver.weight_decay",
        name => name,
    }
}

/// What a run's resolved configuration says of a variable or key; `None` of `l` and `t`, which
/// differ within a run.
pub fn setting(config: &Table, name: &str) -> Option<f64> {
    match name {
        "L" => depth_of(config),
        "lambda" => get(config, key_of(name)).and_then(number).or(Some(0.0)),
        name => get(config, key_of(name)).and_then(number),
    }
}

/// What t is in formulas: the step, or under gradient flow the time.
pub fn clock(config: &Table, step: f64) -> Option<f64> {
    if get(config, "solver.kind").and_then(Value::as_str) != Some("flow") {
        return Some(step);
    }
    Rate::deserialize(get(config, "solver.lr")?.clone()).ok().map(|rate| rate.time(step))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::formula::Formula;

    #[test]
    fn names_are_told_and_found_in_a_configuration() {
        let formula = Formula::parse_with("x*data.ratio^L/seed + x", &["x"]).expect("a formula");
        assert_eq!(formula.names(), ["x", "data.ratio", "L", "seed"]);
        assert_eq!(formula.keys(), ["data.ratio", "seed"]);
        let config: Table = "seed = 3\n[data]\nratio = 2\n[model]\nwidths = [5]".parse().expect("valid");
        let x = |name: &str| if name == "x" { Some(1.0) } else { setting(&config, name) };
        assert_eq!(formula.value(&x), Some(4.0 / 3.0 + 1.0));
        assert_eq!((setting(&config, "lambda"), setting(&config, "lr")), (Some(0.0), None));
    }
}
