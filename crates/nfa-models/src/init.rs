//! Starting weights, drawn on the host in `f64` from a keyed stream, or handed over from a file.

use serde::{Deserialize, Serialize};

use crate::drawn;
pub use crate::drawn::{geometric, orthonormal_columns};
use crate::matrix::Matrix;
use crate::rng::Stream;
use crate::spec_error::SpecError;

/// One number for every layer, or a list with one for each, from the input on.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum PerLayer {
    /// The same everywhere.
    Same(f64),
    /// One each.
    Each(Vec<f64>),
}

impl PerLayer {
    fn values(&self) -> &[f64] {
        match self {
            PerLayer::Same(value) => std::slice::from_ref(value),
            PerLayer::Each(list) => list,
        }
    }

    /// The number of a layer, from 0; a list's length was checked by [`Init::check_depth`].
    fn of(&self, layer: usize) -> f64 {
        match self {
            PerLayer::Same(value) => *value,
            PerLayer::Each(list) => list[layer],
        }
    }
}

impl From<f64> for PerLayer {
    fn from(value: f64) -> Self {
        PerLayer::Same(value)
    }
}

impl<'de> Deserialize<'de> for PerLayer {
    // By hand: serde's untagged enums answer a word with "did not match any variant".
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::value::SeqAccessDeserializer;
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = PerLayer;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number, or a list with one per layer")
            }
            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Self::Value, E> {
                Ok(PerLayer::Same(value))
            }
            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Self::Value, E> {
                Ok(PerLayer::Same(value as f64))
            }
            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Self::Value, E> {
                Ok(PerLayer::Same(value as f64))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(PerLayer::Each)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A layer to start from that a file holds. This crate opens none: whoever does hands its layers
/// over to whoever builds the network.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredLayer {
    /// What the file calls its weights.
    pub name: String,
    /// `[d_out, d_in]`.
    pub weight: Matrix,
    /// `[d_out]`, where the file has one.
    pub bias: Option<Vec<f64>>,
}

/// How the weights of a network start. Biases start at 0, unless a file has them.
///
/// | kind | parameters | weights of layer l, `[d_l, d_{l-1}]` |
/// |---|---|---|
/// | `balanced` | `spectrum = [high, low]` | U_l S U_{l-1}ᵀ with Haar-random orthonormal U_l and geometric S: W_{l+1}ᵀW_{l+1} = W_lW_lᵀ |
/// | `gaussian` | `scale` = 1 | independent normals of standard deviation scale/√d_{l-1} |
/// | `orthogonal` | `gain` = 1 | gain times a Haar-random matrix with orthonormal rows or columns |
/// | `lambda_balanced` | `c`, `spectrum` = [1, 0.5] | W_{l+1}ᵀW_{l+1} = W_lW_lᵀ + cI; exists only where widths allow it |
/// | `kaiming` | `gain` = √2 | independent normals of standard deviation gain/√d_{l-1} (PyTorch's `kaiming_normal_`) |
/// | `xavier` | `gain` = 1 | independent normals of standard deviation gain·√(2/(d_{l-1} + d_l)) (`xavier_normal_`) |
/// | `file` | `path`, `layers` | the 2-D tensors of a safetensors file in the natural order of their names, or those that `layers` lists |
/// | `values` | `weights` | these numbers, one list of rows per layer |
///
/// `scale` and `gain` are one number, or a list with one per layer. The rank of a balanced start is the smallest width, input and output among them: with fewer
/// directions at one layer no exact balance has more at another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Init {
    /// W_{l+1}ᵀW_{l+1} = W_lW_lᵀ exactly (arXiv:2510.15563, the balanced setting).
    Balanced {
        /// Largest and smallest singular value of every layer, geometric in between. A flat one
        /// leaves the exponent undefined at step 0: every power fits alike.
        spectrum: [f64; 2],
    },
    /// Independent normals, standard deviation `scale`/√fan_in.
    Gaussian {
        /// Multiplies 1/√fan_in.
        #[serde(default = "one")]
        scale: PerLayer,
    },
    /// W_{l+1}ᵀW_{l+1} = W_lW_lᵀ + cI at every hidden layer: the exact unbalanced case.
    LambdaBalanced {
        /// c > 0 needs widths that never fall after the first hidden layer, c < 0 widths that never
        /// rise up to the last one.
        c: f64,
        /// Largest and smallest singular value of the layer that is free: the first for c > 0, the
        /// last for c < 0.
        #[serde(default = "falling")]
        spectrum: [f64; 2],
    },
    /// Independent normals, standard deviation `gain`/√fan_in.
    Kaiming {
        /// √2 for ReLU.
        #[serde(default = "root_two")]
        gain: PerLayer,
    },
    /// Independent normals, standard deviation `gain`·√(2/(fan_in + fan_out)).
    Xavier {
        /// 1 for linear networks.
        #[serde(default = "one")]
        gain: PerLayer,
    },
    /// A Haar-random matrix with orthonormal rows or columns, times `gain`.
    Orthogonal {
        /// All singular values.
        #[serde(default = "one")]
        gain: PerLayer,
    },
    /// The layers of a safetensors file, such as a run's `model.safetensors`.
    File {
        /// Relative to the experiment file.
        path: String,
        /// Names of the weights, from the input on; by default every 2-D tensor in natural order.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        layers: Option<Vec<String>>,
    },
    /// Numbers written into the experiment file: constructed networks.
    Values {
        /// One matrix per layer, as a list of rows: `[d_out][d_in]`.
        weights: Vec<Vec<Vec<f64>>>,
    },
}

