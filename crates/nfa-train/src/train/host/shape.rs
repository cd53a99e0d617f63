//! Where the parameters of a chain of dense layers lie in one flat vector, and the tiles that they
//! are updated in.

use std::ops::Range;

use nfa_models::Activation;
use nfa_models::host::dense::worth_transposing;
use nfa_models::host::gemm::View;
use nfa_models::host::{Dense, Real};

/// One dense layer.
#[derive(Clone, Debug)]
pub(in crate::train) struct Layer {
    pub(in crate::train) out: usize,
    pub(in crate::train) into: usize,
    /// Where its weights begin, `[out, into]` row-major.
    pub(in crate::train) weights: usize,
    /// Where its biases begin, if it has any.
    pub(in crate::train) biases: Option<usize>,
    /// What follows it; none after the last layer.
    pub(in crate::train) activation: Activation,
    /// Whether its weights are kept transposed as well.
    pub(in crate::train) turned: bool,
}

impl Layer {
    pub(in crate::train) fn weights<'a, T>(&self, flat: &'a [T]) -> &'a [T] {
        &flat[self.weights..self.weights + self.out * self.into]
    }

    pub(in crate::train) fn biases<'a, T>(&self, flat: &'a [T]) -> Option<&'a [T]> {
        self.biases.map(|at| &flat[at..at + self.out])
    }

    /// With its numbers in the flat vector, and its transposed weights where it has them.
    pub(in crate::train) fn dense<'a, T: Real>(&self, flat: &'a [T], turned: &'a [T]) -> Dense<'a, T> {
        Dense {
            weights: View::new(self.weights(flat), self.out, self.into),
            transposed: self.turned.then(|| View::new(turned, self.into, self.out)),
            biases: self.biases(flat),
            activation: self.activation,
        }
    }
}

/// Some rows of one parameter.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::train) struct Tile {
    /// Of which layer.
    pub(in crate::train) layer: usize,
    /// Whether it holds biases.
    pub(in crate::train) bias: bool,
    /// Rows of the weights, or entries of the biases.
    pub(in crate::train) rows: Range<usize>,
    /// Numbers in the flat vector.
    pub(in crate::train) numbers: Range<usize>,
}

/// A network's layers in the flat vector.
#[derive(Clone, Debug)]
pub(in crate::train) struct Shape {
    pub(in crate::train) layers: Vec<Layer>,
    pub(in crate::train) tiles: Vec<Tile>,
    pub(in crate::train) numbers: usize,
}

/// A tile has at least so many rows, where its parameter has them: below that, packing the other
/// factor of its product costs more than a second core brings.
const TILE_ROWS: usize = 256;
/// ... unless the product over one row of data is as small as this: then two halves do.
const TILE_NUMBERS: usize = 1 << 9;

impl Shape {
    /// `widths` are d_0 … d_L; a rule that needs whole parameters gets one tile each.
    pub(in crate::train) fn new(widths: &[usize], biases: &[bool], activations: &[Activation], whole: bool) -> Self {
        let mut layers = Vec::new();
        let mut tiles = Vec::new();
        let mut at = 0;
        for (layer, pair) in widths.windows(2).enumerate() {
            let (into, out) = (pair[0], pair[1]);
            let weights = at;
            at += out * into;
            let step = match whole {
                true => out,
                false if out * into >= TILE_NUMBERS => out.div_ceil(2).min(TILE_ROWS.max(out / 8)),
                false => out,
            };
            tiles.extend((0..out).step_by(step).map(|start| {
                let rows = start..(start + step).min(out);
                let numbers = weights + rows.start * into..weights + rows.end * into;
                Tile { layer, bias: false, rows, numbers }
            }));
            let bias = biases[layer].then_some(at);
            if let Some(bias) = bias {
                at += out;
                tiles.push(Tile { layer, bias: true, rows: 0..out, numbers: bias..at });
            }
            let activation = activations.get(layer).copied().unwrap_or(Activation::Linear);
            let turned = worth_transposing(out, into);
            layers.push(Layer { out, into, weights, biases: bias, activation, turned });
        }
        Shape { layers, tiles, numbers: at }
    }

    pub(in crate::train) fn inputs(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.into)
    }

    pub(in crate::train) fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_every_number_once_and_in_order() {
        for whole in [false, true] {
            let widths = [10, 700, 64, 3];
            let shape = Shape::new(&widths, &[true, false, true], &[Activation::Tanh; 2], whole);
            assert_eq!(shape.numbers, 10 * 700 + 700 + 700 * 64 + 64 * 3 + 3);
            let mut at = 0;
            for tile in &shape.tiles {
                assert_eq!(tile.numbers.start, at);
                let width = if tile.bias { 1 } else { shape.layers[tile.layer].into };
                assert_eq!(tile.numbers.len(), tile.rows.len() * width);
                at = tile.numbers.end;
            }
            assert_eq!(at, shape.numbers);
            assert_eq!(shape.tiles.len() > 5, !whole);
        }
    }
}
