//! The fan of one layer of a study's networks.

use nfa_metrics::judge::finding::Direction;
use nfa_metrics::laws::law::Law;

use crate::report::draw::figure::Figure;
use crate::report::draw::format::UNDEFINED;
use crate::report::figures::fan::disc::discs;
use crate::report::figures::fan::{Drawn, Fan, Found, Panel};
use crate::report::figures::view::{Network, View};
use crate::study::{StudyRun, layer_of_all};

/// The fan, a panel a group of networks; `None` where no directions were recorded.
pub(crate) fn of_layer(view: &View<'_>, layer: usize) -> Option<Figure> {
    let law = view.law?;
    let found = |runs: &[&StudyRun]| -> Vec<Found> {
        let completed = runs.iter().filter(|run| run.completed());
        let here = completed.filter(|run| run.layers(law.name).contains(&layer));
        here.filter(|run| layer == 0 || !run.is_given(law, layer)).map(|run| found(run, law, layer)).collect()
    };
    let panels = view.panels.iter().map(|panel| Panel {
        title: panel.title.clone(),
        drawn: panel.networks.iter().filter_map(|network| drawn(network, law, layer)).collect(),
        found: found(&panel.runs),
    });
    let groups = view.groups.iter().map(|group| (group.title.clone(), found(&group.runs)));
    let (panels, groups) = (panels.collect(), groups.collect());
    let name = layer_of_all(view.groups.iter().flat_map(|group| group.runs.iter().copied()), layer);
    Fan { law, layer: Some(layer), name, panels, groups, stopped: &view.stopped, choice: &view.choice }.figure()
}

/// What was found at a layer of a run.
fn found(run: &StudyRun, law: &Law, layer: usize) -> Found {
    let number = |quantity: &str| run.measured(law.name, quantity, layer);
    let verdict = run.word(law.name, "verdict", layer).unwrap_or(UNDEFINED);
    Found {
        alpha: number("alpha"),
        predicted: number("predicted"),
        misfit: number("misfit"),
        verdict: if run.completed() { verdict } else { &run.outcome }.to_string(),
        within: run.threshold("exponent", 0.01),
    }
}

/// A network in a layer's fan: always in the first; in the others where it has directions and the
/// law doesn't hold by definition.
fn drawn(network: &Network<'_>, law: &Law, layer: usize) -> Option<Drawn> {
    let run = network.run;
    let directions = directions(run, law.name, layer);
    if layer > 0 && (run.is_given(law, layer) || discs(&directions, law.family).is_empty()) {
        return None;
    }
    Some(Drawn { label: network.label.clone(), hue: network.hue, directions, found: found(run, law, layer) })
}

/// The directions of a layer at the last probe that holds some.
fn directions(run: &StudyRun, law: &str, layer: usize) -> Vec<Direction> {
    let here = || run.directions.iter().filter(|d| d.law == law && d.layer == layer);
    let last = here().map(|d| d.step).max();
    here().filter(|d| Some(d.step) == last).map(|d| Direction { g: d.g, m: d.m, leak: d.leak }).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::study::sample;

    #[test]
    fn only_the_last_probe_is_drawn() {
        let mut run = sample::run("a", 2);
        run.directions.iter_mut().skip(1).for_each(|direction| direction.step = 0);
        assert_eq!(directions(&run, "nfa", 0), [Direction { g: 1.0, m: 2.0, leak: 0.01 }]);
    }

    #[test]
    fn the_finding_counts_networks_on_their_ray() {
        let study = sample::study();
        let figure = of_layer(&View::of(&study), 0).unwrap();
        assert!(figure.finding.starts_with("All 4 networks lie on their own ray"), "{}", figure.finding);
        assert_eq!(figure.drawings.len(), 2);
    }

    #[test]
    fn the_last_layer_is_left_out_where_network_and_law_say_that_it_is_given() {
        let mut study = sample::study();
        study.runs.retain(|run| run.theory.depth == Some(3));
        assert!(of_layer(&View::of(&study), 2).is_none());
        // A network that is no chain, with a key of that name.
        study.runs.iter_mut().for_each(|run| run.theory.depth = None);
        assert!(of_layer(&View::of(&study), 2).is_some());
        study.runs.iter_mut().for_each(|run| run.theory.depth = Some(3));
        study.laws = study.laws.with(Law { last: None, ..nfa_metrics::laws::nfa::LAW });
        assert!(of_layer(&View::of(&study), 2).is_some());
    }
}
