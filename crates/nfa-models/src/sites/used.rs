//! One use of a named map in one forward pass.

use std::fmt;

use burn::tensor::{Gradients, Int, Tensor};

/// Takes a leaf's gradient out, flat.
pub(super) type Take = Box<dyn Fn(&mut Gradients) -> Option<Tensor<1>>>;

/// One use of a named map in one forward pass.
pub struct Use {
    /// The map's name; several uses of one name share their weights.
    pub name: String,
    /// Its weights in paper layout `[d_out, d_in]`, where they were asked for; a value has none.
    pub weight: Option<Tensor<2>>,
    /// What it reads, of one copy, where that was asked for.
    pub input: Option<Input>,
    /// What it puts out, of one copy and flat, where inputs were asked for.
    pub output: Option<Tensor<1>>,
    /// Groups of its outputs that read their own share of the input.
    pub groups: usize,
    pub(super) take: Option<Take>,
    /// z's.
    pub(super) shape: Vec<usize>,
    /// Which axis of z counts the outputs.
    pub(super) channels: usize,
}

/// What a map reads.
#[derive(Debug)]
pub enum Input {
    /// Rows that it multiplies.
    ///
    /// # Shapes
    /// `[n * positions, groups * d_in]`
    Rows(Tensor<2>),
    /// Which row of a table each position takes.
    ///
    /// # Shapes
    /// `[n * positions]`
    Ids(Tensor<1, Int>),
}

impl fmt::Debug for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.name, self.shape)
    }
}

impl Use {
    /// Outputs at one position.
    pub fn outputs(&self) -> usize {
        self.shape[self.channels]
    }

    /// Rows of z, of all copies.
    pub fn first(&self) -> usize {
        self.shape[0]
    }

    /// Positions of all rows and copies.
    pub fn positions(&self) -> usize {
        let count: usize = self.shape.iter().product();
        count / self.outputs().max(1)
    }

    /// δ, the gradient of what was differentiated in z, as it lies in z.
    ///
    /// # Shapes
    /// `[copies * n, d_out, positions]`, or `[copies * n * positions, d_out, 1]` where z's last axis counts the outputs;
    /// `None` where nothing depends on it, or without a leaf
    pub fn delta(&self, gradients: &mut Gradients) -> Option<Tensor<3>> {
        let flat = (self.take.as_ref()?)(gradients)?;
        let outer: usize = self.shape[..self.channels].iter().product();
        let behind: usize = self.shape[self.channels + 1..].iter().product();
        Some(flat.reshape([outer, self.outputs(), behind]))
    }
}
