//! `[[plot]]` blocks: the figures that make an experiment's own point.

use nfa_models::SpecError;
use toml::Value;

use crate::claim::at::At;
use crate::claim::columns::Columns;
use crate::claim::formula::Formula;
use crate::claim::plot::block::text;
use crate::claim::plot::curve::{Axis, Curve};
use crate::claim::plot::map::{Boundary, Map};
use crate::claim::plot::profile::Profile;
use crate::claim::scope::{Mention, Need, Scope};

mod block;
pub mod curve;
pub mod map;
pub mod profile;

/// One `[[plot]]`.
///
/// | key | of | meaning |
/// |---|---|---|
/// | `kind` | | `"curve"`, `"map"` or `"profile"` |
/// | `x` | curve | `"step"`, `"time"` (Σ lr), `"lambda_t"` (λ Σ lr), `"alpha"` (the exponent that a cosine is taken at), a numeric key, or another column |
/// | `y` | curve | a column; `layer*` draws a line per layer |
/// | `laws` | curve | laws that `*` stands for in y (`"*.misfit.layer0"`): a colour each, at most 5; the marks of a misfit show the verdict |
/// | `lines` | curve, profile | a key (or `arm`): a colour per value, at most 5 |
/// | `theory` | curve | a formula, drawn grey: also of `x`, and of one factor `c` that is fitted to each line |
/// | `x`, `y` | profile | the column that is spent (`"work"`), the column that falls (`"gap"`) |
/// | `tau` | profile | what y must fall to: up to three numbers, a panel each; the curves are shares of runs that are done |
/// | `x`, `y` | map | two numeric keys |
/// | `value` | map | a column, or `"verdict"`: a cell's colour |
/// | `boundary` | map | a formula whose zero is drawn grey, or a list of formulas of `x` that give y |
/// | `log` | both | the logarithmic axes: `"x"`, `"y"`, `"xy"`; a map also has `v`, its colours |
/// | `at` | both | `"last"`, `"first"` or a step, where x isn't time |
/// | `panels` | both | a key (or `arm`): a panel per value, at most 6 |
/// | `where` | both | which runs, as in `[[expect]]` |
/// | `title`, `caption` | both | what it is; the sentence that it shows (by default measured) |
#[derive(Clone, Debug)]
pub struct Plot {
    /// Its name in files and links.
    pub id: String,
    /// What it is, in a few words.
    pub title: String,
    /// What it shows, in a sentence.
    pub caption: Option<String>,
    /// Which runs it draws.
    pub scope: Scope,
    /// The key of its panels.
    pub panels: Option<String>,
    /// Its logarithmic scales.
    pub log: Log,
    /// The probe, where x isn't time; the last by default.
    pub at: Option<At>,
    /// What it draws.
    pub drawing: Drawing,
}

/// Which scales are logarithmic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// The x axis.
    pub x: bool,
    /// The y axis.
    pub y: bool,
    /// A map's colours.
    pub value: bool,
}

/// What a plot draws.
#[derive(Clone, Debug)]
pub enum Drawing {
    /// A column against something, as dots; theory as lines.
    Curve(Curve),
    /// A column over two keys, as cells; theory as boundaries.
    Map(Map),
    /// The share of runs that are done, against what they took.
    Profile(Profile),
}

const COMMON: [&str; 9] = ["kind", "x", "y", "panels", "log", "at", "where", "title", "caption"];

impl Plot {
    /// Reads the block of this index.
    ///
    /// # Errors
    /// The key at fault and why. Keys of runs are held against the plan: [`Plot::mentions`].
    pub fn parse(block: &Value, index: usize, columns: &Columns) -> Result<Self, SpecError> {
        let table = block.as_table().ok_or_else(|| SpecError::value("", "must be a table".into()))?;
        let own: &[&str] = match text(table, "kind")? {
            Some("curve") => &["laws", "lines", "theory"],
            Some("map") => &["value", "boundary"],
            Some("profile") => &["tau", "lines"],
            Some(other) => return Err(SpecError::unknown("kind", "plot", other, ["curve", "map", "profile"])),
            None => return Err(SpecError::value("kind", "is required and missing; known: curve, map, profile".into())),
        };
        if let Some(key) = table.keys().find(|key| !COMMON.contains(&key.as_str()) && !own.contains(&key.as_str())) {
            return Err(SpecError::unknown(key, "key", key, COMMON.iter().chain(own).copied()));
        }
        let is_map = own.contains(&"value");
        let drawing = match own {
            ["value", ..] => Drawing::Map(Map::parse(table, columns)?),
            ["tau", ..] => Drawing::Profile(Profile::parse(table, columns)?),
            _ => Drawing::Curve(Curve::parse(table, columns)?),
        };
        let at = match table.get("at") {
            None => None,
            Some(value) => match At::parse(value).filter(|at| *at != At::Every) {
                Some(at) => Some(at),
                None => return Err(At::wrong("\"last\", \"first\" or a step", value)),
            },
        };
        if let (Some(_), Drawing::Curve(Curve { x: Axis::Step | Axis::Time | Axis::LambdaT, .. })) = (at, &drawing) {
            return Err(SpecError::value("at", "goes with an x that isn't time: every probe is drawn here".into()));
        }
        let given = text(table, "title")?;
        let title = given.map_or_else(|| drawing.title(), str::to_string);
        Ok(Plot {
            id: given.map(slug).filter(|slug| !slug.is_empty()).unwrap_or_else(|| format!("plot-{}", index + 1)),
            title,
            caption: text(table, "caption")?.map(str::to_string),
            scope: Scope::parse(table)?,
            panels: text(table, "panels")?.map(str::to_string),
            log: Log::parse(text(table, "log")?.unwrap_or(""), is_map)?,
            at,
            drawing,
        })
    }

