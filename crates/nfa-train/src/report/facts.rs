//! What figures and tables ask of one run: its depth, its solver, its last values.

use serde::Deserialize;

use crate::study::{Study, StudyRun};
use crate::train::rate::Rate;

/// The law that the page is about: `nfa` where it was measured, else the first law there is.
pub(crate) fn main_law(study: &Study) -> Option<String> {
    let laws = laws(study);
    laws.iter().find(|law| *law == "nfa").or_else(|| laws.first()).cloned()
}

/// Every law that some run has a misfit of, in the order of columns.
pub(crate) fn laws(study: &Study) -> Vec<String> {
    let mut laws: Vec<String> = Vec::new();
    for run in &study.runs {
        for column in run.record.columns() {
            if let Some((law, rest)) = column.split_once(".misfit.layer")
                && rest.parse::<usize>().is_ok()
                && !laws.iter().any(|known| known == law)
            {
                laws.push(law.to_string());
            }
        }
    }
    laws
}

/// The layers on which a run measured a law, ascending.
pub(crate) fn layers(run: &StudyRun, law: &str) -> Vec<usize> {
    let prefix = format!("{law}.misfit.layer");
    let mut layers: Vec<usize> = numbered(run, &prefix);
    layers.sort_unstable();
    layers
}

/// The numbers that follow a prefix in the names of a run's columns.
pub(crate) fn numbered(run: &StudyRun, prefix: &str) -> Vec<usize> {
    run.record.columns().iter().filter_map(|column| column.strip_prefix(prefix)?.parse().ok()).collect()
}

/// The number of weight matrices L, from the model's `depth` or its `widths`.
pub(crate) fn depth(run: &StudyRun) -> Option<usize> {
    let model = run.config.get("model")?;
    let depth = model.get("depth").and_then(toml::Value::as_integer);
    depth.and_then(|depth| usize::try_from(depth).ok()).or_else(|| Some(model.get("widths")?.as_array()?.len() + 1))
}

/// Whether the network is an MLP (of other kinds' keys nothing is known) that is linear without biases, where the imbalance obeys the decay law.
pub(crate) fn is_linear(run: &StudyRun) -> bool {
    let linear = |name: &str| matches!(name, "linear" | "identity");
    let Some(model) = run.config.get("model") else {
        return false;
    };
    if model.get("kind").and_then(toml::Value::as_str) != Some("mlp") {
        return false;
    }
    let activation = match model.get("activation") {
        None => true,
        Some(toml::Value::String(name)) => linear(name),
        Some(toml::Value::Array(names)) => names.iter().all(|name| name.as_str().is_some_and(linear)),
        Some(_) => false,
    };
    activation && model.get("bias").and_then(toml::Value::as_bool) != Some(true)
}

/// The number in the last row of a column.
pub(crate) fn last(run: &StudyRun, column: &str) -> Option<f64> {
    run.record.number(-1, column)
}

/// The word in the last row of a column.
pub(crate) fn last_text<'a>(run: &'a StudyRun, column: &str) -> Option<&'a str> {
    run.record.text(-1, column)
}

/// One number of a law at the last probe, such as `misfit` of layer 0.
pub(crate) fn measured(run: &StudyRun, law: &str, quantity: &str, layer: usize) -> Option<f64> {
    last(run, &format!("{law}.{quantity}.layer{layer}"))
}

/// One word of a law at the last probe: `verdict` or `reason`.
pub(crate) fn word<'a>(run: &'a StudyRun, law: &str, quantity: &str, layer: usize) -> Option<&'a str> {
    last_text(run, &format!("{law}.{quantity}.layer{layer}"))
}

/// Whether a run reached its end.
pub(crate) fn completed(run: &StudyRun) -> bool {
    run.outcome == "completed"
}

/// A threshold of the verdict as this run resolved it.
pub(crate) fn threshold(run: &StudyRun, name: &str, default: f64) -> f64 {
    run.config.get("verdict").and_then(|table| number(table.get(name)?)).unwrap_or(default)
}

/// How well the network does its job at the last probe, beside its verdict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Task {
    /// Share of the held-out samples that are misclassified, in 0..=1.
    Wrong(f64),
    /// Loss on the held-out samples, without penalty.
    Loss(f64),
}

/// The test error of a run, where a split was held out.
pub(crate) fn task(run: &StudyRun) -> Option<Task> {
    let wrong = last(run, "accuracy.test").map(|accuracy| Task::Wrong(1.0 - accuracy));
    wrong.or_else(|| last(run, "loss.test").map(Task::Loss))
}

/// The part of the solver that theory speaks of: learning rates, weight decay, and their clock.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Solver {
    /// Learning rates.
    pub(crate) rate: Rate,
    /// λ of the penalty (λ/2)|W|².
    pub(crate) lambda: f64,
    /// How the imbalance falls, where theory says.
    pub(crate) law: Option<DecayLaw>,
}

/// How weight decay shrinks the imbalance of a linear network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecayLaw {
    /// (1 - lr·λ)² a step: the update is W <- (1 - lr·λ) W - lr·gradient (`gd`, `sgd`).
    Discrete,
    /// e^(-2λt) in time (`flow`).
    Continuous,
}

