//! Weight decay over time: what shrinks the imbalance, and how far it came.

use crate::record::theory::DecayLaw;
use crate::study::StudyRun;
use crate::train::rate::Rate;

/// Learning rates and weight decay of a run, and what theory says of the two.
#[derive(Clone, Debug, PartialEq)]
pub struct Decay {
    /// Learning rates.
    pub rate: Rate,
    /// λ of the penalty (λ/2)|W|².
    pub lambda: f64,
    /// How the imbalance falls, where solver and network say so: of linear networks alone.
    pub law: Option<DecayLaw>,
}

impl Decay {
    /// Of a run whose solver has a learning rate.
    pub fn of(run: &StudyRun) -> Option<Self> {
        let variables = run.variables();
        let lambda = variables.value("lambda").unwrap_or(0.0);
        Some(Decay { rate: variables.rate()?, lambda, law: run.theory.decay.filter(|_| run.theory.linear) })
    }

    /// Gradient-flow time Σ lr over the first `step` steps.
    pub fn time(&self, step: f64) -> f64 {
        self.rate.time(step)
    }

    /// The number of steps, not always whole, after which [`Decay::time`] is `time`.
    pub fn step_at(&self, time: f64) -> Option<f64> {
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

    /// Theory's factor on the imbalance after `step` steps: Π (1 - lr·λ)², or e^(-2λt) in time.
    pub fn factor(&self, step: f64) -> Option<f64> {
        Some(match self.law? {
            DecayLaw::Continuous => (-2.0 * self.lambda * self.time(step)).exp(),
            DecayLaw::Discrete => {
                let factor = |(steps, lr): (f64, f64)| (1.0 - lr * self.lambda).abs().powf(2.0 * steps);
                self.rate.spans(step).into_iter().map(factor).product()
            }
        })
    }
}

/// The imbalance ratio of a run that is furthest from its law at the last probe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Imbalance {
    /// |D(t)| / |D(0)| of the worst pair of layers.
    pub ratio: f64,
    /// Theory's value there, where theory has one.
    pub law: Option<f64>,
}

impl Imbalance {
    /// Of a run that recorded one.
    pub fn of(run: &StudyRun) -> Option<Self> {
        let law = Decay::of(run).zip(run.last("step")).and_then(|(decay, step)| decay.factor(step));
        let off = |ratio: f64| law.map_or(ratio, |law| (ratio / law.max(f64::MIN_POSITIVE) - 1.0).abs());
        let ratios = run.columns("imbalance_ratio.layer*").into_iter().filter_map(|column| run.last(&column));
        ratios.max_by(|a, b| off(*a).total_cmp(&off(*b))).map(|ratio| Imbalance { ratio, law })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::study::sample;

    #[test]
    fn solver_and_network_say_whether_there_is_a_law() {
        let mut run = sample::run("a", 3);
        run.config["model"]["kind"] = "my_own".into();
        assert!(Decay::of(&run).unwrap().law.is_some(), "whatever the kind");
        run.theory.linear = false;
        assert_eq!(Decay::of(&run).unwrap().factor(10.0), None);
        run.theory.linear = true;
        run.theory.decay = None;
        assert_eq!(Decay::of(&run).unwrap().factor(10.0), None);
    }

    #[test]
    fn decay_follows_a_schedule() {
        let rate = Rate::Pieces(vec![(0.0, 0.1), (10.0, 0.01)]);
        let mut decay = Decay { rate, lambda: 0.5, law: Some(DecayLaw::Discrete) };
        assert!((decay.time(15.0) - 1.05).abs() < 1e-12);
        assert!((decay.step_at(1.05).unwrap() - 15.0).abs() < 1e-9);
        assert!((decay.step_at(0.5).unwrap() - 5.0).abs() < 1e-12);
        let expected = 0.95_f64.powi(20) * 0.995_f64.powi(10);
        assert!((decay.factor(15.0).unwrap() - expected).abs() < 1e-12);
        assert_eq!(decay.factor(0.0), Some(1.0));
        decay.law = Some(DecayLaw::Continuous);
        assert!((decay.factor(15.0).unwrap() - (-1.05_f64).exp()).abs() < 1e-12);
    }

    #[test]
    fn imbalance_stands_beside_its_law() {
        let worst = Imbalance::of(&sample::run("a", 3)).unwrap();
        assert!((worst.law.unwrap() - (1.0_f64 - 0.02 * 0.03).powi(200)).abs() < 1e-12);
    }
}
