//! A law as a row: which two matrices, compared how.

use crate::judge::pair::Pair;

use crate::judge::family::Family;
use crate::observation::Observation;

/// One row of the registry.
#[derive(Clone, Copy, Debug)]
pub struct Law {
    /// Its name, the first part of its columns.
    pub name: &'static str,
    /// A, in symbols.
    pub left: &'static str,
    /// B, in symbols.
    pub right: &'static str,
    /// What A is compared with.
    pub family: Family,
    /// What it says, in a sentence.
    pub doc: &'static str,
    /// Where it comes from.
    pub reference: &'static str,
    /// Whether the per-alpha details (cosines, correlations) are measured too.
    pub details: bool,
    /// Metrics that come with it.
    pub brings: &'static [&'static str],
    /// Its matrices at a layer; `None` where it does not apply or what it needs was not observed.
    pub pair: fn(&Observation, usize) -> Option<Pair>,
}

/// The known laws, in order.
#[derive(Clone, Debug, Default)]
pub struct Laws {
    rows: Vec<Law>,
}

impl Laws {
    /// Adds a law; one of the same name before it is replaced.
    #[must_use]
    pub fn with(mut self, law: Law) -> Self {
        self.rows.retain(|row| row.name != law.name);
        self.rows.push(law);
        self
    }

    /// Every law.
    pub fn rows(&self) -> &[Law] {
        &self.rows
    }

    /// The law of this name.
    pub fn get(&self, name: &str) -> Option<&Law> {
        self.rows.iter().find(|law| law.name == name)
    }
}
