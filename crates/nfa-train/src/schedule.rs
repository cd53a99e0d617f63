//! When things happen: learning rates by pieces, probes, both plain functions of the step.

use serde::{Deserialize, Serialize};

/// A learning rate: constant, or by pieces `[[from step, value], ...]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Rate {
    /// The same at every step.
    Constant(f64),
    /// The last piece that has begun; the first begins at step 0.
    Pieces(Vec<(f64, f64)>),
}

impl<'de> Deserialize<'de> for Rate {
    // By hand: serde's untagged enums answer a word with "did not match any variant".
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let value = toml::Value::deserialize(deserializer)?;
        if let Some(number) = crate::toml_text::number(&value) {
            return Ok(Rate::Constant(number));
        }
        let shown = value.to_string();
        let wrong = || D::Error::custom(format!("must be a number, or pieces [[from step, value], ...], not {shown}"));
        let pieces: Option<Vec<(f64, f64)>> = value.as_array().and_then(|pieces| {
            let piece = |piece: &toml::Value| match piece.as_array()?.as_slice() {
                [from, value] => Some((crate::toml_text::number(from)?, crate::toml_text::number(value)?)),
                _ => None,
            };
            pieces.iter().map(piece).collect()
        });
        pieces.map(Rate::Pieces).ok_or_else(wrong)
    }
}

impl Rate {
    /// Its value for the step that starts at `step`.
    pub fn at(&self, step: u64) -> f64 {
        match self {
            Rate::Constant(value) => *value,
            Rate::Pieces(pieces) => pieces
                .iter()
                .rev()
                .find(|(from, _)| *from <= step as f64)
                .or(pieces.first())
                .map_or(0.0, |piece| piece.1),
        }
    }

    /// (number of steps, rate) of each piece before `step`.
    pub fn spans(&self, step: f64) -> Vec<(f64, f64)> {
        let pieces = match self {
            Rate::Constant(value) => &[(0.0, *value)][..],
            Rate::Pieces(pieces) => pieces,
        };
        let end = |i: usize| pieces.get(i + 1).map_or(f64::INFINITY, |next| next.0);
        pieces.iter().enumerate().map(|(i, (start, rate))| ((step.min(end(i)) - start).max(0.0), *rate)).collect()
    }

    /// Gradient-flow time: the sum of the rates of the steps before `step`.
    pub fn time(&self, step: f64) -> f64 {
        self.spans(step).iter().map(|(steps, rate)| steps * rate).sum()
    }

    /// The constant, if it is one.
    pub fn constant(&self) -> Option<f64> {
        match self {
            Rate::Constant(value) => Some(*value),
            Rate::Pieces(_) => None,
        }
    }

    /// What is wrong with it, if anything.
    pub fn check(&self) -> Result<(), String> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        match self {
            Rate::Constant(value) if positive(*value) => Ok(()),
            Rate::Constant(value) => Err(format!("must be positive and finite, not {value}")),
            Rate::Pieces(pieces) => match pieces.first() {
                None => Err("has no pieces; write lr = 0.1 or lr = [[0, 0.1], [1000, 0.01]]".into()),
                Some((from, _)) if *from != 0.0 => Err(format!("the first piece begins at step 0, not {from}")),
                _ if pieces.iter().any(|&(_, value)| !positive(value)) => {
                    Err("every piece must be positive and finite".into())
                }
                _ if pieces.windows(2).any(|pair| pair[0].0 >= pair[1].0) => Err("the pieces' steps must rise".into()),
                _ => Ok(()),
            },
        }
    }
}

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

    /// What is wrong with it, if anything.
    pub fn check(&self) -> Result<(), String> {
        match self {
            ProbeSchedule::Log(0) | ProbeSchedule::Every(0) => Err("must be at least 1".into()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_change_where_their_pieces_begin() {
        let rate = Rate::Pieces(vec![(0.0, 1e-3), (2000.0, 3e-4)]);
        assert_eq!([rate.at(0), rate.at(1999), rate.at(2000)], [1e-3, 1e-3, 3e-4]);
        assert!((rate.time(2100.0) - 2.03).abs() < 1e-12 && rate.time(0.0) == 0.0);
        assert_eq!(Rate::Constant(0.5).time(6.0), 3.0);
        assert!(Rate::Pieces(vec![(5.0, 1.0)]).check().is_err());
        assert!(Rate::Constant(-1.0).check().is_err());
    }

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
