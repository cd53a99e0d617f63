//! Which networks are drawn: a few that can be told apart, chosen by a rule that the page states.

use nfa_metrics::laws::law::Law;

use crate::keys::{get, plain};
use crate::report::draw::format::short;
use crate::report::figures::choice::{Left, choice};
use crate::study::{Study, StudyRun, distinct};

/// Networks in one panel; there are as many colours.
pub(crate) const HUES: usize = 5;
/// Panels of one figure.
pub(crate) const PANELS: usize = 6;

/// The networks that figures show, and all that they are chosen from.
#[derive(Clone, Debug)]
pub(crate) struct View<'a> {
    /// The law that the page is about, if any was measured.
    pub(crate) law: Option<&'a Law>,
    /// Every run, by arms where there are some, else by panels: what findings speak of.
    pub(crate) groups: Vec<Group<'a>>,
    /// The panels that are drawn.
    pub(crate) panels: Vec<Panel<'a>>,
    /// The titles of all panels that there could be.
    pub(crate) titles: Vec<String>,
    /// What is drawn and what is not; empty where everything is.
    pub(crate) choice: String,
    /// The runs that did not complete, which no finding counts: `1 run diverged`; empty where all did.
    pub(crate) stopped: String,
    /// The keys that tell runs apart.
    varying: Varying,
}

/// All runs of one group, such as an arm.
#[derive(Clone, Debug)]
pub(crate) struct Group<'a> {
    /// Its name.
    pub(crate) title: String,
    /// In the plan's order.
    pub(crate) runs: Vec<&'a StudyRun>,
}

/// One group of runs as it is drawn.
#[derive(Clone, Debug)]
pub(crate) struct Panel<'a> {
    /// The group's name.
    pub(crate) title: String,
    /// All its runs.
    pub(crate) runs: Vec<&'a StudyRun>,
    /// Its networks that are drawn, at most one of each hue.
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

/// A place for a network: of the runs that share panel and colour one is drawn.
struct Place<'a> {
    panel: usize,
    hue: usize,
    runs: Vec<&'a StudyRun>,
    drawn: &'a StudyRun,
}

impl<'a> View<'a> {
    /// Chooses panels by arm, colours by depth (else by the first key that varies), and of the runs
    /// that share both the first in the plan that completed; but so that every verdict is among them.
    pub(crate) fn of(study: &'a Study) -> Self {
        let varying = varying_keys(study);
        let law = study.law();
        let verdict = |run: &'a StudyRun| law.and_then(|law| verdict(run, law));
        let hue = hue_key(&varying);
        let panel = panel_key(&varying, hue.as_deref());
        let (hue, panel) = (hue.as_deref(), panel.as_deref());
        let all: Vec<&StudyRun> = study.runs.iter().collect();
        let groups: Vec<(String, Group<'a>)> = split(&all, panel)
            .into_iter()
            .map(|(value, runs)| {
                let title = panel_title(study, panel, &value);
                (value, Group { title, runs })
            })
            .collect();
        let words: Vec<Vec<&str>> =
            groups.iter().map(|(_, group)| group.runs.iter().filter_map(|run| verdict(run)).collect()).collect();
        let kept = cover(&words, (0..groups.len()).collect(), PANELS);
        let inside: Vec<&StudyRun> = kept.iter().flat_map(|i| groups[*i].1.runs.iter().copied()).collect();
        let hues = split(&inside, hue);
        let words: Vec<Vec<&str>> =
            hues.iter().map(|(_, runs)| runs.iter().filter_map(|run| verdict(run)).collect()).collect();
        let shades = cover(&words, spread((0..hues.len()).collect(), HUES), HUES);
        let mut places = places(&groups, &kept, &hues, &shades, panel);
        show_every_verdict(&mut places, verdict);
        let panels = kept.iter().enumerate().map(|(i, group)| Panel {
            title: groups[*group].1.title.clone(),
            runs: groups[*group].1.runs.clone(),
            networks: places
                .iter()
                .filter(|place| place.panel == i)
                .map(|place| Network {
                    run: place.drawn,
                    label: label(place.drawn, hue, &hues[shades[place.hue]].0),
                    hue: place.hue,
                })
                .collect(),
        });
        let panels: Vec<Panel<'a>> = panels.filter(|panel| !panel.networks.is_empty()).collect();
        let left = Left {
            groups: (0..groups.len()).filter(|i| !kept.contains(i)).map(|i| &groups[i].1).collect(),
            panel,
            hues: (0..hues.len()).filter(|i| !shades.contains(i)).map(|i| &hues[i]).collect(),
            hue,
        };
        let drawn: Vec<&StudyRun> = places.iter().map(|place| place.drawn).collect();
        let choice = choice(study, &drawn, &left, &varying, verdict);
        let by_arm = varying.iter().any(|(key, _)| key == "arm" && panel.is_none());
        let titles = groups.iter().map(|(_, group)| group.title.clone()).collect();
        let stopped = study.endings(|run| !run.completed());
        let groups = if by_arm {
            split(&all, Some("arm")).into_iter().map(|(title, runs)| Group { title, runs }).collect()
        } else {
            groups.into_iter().map(|(_, group)| group).collect()
        };
        View { law, groups, panels, titles, choice, stopped, varying }
    }

    /// Every network drawn.
    pub(crate) fn networks(&self) -> impl Iterator<Item = &Network<'a>> {
        self.panels.iter().flat_map(|panel| &panel.networks)
    }

