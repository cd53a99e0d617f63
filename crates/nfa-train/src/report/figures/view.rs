//! Which networks are drawn: a few that can be told apart, chosen by a rule that the page states.

use nfa_metrics::laws::law::Law;

use crate::report::draw::format::{count, list, short};
use crate::study::{Study, StudyRun, distinct};

/// Networks in one panel; there are as many colours.
pub(crate) const HUES: usize = 5;
/// Panels of one figure.
pub(crate) const PANELS: usize = 6;

/// The networks that figures show.
#[derive(Clone, Debug)]
pub(crate) struct View<'a> {
    /// The law that the page is about, if any was measured.
    pub(crate) law: Option<&'a Law>,
    /// Groups of networks, one panel each.
    pub(crate) panels: Vec<Panel<'a>>,
    /// What was chosen and what was left out; empty where everything is drawn.
    pub(crate) choice: String,
}

/// One group of networks, such as an arm.
#[derive(Clone, Debug)]
pub(crate) struct Panel<'a> {
    /// Its name.
    pub(crate) title: String,
    /// Its networks, at most one of each hue.
    pub(crate) networks: Vec<Network<'a>>,
}

/// One network that is drawn.
#[derive(Clone, Debug)]
pub(crate) struct Network<'a> {
    /// Its run.
    pub(crate) run: &'a StudyRun,
    /// What tells it from its neighbours, such as `L = 3`.
    pub(crate) label: String,
    /// Its colour, an index into the palette.
    pub(crate) hue: usize,
}

impl<'a> View<'a> {
    /// Chooses panels by arm, colours by depth (else by the first key that varies), and of the
    /// runs that share both the first in the plan that completed.
    pub(crate) fn of(study: &'a Study) -> Self {
        let varying = varying_keys(study);
        let hue = hue_key(&varying);
        let panel = panel_key(&varying, hue.as_deref());
        let hues = spread(values(study, hue.as_deref()), HUES);
        let all = values(study, panel.as_deref());
        let titles: Vec<String> = all.into_iter().take(PANELS).collect();
        let panels: Vec<Panel<'a>> = titles
            .iter()
            .map(|title| Panel {
                title: panel_title(study, panel.as_deref(), title),
                networks: networks(study, (panel.as_deref(), title), hue.as_deref(), &hues),
            })
            .filter(|panel| !panel.networks.is_empty())
            .collect();
        let choice = choice(study, &panels, [panel.as_deref(), hue.as_deref()], &varying);
        View { law: study.law(), panels, choice }
    }

    /// Every network drawn.
    pub(crate) fn networks(&self) -> impl Iterator<Item = &Network<'a>> {
        self.panels.iter().flat_map(|panel| &panel.networks)
    }
}

/// A key with its distinct values, in the plan's order.
type Varying = Vec<(String, Vec<String>)>;

/// The value of a run's key; empty where it has none.
pub(crate) fn value<'a>(run: &'a StudyRun, key: &str) -> &'a str {
    run.keys.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value)
}

/// The keys of which runs have different values.
pub(crate) fn varying_keys(study: &Study) -> Varying {
    let keys = distinct(study.runs.iter().flat_map(|run| &run.keys).map(|(key, _)| key.as_str()));
    let varying = keys.into_iter().map(|key| (key.to_string(), values(study, Some(key))));
    varying.filter(|(_, values)| values.len() > 1).collect()
}

/// The distinct values of a key, in the plan's order; one empty value for no key.
fn values(study: &Study, key: Option<&str>) -> Vec<String> {
    let of = |key| distinct(study.runs.iter().map(|run| value(run, key))).into_iter().map(String::from).collect();
    key.map_or_else(|| vec![String::new()], of)
}

/// Colours mean depth where it varies, else the first key beside the arm, else the arm.
fn hue_key(varying: &Varying) -> Option<String> {
    let named = |name: &str| varying.iter().find(|(key, _)| key == name);
    let beside = varying.iter().find(|(key, _)| key != "arm" && key != "seed");
    named("model.depth").or(beside).or_else(|| varying.first()).map(|(key, _)| key.clone())
}

/// Panels are arms where there are any, else the first other key of few values.
fn panel_key(varying: &Varying, hue: Option<&str>) -> Option<String> {
    let other = |key: &str| Some(key) != hue;
    let arm = varying.iter().find(|(key, _)| key == "arm" && other(key));
    let few = varying.iter().find(|(key, values)| other(key) && key != "seed" && values.len() <= PANELS);
    arm.or(few).map(|(key, _)| key.clone())
}

/// At most `most` items, evenly spread, ends included.
pub(crate) fn spread<T: Clone>(items: Vec<T>, most: usize) -> Vec<T> {
    let n = items.len();
    if n <= most || most < 2 {
        return items;
    }
    (0..most).filter_map(|i| items.get(i * (n - 1) / (most - 1)).cloned()).collect()
}

