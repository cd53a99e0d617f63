//! What a fan says of itself.

use maud::html;
use nfa_metrics::laws::needs::Needs;

use crate::report::draw::figure::Key;
use crate::report::draw::format::{count, list, range, sig};
use crate::report::draw::svg::Shape;
use crate::report::figures::fan::{Fan, Found, Panel};

impl Fan<'_> {
    /// What the marks mean.
    pub(super) fn keys(&self, panels: &[&Panel]) -> Vec<Key> {
        let ray = html! { line x1="-7" y1="4" x2="7" y2="-4" class="ray mine" {} };
        let slope = if self.is_first() { "slope 1/L" } else { "slope 1/(matrices from here on)" };
        let predicted = panels.iter().flat_map(|panel| &panel.drawn).any(|drawn| drawn.found.predicted.is_some());
        let whose = if predicted { "theory: a ray" } else { "for orientation: rays" };
        vec![
            Key { mark: ray, text: format!("{whose} of {slope}") },
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
             weights carry it (y). If the weights follow the AGOP with exponent α"
        } else {
            "every eigenvector of B is one disc, placed by its eigenvalue (x) and by A along it (y). If A \
             follows B with exponent α"
        };
        let mut text = format!(
            "How to read it: {discs}, all discs lie on the ray \
             of slope α; depth says which ray. Rings are misalignment: a large ring is a direction that the \
             two matrices don\u{2019}t share. Directions with less than 2 % of |A| are left out."
        );
        if zero {
            let what = if of_agop { "have weight but no effect on the output" } else { "are where B is zero" };
            text.push_str(&format!(" Discs in the strip at the left edge {what}: no power can repair those."));
        }
        if !self.choice.is_empty() {
            text.push(' ');
            text.push_str(self.choice);
        }
        text
    }

    /// The figure's finding: which groups lie on their rays, and how far off the others are.
    pub(super) fn finding(&self, panels: &[&Panel]) -> String {
        let outcomes: Vec<(&str, Outcome)> =
            panels.iter().map(|panel| (panel.title.as_str(), Outcome::of(panel))).collect();
        let predicted: usize = outcomes.iter().map(|(_, o)| o.predicted).sum();
        let misfits = |of: &[&(&str, Outcome)]| of.iter().flat_map(|(_, o)| o.misfits.clone()).collect::<Vec<_>>();
        if predicted == 0 {
            let misfits = misfits(&outcomes.iter().collect::<Vec<_>>());
            if misfits.is_empty() {
                return format!("Directions of {} against {}.", self.law.left, self.law.right);
            }
            let whose = self.layer.map_or("the layers\u{2019}".to_string(), |layer| format!("layer {layer}\u{2019}s"));
            return format!(
                "Theory predicts no exponent here; {whose} distance from the nearest ray (misfit) is {}.",
                range(&misfits)
            );
        }
        let (on, off): (Vec<_>, Vec<_>) =
            outcomes.iter().partition(|(_, o)| o.on_ray == o.predicted && o.predicted > 0);
        let on_ray: usize = outcomes.iter().map(|(_, o)| o.on_ray).sum();
        let noun = if self.layer.is_some() { "network" } else { "layer" };
        let mut text = match (on_ray, predicted) {
            (1, 1) => format!("The {noun} lies on its own ray"),
            (0, 1) => format!("The {noun} doesn\u{2019}t lie on its own ray"),
            (n, _) if n == predicted => format!("All {n} {noun}s lie on their own ray"),
            _ => format!("{on_ray} of {} lie on their own ray", count(predicted, noun)),
        };
        if !on.is_empty() && !off.is_empty() {
            text.push_str(&format!(", all of {}", names(&on)));
        }
        let worst = on.iter().flat_map(|(_, o)| o.off.clone()).fold(0.0, f64::max);
        if !on.is_empty() {
            text.push_str(&format!(" (measured exponent within {} of theory\u{2019}s)", sig(worst, 1)));
        }
        let values = misfits(&off);
        if !off.is_empty() && !on.is_empty() {
            text.push_str(&format!("; {} stray", names(&off)));
        }
        if !values.is_empty() {
            text.push_str(&format!(" (misfit {})", range(&values)));
        }
        text.push('.');
        text
    }

    /// A panel's numbers in half a sentence.
    pub(super) fn summary(&self, panel: &Panel) -> String {
        let outcome = Outcome::of(panel);
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

/// What one panel shows.
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
    fn of(panel: &Panel) -> Self {
        let found = || panel.drawn.iter().map(|drawn| &drawn.found);
        Outcome {
            off: found().filter_map(Found::off).collect(),
            misfits: found().filter_map(|found| found.misfit).collect(),
            on_ray: found().filter(|found| found.on_ray()).count(),
            predicted: found().filter(|found| found.predicted.is_some()).count(),
        }
    }
}

/// The names of groups, as a list.
fn names(groups: &[&(&str, Outcome)]) -> String {
    list(&groups.iter().map(|(name, _)| *name).collect::<Vec<_>>(), 6)
}
