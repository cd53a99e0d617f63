//! `[[plot]]` blocks: the figures that make an experiment's own point.

use nfa_models::SpecError;
use toml::{Table, Value};

use crate::claim::at::At;
use crate::claim::columns::Columns;
use crate::claim::formula::Formula;
use crate::claim::scope::{Mention, Need, Scope};
use crate::claim::variables::key_of;
use crate::keys::RUN_KEYS;
use crate::keys::number;
use crate::record::decimal;

/// One `[[plot]]`.
///
/// | key | of | meaning |
/// |---|---|---|
/// | `kind` | | `"curve"` or `"map"` |
/// | `x` | curve | `"step"`, `"time"` (Σ lr), `"lambda_t"` (λ Σ lr), `"alpha"` (the exponent that a cosine is taken at), a numeric key, or another column |
/// | `y` | curve | a column; `layer*` draws a line per layer |
/// | `lines` | curve | a key (or `arm`): a colour per value, at most 5 |
/// | `theory` | curve | a formula, drawn grey: also of `x`, and of one factor `c` that is fitted to each line |
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
}

/// `kind = "curve"`.
#[derive(Clone, Debug)]
pub struct Curve {
    /// What is on the x axis.
    pub x: Axis,
    /// The column on the y axis, with `layer*` where each layer is a line.
    pub y: String,
    /// The key of its colours.
    pub lines: Option<String>,
    /// What y should be.
    pub theory: Option<Formula>,
}

/// What the x axis of a curve counts.
#[derive(Clone, Debug, PartialEq)]
pub enum Axis {
    /// Steps.
    Step,
    /// Σ lr.
    Time,
    /// λ Σ lr.
    LambdaT,
    /// The exponent that a cosine is taken at.
    Alpha,
    /// A numeric key of the runs.
    Key(String),
    /// Another column.
    Column(String),
}

/// `kind = "map"`.
#[derive(Clone, Debug)]
pub struct Map {
    /// The key on the x axis.
    pub x: String,
    /// The key on the y axis.
    pub y: String,
    /// The column that colours the cells; `None` for the verdict of the report's law, layer 0.
    pub value: Option<String>,
    /// Where theory sees a border.
    pub boundary: Option<Boundary>,
}

/// Where theory sees a border in a map.
#[derive(Clone, Debug)]
pub enum Boundary {
    /// Where a formula changes sign.
    Zero(Formula),
    /// Formulas of x that give y.
    Lines(Vec<Formula>),
}

const COMMON: [&str; 9] = ["kind", "x", "y", "panels", "log", "at", "where", "title", "caption"];
const WORDS: [&str; 4] = ["step", "time", "lambda_t", "alpha"];

impl Plot {
    /// Reads the block of this index.
    ///
    /// # Errors
    /// The key at fault and why. Keys of runs are held against the plan: [`Plot::mentions`].
    pub fn parse(block: &Value, index: usize, columns: &Columns) -> Result<Self, SpecError> {
        let table = block.as_table().ok_or_else(|| SpecError::value("", "must be a table".into()))?;
        let own: &[&str] = match text(table, "kind")? {
            Some("curve") => &["lines", "theory"],
            Some("map") => &["value", "boundary"],
            Some(other) => return Err(SpecError::unknown("kind", "plot", other, ["curve", "map"])),
            None => return Err(SpecError::value("kind", "is required and missing; known: curve, map".into())),
        };
        if let Some(key) = table.keys().find(|key| !COMMON.contains(&key.as_str()) && !own.contains(&key.as_str())) {
            return Err(SpecError::unknown(key, "key", key, COMMON.iter().chain(own).copied()));
        }
        let is_map = own.contains(&"value");
        let drawing = if is_map {
            Drawing::Map(Map::parse(table, columns)?)
        } else {
            Drawing::Curve(Curve::parse(table, columns)?)
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
            Drawing::Map(map) => {
                let last = |key: &str| key.rsplit('.').next().unwrap_or(key).to_string();
                let value = map.value.as_deref().unwrap_or("verdict");
                format!("{value} over {} and {}", last(&map.x), last(&map.y))
            }
        }
    }
}

impl Curve {
    fn parse(table: &Table, columns: &Columns) -> Result<Self, SpecError> {
        let y = required(table, "y")?;
        if columns.unit("y", y)? == "text" {
            let message = format!("a curve draws numbers and `{y}` is words; kind = \"map\" draws verdicts");
            return Err(SpecError::value("y", message));
        }
        let x = match required(table, "x")? {
            "step" => Axis::Step,
            "time" => Axis::Time,
            "lambda_t" => Axis::LambdaT,
            "alpha" => Axis::Alpha,
            name => axis(name, columns)?,
        };
        if x == Axis::Alpha && at_exponent(y, "1").is_none_or(|column| columns.unit("y", &column).is_err()) {
            let message =
                format!("x = \"alpha\" needs a column that is taken at exponents, as nfa.cosine.layer0 is, not `{y}`");
            return Err(SpecError::value("y", message));
        }
        let lines = text(table, "lines")?.map(str::to_string);
        if lines.is_some() && y.contains("layer*") {
            let message = "each layer of `layer*` is a line already; name one layer, or drop `lines`";
            return Err(SpecError::value("lines", message.into()));
        }
        let theory = match text(table, "theory")? {
            None => None,
            Some(text) => {
                let formula =
                    Formula::parse_with(text, &["x", "c"]).map_err(|message| SpecError::value("theory", message))?;
                if !proportional(&formula) {
                    let message = format!("`{formula}` must be proportional to c, the one factor that is fitted");
                    return Err(SpecError::value("theory", message));
                }
                Some(formula)
            }
        };
        Ok(Curve { x, y: y.to_string(), lines, theory })
    }
}

