//! Laws by layers: what every probe and every measurement asks of one observation.

use crate::judge::agreement::Agreement;
use crate::judge::details::Details;
use crate::judge::finding::{Finding, Known, assess_with};
use crate::judge::interval::Spread;
use crate::judge::pair::Pair;
use crate::judge::verdict::{Rows, Thresholds};
use crate::laws::absent::Absent;
use crate::laws::law::Law;
use crate::laws::quantity::Reading;
use crate::observation::Observation;

/// What is asked.
pub struct Asked<'a> {
    /// Which layers, from 0.
    pub layers: &'a [usize],
    /// Of the verdict.
    pub thresholds: &'a Thresholds,
    /// More exponents for the details, beside theory's, 1/2 and 1.
    pub alphas: &'a [f64],
    /// The misfit of a law at a layer at initialisation, where it is known.
    pub init: &'a dyn Fn(&Law, usize) -> Option<f64>,
    /// The rows that AGOPs are averages over, where they are known.
    pub rows: Option<Rows>,
    /// Whether theory's exponents hold; not where biases decay.
    pub predicts: bool,
    /// The interval of a law that [varies](Law::varies), where there is one.
    pub spread: &'a dyn Fn(&Law, usize, &Pair) -> Option<Spread>,
}

/// A law at a layer, with all that judging it takes: it may be judged on any thread.
#[derive(Debug)]
pub struct Place {
    /// The law.
    pub law: Law,
    /// The layer, from 0.
    pub layer: usize,
    /// Its two matrices there, or why it has none.
    pub pair: Result<Pair, Absent>,
    /// What always stands [beside](Law::beside) it.
    pub beside: Vec<Reading>,
    /// 1 / depth from here to the outputs, where that is known.
    pub own: Option<f64>,
    /// The exponents of its details.
    pub alphas: Vec<f64>,
    known: Known,
    thresholds: Thresholds,
}

/// What is found of a law at a layer.
#[derive(Debug)]
pub struct Judged {
    /// The law.
    pub law: Law,
    /// The layer, from 0.
    pub layer: usize,
    /// Exponent, misfit, verdict.
    pub finding: Finding,
    /// What always stands [beside](Law::beside) it.
    pub beside: Vec<Reading>,
    /// Of a law that has them.
    pub details: Option<Details>,
    /// Of a [signed](Law::signed) law.
    pub agreement: Option<Agreement>,
}

impl Judged {
    /// Of a law at the first layer, and nothing beside.
    pub fn alone(law: Law, finding: Finding, details: Option<Details>) -> Self {
        Judged { law, layer: 0, finding, beside: Vec::new(), details, agreement: None }
    }
}

/// Every law at every layer where it applies, laws first.
pub fn places<'a>(laws: impl IntoIterator<Item = &'a Law>, observation: &Observation, asked: &Asked<'_>) -> Vec<Place> {
    let at = |law: &'a Law, layer: usize| {
        let pair = match law.absent(observation, layer) {
            Some(absent) => Err(absent),
            None => {
                let pair = law.at(observation, layer)?;
                let predicted = pair.predicted.filter(|_| asked.predicts);
                Ok(pair.predicting(predicted))
            }
        };
        let here = &observation.layers[layer];
        let own = here.depth_from_here.map(|depth| 1.0 / depth as f64);
        let spread = |pair: &Pair| law.varies.then(|| (asked.spread)(law, layer, pair)).flatten();
        let known = Known {
            init: (asked.init)(law, layer),
            spread: pair.as_ref().ok().and_then(spread),
            // A linear network's AGOP is the same whatever the rows are, and so is that of a last layer.
            rows: asked.rows.filter(|_| law.varies && !(law.is_of_outputs() && (observation.linear || here.last))),
        };
        let alphas = alphas(own, asked.alphas);
        let beside = law.beside.iter().map(|quantity| (quantity.of)(here)).collect();
        Some(Place { law: *law, layer, own, alphas, known, thresholds: *asked.thresholds, pair, beside })
    };
    laws.into_iter().flat_map(|law| asked.layers.iter().filter_map(move |&layer| at(law, layer))).collect()
}

/// Judges every law at every layer where it applies, laws first.
pub fn survey<'a>(
    laws: impl IntoIterator<Item = &'a Law>,
    observation: &Observation,
    asked: &Asked<'_>,
) -> Vec<Judged> {
    places(laws, observation, asked).iter().map(Place::judge).collect()
}

/// The exponents that details are taken at: theory's, 1/2, 1 and those asked for, each once.
pub fn alphas(own: Option<f64>, more: &[f64]) -> Vec<f64> {
    let mut alphas = Vec::from_iter(own);
    for &alpha in [0.5, 1.0].iter().chain(more) {
        if !alphas.contains(&alpha) {
            alphas.push(alpha);
        }
    }
    alphas
}

impl Place {
    /// Exponent, misfit, verdict and details.
    pub fn judge(&self) -> Judged {
        let finding = match &self.pair {
            Ok(pair) => assess_with(pair, self.law.family, &self.thresholds, self.known),
            Err(absent) => Finding::nothing(absent.verdict(), self.known.init, absent.reason()),
        };
        let pair = self.pair.as_ref().ok();
        Judged {
            law: self.law,
            layer: self.layer,
            finding,
            beside: self.beside.clone(),
            details: pair.filter(|_| self.law.details).and_then(|pair| Details::new(pair, &self.alphas)),
            agreement: pair.filter(|_| self.law.signed).map(Agreement::new),
        }
    }
}