    /// The keys that it names, to be held against the runs of the plan.
    pub fn mentions(&self) -> Vec<Mention<'_>> {
        let mut mentions = self.scope.mentions();
        mentions.extend(self.panels.iter().map(|key| Mention::new("panels", key, Need::Here)));
        let mut formulas: Vec<(&str, &Formula)> = Vec::new();
        match &self.drawing {
            Drawing::Curve(curve) => {
                mentions.extend(curve.lines.iter().map(|key| Mention::new("lines", key, Need::Here)));
                if let Axis::Key(key) = &curve.x {
                    mentions.push(Mention::new("x", key, Need::Number));
                }
                formulas.extend(curve.theory.iter().map(|formula| ("theory", formula)));
            }
            Drawing::Profile(profile) => {
                mentions.extend(profile.lines.iter().map(|key| Mention::new("lines", key, Need::Here)));
            }
            Drawing::Map(map) => {
                mentions.push(Mention::new("x", &map.x, Need::Number));
                mentions.push(Mention::new("y", &map.y, Need::Number));
                formulas.extend(map.boundary.iter().flat_map(Boundary::formulas).map(|formula| ("boundary", formula)));
            }
        }
        for (path, formula) in formulas {
            mentions.extend(formula.keys().into_iter().map(|key| Mention::new(path, key, Need::Number)));
        }
        mentions
    }
}

/// Gives plots of one title different names, and keeps clear of those that the page uses itself.
pub fn tell_apart(plots: &mut [Plot]) {
    const TAKEN: [&str; 8] = ["fan", "misfit", "strip", "figures", "runs", "checks", "reproduce", "more"];
    for i in 0..plots.len() {
        let id = plots[i].id.clone();
        let ours = TAKEN.contains(&id.as_str()) || id.starts_with("fan-") || id.starts_with("strip-");
        if ours || plots[..i].iter().any(|other| other.id == id) {
            plots[i].id = format!("plot-{}-{id}", i + 1);
        }
    }
}

impl Drawing {
    fn title(&self) -> String {
        match self {
            Drawing::Curve(curve) => format!("{} against {}", curve.y, curve.x.name()),
            Drawing::Profile(profile) => format!("runs done against {}", profile.x),
            Drawing::Map(map) => {
                let last = |key: &str| key.rsplit('.').next().unwrap_or(key).to_string();
                let value = map.value.as_deref().unwrap_or("verdict");
                format!("{value} over {} and {}", last(&map.x), last(&map.y))
            }
        }
    }
}

impl Log {
    fn parse(text: &str, is_map: bool) -> Result<Self, SpecError> {
        let may = if is_map { "xyv" } else { "xy" };
        if text.chars().any(|c| !may.contains(c)) {
            let which = if is_map { ", and v (the colours)" } else { "" };
            return Err(SpecError::value("log", format!("is made of x and y{which}, as \"xy\", not \"{text}\"")));
        }
        Ok(Log { x: text.contains('x'), y: text.contains('y'), value: text.contains('v') })
    }
}

