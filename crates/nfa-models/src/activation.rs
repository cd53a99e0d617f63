//! The functions between layers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::spec_error::SpecError;

/// 1/√(2π)
const NORMAL: f64 = 0.398_942_280_401_432_7;

/// An activation function, applied entry by entry.
///
/// In files it is a word: the name, for `leaky_relu` with its slope behind a colon if it is not
/// 0.01 (`leaky_relu:0.2`). Derivatives at a kink are those of the left: relu'(0) = 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// z
    Linear,
    /// max(z, 0)
    Relu,
    /// z for z > 0, else slope·z
    LeakyRelu(f64),
    /// tanh z
    Tanh,
    /// z Φ(z), Φ the normal distribution function (exact, through erf)
    Gelu,
    /// z σ(z), σ the logistic function
    Silu,
    /// σ(z)
    Sigmoid,
    /// log(1 + e^z), without a threshold
    Softplus,
    /// z²
    Quadratic,
}

impl Activation {
    /// Every activation, in the order of the documentation.
    pub const ALL: [Activation; 9] = [
        Activation::Linear,
        Activation::Relu,
        Activation::LeakyRelu(0.01),
        Activation::Tanh,
        Activation::Gelu,
        Activation::Silu,
        Activation::Sigmoid,
        Activation::Softplus,
        Activation::Quadratic,
    ];

    /// Its name, without parameters.
    pub fn name(self) -> &'static str {
        match self {
            Activation::Linear => "linear",
            Activation::Relu => "relu",
            Activation::LeakyRelu(_) => "leaky_relu",
            Activation::Tanh => "tanh",
            Activation::Gelu => "gelu",
            Activation::Silu => "silu",
            Activation::Sigmoid => "sigmoid",
            Activation::Softplus => "softplus",
            Activation::Quadratic => "quadratic",
        }
    }

    /// Whether φ(tz) = t^k φ(z) for t > 0, and with which k.
    pub fn homogeneity(self) -> Option<u32> {
        match self {
            Activation::Linear | Activation::Relu | Activation::LeakyRelu(_) => Some(1),
            Activation::Quadratic => Some(2),
            _ => None,
        }
    }

    /// φ''(z); 0 at kinks.
    pub fn second_derivative(self, z: f64) -> f64 {
        let sigma = |z: f64| 1.0 / (1.0 + libm::exp(-z));
        match self {
            Activation::Linear | Activation::Relu | Activation::LeakyRelu(_) => 0.0,
            Activation::Tanh => {
                let a = libm::tanh(z);
                -2.0 * a * (1.0 - a) * (1.0 + a)
            }
            // φ' = Φ + z N, N the normal density.
            Activation::Gelu => (2.0 - z * z) * NORMAL * libm::exp(-0.5 * z * z),
            Activation::Silu => {
                let s = sigma(z);
                s * sigma(-z) * (2.0 + z * (1.0 - 2.0 * s))
            }
            Activation::Sigmoid => sigma(z) * sigma(-z) * (1.0 - 2.0 * sigma(z)),
            Activation::Softplus => sigma(z) * sigma(-z),
            Activation::Quadratic => 2.0,
        }
    }

    /// φ''(z) where a = φ(z) and s = φ'(z) are known, which mostly leaves no function to evaluate.
    pub fn second_derivative_from(self, z: f64, a: f64, s: f64) -> f64 {
        match self {
            Activation::Tanh => -2.0 * a * s,
            Activation::Sigmoid => s * (1.0 - 2.0 * a),
            Activation::Softplus => s * (1.0 - s),
            other => other.second_derivative(z),
        }
    }

    /// Whether φ'' is 0 wherever there is one.
    pub fn is_piecewise_linear(self) -> bool {
        matches!(self, Activation::Linear | Activation::Relu | Activation::LeakyRelu(_))
    }

    /// Whether φ is differentiable everywhere (finite differences must stay off the kinks else).
    pub fn is_smooth(self) -> bool {
        !matches!(self, Activation::Relu | Activation::LeakyRelu(_))
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Activation::LeakyRelu(slope) if *slope != 0.01 => write!(f, "leaky_relu:{slope}"),
            other => f.write_str(other.name()),
        }
    }
}

