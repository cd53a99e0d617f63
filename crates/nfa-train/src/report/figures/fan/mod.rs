//! The fan: where each network's directions lie: for powers on rays of slope 1/L, else on one line of slope 1.
//!
//! Both axes are logarithmic. A direction of B's eigenbasis sits at x = g_i/g_1 (under the Neural Feature
//! Ansatz the AGOP) and y = m_i/m_1 (the weights). A law with exponent α puts all of them on the ray of
//! slope α from (1, 1). Of an equality y = m_i/g_1, and the line is A = B.

mod disc;
mod drawing;
mod layer;
mod rays;
mod words;

use nfa_metrics::judge::finding::Direction;
use nfa_metrics::laws::law::Law;

use crate::report::draw::figure::Figure;
use crate::report::figures::fan::disc::{Disc, discs, domain, parked, visible};

pub(crate) use layer::of_layer;

/// One network, or one layer of it.
pub(crate) struct Drawn {
    /// What tells it from its neighbours.
    pub(crate) label: String,
    /// Its colour, an index into the palette.
    pub(crate) hue: usize,
    /// A along B's eigenvectors.
    pub(crate) directions: Vec<Direction>,
    /// What was found there.
    pub(crate) found: Found,
}

/// What a fan tells of a finding.
#[derive(Clone)]
pub(crate) struct Found {
    /// The measured exponent.
    pub(crate) alpha: Option<f64>,
    /// Theory's.
    pub(crate) predicted: Option<f64>,
    /// The misfit.
    pub(crate) misfit: Option<f64>,
    /// The verdict; of a network drawn that did not complete, how it ended.
    pub(crate) verdict: String,
    /// How far the two exponents may be apart.
    pub(crate) within: f64,
}

impl Found {
    /// |α - predicted|, where both are there.
    fn off(&self) -> Option<f64> {
        Some((self.alpha? - self.predicted?).abs())
    }

    /// Whether the law holds with the predicted exponent.
    fn on_ray(&self) -> bool {
        self.verdict == "holds" && self.off().is_some_and(|off| off <= self.within)
    }
}

/// One panel.
pub(crate) struct Panel {
    /// Its name.
    pub(crate) title: String,
    /// At most one of each hue.
    pub(crate) drawn: Vec<Drawn>,
    /// Everything that was found in its group, drawn or not.
    pub(crate) found: Vec<Found>,
}

/// What a fan is drawn from.
pub(crate) struct Fan<'a> {
    /// The law.
    pub(crate) law: &'a Law,
    /// The layer that is drawn of every network; `None` where each is a layer itself.
    pub(crate) layer: Option<usize>,
    /// That layer in words: its number, and its name where it has one.
    pub(crate) name: String,
    /// Its panels.
    pub(crate) panels: Vec<Panel>,
    /// Everything that was found, drawn or not, with the names of groups.
    pub(crate) groups: Vec<(String, Vec<Found>)>,
    /// What is not counted there, because it did not complete; empty where everything did.
    pub(crate) stopped: &'a str,
    /// What was chosen and what was left out; empty where everything is drawn.
    pub(crate) choice: &'a str,
}

impl Fan<'_> {
    /// The figure; `None` where there are no directions.
    pub(crate) fn figure(&self) -> Option<Figure> {
        let of = |panel: &Panel| {
            panel.drawn.iter().flat_map(|drawn| discs(&drawn.directions, self.law.family)).collect::<Vec<Disc>>()
        };
        let panels: Vec<&Panel> = self.panels.iter().filter(|panel| !of(panel).is_empty()).collect();
        let all: Vec<Disc> = panels.iter().copied().flat_map(of).collect();
        if all.is_empty() {
            return None;
        }
        let domain = domain(&all);
        let (id, heading) = match self.layer {
            None | Some(0) => ("fan".to_string(), "The fan".to_string()),
            Some(layer) => (format!("fan-layer{layer}"), format!("The fan of layer {}", self.name)),
        };
        let zero = all.iter().any(|disc| parked(disc, domain) && visible(disc));
        Some(Figure {
            id,
            heading,
            finding: self.finding(),
            reading: self.reading(zero),
            keys: self.keys(&panels),
            drawings: panels.iter().map(|panel| self.drawing(panel, domain)).collect(),
        })
    }

    /// Whether the law leaves its exponent to be measured.
    fn is_free(&self) -> bool {
        self.law.family.exponent().is_none()
    }

    /// Whether the slopes are those of whole networks, 1/L.
    fn is_first(&self) -> bool {
        self.layer == Some(0)
    }
}
