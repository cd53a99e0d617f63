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
    /// Under rotary position embeddings scores are (A_q x)ᵀR(A_k y) with rotations R of planes: of those only what is
    /// symmetric and commutes with every rotation is left, a multiple of the identity in each plane. What isn't rotated
    /// is protected whole, and nothing between the two.
    Rotary {
        /// So many of a head's first numbers are rotated.
        rotated: usize,
        /// In planes (2i, 2i + 1), and not (i, i + rotated/2).
        neighbours: bool,
    },
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
            Protected::Rotary { .. } | Protected::Units => {
                let [a, b] = self.sides().map(Psd::gram);
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
            Protected::Rotary { .. } | Protected::Units => {
                let [a, b] = self.sides();
                a - b
            }
        }
    }

    /// Of UᵀU and VVᵀ what is protected.
    fn sides(&self) -> [Mat; 2] {
        let h = self.lower.nrows();
        let upper = |i: usize, j: usize| self.upper.col(i).transpose() * self.upper.col(j);
        let lower = |i: usize, j: usize| self.lower.row(i) * self.lower.row(j).transpose();
        [&upper as &dyn Fn(usize, usize) -> f64, &lower].map(|of| {
            Mat::from_fn(h, h, |i, j| match self.protected {
                Protected::Rotary { rotated, neighbours } if i < rotated || j < rotated => {
                    let half = rotated / 2;
                    let other = match neighbours {
                        true => i ^ 1,
                        false if i < half => i + half,
                        false => i - half,
                    };
                    // The planes' squared norms, averaged.
                    if i == j { 0.5 * (of(i, i) + of(other, other)) } else { 0.0 }
                }
                Protected::Units if i != j => 0.0,
                _ => of(i, j),
            })
        })
    }
}
