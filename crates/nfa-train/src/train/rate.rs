//! Learning rates, constant or by pieces: plain functions of the step.

use std::fmt;

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
        if let Some(number) = crate::keys::number(&value) {
            return Ok(Rate::Constant(number));
        }
        let shown = value.to_string();
        let wrong = || D::Error::custom(format!("must be a number, or pieces [[from step, value], ...], not {shown}"));
        let pieces: Option<Vec<(f64, f64)>> = value.as_array().and_then(|pieces| {
            let piece = |piece: &toml::Value| match piece.as_array()?.as_slice() {
                [from, value] => Some((crate::keys::number(from)?, crate::keys::number(value)?)),
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

    /// Checks its values and where its pieces begin.
    ///
    /// # Errors
    /// Values that are not positive and finite; pieces that are none, don't begin at step 0 or don't rise.
    pub fn check(&self) -> Result<(), RateError> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        match self {
            Rate::Constant(value) if positive(*value) => Ok(()),
            Rate::Constant(value) => Err(RateError::Value(*value)),
            Rate::Pieces(pieces) => match pieces.first() {
                None => Err(RateError::Empty),
                Some((from, _)) if *from != 0.0 => Err(RateError::Start(*from)),
                _ if pieces.iter().any(|&(_, value)| !positive(value)) => Err(RateError::Piece),
                _ if pieces.windows(2).any(|pair| pair[0].0 >= pair[1].0) => Err(RateError::Order),
                _ => Ok(()),
            },
        }
    }
}

/// What is wrong with a rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RateError {
    /// A constant that is not positive and finite.
    Value(f64),
    /// No pieces.
    Empty,
    /// A first piece that begins at another step than 0.
    Start(f64),
    /// A piece that is not positive and finite.
    Piece,
    /// Pieces whose steps don't rise.
    Order,
}

impl fmt::Display for RateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RateError::Value(value) => write!(f, "must be positive and finite, not {value}"),
            RateError::Empty => f.write_str("has no pieces; write lr = 0.1 or lr = [[0, 0.1], [1000, 0.01]]"),
            RateError::Start(from) => write!(f, "the first piece begins at step 0, not {from}"),
            RateError::Piece => f.write_str("every piece must be positive and finite"),
            RateError::Order => f.write_str("the pieces' steps must rise"),
        }
    }
}

impl std::error::Error for RateError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_change_where_their_pieces_begin() {
        let rate = Rate::Pieces(vec![(0.0, 1e-3), (2000.0, 3e-4)]);
        assert_eq!([rate.at(0), rate.at(1999), rate.at(2000)], [1e-3, 1e-3, 3e-4]);
        assert!((rate.time(2100.0) - 2.03).abs() < 1e-12 && rate.time(0.0) == 0.0);
        assert_eq!(Rate::Constant(0.5).time(6.0), 3.0);
        assert_eq!(Rate::Pieces(vec![(5.0, 1.0)]).check(), Err(RateError::Start(5.0)));
        assert_eq!(Rate::Constant(-1.0).check(), Err(RateError::Value(-1.0)));
    }
}
