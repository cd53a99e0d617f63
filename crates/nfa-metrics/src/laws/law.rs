//! A law as a row: which two matrices, compared how.

use crate::judge::family::Family;
use crate::judge::pair::Pair;
use crate::laws::absent::Absent;
use crate::laws::needs::Needs;
use crate::laws::quantity::Quantity;
use crate::observation::{Layer, Observation};

/// One row of the registry.
///
/// ```
/// use nfa_metrics::{Family, Law, Needs, Observation, Pair, Psd};
///
/// /// WᵀW against the AGOP itself, up to a factor.
/// const LINEAR: Law = Law {
///     name: "linear_ansatz",
///     left: "W_l^T W_l",
///     right: "AGOP at layer l's input",
///     family: Family::Proportional,
///     doc: "The Gram matrix of a layer's weights is a multiple of its AGOP.",
///     reference: "this crate's documentation",
///     needs: Needs::AGOP,
///     varies: true,
///     pair,
///     ..Law::OF_WEIGHTS
/// };
///
/// fn pair(observation: &Observation, layer: usize) -> Option<Pair> {
///     let layer = observation.layers.get(layer)?;
///     Some(Pair::new(Psd::nfm(&layer.weight), layer.agop.clone()?))
/// }
///
/// let laws = nfa_metrics::laws().with(LINEAR);
/// assert!(laws.get("linear_ansatz").is_some());
/// ```
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
    /// What must have been observed beside the weights.
    pub needs: Needs,
    /// Whether B is an average over rows that fresh ones may stand for, and A none: then exponent and misfit have
    /// intervals over the inputs. What is of the training loss is of the rows trained on, and has none.
    pub varies: bool,
    /// Over what it ranges.
    pub over: Over,
    /// What the fan calls B's eigenvalues and A along its eigenvectors.
    pub axes: [&'static str; 2],
    /// Why it holds by definition at the map whose outputs are the network's, for a law that does.
    pub last: Option<&'static str>,
    /// Whether B may be any square matrix ([`Square`](crate::Square)): neither symmetric nor free of negative
    /// eigenvalues. Takes [`Family::Equal`].
    pub signed: bool,
    /// Whether the per-alpha details (cosines, correlations) are measured too.
    pub details: bool,
    /// Whether `measure` shows it only where it is asked for by name.
    pub asked: bool,
    /// Metrics that come with it.
    pub brings: &'static [&'static str],
    /// What always stands beside it, read off the layer alone.
    pub beside: &'static [Quantity<Layer>],
    /// Why it has no two matrices at a layer, although all that it needs was observed.
    pub unless: fn(&Observation, usize) -> Option<Absent>,
    /// Its matrices at a layer; `None` where it does not apply or what it needs was not observed. Called through
    /// [`Law::at`].
    pub pair: fn(&Observation, usize) -> Option<Pair>,
}

impl Law {
    /// Of the weights of single layers, without details: what a law leaves unsaid (`..Law::OF_WEIGHTS`).
    pub const OF_WEIGHTS: Law = Law {
        name: "",
        left: "",
        right: "",
        family: Family::Equal,
        doc: "",
        reference: "",
        needs: Needs::WEIGHTS,
        varies: false,
        over: Over::Sites,
        axes: ["of B", "of A"],
        last: None,
        signed: false,
        details: false,
        asked: false,
        brings: &[],
        beside: &[],
        unless: |_, _| None,
        pair: |_, _| None,
    };

    /// Its matrices at a layer; `None` where it does not apply or what it needs was not observed.
    pub fn at(&self, observation: &Observation, layer: usize) -> Option<Pair> {
        if self.over == Over::Neighbours {
            observation.layers.get(layer)?.readers.first()?;
        }
        match (self.unless)(observation, layer) {
            Some(_) => None,
            None => (self.pair)(observation, layer),
        }
    }

    /// Whether B is made of gradients of the outputs.
    pub fn is_of_outputs(&self) -> bool {
        self.needs.meets(Needs::AGOP | Needs::OUTPUT_GRADIENTS)
    }

    /// Why it has none, although it was asked for and all that it needs was observed.
    pub fn absent(&self, observation: &Observation, layer: usize) -> Option<Absent> {
        (self.unless)(observation, layer)
    }
}

/// Over what a law ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Each map with weights by itself.
    Sites,
    /// A map and those that read what it writes; the place is the first.
    Neighbours,
    /// Two maps that the loss sees through their product.
    Pairs,
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
