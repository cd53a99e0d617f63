//! What passed in one forward pass.

use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;

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
    /// What was computed, where it was to be kept ([`Sites::keeping`](crate::Sites::keeping)).
    pub kept: Kept,
}

/// What was computed in one pass, for others over the same rows.
#[derive(Clone, Default)]
pub struct Kept {
    pub(super) values: Vec<Rc<dyn Any>>,
    /// The next one's place.
    pub(super) at: usize,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values", self.values.len())
    }
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