impl Solver {
    /// The solver of a resolved configuration, if it names a learning rate.
    pub(crate) fn of(run: &StudyRun) -> Option<Self> {
        let table = run.config.get("solver")?;
        let rate = Rate::deserialize(table.get("lr")?.clone()).ok()?;
        let lambda = table.get("weight_decay").and_then(number).unwrap_or(0.0);
        let law = match table.get("kind").and_then(toml::Value::as_str) {
            Some("gd" | "sgd") => Some(DecayLaw::Discrete),
            Some("flow") => Some(DecayLaw::Continuous),
            _ => None,
        };
        Some(Solver { rate, lambda, law })
    }

    /// Gradient-flow time Σ lr over the first `step` steps.
    pub(crate) fn time(&self, step: f64) -> f64 {
        self.rate.time(step)
    }

    /// The number of steps, not always whole, after which [`Solver::time`] is `time`.
    pub(crate) fn step_at(&self, time: f64) -> Option<f64> {
        let (mut left, mut step) = (time, 0.0);
        for (steps, lr) in self.rate.spans(f64::INFINITY) {
            if left <= steps * lr {
                return Some(step + left / lr);
            }
            left -= steps * lr;
            step += steps;
        }
        None
    }

    /// Theory's factor on the imbalance after `step` steps: Π (1 - lr·λ)², or e^(-2λt) under flow.
    pub(crate) fn decay(&self, step: f64) -> f64 {
        match self.law {
            Some(DecayLaw::Continuous) => (-2.0 * self.lambda * self.time(step)).exp(),
            _ => {
                let factor = |(steps, lr): (f64, f64)| (1.0 - lr * self.lambda).abs().powf(2.0 * steps);
                self.rate.spans(step).into_iter().map(factor).product()
            }
        }
    }
}

/// A TOML number, integer or not.
fn number(value: &toml::Value) -> Option<f64> {
    #[allow(clippy::cast_precision_loss)]
    let integer = || value.as_integer().map(|integer| integer as f64);
    value.as_float().or_else(integer)
}

/// The imbalance ratio of a run that is furthest from its law at the last probe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Imbalance {
    /// |D(t)| / |D(0)| of the worst pair of layers.
    pub(crate) ratio: f64,
    /// Theory's value there, where theory has one.
    pub(crate) law: Option<f64>,
}

/// The worst imbalance ratio of a run beside its law.
pub(crate) fn imbalance(run: &StudyRun) -> Option<Imbalance> {
    let step = last(run, "step")?;
    let law = decay_law(run).map(|solver| solver.decay(step));
    let off = |ratio: f64| law.map_or(ratio, |law| (ratio / law.max(f64::MIN_POSITIVE) - 1.0).abs());
    numbered(run, "imbalance_ratio.layer")
        .into_iter()
        .filter_map(|layer| last(run, &format!("imbalance_ratio.layer{layer}")))
        .max_by(|a, b| off(*a).total_cmp(&off(*b)))
        .map(|ratio| Imbalance { ratio, law })
}

/// The solver, where the imbalance obeys |D(t)| = Π (1 - lr·λ)² |D(0)|, or e^(-2λt) under flow.
pub(crate) fn decay_law(run: &StudyRun) -> Option<Solver> {
    Solver::of(run).filter(|solver| solver.law.is_some() && is_linear(run))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn theory_is_drawn_for_linear_mlps_alone() {
        let mut run = sample::study().runs.remove(0);
        assert!(decay_law(&run).is_some());
        run.config["model"]["kind"] = "gated_mlp".into();
        assert!(decay_law(&run).is_none(), "what the keys of another kind mean is not known");
    }

    #[test]
    fn decay_follows_a_schedule() {
        let rate = Rate::Pieces(vec![(0.0, 0.1), (10.0, 0.01)]);
        let mut solver = Solver { rate, lambda: 0.5, law: Some(DecayLaw::Discrete) };
        assert!((solver.time(15.0) - 1.05).abs() < 1e-12);
        assert!((solver.step_at(1.05).unwrap() - 15.0).abs() < 1e-9);
        assert!((solver.step_at(0.5).unwrap() - 5.0).abs() < 1e-12);
        let expected = 0.95_f64.powi(20) * 0.995_f64.powi(10);
        assert!((solver.decay(15.0) - expected).abs() < 1e-12);
        assert_eq!(solver.decay(0.0), 1.0);
        solver.law = Some(DecayLaw::Continuous);
        assert!((solver.decay(15.0) - (-1.05_f64).exp()).abs() < 1e-12);
    }

    #[test]
    fn depth_comes_from_depth_or_widths() {
        let mut run = sample::run("a", 3);
        assert_eq!(depth(&run), Some(3));
        run.config = "[model]\nwidths = [20, 20]".parse().unwrap();
        assert_eq!(depth(&run), Some(3));
        run.config = toml::Table::new();
        assert_eq!(depth(&run), None);
    }

    #[test]
    fn imbalance_stands_beside_its_law() {
        let worst = imbalance(&sample::run("a", 3)).unwrap();
        assert!((worst.law.unwrap() - (1.0_f64 - 0.02 * 0.03).powi(200)).abs() < 1e-12);
    }
}
