//! What passed in one forward pass.

use std::ops::Range;

use crate::sites::used::Use;

/// What passed in one forward pass.
#[derive(Debug, Default)]
pub struct Record {
    /// Every use of every map, in order.
    pub uses: Vec<Use>,
    /// The sites, in the order of their first appearance: a map, or a part of one.
    pub sites: Vec<Site>,
    /// Pairs of sites, the second of which reads what the first writes.
    pub follows: Vec<(usize, usize)>,
    /// Maps that are no sites, and why.
    pub skipped: Vec<(String, String)>,
}

/// A map, or some of its outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its name.
    pub name: String,
    /// That of the map.
    pub map: String,
    /// Which of the map's outputs, which are the rows of its weights.
    pub rows: Range<usize>,
    /// Which of the groups of the map's input it reads.
    pub group: usize,
}