/// The name of a panel: the arm itself, `key = value`, or the study's name.
fn panel_title(study: &Study, key: Option<&str>, value: &str) -> String {
    match key {
        None => study.name.clone(),
        Some("arm") if value.is_empty() => "(no arm)".to_string(),
        Some("arm") => value.to_string(),
        Some(key) => format!("{} = {value}", short(key)),
    }
}

/// The networks of a panel, one of each hue.
fn networks<'a>(
    study: &'a Study,
    (panel, title): (Option<&str>, &str),
    hue: Option<&str>,
    hues: &[String],
) -> Vec<Network<'a>> {
    let inside = |run: &&StudyRun| panel.is_none_or(|key| value(run, key) == title);
    let mut networks = Vec::new();
    for (index, wanted) in hues.iter().enumerate() {
        let alike = |run: &&'a StudyRun| hue.is_none_or(|key| value(run, key) == wanted);
        let runs: Vec<&StudyRun> = study.runs.iter().filter(inside).filter(alike).collect();
        let chosen = runs.iter().find(|run| run.completed()).or(runs.first());
        if let Some(run) = chosen {
            networks.push(Network { run, label: label(run, hue, wanted), hue: index });
        }
    }
    networks
}

/// `L = 3`, `lr = 0.1`, a word (`relu`, an arm), or the run's id.
fn label(run: &StudyRun, hue: Option<&str>, value: &str) -> String {
    match hue {
        Some(key) => named(run, key, value),
        None => run.theory.depth.map_or_else(|| run.id.clone(), |depth| format!("L = {depth}")),
    }
}

/// The value of a run's key as a label: `L = 3` where that is what it counts, `lr = 0.1`, a word.
pub(crate) fn named(run: &StudyRun, key: &str, value: &str) -> String {
    match key {
        "model.depth" if run.variables().follows("L", key) => format!("L = {value}"),
        "solver.weight_decay" => format!("λ = {value}"),
        key if key != "arm" && value.parse::<f64>().is_ok() => format!("{} = {value}", short(key)),
        _ => value.to_string(),
    }
}

/// Says what is drawn, where that is not everything.
fn choice(study: &Study, panels: &[Panel<'_>], used: [Option<&str>; 2], varying: &Varying) -> String {
    let drawn: Vec<&StudyRun> = panels.iter().flat_map(|p| &p.networks).map(|n| n.run).collect();
    if drawn.len() == study.runs.len() {
        return String::new();
    }
    let others = varying.iter().filter(|(key, _)| !used.contains(&Some(key.as_str())));
    let (names, held): (Vec<&str>, Vec<String>) =
        others.filter_map(|(key, _)| Some((short(key), held(&drawn, key)?))).unzip();
    let held = if held.is_empty() {
        String::new()
    } else {
        let names = list(&names, 4);
        format!("; of those that differ only in {names} the first in the plan ({})", held.join("; "))
    };
    format!("Drawn: {} of {}{held}. The table below has all of them.", drawn.len(), count(study.runs.len(), "run"))
}

/// `lr = 0.02, 0.2`: the values of a key among the runs drawn.
fn held(drawn: &[&StudyRun], key: &str) -> Option<String> {
    let values = distinct(drawn.iter().map(|run| value(run, key)).filter(|value| !value.is_empty()));
    (!values.is_empty()).then(|| format!("{} = {}", short(key), list(&values, 4)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::study::sample;

    #[test]
    fn arms_are_panels_and_depths_are_colours() {
        let study = sample::study();
        let view = View::of(&study);
        let titles: Vec<&str> = view.panels.iter().map(|panel| panel.title.as_str()).collect();
        assert_eq!(titles, ["balanced", "decay"]);
        let labels: Vec<&str> = view.networks().map(|network| network.label.as_str()).collect();
        assert_eq!(labels, ["L = 2", "L = 3", "L = 2", "L = 3"]);
        assert_eq!(view.choice, "");
    }

    #[test]
    fn hundreds_of_runs_are_not_all_drawn() {
        let mut study = sample::study();
        study.runs.clear();
        for seed in 0..300 {
            let mut run = sample::run("balanced", 2);
            run.keys.push(("seed".to_string(), seed.to_string()));
            run.id = format!("run-{seed}");
            study.runs.push(run);
        }
        let view = View::of(&study);
        assert_eq!(view.networks().count(), 5);
        assert!(view.choice.starts_with("Drawn: 5 of 300 runs"));
    }

    #[test]
    fn one_run_is_one_panel() {
        let mut study = sample::study();
        study.runs.truncate(1);
        let view = View::of(&study);
        assert_eq!(view.panels.len(), 1);
        assert_eq!(view.panels[0].networks[0].label, "L = 2");
    }
}
