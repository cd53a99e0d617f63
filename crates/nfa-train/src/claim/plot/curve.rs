//! `kind = "curve"`: a column against something, as dots; theory as lines.

use nfa_models::SpecError;
use toml::Table;

use crate::claim::columns::Columns;
use crate::claim::formula::Formula;
use crate::claim::plot::block::{required, text};
use crate::keys::RUN_KEYS;

const WORDS: [&str; 4] = ["step", "time", "lambda_t", "alpha"];

/// `kind = "curve"`.
#[derive(Clone, Debug)]
pub struct Curve {
    /// What is on the x axis.
    pub x: Axis,
    /// The column on the y axis, with `layer*` where each layer is a line.
    pub y: String,
    /// The laws of its colours, where `*` stands for a law in y.
    pub laws: Vec<String>,
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

impl Curve {
    /// Reads its keys of a block.
    pub(super) fn parse(table: &Table, columns: &Columns) -> Result<Self, SpecError> {
        let y = required(table, "y")?;
        let laws = laws(table, y)?;
        for (at, column) in of_laws(y, &laws).iter().enumerate() {
            let path = if laws.is_empty() { "y".to_string() } else { format!("laws.{at}") };
            if columns.unit(&path, column)? == "text" {
                let message = format!("a curve draws numbers and `{column}` is words; kind = \"map\" draws verdicts");
                return Err(SpecError::value("y", message));
            }
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
        if !laws.is_empty() && (lines.is_some() || y.contains("layer*")) {
            let message = "each law is a line already; name one layer, and drop `lines`";
            return Err(SpecError::value("laws", message.into()));
        }
        if lines.is_some() && y.contains("layer*") {
            let message = "each layer of `layer*` is a line already; name one layer, or drop `lines`";
            return Err(SpecError::value("lines", message.into()));
        }
        let theory = match text(table, "theory")? {
            None => None,
            Some(text) => {
                let formula = Formula::parse_with(text, &["x", "c"])
                    .map_err(|why| SpecError::value("theory", why.to_string()))?;
                if !proportional(&formula) {
                    let message = format!("`{formula}` must be proportional to c, the one factor that is fitted");
                    return Err(SpecError::value("theory", message));
                }
                Some(formula)
            }
        };
        Ok(Curve { x, y: y.to_string(), laws, lines, theory })
    }
}

impl Curve {
    /// The columns that it draws, `layer*` in them: of each law one.
    pub fn columns(&self) -> Vec<String> {
        of_laws(&self.y, &self.laws)
    }
}

/// Colours that can be told from each other.
const MOST_LAWS: usize = 5;

/// The laws that stand for `*` in y.
fn laws(table: &Table, y: &str) -> Result<Vec<String>, SpecError> {
    let wrong = |message: &str| Err(SpecError::value("laws", message.into()));
    match (y.strip_prefix("*."), table.get("laws")) {
        (None, None) => Ok(Vec::new()),
        (None, Some(_)) => wrong("go with a y of the form \"*.misfit.layer0\""),
        (Some(_), None) => wrong("is required with a * in y: a list of laws"),
        (Some(_), Some(list)) => {
            let name = |law: &toml::Value| law.as_str().map(str::to_string);
            let names: Option<Vec<String>> = list.as_array().and_then(|list| list.iter().map(name).collect());
            match names.filter(|names| (1..=MOST_LAWS).contains(&names.len())) {
                Some(names) => Ok(names),
                None => wrong("is a list of 1 to 5 names of laws"),
            }
        }
    }
}

/// y for each law, or itself.
fn of_laws(y: &str, laws: &[String]) -> Vec<String> {
    match y.strip_prefix('*') {
        Some(rest) if !laws.is_empty() => laws.iter().map(|law| format!("{law}{rest}")).collect(),
        _ => vec![y.to_string()],
    }
}

/// The column of `column`'s quantity at an exponent: `nfa.cosine@0.5.layer0` of `nfa.cosine.layer0`.
fn at_exponent(column: &str, alpha: &str) -> Option<String> {
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
