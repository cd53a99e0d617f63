//! When things happen: learning rates by pieces, probes, both plain functions of the step.

use nfa_models::SpecError;
use serde::{Deserialize, Serialize};

/// Which steps are measured; always step 0 and the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ProbeSchedule {
    /// About so many steps, evenly spread on a logarithmic axis.
    Log(usize),
    /// Every so many steps.
    Every(u64),
    /// These steps.
    Steps(Vec<u64>),
}

impl ProbeSchedule {
    /// The steps of a run, ascending, without repeats.
    pub fn steps(&self, last: u64) -> Vec<u64> {
        let mut steps = vec![0, last];
        match self {
            ProbeSchedule::Log(count) => {
                let top = (last as f64).ln();
                let intervals = count.saturating_sub(1).max(1) as f64;
                steps.extend((0..*count).map(|k| (top * k as f64 / intervals).exp().round() as u64));
            }
            ProbeSchedule::Every(every) => {
                steps.extend((0..=last).step_by(usize::try_from(*every).unwrap_or(usize::MAX).max(1)))
            }
            ProbeSchedule::Steps(list) => steps.extend(list),
        }
        steps.retain(|&step| step <= last);
        steps.sort_unstable();
        steps.dedup();
        steps
    }

    /// Whether it names any step.
    ///
    /// # Errors
    /// At `at`: 0 probes, or one every 0 steps.
    pub fn check(&self) -> Result<(), SpecError> {
        match self {
            ProbeSchedule::Log(0) | ProbeSchedule::Every(0) => Err(SpecError::value("at", "must be at least 1".into())),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_hold_both_ends_and_never_repeat() {
        for schedule in [ProbeSchedule::Log(60), ProbeSchedule::Every(300), ProbeSchedule::Steps(vec![7, 7, 9999])] {
            let steps = schedule.steps(1726);
            assert_eq!((steps[0], steps[steps.len() - 1]), (0, 1726));
            assert!(steps.windows(2).all(|pair| pair[0] < pair[1]), "{steps:?}");
        }
        assert_eq!(ProbeSchedule::Log(60).steps(0), [0]);
    }
}
