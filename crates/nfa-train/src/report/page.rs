//! The page, and the figures as files of their own.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::report::definitions::definitions;
use crate::report::draw::figure::Figure;
use crate::report::draw::{format, style};
use crate::report::figures::view::View;
use crate::report::figures::{fan, misfit, plots, strip};
use crate::report::tables::{checks, runs as table, seeds};
use crate::report::{answer, reproduce};
use crate::study::{Study, layer_of_all};

/// Figures that stand open on the page; the others are folded.
const OPEN: usize = 4;

/// The study as one HTML page.
pub fn html(study: &Study) -> String {
    let view = View::of(study);
    // Without a law there are no columns of one.
    let law = view.law.map_or("", |law| law.name);
    let mut number = 0;
    let (open, folded) = open_and_folded(study, &view);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:";
                title { (study.name) ": " (answer::answer(study).evidence) }
                link rel="icon" href="data:,";
                style { (PreEscaped(style::page())) }
            }
            body {
                (answer::html(study, law))
                (contents())
                main {
                    @for (i, slot) in open.iter().enumerate() {
                        section id=[(i == 0).then_some("figures")] { (slot.html(&mut number)) }
                    }
                    section id="runs" { (runs(study, law)) }
                    section id="checks" { h2 { "What was expected" } (checks::html(study)) }
                    section id="reproduce" { h2 { "How to reproduce this" } (reproduce::html(study)) }
                    section id="more" { (more(study, &view, &folded, &mut number)) }
                }
            }
        }
    };
    page.into_string()
}

/// A place for a figure, and what stands there otherwise.
struct Slot {
    heading: String,
    figure: Option<Figure>,
    otherwise: String,
}

impl Slot {
    fn new(heading: &str, figure: Option<Figure>, otherwise: &str) -> Self {
        Slot { heading: heading.to_string(), figure, otherwise: otherwise.to_string() }
    }

    /// The figure under its heading, or the sentence.
    fn html(&self, number: &mut usize) -> Markup {
        match &self.figure {
            Some(figure) => numbered(figure, number),
            None => html! { h2 { (self.heading) } p { (self.otherwise) } },
        }
    }
}

/// The page's figures in order: the fan, which one learns to read once; what the experiment asks
/// for; misfit and strip, as far as there is room.
fn open_and_folded(study: &Study, view: &View<'_>) -> (Vec<Slot>, Vec<Slot>) {
    let mut slots =
        vec![Slot::new("The fan", fan::of_layer(view, 0), "No directions were recorded, so there is no fan.")];
    slots.extend(study.plots.iter().map(|plot| {
        let (figure, otherwise) = match plots::figure(plot, study) {
            Ok(figure) => (Some(figure), String::new()),
            Err(why) => (None, format!("Nothing to draw: {why}")),
        };
        Slot { heading: plot.title.clone(), figure, otherwise }
    }));
    slots.extend([
        Slot::new("How far from the law, and why", misfit::figure(view), "No law was measured, so there is no misfit."),
        Slot::new("Over time", strip::figure(view), "Nothing was recorded over time."),
    ]);
    let mut figures = 0;
    slots.into_iter().partition(|slot| {
        figures += usize::from(slot.figure.is_some());
        slot.figure.is_none() || figures <= OPEN
    })
}

/// The figures as files of their own: (file name, SVG).
pub fn figures(study: &Study) -> Vec<(String, String)> {
    let view = View::of(study);
    all(study, &view).into_iter().map(|figure| (format!("{}.svg", figure.id), figure.standalone())).collect()
}

/// Every figure: the open ones, then the folded ones.
fn all(study: &Study, view: &View<'_>) -> Vec<Figure> {
    let (open, folded) = open_and_folded(study, view);
    let mut figures: Vec<Figure> = open.into_iter().chain(folded).filter_map(|slot| slot.figure).collect();
    figures.extend(deeper(view));
    figures.extend(strip::each(view));
    figures
}