fn one() -> PerLayer {
    PerLayer::Same(1.0)
}

fn root_two() -> PerLayer {
    PerLayer::Same(std::f64::consts::SQRT_2)
}

fn falling() -> [f64; 2] {
    [1.0, 0.5]
}

impl Default for Init {
    fn default() -> Self {
        Init::Gaussian { scale: one() }
    }
}

impl Init {
    /// Checks the parameters.
    ///
    /// # Errors
    /// A scale that is not positive and finite, a spectrum that rises, an empty path.
    pub fn check(&self) -> Result<(), SpecError> {
        let positive = |key: &str, value: f64| {
            if value.is_finite() && value > 0.0 {
                Ok(())
            } else {
                Err(SpecError::value(key, format!("must be positive and finite, not {value}")))
            }
        };
        let falling = |[high, low]: [f64; 2]| {
            positive("spectrum", high)?;
            positive("spectrum", low)?;
            if low > high {
                let message = format!("goes from the largest to the smallest singular value, so [{low}, {high}]");
                return Err(SpecError::value("spectrum", message));
            }
            Ok(())
        };
        let each = |key: &str, list: &PerLayer| list.values().iter().try_for_each(|&value| positive(key, value));
        match self {
            Init::Balanced { spectrum } => falling(*spectrum),
            Init::Gaussian { scale } => each("scale", scale),
            Init::LambdaBalanced { c, spectrum } => {
                if !(c.is_finite() && *c != 0.0) {
                    let message = format!("must be finite and not 0, not {c}; c = 0 is kind = \"balanced\"");
                    return Err(SpecError::value("c", message));
                }
                falling(*spectrum)
            }
            Init::Kaiming { gain } | Init::Xavier { gain } | Init::Orthogonal { gain } => each("gain", gain),
            Init::Values { weights } => weights.iter().enumerate().try_for_each(|(l, rows)| {
                let width = rows.first().map_or(0, Vec::len);
                match rows.iter().position(|row| row.len() != width || row.iter().any(|value| !value.is_finite())) {
                    _ if width == 0 => Err(SpecError::value("weights", format!("of layer {l} are empty"))),
                    None => Ok(()),
                    Some(row) => {
                        let message = format!("of layer {l}: row {row} is no row of {width} finite numbers");
                        Err(SpecError::value("weights", message))
                    }
                }
            }),
            Init::File { path, layers } => match layers {
                _ if path.is_empty() => Err(SpecError::value("path", "names no file".into())),
                Some(names) if names.is_empty() => {
                    Err(SpecError::value("layers", "lists none; leave it out for every 2-D tensor of the file".into()))
                }
                _ => Ok(()),
            },
        }
    }

    /// Checks that a list has one entry per layer.
    ///
    /// # Errors
    /// A list of another length, with both numbers.
    pub fn check_depth(&self, layers: usize) -> Result<(), SpecError> {
        let (key, count) = match self {
            Init::Gaussian { scale: PerLayer::Each(list) } => ("scale", list.len()),
            Init::Kaiming { gain: PerLayer::Each(list) }
            | Init::Xavier { gain: PerLayer::Each(list) }
            | Init::Orthogonal { gain: PerLayer::Each(list) } => ("gain", list.len()),
            Init::File { layers: Some(names), .. } => ("layers", names.len()),
            Init::Values { weights } => ("weights", weights.len()),
            _ => return Ok(()),
        };
        if count == layers {
            return Ok(());
        }
        Err(SpecError::value(key, format!("lists {count} for {layers} layers; the list has one per weight matrix")))
    }

