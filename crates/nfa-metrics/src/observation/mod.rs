//! What the laws look at: one network at one moment, on the host.

use crate::matrix::Mat;
use crate::matrix::psd::Psd;
use crate::matrix::symmetric;

pub mod averaged;
pub mod moments;
pub mod penalty;

use crate::observation::averaged::Averaged;
use crate::observation::moments::Moments;
use crate::observation::penalty::Penalty;

/// Weights and AGOPs of a network's layers.
#[derive(Clone, Debug)]
pub struct Observation {
    /// From the input on.
    pub layers: Vec<Layer>,
    /// Whether the network is linear in its input: then theory predicts every layer's exponent.
    pub linear: bool,
    /// The machine epsilon of what the network computes in.
    pub eps: f64,
}

/// One layer as it was observed.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Its name in the network.
    pub name: String,
    /// Its weights, `[d_out, d_in]`.
    pub weight: Mat,
    /// AGOP of the network's outputs at its input, `[d_in, d_in]`.
    pub agop: Option<Psd>,
    /// K, the second moment of the outputs' gradients in what it puts out, `[d_out, d_out]`; AGOP = WᵀKW.
    pub k: Option<Mat>,
    /// W at initialisation.
    pub start: Option<Mat>,
    /// Of the training loss.
    pub loss: Option<Moments>,
    /// How weight decay acted on it.
    pub penalty: Penalty,
    /// Why [`Layer::loss`] is not all that was trained on in these weights, where it isn't.
    pub unsound: Option<String>,
    /// Over the last steps of training.
    pub averaged: Option<Averaged>,
    /// The number of weight matrices from here to the outputs, where that is known.
    pub depth_from_here: Option<usize>,
    /// Whether its outputs are the network's, so that its AGOP is its NFM by definition.
    pub last: bool,
    /// The places of the layers that read what this one writes, unit by unit (through an activation or a gate), where
    /// these are all that do; as the network declares it.
    pub readers: Vec<usize>,
}

impl Layer {
    /// Weights, and nothing known about where they stand.
    pub fn new(name: impl Into<String>, weight: Mat) -> Self {
        Layer {
            name: name.into(),
            weight,
            agop: None,
            k: None,
            start: None,
            loss: None,
            penalty: Penalty::Unknown,
            unsound: None,
            averaged: None,
            depth_from_here: None,
            last: false,
            readers: Vec::new(),
        }
    }
}

impl Observation {
    /// Layers in a row: each reads what the one before it writes, and the last one's outputs are the network's.
    #[must_use]
    pub fn in_a_row(mut self) -> Self {
        let depth = self.layers.len();
        for (l, layer) in self.layers.iter_mut().enumerate() {
            layer.depth_from_here = Some(depth - l);
            layer.last = l + 1 == depth;
            layer.readers = (l + 1..depth).take(1).collect();
        }
        self
    }

    /// The layers that are read by declared ones.
    pub fn writers(&self) -> impl Iterator<Item = usize> {
        (0..self.layers.len()).filter(|&l| !self.layers[l].readers.is_empty())
    }

    /// The weights that read what a layer writes, one below the other; `None` where none is declared.
    ///
    /// # Shapes
    /// `[_, h]` of a layer `[h, _]`
    pub fn readers(&self, layer: usize) -> Option<Mat> {
        let weights: Vec<Mat> = self.layers.iter().map(|layer| layer.weight.clone()).collect();
        self.layers.get(layer)?.readers_of(&weights)
    }
}

impl Layer {
    /// Of one matrix for each layer of the network those of this one's readers, one below the other.
    pub fn readers_of(&self, matrices: &[Mat]) -> Option<Mat> {
        let found: Vec<&Mat> = self.readers.iter().filter_map(|&reader| matrices.get(reader)).collect();
        let first = found.first()?;
        let starts: Vec<(usize, usize)> =
            found.iter().enumerate().flat_map(|(m, matrix)| (0..matrix.nrows()).map(move |i| (m, i))).collect();
        let fits = found.iter().all(|matrix| matrix.ncols() == first.ncols());
        fits.then(|| Mat::from_fn(starts.len(), first.ncols(), |i, j| found[starts[i].0][(starts[i].1, j)]))
    }
}

/// D_l = W_{l+1}ᵀW_{l+1} - W_lW_lᵀ of two neighbouring layers.
///
/// # Shapes
/// next: `[_, h]`, this: `[h, _]` → `[h, h]`
pub fn imbalance(next: &Mat, this: &Mat) -> Mat {
    symmetric::difference(next.transpose(), this.as_ref())
}
