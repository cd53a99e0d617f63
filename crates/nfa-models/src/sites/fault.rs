//! What can be wrong with a network's account of its maps.

use std::fmt;

/// A network whose sites can't be measured: which, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SitesError {
    /// One name stands for two different weights.
    Repeated(String),
    /// A map's input has another first axis than the samples.
    NotRows(String),
    /// Something is said of a map that did not pass before.
    Unknown {
        /// What was said: `split`, `heads`, `follows`.
        what: &'static str,
        /// Of which name.
        name: String,
    },
    /// Parts or heads don't make up the map's outputs.
    Uneven {
        /// Of which map.
        name: String,
        /// What was said.
        said: String,
        /// How many outputs it has.
        outputs: usize,
    },
    /// A site is said to read what another writes, and reads another number of values.
    Misfit {
        /// The one that writes.
        before: String,
        /// So many.
        writes: usize,
        /// The one that reads.
        after: String,
        /// So many.
        reads: usize,
    },
    /// Changing one sample changed another's outputs: batch normalisation in training mode, say.
    RowsCoupled {
        /// The row that changed although another was touched.
        row: usize,
    },
    /// The same rows, twice in a batch or one batch after the other, have different outputs: dropout, or a map that
    /// works across the batch.
    CopiesDiffer,
    /// The sites that pass, or their order, depend on the rows.
    Changing(String),
    /// A name that can't stand in a list of names.
    Name(String),
    /// A function that is said to work on single numbers does not.
    NotEntrywise,
    /// No map passed.
    NoSite,
}

impl fmt::Display for SitesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SitesError::Repeated(name) => write!(
                f,
                "the name {name} stands for two different weights in one forward pass: give each weight a name of its \
                 own (one weight that is used several times keeps one name)"
            ),
            SitesError::NotRows(name) => write!(
                f,
                "what {name} reads does not have one row per sample first: keep the samples on the first axis, as in \
                 [n, tokens, d]"
            ),
            SitesError::Unknown { what, name } => {
                write!(
                    f,
                    "`{what}` speaks of {name}, and no site has this name (of a map that is split, its parts are sites)"
                )
            }
            SitesError::Uneven { name, said, outputs } => {
                write!(f, "{name} has {outputs} outputs, which {said} don't make up")
            }
            SitesError::Misfit { before, writes, after, reads } => write!(
                f,
                "`follows` says that {after} reads what {before} writes, and it reads {reads} values where {before} \
                 writes {writes}"
            ),
            SitesError::RowsCoupled { row } => write!(
                f,
                "row {row}'s outputs change with another row: a layer couples samples (batch normalisation while \
                 training); evaluate it in inference mode"
            ),
            SitesError::CopiesDiffer => write!(
                f,
                "the same rows have different outputs when they come twice, or when they are differentiated: dropout, \
                 noise or batch normalisation while training (measure `model.valid()`), or a map that works across the \
                 batch"
            ),
            SitesError::Changing(name) => {
                write!(
                    f,
                    "the site {name} comes and goes, or changes its form, with the rows: its place is not defined"
                )
            }
            SitesError::Name(name) => write!(
                f,
                "{name:?} is no name for a site: names are not empty, without commas, semicolons and spaces at their ends"
            ),
            SitesError::NotEntrywise => write!(
                f,
                "a function given to at.activation does not take each number by itself (softmax and norms do not: \
                 at.softmax, at.layer_norm; others are written with Burn's functions alone)"
            ),
            SitesError::NoSite => write!(
                f,
                "the forward pass hands no map to its sites: compute layers as at.linear(\"name\", h, &layer) or \
                 at.dense(\"name\", h, weight, bias)"
            ),
        }
    }
}

impl std::error::Error for SitesError {}
