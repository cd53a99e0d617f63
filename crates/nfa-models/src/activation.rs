//! The functions between layers.

use std::fmt;
use std::str::FromStr;

use burn::tensor::{DType, Tensor, activation};
use serde::{Deserialize, Serialize};

use crate::spec::SpecError;

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

const ROOT_HALF: f64 = std::f64::consts::FRAC_1_SQRT_2;
/// 1/√(2π)
const NORMAL: f64 = 0.398_942_280_401_432_7;

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

    /// φ(z).
    ///
    /// # Shapes
    /// any → the same
    pub fn forward<const D: usize>(self, z: Tensor<D>) -> Tensor<D> {
        match self {
            Activation::Linear => z,
            Activation::Relu => activation::relu(z),
            Activation::LeakyRelu(slope) => activation::relu(z.clone()).mul_scalar(1.0 - slope) + z.mul_scalar(slope),
            Activation::Tanh => activation::tanh(z),
            Activation::Gelu => z.clone() * normal_cdf(z),
            Activation::Silu => z.clone() * sigmoid(z),
            Activation::Sigmoid => sigmoid(z),
            // exp(-|z|) written so that the derivative at 0 comes out as 1/2.
            Activation::Softplus => {
                let positive = activation::relu(z.clone());
                positive.clone() + (z - positive.mul_scalar(2.0)).exp().log1p()
            }
            Activation::Quadratic => z.powi_scalar(2),
        }
    }

    /// φ'(z) from z and a = φ(z), or `None` where it is 1 everywhere.
    ///
    /// # Shapes
    /// any, any → the same
    pub fn derivative<const D: usize>(self, z: &Tensor<D>, a: &Tensor<D>) -> Option<Tensor<D>> {
        let z = z.clone();
        match self {
            Activation::Linear => None,
            Activation::Relu => Some(gate(z, 0.0)),
            Activation::LeakyRelu(slope) => Some(gate(z, slope)),
            Activation::Tanh => Some(a.clone().powi_scalar(2).neg().add_scalar(1.0)),
            Activation::Gelu => {
                let density = z.clone().powi_scalar(2).mul_scalar(-0.5).exp().mul_scalar(NORMAL);
                Some(normal_cdf(z.clone()) + z * density)
            }
            // σ + z σ (1 - σ) = σ + a (1 - σ)
            Activation::Silu => {
                let s = sigmoid(z);
                Some(s.clone() + a.clone() * s.neg().add_scalar(1.0))
            }
            Activation::Sigmoid => Some(a.clone() * a.clone().neg().add_scalar(1.0)),
            Activation::Softplus => Some(sigmoid(z)),
            Activation::Quadratic => Some(z.mul_scalar(2.0)),
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

    /// Whether φ is differentiable everywhere (finite differences must stay off the kinks else).
    pub fn is_smooth(self) -> bool {
        !matches!(self, Activation::Relu | Activation::LeakyRelu(_))
    }
}

/// 1 where z > 0, else `low`, in the tensor's own dtype (`bool.float()` takes the device's).
fn gate<const D: usize>(z: Tensor<D>, low: f64) -> Tensor<D> {
    let open = z.clone().greater_elem(0.0);
    z.zeros_like().add_scalar(low).mask_fill(open, 1.0)
}

/// σ(z) = 1 / (1 + e^(-z)), in full precision: Burn 0.22's goes through `f32`, whatever the dtype, on
/// backends without one of their own (ndarray, wgpu, cuda).
fn sigmoid<const D: usize>(z: Tensor<D>) -> Tensor<D> {
    match z.dtype() {
        // Below, e^(-z) overflows and its derivative is no number; σ and σ' are 1e-304 there, and 0.
        DType::F64 => z.clamp_min(-700.0).neg().exp().add_scalar(1.0).recip(),
        _ => activation::sigmoid(z),
    }
}

/// Φ(z) = (1 + erf(z/√2)) / 2.
fn normal_cdf<const D: usize>(z: Tensor<D>) -> Tensor<D> {
    z.mul_scalar(ROOT_HALF).erf().add_scalar(1.0).mul_scalar(0.5)
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Activation::LeakyRelu(slope) if *slope != 0.01 => write!(f, "leaky_relu:{slope}"),
            other => f.write_str(other.name()),
        }
    }
}

impl FromStr for Activation {
    type Err = SpecError;

    fn from_str(word: &str) -> Result<Self, SpecError> {
        let (name, parameter) = word.split_once(':').map_or((word, None), |(name, rest)| (name, Some(rest)));
        let name = if name == "identity" { "linear" } else { name };
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
    use burn::tensor::{Device, TensorData};

    /// φ and φ' from the standard library and libm.
    fn oracle(activation: Activation, z: f64) -> (f64, f64) {
        let s = 1.0 / (1.0 + (-z).exp());
        let cdf = 0.5 * libm::erfc(-z * ROOT_HALF);
        match activation {
            Activation::Linear => (z, 1.0),
            Activation::Relu => (z.max(0.0), if z > 0.0 { 1.0 } else { 0.0 }),
            Activation::LeakyRelu(slope) => {
                if z > 0.0 {
                    (z, 1.0)
                } else {
                    (slope * z, slope)
                }
            }
            Activation::Tanh => (z.tanh(), 1.0 - z.tanh().powi(2)),
            Activation::Gelu => (z * cdf, cdf + z * NORMAL * (-0.5 * z * z).exp()),
            Activation::Silu => (z * s, s + z * s * (1.0 - s)),
            Activation::Sigmoid => (s, s * (1.0 - s)),
            Activation::Softplus => (z.max(0.0) + (-z.abs()).exp().ln_1p(), s),
            Activation::Quadratic => (z * z, 2.0 * z),
        }
    }

    #[test]
    fn values_and_derivatives_agree_with_the_host_and_with_autodiff() {
        let points: Vec<f64> = vec![-800.0, -40.0, -3.0, -0.7, -1e-9, 0.0, 1e-9, 0.4, 2.5, 40.0, 800.0];
        let n = points.len();
        let z = Tensor::<1>::from_data(TensorData::new(points.clone(), [n]), (&Device::flex(), DType::F64));
        for activation in Activation::ALL.into_iter().chain([Activation::LeakyRelu(0.2)]) {
            let read = |tensor: Tensor<1>| tensor.inner().try_into_vec_as::<f64>().expect("readable");
            let a = activation.forward(z.clone());
            let by_formula = activation.derivative(&z, &a).map_or(vec![1.0; n], read);
            let leaf = z.clone().autodiff().require_grad();
            let mut gradients = activation.forward(leaf.clone()).sum().backward();
            let by_autodiff = read(leaf.grad_remove(&mut gradients).expect("tracked"));
            for (i, (&point, value)) in points.iter().zip(read(a)).enumerate() {
                let (expected, slope) = oracle(activation, point);
                let near = |a: f64, b: f64| (a - b).abs() <= 1e-14 * (1.0 + b.abs());
                assert!(near(value, expected), "{activation}({point}) = {value}, expected {expected}");
                assert!(near(by_formula[i], slope), "{activation}'({point}) = {}, expected {slope}", by_formula[i]);
                assert!(
                    near(by_autodiff[i], slope),
                    "{activation}'({point}) by autodiff {}, expected {slope}",
                    by_autodiff[i]
                );
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