/// The fans of up to three layers after the first.
fn deeper(view: &View<'_>) -> Vec<Figure> {
    (1..layers(view).min(DEEPEST)).filter_map(|layer| fan::of_layer(view, layer)).collect()
}

/// Layers with a fan of their own, the first included.
const DEEPEST: usize = 4;

/// The most layers that a run has.
fn layers(view: &View<'_>) -> usize {
    let layers = |law: &str| view.completed().map(|run| run.layers(law).len()).max();
    view.law.and_then(|law| layers(law.name)).unwrap_or(0)
}

/// Links to the parts of the page.
fn contents() -> Markup {
    html! {
        nav aria-label="Contents" {
            a href="#figures" { "Figures" }
            a href="#runs" { "Every run" }
            a href="#checks" { "Expectations" }
            a href="#reproduce" { "Reproduce" }
            a href="#more" { "Definitions and more figures" }
        }
    }
}

/// The table of runs: layer 0, the other layers folded.
fn runs(study: &Study, law: &str) -> Markup {
    let first = |layer: usize| layer == 0;
    let others = |layer: usize| layer > 0;
    let rest = table::length(study, law, &others);
    let name = layer_of_all(&study.runs, 0);
    html! {
        h2 { "Every run, layer " (name) ", at its last probe" }
        @if study.runs.is_empty() {
            p { "No run yet." }
        } @else {
            p.finding { (verdicts(study, law)) }
            (table::scroll(&format!("Every run, layer {name}"), study.runs.len(), table::html(study, law, &first)))
            (seeds::html(study, law))
            p.reading {
                "Strong features are not good features: the verdict says how far the weights follow the law, the test error how well the network does its job."
            }
        }
        @if rest > 0 {
            details {
                summary { "The other layers (" (format::count(rest, "row")) ")" }
                (table::scroll("Every run, other layers", rest, table::html(study, law, &others)))
            }
        }
    }
}

/// The table's finding: how many runs have which verdict.
fn verdicts(study: &Study, law: &str) -> String {
    let mut counts = table::verdicts(study, law, 0);
    if counts.is_empty() {
        return format!("{}.", answer::ended(study));
    }
    let runs = format::count(study.runs.len(), "run");
    let stopped = answer::stopped(study);
    let stopped = if stopped.is_empty() { stopped } else { format!("; {stopped}") };
    let completed = study.runs.iter().filter(|run| run.completed()).count();
    let without = completed - counts.iter().map(|(_, n)| n).sum::<usize>();
    if without > 0 {
        counts.push(("has no verdict", without));
    }
    format!("Of {runs} the law {}{stopped}.", format::verdicts(&counts))
}

/// Definitions, the figures that aren't open, and the other laws' tables.
fn more(study: &Study, view: &View<'_>, others: &[Slot], number: &mut usize) -> Markup {
    let fans = deeper(view);
    let strips = strip::each(view);
    let laws: Vec<&str> = study.measured().map(|law| law.name).skip(1).collect();
    html! {
        h2 { "Definitions and more figures" }
        details { summary { "What the words mean" } (definitions(study)) }
        @for slot in others {
            details { summary { (slot.heading) } section { (slot.html(number)) } }
        }
        @if !fans.is_empty() {
            details { summary { (others_of(layers(view))) } @for figure in &fans { section { (numbered(figure, number)) } } }
        }
        @if !strips.is_empty() {
            details { summary { (groups_of(view)) } @for figure in &strips { section { (numbered(figure, number)) } } }
        }
        @for law in &laws {
            details {
                summary { "Law " code { (law) } ", every layer" }
                (table::scroll(law, table::length(study, law, &|_| true), table::html(study, law, &|_| true)))
            }
        }
    }
}

/// What the folded fans are of.
fn others_of(layers: usize) -> String {
    if layers > DEEPEST {
        format!("The fan of layers 1 to {}, of {layers} from 0 on", DEEPEST - 1)
    } else {
        "The fan of the other layers".to_string()
    }
}

