//! Pair laws: two linear maps that the loss sees through their product alone.
//!
//! Where the loss depends on U `[m, h]` and V `[h, k]` through UV only, Uᵀ∂L/∂U = (∂L/∂V)Vᵀ on every
//! batch, whatever else the network does. So D = UᵀU - VVᵀ obeys the recurrence of neighbouring linear
//! layers, D ← (1 - ηλ)²D + η²E with E = g_Uᵀg_U - g_Vg_Vᵀ, under gd and sgd exactly (arXiv:2510.15563
//! for linear networks; the argument needs no more than the product). At a stationary point with equal
//! decay D = 0.
//!
//! In a transformer that holds for the output and value maps of an attention head, and for its query
//! and key: scores are (A_q x)ᵀ(A_k y), a function of A_qᵀA_k, so D = A_qA_qᵀ - A_kA_kᵀ. A bias is one
//! more column of its map, [W b]. Heads that share a key and value sum: their maps stack. Adapters
//! (LoRA) are such a product by construction.

use crate::judge::pair::Pair;
use crate::matrix::Mat;
use crate::matrix::psd::Psd;

/// Which part of D the symmetry of the network protects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protected {
    /// All of it: the loss sees the product.
    Whole,
    /// Under rotary position embeddings scores are (A_q x)ᵀR(A_k y) with rotations R of the planes
    /// (i, i + h/2): only what is symmetric and commutes with every rotation is left, a multiple of
    /// the identity in each plane.
    RotaryPlanes,
    /// Between layers with a positively homogeneous activation (ReLU), each unit's own balance.
    Units,
}

/// Two maps that the loss sees through their product.
#[derive(Clone, Debug)]
pub struct ProductPair {
    /// Where it is in the network.
    pub name: String,
    /// U, `[m, h]`.
    pub upper: Mat,
    /// V, `[h, k]`.
    pub lower: Mat,
    /// What is protected.
    pub protected: Protected,
}

impl ProductPair {
    /// The law's two matrices: UᵀU and VVᵀ, or of each what is protected.
    pub fn pair(&self) -> Pair {
        match self.protected {
            Protected::Whole => Pair::new(Psd::nfm(&self.upper), Psd::outer(&self.lower).rounded()),
            Protected::RotaryPlanes | Protected::Units => {
                let [a, b] = self.diagonals().map(|values| {
                    Psd::gram(Mat::from_fn(values.len(), values.len(), |i, j| if i == j { values[i] } else { 0.0 }))
                });
                Pair::new(a, b)
            }
        }
    }

    /// D, or what of it is protected.
    ///
    /// # Shapes
    /// `[h, h]`
    pub fn imbalance(&self) -> Mat {
        match self.protected {
            Protected::Whole => crate::observation::imbalance(&self.upper, &self.lower),
            Protected::RotaryPlanes | Protected::Units => {
                let [a, b] = self.diagonals();
                Mat::from_fn(a.len(), a.len(), |i, j| if i == j { a[i] - b[i] } else { 0.0 })
            }
        }
    }

    /// The squared norms of U's columns and V's rows, averaged over the planes of a rotation.
    fn diagonals(&self) -> [Vec<f64>; 2] {
        let h = self.lower.nrows();
        let upper = |i: usize| self.upper.col(i).squared_norm_l2();
        let lower = |i: usize| self.lower.row(i).squared_norm_l2();
        let half = h / 2;
        let averaged = |of: &dyn Fn(usize) -> f64| -> Vec<f64> {
            match self.protected {
                Protected::RotaryPlanes => (0..h).map(|i| 0.5 * (of(i % half) + of(i % half + half))).collect(),
                Protected::Whole | Protected::Units => (0..h).map(of).collect(),
            }
        };
        [averaged(&upper), averaged(&lower)]
    }
}