/// A title as a file's name: lower-case letters and digits, joined by `-`.
fn slug(title: &str) -> String {
    let mut slug = String::new();
    for c in title.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => slug.push(c),
            _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
    }
    slug.truncate(60);
    slug.trim_matches('-').to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Plot, SpecError> {
        let columns = Columns::of(&nfa_metrics::laws(), &nfa_metrics::metrics(), &crate::train::solvers::solvers());
        Plot::parse(&Value::Table(text.parse().unwrap()), 1, &columns)
    }

    #[test]
    fn a_curve_is_read() {
        let plot = parse(
            "kind = \"curve\"\nx = \"lambda_t\"\ny = \"imbalance_ratio.layer0\"\nlines = \"model.depth\"\n\
             theory = \"exp(-2*x)\"\nlog = \"y\"\ntitle = \"One curve: λt\"",
        )
        .unwrap();
        assert_eq!((plot.id.as_str(), plot.log), ("one-curve-t", Log { x: false, y: true, value: false }));
        let Drawing::Curve(curve) = plot.drawing else { panic!("a curve") };
        assert_eq!((curve.x, curve.lines.as_deref()), (Axis::LambdaT, Some("model.depth")));
        let plot = parse("kind = \"curve\"\nx = \"loss\"\ny = \"nfa.misfit.layer*\"").unwrap();
        assert_eq!((plot.id.as_str(), plot.title.as_str()), ("plot-2", "nfa.misfit.layer* against loss"));
    }

    #[test]
    fn names_of_plots_differ() {
        let titled =
            |title: &str| parse(&format!("kind = \"curve\"\nx = \"step\"\ny = \"loss\"\ntitle = \"{title}\"")).unwrap();
        let mut plots = vec![titled("Loss"), titled("loss!"), titled("Fan")];
        tell_apart(&mut plots);
        let ids: Vec<&str> = plots.iter().map(|plot| plot.id.as_str()).collect();
        assert_eq!(ids, ["loss", "plot-2-loss", "plot-3-fan"]);
    }

    #[test]
    fn mistakes_are_named_where_they_stand() {
        let curve = |rest: &str| format!("kind = \"curve\"\n{rest}");
        let map = |rest: &str| format!("kind = \"map\"\nx = \"data.share\"\ny = \"data.ratio\"\n{rest}");
        for (text, path, part) in [
            ("kind = \"curv\"".to_string(), "kind", "did you mean `curve`?"),
            ("x = 1".to_string(), "kind", "missing"),
            (curve("y = \"loss\""), "x", "missing"),
            (curve("x = \"step\"\ny = \"nfa.alhpa.layer0\""), "y", "did you mean `nfa.alpha.layer0`?"),
            (curve("x = \"step\"\ny = \"nfa.verdict.layer0\""), "y", "map"),
            (curve("x = \"stepp\"\ny = \"loss\""), "x", "did you mean `step`?"),
            (curve("x = \"sovler.lr\"\ny = \"loss\""), "x", "did you mean `solver.lr`?"),
            (curve("x = \"nfa.misft.layer0\"\ny = \"loss\""), "x", "did you mean `nfa.misfit.layer0`?"),
            (curve("x = \"alpha\"\ny = \"loss\""), "y", "exponents"),
            (curve("x = \"step\"\ny = \"nfa.alpha.layer*\"\nlines = \"seed\""), "lines", "already"),
            (curve("x = \"step\"\ny = \"loss\"\ntheory = \"y\""), "theory", "unknown name `y`"),
            (curve("x = \"step\"\ny = \"loss\"\ntheory = \"c + x\""), "theory", "proportional"),
            (curve("x = \"step\"\ny = \"loss\"\nlog = \"yz\""), "log", "not \"yz\""),
            (curve("x = \"step\"\ny = \"loss\"\nat = \"last\""), "at", "every probe"),
            (curve("x = \"solver.lr\"\ny = \"loss\"\nat = \"every\""), "at", "\"last\""),
            (curve("x = \"step\"\ny = \"loss\"\ncolour = \"arm\""), "colour", "unknown key"),
            (map("value = \"nfa.misfit.layer*\""), "value", "one layer"),
            ("kind = \"profile\"\nx = \"work\"\ny = \"gap\"".to_string(), "tau", "list"),
            ("kind = \"profile\"\nx = \"work\"\ny = \"gap\"\ntau = [0.0]".to_string(), "tau", "positive"),
            ("kind = \"profile\"\nx = \"work\"\ny = \"gapp\"\ntau = [0.1]".to_string(), "y", "did you mean `gap`?"),
            (map("value = \"nfa.reason.layer0\""), "value", "words"),
            (map("value = \"verdict\"\nboundary = [\"data.ratio\"]"), "boundary", "can't name"),
            (map("value = \"verdict\"\nboundary = true"), "boundary", "list of formulas"),
            (map("value = \"verdict\"\ntheory = \"1\""), "theory", "known here"),
            ("kind = \"map\"\nx = \"seed\"\ny = \"seed\"\nvalue = \"loss\"".to_string(), "y", "another key"),
        ] {
            let error = parse(&text).expect_err(&text);
            assert!(error.path == path && error.to_string().contains(part), "{text}: {error}");
        }
    }
}
