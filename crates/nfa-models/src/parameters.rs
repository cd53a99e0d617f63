//! The parameters of a network, by name.

use std::fmt;

use burn::tensor::Tensor;

/// The parameters of a network (or anything of the same shape: gradients, momenta), by name.
///
/// Values are flat, so that an update rule is written once for every shape.
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    entries: Vec<Parameter>,
}

/// One named tensor of [`Parameters`].
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Path in the module: `layers.0.weight`.
    pub name: String,
    /// Its true shape.
    pub shape: Vec<usize>,
    /// Its entries, flat in row-major order.
    pub value: Tensor<1>,
}

impl Parameters {
    /// Parameters from their entries, in the module's order.
    pub fn new(entries: Vec<Parameter>) -> Self {
        Parameters { entries }
    }

    /// The entries in the module's order.
    pub fn iter(&self) -> std::slice::Iter<'_, Parameter> {
        self.entries.iter()
    }

    /// How many tensors.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The tensor of this name.
    pub fn get(&self, name: &str) -> Option<&Parameter> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// New values, one from each entry.
    pub fn map(&self, mut f: impl FnMut(&Parameter) -> Tensor<1>) -> Parameters {
        Parameters::new(
            self.entries
                .iter()
                .map(|entry| Parameter { name: entry.name.clone(), shape: entry.shape.clone(), value: f(entry) })
                .collect(),
        )
    }

    /// New values from each entry and the one in the same place of `other`.
    ///
    /// Both must come from the same network.
    pub fn zip(&self, other: &Parameters, mut f: impl FnMut(&Parameter, &Parameter) -> Tensor<1>) -> Parameters {
        debug_assert_eq!(self.len(), other.len());
        let mut others = other.entries.iter();
        self.map(|entry| match others.next() {
            Some(partner) => f(entry, partner),
            None => entry.value.clone(),
        })
    }
}

impl Parameter {
    /// Whether this is a bias: a parameter of one axis. Penalties leave biases alone by default.
    pub fn is_bias(&self) -> bool {
        self.shape.len() == 1
    }

    /// The value as a matrix.
    ///
    /// # Shapes
    /// `[rows, rest]`, rows the first axis
    pub fn matrix(&self) -> Tensor<2> {
        let rows = self.shape.first().copied().unwrap_or(1);
        let cols = self.shape.iter().skip(1).product::<usize>();
        self.value.clone().reshape([rows, cols])
    }
}

/// Parameters that don't fit the network they are set in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParameterError {
    /// The network has this parameter and the values don't.
    Missing(String),
    /// The values have this entry and the network has no such parameter.
    Unexpected(String),
    /// Same name, other shape.
    Shape {
        /// The parameter.
        name: String,
        /// Its shape in the network.
        expected: Vec<usize>,
        /// Its shape in the values.
        got: Vec<usize>,
    },
}

impl fmt::Display for ParameterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParameterError::Missing(name) => write!(f, "no value for the parameter {name}"),
            ParameterError::Unexpected(name) => write!(f, "the network has no parameter {name}"),
            ParameterError::Shape { name, expected, got } => {
                write!(f, "{name} has shape {expected:?} in the network and {got:?} in the values")
            }
        }
    }
}

impl std::error::Error for ParameterError {}
