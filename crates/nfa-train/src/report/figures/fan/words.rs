//! What a fan says of itself.

use maud::html;
use nfa_metrics::laws::needs::Needs;

use crate::report::draw::figure::Key;
use crate::report::draw::format::{self, UNDEFINED, count, list, range, sig};
use crate::report::draw::svg::Shape;
use crate::report::figures::fan::{Fan, Found, Panel};
use crate::study::tally;

impl Fan<'_> {
    /// What the marks mean.
    pub(super) fn keys(&self, panels: &[&Panel]) -> Vec<Key> {
        let ray = html! { line x1="-7" y1="4" x2="7" y2="-4" class="ray mine" {} };
        let slope = if self.is_first() { "slope 1/L" } else { "slope 1/(matrices from here on)" };
        let predicted = panels.iter().flat_map(|panel| &panel.drawn).any(|drawn| drawn.found.predicted.is_some());
        let whose = if predicted { "theory: a ray" } else { "for orientation: rays" };
        let text = if self.is_free() {
            format!("{whose} of {slope}")
        } else {
            format!("the law: A = {}", self.law.family.sign())
        };
        vec![
            Key { mark: ray, text },
            Key::shape(Shape::Circle, "mark soft", "a direction; area = its share of |A|"),
            Key::shape(Shape::Circle, "ring", "its leak into other directions, on the same scale"),
        ]
    }

    /// How to read the fan: told once, of the first layer. `zero` where the strip at the left edge is in use.
    pub(super) fn reading(&self, zero: bool) -> String {
        if self.layer.is_some_and(|layer| layer > 0) {
            return String::new();
        }
        let of_agop = self.law.needs.contains(Needs::AGOP);
        let discs = if of_agop {
            "every direction in which the network output varies is one disc, \
             placed by how strongly the output varies along it (x, the AGOP) and how strongly the \
             weights carry it (y). If the weights follow the AGOP"
        } else {
            "every eigenvector of B is one disc, placed by its eigenvalue (x) and by A along it (y). If A \
             follows B"
        };
        let lie = if self.is_free() {
            " with exponent α, all discs lie on the ray of slope α; depth says which ray"
        } else {
            ", all discs lie on the line"
        };
        let mut text = format!(
            "How to read it: {discs}{lie}. Rings are misalignment: a large ring is a direction that the \
             two matrices don\u{2019}t share. Directions with less than 2 % of |A| are left out."
        );
        if zero {
            let what = match (of_agop, self.law.signed) {
                (true, _) => "have weight but no effect on the output",
                (_, true) => "are where B is zero or negative",
                _ => "are where B is zero",
            };
            let whose = if self.is_free() { "no power" } else { "no factor" };
            text.push_str(&format!(" Discs in the strip at the left edge {what}: {whose} can repair those."));
        }
        if !self.choice.is_empty() {
            text.push(' ');
            text.push_str(self.choice);
        }
        text
    }

    /// The figure's finding, of everything that was found, drawn or not: what lies on its ray, and what the law says
    /// of the others.
    pub(super) fn finding(&self) -> String {
        let all = || self.groups.iter().flat_map(|(_, found)| found);
        let predicted = all().filter(|found| found.predicted.is_some()).count();
        let mut text = if predicted == 0 { self.nearest() } else { self.on_rays(predicted) };
        let rest: Vec<&Found> = all().filter(|found| predicted > 0 && found.predicted.is_none()).collect();
        if !rest.is_empty() {
            text.push_str(&format!("; of {} theory predicts no exponent: there the law {}", rest.len(), told(&rest)));
        }
        if !self.stopped.is_empty() {
            text.push_str(&format!("; not counted: {}", self.stopped));
        }
        text.push('.');
        text
    }

    /// Where theory predicts nothing: distances and verdicts.
    fn nearest(&self) -> String {
        let all: Vec<&Found> = self.groups.iter().flat_map(|(_, found)| found).collect();
        let misfits: Vec<f64> = all.iter().filter_map(|found| found.misfit).collect();
        if misfits.is_empty() {
            return format!("Directions of {} against {}", self.law.left, self.law.right);
        }
        let whose = self.layer.map_or("the layers\u{2019}".to_string(), |_| format!("layer {}\u{2019}s", self.name));
        let of = count(all.len(), self.noun());
        let told = format!("(misfit) is {}; of {of} the law {}", range(&misfits), law(&all));
        if self.is_free() {
            format!("Theory predicts no exponent here; {whose} distance from the nearest ray {told}")
        } else {
            format!("{} against {}: {whose} distance from the law {told}", self.law.left, self.law.right)
        }
    }

    /// How many lie on their own ray, which groups do as a whole, and what the others are.
    fn on_rays(&self, predicted: usize) -> String {
        let total = self.groups.iter().map(|(_, found)| found.len()).sum::<usize>();
        let outcomes: Vec<(&str, Outcome)> = self.outcomes().filter(|(_, outcome)| outcome.predicted > 0).collect();
        let on_ray: usize = outcomes.iter().map(|(_, outcome)| outcome.on_ray).sum();
        let noun = self.noun();
        let with = if predicted < total { " with a predicted exponent" } else { "" };
        let mut text = match (on_ray, predicted) {
            (n, 1) => {
                let one = if total > 1 { format!("The one {noun}{with}") } else { format!("The {noun}") };
                format!("{one} {} on its own ray", if n == 1 { "lies" } else { "doesn\u{2019}t lie" })
            }
            (n, _) if n == predicted => format!("All {n} {noun}s{with} lie on their own ray"),
            _ => format!("{on_ray} of {}{with} lie on their own ray", count(predicted, noun)),
        };
        let (on, off): (Vec<_>, Vec<_>) = outcomes.iter().partition(|(_, outcome)| outcome.on_ray == outcome.predicted);
        if !on.is_empty() && !off.is_empty() {
            let whole: usize = on.iter().map(|(_, outcome)| outcome.on_ray).sum();
            let among = if whole == on_ray { "" } else { "among them " };
            let names: Vec<&str> = on.iter().map(|(title, _)| *title).collect();
            text.push_str(&format!(", {among}all of {}", list(&names, NAMED)));
        }
        let found = || self.groups.iter().flat_map(|(_, found)| found);
        let worst = found().filter(|found| found.on_ray()).filter_map(Found::off).reduce(f64::max);
        if let Some(worst) = worst {
            text.push_str(&format!(" (measured exponent within {} of theory\u{2019}s)", sig(worst, 1)));
        }
        let others: Vec<&Found> = found().filter(|found| found.predicted.is_some() && !found.on_ray()).collect();
        if !others.is_empty() {
            text.push_str(&match (on_ray, predicted, &others[..]) {
                (_, 1, _) => format!("; there the law {}", told(&others)),
                (0, ..) => format!("; of them the law {}", told(&others)),
                (_, _, [_]) => format!("; in the other one the law {}", told(&others)),
                _ => format!("; of the other {} the law {}", others.len(), told(&others)),
            });
            if outcomes.len() > 1 {
                let each = off.iter().map(|(title, outcome)| match outcome.predicted - outcome.on_ray {
                    n if n == outcome.predicted => (*title).to_string(),
                    n => format!("{title} ({n} of {})", outcome.predicted),
                });
                text.push_str(&format!(": {}", list(&each.collect::<Vec<_>>(), NAMED)));
            }
        }
        text
    }

    /// What the finding counts.
    fn noun(&self) -> &'static str {
        if self.layer.is_some() { "network" } else { "layer" }
    }

    /// What each group shows as a whole.
    fn outcomes(&self) -> impl Iterator<Item = (&str, Outcome)> {
        self.groups.iter().map(|(title, found)| (title.as_str(), Outcome::of(found)))
    }

    /// The numbers of a panel's group in half a sentence.
    pub(super) fn summary(&self, panel: &Panel) -> String {
        let outcome = Outcome::of(&panel.found);
        let misfit = if outcome.misfits.is_empty() {
            "misfit undefined".to_string()
        } else {
            format!("misfit {}", range(&outcome.misfits))
        };
        if outcome.off.is_empty() {
            return misfit;
        }
        if outcome.on_ray == 0 {
            return format!("0 of {} on their ray; {misfit}", outcome.predicted);
        }
        let exponent = if self.is_first() { "1/L" } else { "theory" };
        let off = sig(outcome.off.iter().copied().fold(0.0, f64::max), 1);
        format!("{} of {} on their ray; |α \u{2212} {exponent}| at most {off}", outcome.on_ray, outcome.predicted)
    }
}