/// The column of `column`'s quantity at an exponent: `nfa.cosine@0.5.layer0` of `nfa.cosine.layer0`.
pub fn at_exponent(column: &str, alpha: &str) -> Option<String> {
    let (quantity, layer) = column.rsplit_once(".layer")?;
    Some(format!("{quantity}@{alpha}.layer{layer}"))
}

impl Axis {
    /// As it is written in a file.
    pub fn name(&self) -> &str {
        match self {
            Axis::Step => WORDS[0],
            Axis::Time => WORDS[1],
            Axis::LambdaT => WORDS[2],
            Axis::Alpha => WORDS[3],
            Axis::Key(name) | Axis::Column(name) => name,
        }
    }
}

/// A column where there is one of this name, else a key.
fn axis(name: &str, columns: &Columns) -> Result<Axis, SpecError> {
    let column = columns.unit("x", name);
    let section = name.split('.').next().unwrap_or(name);
    match column {
        Ok("text") => Err(SpecError::value("x", format!("an axis has numbers and `{name}` is words"))),
        Ok(_) if name.contains("layer*") => Err(SpecError::value("x", "names one layer, as nfa.misfit.layer0".into())),
        Ok(_) => Ok(Axis::Column(name.to_string())),
        Err(_) if RUN_KEYS.contains(&section) => Ok(Axis::Key(name.to_string())),
        Err(error) => {
            let mut words = SpecError::unknown("x", "axis", name, WORDS);
            if let (None, Some((section, rest))) = (&words.suggestion, name.split_once('.')) {
                let section = nfa_models::spec_error::closest(section, RUN_KEYS);
                words.suggestion = error.suggestion.or_else(|| Some(format!("{}.{rest}", section?)));
            }
            words.known.push("a numeric key like solver.lr, a column".into());
            Err(words)
        }
    }
}

/// Whether a formula is proportional to c, where it names it; told by values that stand for those
/// of its variables.
fn proportional(formula: &Formula) -> bool {
    let names = formula.names();
    if !names.contains(&"c") {
        return true;
    }
    let at = |c: f64| {
        let other = |name: &str| 0.31 + 0.07 * names.iter().position(|known| *known == name).unwrap_or(0) as f64;
        formula.value(&|name| Some(if name == "c" { c } else { other(name) }))
    };
    match (at(1.0), at(2.0)) {
        (Some(once), Some(twice)) if once.is_finite() && twice.is_finite() => {
            (twice - 2.0 * once).abs() <= 1e-9 * once.abs()
        }
        _ => true,
    }
}

impl Map {
    fn parse(table: &Table, columns: &Columns) -> Result<Self, SpecError> {
        let (x, y) = (required(table, "x")?, required(table, "y")?);
        if x == y {
            return Err(SpecError::value("y", format!("must be another key than x, `{x}`")));
        }
        let value = match required(table, "value")? {
            "verdict" => None,
            column if column.contains("layer*") => {
                return Err(SpecError::value("value", "names one layer, as nfa.misfit.layer0".into()));
            }
            column => match columns.unit("value", column)? {
                "text" if !column.contains(".verdict.") => {
                    let message = format!("`{column}` is words; a map draws numbers and verdicts");
                    return Err(SpecError::value("value", message));
                }
                _ => Some(column.to_string()),
            },
        };
        let read = |text: &str, more: &[&str]| {
            Formula::parse_with(text, more).map_err(|message| SpecError::value("boundary", message))
        };
        let boundary = match table.get("boundary") {
            None => None,
            Some(Value::String(text)) => Some(Boundary::Zero(read(text, &["x", "y"])?)),
            Some(Value::Array(list)) => {
                let formula = |item: &Value| {
                    let text = match (item, number(item)) {
                        (Value::String(text), _) => text.clone(),
                        (_, Some(constant)) => decimal(constant),
                        _ => return Err(wrong_boundary(item)),
                    };
                    let formula = read(&text, &["x"])?;
                    if formula.names().into_iter().any(|name| key_of(name) == y) {
                        let message = format!(
                            "a formula of a list gives `{y}`, so that it can't name it; one that should be zero is no list"
                        );
                        return Err(SpecError::value("boundary", message));
                    }
                    Ok(formula)
                };
                Some(Boundary::Lines(list.iter().map(formula).collect::<Result<_, _>>()?))
            }
            Some(other) => return Err(wrong_boundary(other)),
        };
        Ok(Map { x: x.to_string(), y: y.to_string(), value, boundary })
    }
}

fn wrong_boundary(value: &Value) -> SpecError {
    SpecError::value("boundary", format!("must be a formula or a list of formulas, not {value}"))
}

impl Boundary {
    /// Its formulas.
    pub fn formulas(&self) -> &[Formula] {
        match self {
            Boundary::Zero(formula) => std::slice::from_ref(formula),
            Boundary::Lines(formulas) => formulas,
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

fn text<'a>(table: &'a Table, key: &str) -> Result<Option<&'a str>, SpecError> {
    match table.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(SpecError::value(key, format!("must be a string, not {other}"))),
    }
}

fn required<'a>(table: &'a Table, key: &str) -> Result<&'a str, SpecError> {
    text(table, key)?.ok_or_else(|| SpecError::value(key, "is required and missing".into()))
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
    use crate::registries::Registries;

    fn parse(text: &str) -> Result<Plot, SpecError> {
        Plot::parse(&Value::Table(text.parse().unwrap()), 1, &Registries::standard().columns())
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