/// Which groups have a strip of their own.
fn groups_of(view: &View<'_>) -> String {
    let (drawn, all) = (view.panels.len(), view.titles.len());
    if drawn < all { format!("{drawn} of {all} groups over time") } else { "Every group over time".to_string() }
}

/// A figure under its numbered heading.
fn numbered(figure: &Figure, number: &mut usize) -> Markup {
    *number += 1;
    html! { h2 { "Figure " (number) ". " (figure.heading) } (figure.html()) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::record::Record;
    use crate::report::tables::terminal::text;
    use crate::study::sample;
    use nfa_metrics::judge::family::Family;
    use nfa_metrics::laws::law::Law;
    use nfa_metrics::laws::needs::Needs;

    #[test]
    fn of_a_law_without_an_exponent_none_is_told() {
        let mut study = sample::study();
        let of_exponents = ["α measured", "α theory", "rays of", "no power", "Exponent of layer 0 over time"];
        let of_equality = ["the law: A = B", "δ of layer 0", "increasing, but not equal", "m / g₁"];
        let page = html(&study);
        assert!(of_exponents.iter().any(|words| page.contains(words)));
        assert!(!of_equality.iter().any(|words| page.contains(words)));
        study.laws =
            study.laws.with(Law { family: Family::Equal, needs: Needs::WEIGHTS, ..nfa_metrics::laws::nfa::LAW });
        for run in &mut study.runs {
            let columns = run.record.columns().to_vec();
            let mut record = Record::new(columns.iter().map(|name| name.replace(".predicted.", ".unknown.")).collect());
            for row in (0..run.record.len()).map(usize::cast_signed) {
                record.push(columns.iter().map(|name| run.record.cell(row, name).unwrap().clone()).collect());
            }
            run.record = record;
        }
        let page = html(&study);
        for words in of_exponents {
            assert!(!page.contains(words), "{words}");
        }
        for words in of_equality {
            assert!(page.contains(words), "{words}");
        }
        assert!(!text(&study, 200, false).contains("alpha"));
    }

    #[test]
    fn the_page_has_its_parts_and_no_holes() {
        let page = html(&sample::study());
        for part in [
            "All 4 checks are met",
            "The exponent is 1/L.",
            "id=\"fan\"",
            "id=\"misfit\"",
            "id=\"strip\"",
            "nfa-train check",
        ] {
            assert!(page.contains(part), "{part}");
        }
        for hole in ["NaN", "inf\"", "http://", "https://", "<script"] {
            assert!(!page.contains(hole), "{hole}");
        }
    }

    #[test]
    fn at_most_four_figures_are_open() {
        let page = html(&sample::study());
        let open = page.split("<details").next().unwrap();
        assert!(open.matches("<figure").count() <= 4);
    }

    #[test]
    fn the_table_says_how_many_hold_and_how_many_stopped() {
        let mut study = sample::study();
        study.runs[0].outcome = "diverged".to_string();
        assert_eq!(verdicts(&study, "nfa"), "Of 4 runs the law holds in 3; 1 run diverged.");
    }

    #[test]
    fn names_are_escaped() {
        let mut study = sample::study();
        study.name = "<b>&\"x\"".to_string();
        study.claim = Some("a < b".to_string());
        study.runs[0].keys[0].1 = "<i>".to_string();
        study.runs[0].outcome = "diverged".to_string();
        study.runs[0].reason = Some("<u>".to_string());
        let page = html(&study);
        assert!(page.contains("&lt;b&gt;&amp;") && page.contains("a &lt; b"));
        for raw in ["<b>", "<i>", "<u>"] {
            assert!(!page.contains(raw), "{raw}");
        }
        for (_, svg) in figures(&study) {
            assert!(!svg.contains("<i>"));
        }
    }

    #[test]
    fn the_page_is_complete_without_columns() {
        let mut study = sample::study();
        study.expectations.clear();
        study.claim = None;
        for run in &mut study.runs {
            run.record = Record::new(vec!["step".to_string()]);
            run.directions.clear();
            run.config = toml::Table::new();
            run.manifest = serde_json::Value::Null;
            run.keys.clear();
        }
        let page = html(&study);
        assert!(page.contains("there is no fan") && page.contains("Nothing was checked"));
        assert!(page.ends_with("</html>"));
        assert!(figures(&study).is_empty());
        assert!(text(&study, 80, false).contains("Nothing was checked"));
        study.runs.clear();
        assert!(html(&study).contains("No run yet"));
    }

    #[test]
    fn figures_are_well_formed() {
        let files = figures(&sample::study());
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["fan.svg", "misfit.svg", "strip.svg", "fan-layer1.svg", "strip-0.svg", "strip-1.svg"]);
        for (name, svg) in &files {
            assert!(svg.starts_with("<svg xmlns="), "{name}");
            assert_eq!(tags(svg), Vec::<String>::new(), "{name}: tags left open");
            assert!(!svg.contains("NaN") && !svg.contains("var("), "{name}");
        }
    }

    #[test]
    fn plots_come_after_the_fan_and_the_rest_is_folded() {
        let mut study = sample::study();
        let curve = |y: &str, title: &str| {
            sample::plot(&format!("kind = \"curve\"\nx = \"step\"\ny = \"{y}\"\ntitle = \"{title}\""))
        };
        let layer = |i: usize| format!("nfa.alpha.layer{i}");
        study.plots = vec![curve("loss.test", "One"), curve("nfa.kappa.layer0", "None <b>"), curve(&layer(1), "Two")];
        let page = html(&study);
        let (open, folded) = page.split_once("id=\"more\"").unwrap();
        let order = ["Figure 1. The fan", "Figure 2. One", "None &lt;b&gt;", "Figure 3. Two", "Figure 4. How far"];
        let places: Vec<usize> = order.iter().map(|heading| open.find(heading).unwrap()).collect();
        assert!(places.is_sorted(), "{places:?}");
        assert!(open.contains("Nothing to draw: No run recorded nfa.kappa.layer0"));
        assert_eq!(open.matches("<figure").count(), 4);
        assert!(folded.contains("Over time") && folded.contains("id=\"strip\""));
        let files = figures(&study);
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).take(5).collect();
        assert_eq!(names, ["fan.svg", "one.svg", "two.svg", "misfit.svg", "strip.svg"]);
        for (name, svg) in &files {
            assert_eq!(tags(svg), Vec::<String>::new(), "{name}: tags left open");
            assert!(!svg.contains("NaN") && !svg.contains("var("), "{name}");
        }
    }

    #[test]
    fn discs_of_the_sample_land_where_expected() {
        // The sample's axes: g from 0.05 to 1 over 122..322 pixels, m from 0.2 to 1 over 264..80.
        // With L = 2, g = 0.25 and m = 0.5 are at 122 + 200·ln 5/ln 20 = 229.4 and
        // 264 - 184·ln 2.5/ln 5 = 159.2.
        let (_, svg) = figures(&sample::study()).into_iter().next().unwrap();
        assert!(svg.contains("<circle cx=\"229.4\" cy=\"159.2\""), "{svg}");
    }

    /// The tags that are open at the end of a document, or closed in the wrong order.
    fn tags(xml: &str) -> Vec<String> {
        let mut open = Vec::new();
        for tag in xml.split('<').skip(1) {
            let name: String = tag.chars().take_while(|c| c.is_alphanumeric() || *c == '/').collect();
            match name.strip_prefix('/') {
                Some(name) if open.last().is_some_and(|last| last == name) => {
                    open.pop();
                }
                Some(name) => open.push(format!("/{name}")),
                None => open.push(name),
            }
        }
        open
    }
}