/// What one group shows, drawn or not.
struct Outcome {
    /// |α - predicted| of each network that has both.
    off: Vec<f64>,
    /// Misfit of each network.
    misfits: Vec<f64>,
    /// Networks whose law holds with the predicted exponent.
    on_ray: usize,
    /// Networks with a predicted exponent.
    predicted: usize,
}

impl Outcome {
    fn of(found: &[Found]) -> Self {
        Outcome {
            off: found.iter().filter_map(Found::off).collect(),
            misfits: found.iter().filter_map(|found| found.misfit).collect(),
            on_ray: found.iter().filter(|found| found.on_ray()).count(),
            predicted: found.iter().filter(|found| found.predicted.is_some()).count(),
        }
    }
}

/// Names in a list; what is beyond is counted.
const NAMED: usize = 30;

/// What the law says of a network that is not on its ray, or has none.
fn verdict(found: &Found) -> &str {
    match found.verdict.as_str() {
        "holds" if found.predicted.is_some() => "holds with another exponent",
        UNDEFINED => "has no verdict",
        word => word,
    }
}

/// How often the law says what of some networks.
fn verdicts<'a>(found: &[&'a Found]) -> Vec<(&'a str, usize)> {
    tally(found.iter().map(|found| verdict(found)))
}

/// Their misfits in brackets; empty where there are none.
fn misfits(found: &[&Found]) -> String {
    let misfits: Vec<f64> = found.iter().filter_map(|found| found.misfit).collect();
    if misfits.is_empty() { String::new() } else { format!(" (misfit {})", range(&misfits)) }
}

/// What the law says of them; a verdict that all share without its count.
fn law(found: &[&Found]) -> String {
    match verdicts(found)[..] {
        [(word, _)] => format::verb(word),
        ref several => format::verdicts(several),
    }
}

/// The same with the misfits.
fn told(found: &[&Found]) -> String {
    format!("{}{}", law(found), misfits(found))
}