    /// Checks what only the widths can tell: whether the start exists.
    ///
    /// # Errors
    /// The layer at which a λ-balanced start is impossible.
    pub fn check_widths(&self, widths: &[usize]) -> Result<(), SpecError> {
        let Init::LambdaBalanced { c, .. } = self else { return Ok(()) };
        for l in 1..widths.len().saturating_sub(1) {
            let (before, here, after) = (widths[l - 1], widths[l], widths[l + 1]);
            if *c > 0.0 && after < here {
                let message = format!(
                    "c > 0 needs layer {l} to have at least {here} outputs, not {after}: W^T W = W'W'^T + cI has full rank"
                );
                return Err(SpecError::value("c", message));
            }
            if *c < 0.0 && before < here {
                let message = format!(
                    "c < 0 needs layer {} to have at least {here} inputs, not {before}: WW^T = W'^T W' + |c|I has full rank",
                    l - 1
                );
                return Err(SpecError::value("c", message));
            }
        }
        Ok(())
    }

    /// The weights of one linear map that is no part of a chain.
    ///
    /// # Shapes
    /// `[d_out, d_in]`
    ///
    /// # Errors
    /// As [`Init::layers`], of one layer.
    pub fn weight(&self, [d_out, d_in]: [usize; 2], stream: &Stream) -> Result<Matrix, SpecError> {
        let mut layers = self.layers(&[d_in, d_out], stream, None)?;
        Ok(layers.remove(0).weight)
    }

    /// What a chain of dense layers starts from: drawn from the stream, or the layers of a file.
    ///
    /// # Shapes
    /// `widths` = [d_0, ..., d_L] → L layers `[d_l, d_{l-1}]`
    ///
    /// # Errors
    /// A start that these widths don't allow; a file that was not handed over; its tensor that does
    /// not fit, and both shapes.
    pub fn layers(
        &self,
        widths: &[usize],
        stream: &Stream,
        stored: Option<&[StoredLayer]>,
    ) -> Result<Vec<StoredLayer>, SpecError> {
        self.check_depth(widths.len() - 1)?;
        self.check_widths(widths)?;
        let named = |(l, weight)| StoredLayer { name: format!("layers.{l}.weight"), weight, bias: None };
        let (key, path, stored) = match self {
            Init::File { path, .. } => match stored {
                Some(stored) => ("path", path.as_str(), stored.to_vec()),
                None => {
                    let message = format!("{path} was not read: whoever builds the network hands its layers over");
                    return Err(SpecError::value("path", message));
                }
            },
            Init::Values { weights } => {
                let matrix =
                    |rows: &Vec<Vec<f64>>| Matrix { rows: rows.len(), cols: rows[0].len(), data: rows.concat() };
                ("weights", "the list", weights.iter().map(matrix).enumerate().map(named).collect())
            }
            _ => return Ok(self.weights(widths, stream).into_iter().enumerate().map(named).collect()),
        };
        let wrong = |message: String| Err(SpecError::value(key, message));
        if stored.len() != widths.len() - 1 {
            let names = stored.iter().map(|layer| layer.name.as_str()).collect::<Vec<_>>().join(", ");
            return wrong(format!(
                "{path} holds {} layers ({names}) and the model has {}",
                stored.len(),
                widths.len() - 1
            ));
        }
        for (l, layer) in stored.iter().enumerate() {
            let (rows, cols) = (layer.weight.rows, layer.weight.cols);
            if (rows, cols) != (widths[l + 1], widths[l]) {
                return wrong(format!(
                    "{path}: {} has shape [{rows}, {cols}] and layer {l} of the model is [{}, {}], [outputs, inputs]",
                    layer.name,
                    widths[l + 1],
                    widths[l]
                ));
            }
        }
        Ok(stored)
    }