/// Functions that are near one of ours in their names alone.
const OTHERS: [&str; 14] = [
    "elu",
    "selu",
    "celu",
    "relu6",
    "prelu",
    "rrelu",
    "relu2",
    "hardtanh",
    "hardswish",
    "hard_sigmoid",
    "mish",
    "softsign",
    "gelu_tanh",
    "gelu_new",
];

impl FromStr for Activation {
    type Err = SpecError;

    fn from_str(word: &str) -> Result<Self, SpecError> {
        let (name, parameter) = word.split_once(':').map_or((word, None), |(name, rest)| (name, Some(rest)));
        let name = match name {
            "identity" => "linear",
            "swish" => "silu",
            name => name,
        };
        if OTHERS.contains(&name) {
            let known = Activation::ALL.map(Activation::name).join(", ");
            return Err(SpecError::value(
                "",
                format!("`{name}` is a function of its own and not known here; known are {known}"),
            ));
        }
        let Some(found) = Activation::ALL.into_iter().find(|activation| activation.name() == name) else {
            return Err(SpecError::unknown("", "value", name, Activation::ALL.map(Activation::name)));
        };
        match (found, parameter) {
            (found, None) => Ok(found),
            (Activation::LeakyRelu(_), Some(slope)) => match slope.parse::<f64>() {
                Ok(slope) if slope.is_finite() => Ok(Activation::LeakyRelu(slope)),
                _ => Err(SpecError::value("", format!("`{slope}` is no slope; write leaky_relu:0.2"))),
            },
            (found, Some(_)) => Err(SpecError::value("", format!("`{}` takes no parameter", found.name()))),
        }
    }
}

impl Serialize for Activation {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Activation {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let word = String::deserialize(deserializer)?;
        word.parse().map_err(|error: SpecError| match error.known.is_empty() {
            true => D::Error::custom(error),
            false => D::Error::unknown_variant(&word, &NAMES),
        })
    }
}

const NAMES: [&str; 9] = ["linear", "relu", "leaky_relu", "tanh", "gelu", "silu", "sigmoid", "softplus", "quadratic"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Cores, vector};

    #[test]
    fn second_derivatives_are_slopes_of_the_slopes() {
        for activation in Activation::ALL.into_iter().chain([Activation::LeakyRelu(0.2)]) {
            let slope = |z: f64| {
                let mut slope = [1.0];
                vector::activate(activation, &mut [z], Some(&mut slope), Cores::One);
                slope[0]
            };
            for z in [-700.0, -30.0, -3.0, -0.6, 0.1, 0.9, 2.5, 40.0, 700.0] {
                let h = 1e-5;
                let mut a = [z];
                vector::activate(activation, &mut a, None, Cores::One);
                let known = activation.second_derivative_from(z, a[0], slope(z));
                let direct = activation.second_derivative(z);
                assert!(
                    (known - direct).abs() <= 1e-14 * (1.0 + direct.abs()),
                    "{activation}''({z}): {known}, {direct}"
                );
                let (found, numeric) = (activation.second_derivative(z), (slope(z + h) - slope(z - h)) / (2.0 * h));
                assert!(
                    (found - numeric).abs() < 1e-9 * (1.0 + slope(z).abs()),
                    "{activation}''({z}) = {found}, by differences {numeric}"
                );
                assert!(!activation.is_piecewise_linear() || found == 0.0);
            }
        }
    }

    #[test]
    fn words_round_trip() {
        for word in NAMES.into_iter().chain(["leaky_relu:0.2"]) {
            assert_eq!(word.parse::<Activation>().expect("known").to_string(), word);
        }
        assert_eq!("identity".parse(), Ok(Activation::Linear));
        assert_eq!("geul".parse::<Activation>().expect_err("unknown").suggestion.as_deref(), Some("gelu"));
        assert!("relu:2".parse::<Activation>().is_err());
    }
}