    /// Every run that completed, drawn or not.
    pub(crate) fn completed(&self) -> impl Iterator<Item = &'a StudyRun> {
        self.groups.iter().flat_map(|group| &group.runs).copied().filter(|run| run.completed())
    }

    /// What tells a run from all others: its arm and the values that vary.
    pub(crate) fn name(&self, run: &StudyRun) -> String {
        let keys = self.varying.iter().filter(|(key, _)| !shown(run, key).is_empty());
        let parts: Vec<String> = keys.map(|(key, _)| named(run, key, &shown(run, key))).collect();
        if parts.is_empty() { run.id.clone() } else { parts.join(", ") }
    }
}

/// The verdict on the first layer of a run that completed.
pub(crate) fn verdict<'a>(run: &'a StudyRun, law: &Law) -> Option<&'a str> {
    run.word(law.name, "verdict", 0).filter(|_| run.completed())
}

/// Runs by the values of a key, in the order of their first; all together for no key.
fn split<'a>(runs: &[&'a StudyRun], key: Option<&str>) -> Vec<(String, Vec<&'a StudyRun>)> {
    let mut parts: Vec<(String, Vec<&StudyRun>)> = Vec::new();
    for &run in runs {
        let value = key.map_or(String::new(), |key| shown(run, key));
        match parts.iter_mut().find(|(known, _)| *known == value) {
            Some((_, runs)) => runs.push(run),
            None => parts.push((value, vec![run])),
        }
    }
    parts
}

/// At most `most` of some sets of words, ascending: such that every word is in one of them, then the preferred ones.
pub(crate) fn cover(sets: &[Vec<&str>], preferred: Vec<usize>, most: usize) -> Vec<usize> {
    let mut kept: Vec<usize> = Vec::new();
    let order: Vec<usize> = preferred.into_iter().chain(0..sets.len()).collect();
    for word in distinct(sets.iter().flatten().copied()) {
        let has = |i: &usize| sets[*i].contains(&word);
        if !kept.iter().any(has) && kept.len() < most {
            kept.extend(order.iter().copied().find(has));
        }
    }
    for i in order {
        if kept.len() < most && !kept.contains(&i) {
            kept.push(i);
        }
    }
    kept.sort_unstable();
    kept
}

/// A place for each group and colour of which there are runs, with the first that completed.
fn places<'a>(
    groups: &[(String, Group<'a>)],
    kept: &[usize],
    hues: &[(String, Vec<&'a StudyRun>)],
    shades: &[usize],
    panel: Option<&str>,
) -> Vec<Place<'a>> {
    let mut places = Vec::new();
    for (i, group) in kept.iter().enumerate() {
        for (index, shade) in shades.iter().enumerate() {
            let inside = |run: &&&StudyRun| panel.is_none_or(|key| shown(run, key) == groups[*group].0);
            let runs: Vec<&StudyRun> = hues[*shade].1.iter().filter(inside).copied().collect();
            if let Some(drawn) = runs.iter().find(|run| run.completed()).or(runs.first()).copied() {
                places.push(Place { panel: i, hue: index, runs, drawn });
            }
        }
    }
    places
}

/// Draws another run of a place where a verdict would go unseen otherwise.
fn show_every_verdict<'a>(places: &mut [Place<'a>], verdict: impl Fn(&'a StudyRun) -> Option<&'a str>) {
    let all: Vec<&str> = places.iter().flat_map(|place| &place.runs).filter_map(|run| verdict(run)).collect();
    for word in distinct(all.into_iter()) {
        let seen: Vec<Option<&str>> = places.iter().map(|place| verdict(place.drawn)).collect();
        if seen.contains(&Some(word)) {
            continue;
        }
        let spare = |place: &&mut Place<'a>| {
            let shows = verdict(place.drawn);
            shows.is_none() || seen.iter().filter(|other| **other == shows).count() > 1
        };
        let other = |place: &&mut Place<'a>| place.runs.iter().any(|run| verdict(run) == Some(word));
        if let Some(place) = places.iter_mut().filter(spare).find(other) {
            place.drawn = place.runs.iter().find(|run| verdict(run) == Some(word)).copied().unwrap_or(place.drawn);
        }
    }
}

/// A key with its distinct values, in the plan's order.
pub(crate) type Varying = Vec<(String, Vec<String>)>;

/// The value of a run's key; empty where it has none.
pub(crate) fn value<'a>(run: &'a StudyRun, key: &str) -> &'a str {
    run.keys.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value)
}

/// The value of a run's key as it is shown: where only other arms vary it, the resolved configuration's.
pub(crate) fn shown(run: &StudyRun, key: &str) -> String {
    let known = value(run, key);
    if !known.is_empty() || key == "arm" {
        return known.to_string();
    }
    get(&run.config, key).filter(|value| !value.is_table() && !value.is_array()).map(plain).unwrap_or_default()
}

/// The keys of which runs have different values.
pub(crate) fn varying_keys(study: &Study) -> Varying {
    let keys = distinct(study.runs.iter().flat_map(|run| &run.keys).map(|(key, _)| key.as_str()));
    let values = |key| distinct(study.runs.iter().map(|run| value(run, key))).into_iter().map(String::from).collect();
    let varying = keys.into_iter().map(|key| (key.to_string(), values(key)));
    varying.filter(|(_, values): &(String, Vec<String>)| values.len() > 1).collect()
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
        Some(key) if value.is_empty() => format!("no {}", short(key)),
        Some(key) => format!("{} = {value}", short(key)),
    }
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
        key if key != "arm" && value.is_empty() => format!("no {}", short(key)),
        "model.depth" if run.variables().follows("L", key) => format!("L = {value}"),
        "solver.weight_decay" => format!("λ = {value}"),
        key if key != "arm" && value.parse::<f64>().is_ok() => format!("{} = {value}", short(key)),
        _ => value.to_string(),
    }
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