    /// The drawn weights of a chain of dense layers; none where they are given.
    ///
    /// # Shapes
    /// `widths` = [d_0, ..., d_L] → L matrices `[d_l, d_{l-1}]`
    fn weights(&self, widths: &[usize], stream: &Stream) -> Vec<Matrix> {
        match self {
            Init::Balanced { spectrum } => drawn::balanced(widths, *spectrum, stream),
            Init::Gaussian { scale: gain } | Init::Kaiming { gain } => {
                drawn::normals(widths, stream, |l, fan_in, _| gain.of(l) / fan_in.sqrt())
            }
            Init::Xavier { gain } => {
                drawn::normals(widths, stream, |l, fan_in, fan_out| gain.of(l) * (2.0 / (fan_in + fan_out)).sqrt())
            }
            Init::File { .. } | Init::Values { .. } => Vec::new(),
            Init::LambdaBalanced { c, spectrum } => drawn::lambda_balanced(widths, *c, *spectrum, stream),
            Init::Orthogonal { gain } => drawn::orthogonal(widths, stream, |l| gain.of(l)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaussian_weights_have_the_stated_deviation() {
        let w = &Init::Gaussian { scale: 0.5.into() }.weights(&[100, 400], &Stream::root(2))[0];
        let variance = w.data.iter().map(|v| v * v).sum::<f64>() / w.data.len() as f64;
        // Relative standard error of a variance of 40,000 normals: sqrt(2/40000) = 0.7 %.
        assert!((variance / (0.25 / 100.0) - 1.0).abs() < 0.04, "{variance}");
        for (init, expected) in
            [(Init::Kaiming { gain: root_two() }, 2.0 / 100.0), (Init::Xavier { gain: one() }, 2.0 / 500.0)]
        {
            let w = &init.weights(&[100, 400], &Stream::root(2))[0];
            let variance = w.data.iter().map(|v| v * v).sum::<f64>() / w.data.len() as f64;
            assert!((variance / expected - 1.0).abs() < 0.04, "{init:?} {variance}");
        }
    }

    #[test]
    fn a_lambda_balanced_start_needs_widths_that_allow_it() {
        let start = |c: f64| Init::LambdaBalanced { c, spectrum: [1.0, 0.5] };
        for (c, widths) in [(0.3, [7, 4, 5, 5]), (-0.2, [6, 6, 4, 3])] {
            start(c).check_widths(&widths).expect("it exists");
        }
        let refused = start(0.1).check_widths(&[4, 6, 5]);
        assert!(refused.expect_err("rank 5 is not 6").message.contains("at least 6 outputs"));
    }

    #[test]
    fn a_rising_spectrum_and_a_zero_scale_are_refused() {
        assert!(Init::Balanced { spectrum: [0.1, 0.9] }.check().is_err());
        assert!(Init::Gaussian { scale: 0.0.into() }.check().is_err());
        assert!(Init::Orthogonal { gain: f64::NAN.into() }.check().is_err());
        assert!(Init::Gaussian { scale: PerLayer::Each(vec![1.0, -1.0]) }.check().is_err());
    }

    #[test]
    fn a_list_scales_each_layer_by_its_own_number() {
        let (widths, scales) = ([7, 4, 9, 5], [1.0, 0.125, 4.0]);
        let each = || PerLayer::Each(scales.to_vec());
        for (listed, single) in [
            (Init::Gaussian { scale: each() }, Init::Gaussian { scale: one() }),
            (Init::Kaiming { gain: each() }, Init::Kaiming { gain: one() }),
            (Init::Xavier { gain: each() }, Init::Xavier { gain: one() }),
            (Init::Orthogonal { gain: each() }, Init::Orthogonal { gain: one() }),
        ] {
            let layers = |init: &Init| init.layers(&widths, &Stream::root(5), None).expect("it exists");
            for ((a, b), scale) in layers(&listed).iter().zip(layers(&single)).zip(scales) {
                // Powers of two scale without rounding.
                let scaled: Vec<f64> = b.weight.data.iter().map(|v| v * scale).collect();
                assert_eq!(a.weight.data, scaled, "{listed:?}");
            }
            let refused = listed.layers(&widths[1..], &Stream::root(5), None).expect_err("two layers");
            assert!(refused.message.contains("lists 3 for 2 layers"), "{refused}");
        }
    }

    #[test]
    fn a_files_layers_must_be_handed_over_and_fit() {
        let init = Init::File { path: "w.safetensors".into(), layers: None };
        let layer = |name: &str, rows, cols| StoredLayer {
            name: name.into(),
            weight: Matrix::from_fn(rows, cols, |i, j| (i + 2 * j) as f64),
            bias: None,
        };
        let stored = [layer("a", 3, 2), layer("b", 4, 3)];
        let start = |widths: &[usize], stored: Option<&[StoredLayer]>| init.layers(widths, &Stream::root(0), stored);
        assert_eq!(start(&[2, 3, 4], Some(&stored)).expect("it fits"), stored);
        for (widths, stored, words) in [
            (&[2, 3, 4][..], None, "w.safetensors was not read"),
            (&[2, 3], Some(&stored[..]), "holds 2 layers (a, b) and the model has 1"),
            (&[2, 3, 5], Some(&stored), "b has shape [4, 3] and layer 1 of the model is [5, 3]"),
        ] {
            let refused = start(widths, stored).expect_err("must be refused");
            assert_eq!(refused.path, "path");
            assert!(refused.message.contains(words), "{refused}");
        }
    }
}
