//! What the variables of formulas stand for in a run.

use serde::Deserialize;
use toml::Table;

use crate::keys::{get, number};
use crate::record::theory::{Clock, Theory};
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

/// The variables of one run.
#[derive(Clone, Copy, Debug)]
pub struct Variables<'a> {
    /// The resolved configuration.
    pub config: &'a Table,
    /// What solver and network say.
    pub theory: &'a Theory,
}

impl Variables<'_> {
    /// The value of a variable or key; `None` of `l` and `t`, which differ within a run.
    pub fn value(&self, name: &str) -> Option<f64> {
        match name {
            "L" => self.theory.depth.map(|depth| depth as f64),
            "lambda" => get(self.config, key_of(name)).and_then(number).or(Some(0.0)),
            name => get(self.config, key_of(name)).and_then(number),
        }
    }

    /// Whether a name changes along an axis of this key: `L` does where the key counts the network's matrices.
    pub fn follows(&self, name: &str, key: &str) -> bool {
        key_of(name) == key && (name != "L" || get(self.config, key).and_then(number) == self.value(name))
    }

    /// What t is at a step: the step, or the time.
    pub fn clock(&self, step: f64) -> Option<f64> {
        match self.theory.clock {
            Clock::Step => Some(step),
            Clock::Time => self.rate().map(|rate| rate.time(step)),
        }
    }

    /// The learning rates.
    pub fn rate(&self) -> Option<Rate> {
        Rate::deserialize(get(self.config, "solver.lr")?.clone()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::formula::Formula;

    #[test]
    fn names_are_told_and_found_in_a_run() {
        let formula = Formula::parse_with("x*data.ratio^L/seed + x", &["x"]).expect("a formula");
        assert_eq!(formula.names(), ["x", "data.ratio", "L", "seed"]);
        assert_eq!(formula.keys(), ["data.ratio", "seed"]);
        let config: Table = "seed = 3\n[data]\nratio = 2\n[model]\ndepth = 2".parse().expect("valid");
        let mut theory = Theory { depth: Some(4), ..Theory::default() };
        let run = Variables { config: &config, theory: &theory };
        let x = |name: &str| if name == "x" { Some(1.0) } else { run.value(name) };
        assert_eq!(formula.value(&x), Some(16.0 / 3.0 + 1.0));
        assert_eq!((run.value("lambda"), run.value("lr")), (Some(0.0), None));
        assert!(!run.follows("L", "model.depth"), "2 is not the number of matrices");
        theory.depth = Some(2);
        assert!(Variables { config: &config, theory: &theory }.follows("L", "model.depth"));
    }

    #[test]
    fn t_follows_the_clock() {
        let config: Table = "[solver]\nlr = [[0, 0.25], [4, 1]]".parse().expect("valid");
        let mut theory = Theory::default();
        assert_eq!(Variables { config: &config, theory: &theory }.clock(9.0), Some(9.0));
        theory.clock = Clock::Time;
        assert_eq!(Variables { config: &config, theory: &theory }.clock(9.0), Some(6.0));
    }
}
