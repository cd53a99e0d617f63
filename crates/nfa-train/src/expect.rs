//! `[[expect]]` blocks, and records held against them.

use std::fmt;

use nfa_models::SpecError;
use toml::Value;

use crate::formula::{Formula, clock, setting};
use crate::record::{Cell, decimal};
use crate::scope::{Mention, Need, Scope};
use crate::study::{Checked, Study, StudyRun};
use crate::toml_text::{get, number};

/// One `[[expect]]`.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// A column; `layer*` stands for each layer.
    pub metric: String,
    /// Which runs it speaks of.
    pub scope: Scope,
    /// Which probes.
    pub at: At,
    /// What is expected there.
    pub relation: Relation,
    /// The key that the relation stands at, for messages.
    pub stands_at: String,
    /// How far off is still met.
    pub within: Tolerance,
}

/// Which probes an expectation speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The last.
    Last,
    /// The first.
    First,
    /// Each one; the worst is reported.
    Every,
    /// The one at this step.
    Step(u64),
}

/// What is expected.
#[derive(Clone, Debug)]
pub enum Relation {
    /// A number or a formula, within the tolerance.
    Equals(Formula),
    /// A word of a text column.
    Is(String),
    /// At least.
    Min(f64),
    /// At most.
    Max(f64),
    /// Least-squares slope of log(metric) on log(key) over runs that differ in that key alone.
    Slope {
        /// The slope.
        slope: f64,
        /// The key.
        over: String,
    },
}

/// `within`: a number is absolute, a percentage relative to the expected value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// None given: equal to the last digit.
    Exact,
    /// A distance.
    Absolute(f64),
    /// A share of the expected value.
    Relative(f64),
}

impl At {
    /// Reads a word or a step.
    pub fn parse(value: &Value) -> Option<Self> {
        match value {
            Value::String(word) => [At::Last, At::First, At::Every].into_iter().find(|at| at.to_string() == *word),
            Value::Integer(step) if *step >= 0 => Some(At::Step(step.unsigned_abs())),
            _ => None,
        }
    }

    /// The complaint about a value that is none of what may stand there.
    pub fn wrong(may: &str, value: &Value) -> SpecError {
        SpecError::value("at", format!("must be {may}, not {value}"))
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Last => f.write_str("last"),
            At::First => f.write_str("first"),
            At::Every => f.write_str("every"),
            At::Step(step) => write!(f, "{step}"),
        }
    }
}

impl Tolerance {
    fn text(self) -> Option<String> {
        match self {
            Tolerance::Exact => None,
            Tolerance::Absolute(value) => Some(decimal(value)),
            Tolerance::Relative(value) => Some(format!("{}%", decimal(value * 100.0))),
        }
    }

    fn allows(self, expected: f64) -> f64 {
        match self {
            Tolerance::Exact => 0.0,
            Tolerance::Absolute(value) => value,
            Tolerance::Relative(value) => value * expected.abs(),
        }
    }
}

impl Expectation {
    /// Reads a block.
    ///
    /// # Errors
    /// The key at fault and why.
    pub fn parse(value: &Value) -> Result<Self, SpecError> {
        const KEYS: [&str; 10] = ["metric", "where", "at", "equals", "min", "max", "law", "slope", "over", "within"];
        let table = value.as_table().ok_or_else(|| SpecError::value("", "must be a table".into()))?;
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(SpecError::unknown(key, "key", key, KEYS));
        }
        let metric = match table.get("metric") {
            Some(Value::String(metric)) => metric.clone(),
            Some(other) => return Err(SpecError::value("metric", format!("must be a column's name, not {other}"))),
            None => return Err(SpecError::value("metric", "is required and missing".into())),
        };
        let scope = Scope::parse(table)?;
        let at = match table.get("at") {
            None => At::Last,
            Some(value) => {
                At::parse(value).ok_or_else(|| At::wrong("\"last\", \"first\", \"every\" or a step", value))?
            }
        };
        let numeric = |key: &str, value: &Value| {
            number(value).ok_or_else(|| SpecError::value(key, format!("must be a number, not {value}")))
        };
        let formula = |key: &str, text: &str| Formula::parse(text).map_err(|why| SpecError::value(key, why));
        let given: Vec<(&str, &Value)> = ["equals", "min", "max", "law", "slope"]
            .into_iter()
            .filter_map(|key| Some((key, table.get(key)?)))
            .collect();
        let [(key, value)] = given[..] else {
            let message = "one of `equals`, `min`, `max`, `law`, `slope` is needed, and only one";
            return Err(SpecError::value(given.get(1).map_or("metric", |(key, _)| key), message.into()));
        };
        let text_column = metric == "outcome"
            || metric.contains(".verdict")
            || metric.contains(".reason")
            || metric.contains(".rank_rule")
            || metric.contains(".certificates.tie");
        let relation = match (key, value) {
            ("equals", Value::String(word)) if text_column => Relation::Is(word.clone()),
            ("equals", Value::Boolean(flag)) => Relation::Is(flag.to_string()),
            ("equals" | "law", Value::String(text)) => Relation::Equals(formula(key, text)?),
            ("equals" | "law", value) => Relation::Equals(formula(key, &decimal(numeric(key, value)?))?),
            ("min", value) => Relation::Min(numeric(key, value)?),
            ("max", value) => Relation::Max(numeric(key, value)?),
            (_, value) => match table.get("over") {
                Some(Value::String(over)) => Relation::Slope { slope: numeric(key, value)?, over: over.clone() },
                _ => {
                    return Err(SpecError::value(
                        "over",
                        "is needed beside `slope`: the key that varies, as \"solver.lr\"".into(),
                    ));
                }
            },
        };
        if matches!(relation, Relation::Slope { .. }) && at != At::Last {
            return Err(SpecError::value("at", "a slope is taken at \"last\"".into()));
        }
        let within = match table.get("within") {
            None => Tolerance::Exact,
            Some(Value::String(text)) => {
                match text.strip_suffix('%').and_then(|share| share.trim().parse::<f64>().ok()) {
                    Some(share) if share >= 0.0 => Tolerance::Relative(share / 100.0),
                    _ => {
                        return Err(SpecError::value(
                            "within",
                            format!("is a number or a percentage like \"1%\", not \"{text}\""),
                        ));
                    }
                }
            }
            Some(value) => Tolerance::Absolute(numeric("within", value)?),
        };
        Ok(Expectation { metric, scope, at, relation, stands_at: key.to_string(), within })
    }

    /// The keys that it names, to be held against the runs of the plan.
    pub fn mentions(&self) -> Vec<Mention<'_>> {
        let mut mentions = self.scope.mentions();
        match &self.relation {
            Relation::Equals(formula) => {
                mentions
                    .extend(formula.keys().into_iter().map(|key| Mention::new(&self.stands_at, key, Need::Numbers)));
            }
            Relation::Slope { over, .. } => mentions.push(Mention::new("over", over, Need::Numbers)),
            Relation::Is(_) | Relation::Min(_) | Relation::Max(_) => {}
        }
        mentions
    }

    fn columns(&self, run: &StudyRun) -> Vec<String> {
        match self.metric.split_once("layer*") {
            None => vec![self.metric.clone()],
            Some((before, after)) => run
                .record
                .columns()
                .iter()
                .filter(|column| {
                    let middle = column.strip_prefix(before).and_then(|rest| rest.strip_prefix("layer"));
                    let digits = middle.and_then(|rest| rest.strip_suffix(after));
                    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
                })
                .cloned()
                .collect(),
        }
    }

    fn checked(&self, metric: &str, run: &str, expected: String, measured: serde_json::Value, met: bool) -> Checked {
        Checked {
            metric: metric.into(),
            scope: serde_json::to_value(&self.scope).unwrap_or_default(),
            at: self.at.to_string(),
            run: run.into(),
            expected,
            measured,
            tolerance: self.within.text(),
            met,
        }
    }
}

/// Every expectation against every run it speaks of; one that speaks of no run is not met.
pub fn check(expectations: &[Expectation], study: &Study) -> Vec<Checked> {
    expectations
        .iter()
        .flat_map(|expectation| {
            let runs: Vec<&StudyRun> =
                study.runs.iter().filter(|run| expectation.scope.holds(run.arm(), &run.config)).collect();
            if runs.is_empty() {
                let expected = "at least one run that it speaks of".to_string();
                return vec![expectation.checked(&expectation.metric, "", expected, serde_json::Value::Null, false)];
            }
            match &expectation.relation {
                Relation::Slope { slope, over } => slopes(expectation, *slope, over, &runs),
                _ => runs.into_iter().map(|run| against(expectation, run)).collect(),
            }
        })
        .collect()
}

/// How a measured value stands to what is expected: excess over the tolerance (met where <= 0).
struct Standing {
    column: String,
    expected: String,
    measured: serde_json::Value,
    excess: f64,
}

fn against(expectation: &Expectation, run: &StudyRun) -> Checked {
    let mut worst: Option<Standing> = None;
    let mut keep = |standing: Standing| {
        if worst.as_ref().is_none_or(|worst| standing.excess > worst.excess) {
            worst = Some(standing);
        }
    };
    for column in expectation.columns(run) {
        if column == "outcome" {
            keep(word(expectation, &column, Some(&run.outcome)));
            continue;
        }
        let rows = run.record.len();
        let rows: Vec<usize> = match expectation.at {
            At::Every => (0..rows).collect(),
            At::First => (0..rows.min(1)).collect(),
            At::Last => (rows.saturating_sub(1)..rows).collect(),
            At::Step(step) => {
                (0..rows).filter(|&row| run.record.number(row.cast_signed(), "step") == Some(step as f64)).collect()
            }
        };
        for &row in &rows {
            let row = row.cast_signed();
            let cell = run.record.cell(row, &column).cloned().unwrap_or(Cell::Empty);
            // No step leads to step 0, so its residual is not defined rather than missing.
            if cell == Cell::Empty && row == 0 && rows.len() > 1 && column.starts_with("recurrence_residual") {
                continue;
            }
            let step = run.record.number(row, "step");
            keep(match &expectation.relation {
                Relation::Is(_) => word(expectation, &column, cell.as_text()),
                _ => quantity(expectation, run, &column, step, cell.as_number()),
            });
        }
    }
    match worst {
        Some(Standing { column, expected, measured, excess }) => {
            expectation.checked(&column, &run.id, expected, measured, excess <= 0.0)
        }
        None => {
            let expected = "a column of this name with a value there".to_string();
            expectation.checked(&expectation.metric, &run.id, expected, serde_json::Value::Null, false)
        }
    }
}

fn word(expectation: &Expectation, column: &str, measured: Option<&str>) -> Standing {
    let expected = match &expectation.relation {
        Relation::Is(word) => word.clone(),
        _ => "a number".to_string(),
    };
    let excess = if measured == Some(expected.as_str()) { 0.0 } else { f64::INFINITY };
    Standing { column: column.into(), expected, measured: measured.into(), excess }
}

fn quantity(
    expectation: &Expectation,
    run: &StudyRun,
    column: &str,
    step: Option<f64>,
    measured: Option<f64>,
) -> Standing {
    let layer = column.rsplit_once("layer").and_then(|(_, digits)| digits.parse::<f64>().ok());
    let variable = |name: &str| match name {
        "l" => layer.map(|layer| layer + 1.0),
        "t" => step.and_then(|step| clock(&run.config, step)),
        name => setting(&run.config, name),
    };
    let (expected, excess) = match &expectation.relation {
        Relation::Min(min) => (format!(">= {}", decimal(*min)), measured.map(|m| min - m)),
        Relation::Max(max) => (format!("<= {}", decimal(*max)), measured.map(|m| m - max)),
        // A NaN would compare as no worse than any other probe.
        Relation::Equals(formula) => match formula.value(&variable).filter(|value| value.is_finite()) {
            Some(value) => {
                let constant = formula.to_string() == decimal(value);
                let text = if constant { decimal(value) } else { format!("{formula} = {}", decimal(value)) };
                (text, measured.map(|m| (m - value).abs() - expectation.within.allows(value)))
            }
            None => (format!("{formula} (has no value here)"), None),
        },
        Relation::Is(_) | Relation::Slope { .. } => ("a word".into(), None),
    };
    Standing { column: column.into(), expected, measured: measured.into(), excess: excess.unwrap_or(f64::INFINITY) }
}

/// Groups runs that differ in the key alone (and in how many steps that makes), one slope each.
fn slopes(expectation: &Expectation, slope: f64, over: &str, runs: &[&StudyRun]) -> Vec<Checked> {
    type Keys = Vec<(String, String)>;
    let others = |run: &StudyRun| -> Keys {
        run.keys.iter().filter(|(key, _)| key != over && key != "solver.steps").cloned().collect()
    };
    let mut groups: Vec<(Keys, Vec<&StudyRun>)> = Vec::new();
    for &run in runs {
        let key = others(run);
        match groups.iter_mut().find(|(other, _)| *other == key) {
            Some((_, members)) => members.push(run),
            None => groups.push((key, vec![run])),
        }
    }
    let mut checked = Vec::new();
    for (_, members) in groups {
        for column in expectation.columns(members[0]) {
            let points: Vec<(f64, f64)> = members
                .iter()
                .filter_map(|run| {
                    let x = get(&run.config, over).and_then(number)?;
                    let y = run.record.number(-1, &column)?;
                    (x > 0.0 && y > 0.0).then(|| (x.ln(), y.ln()))
                })
                .collect();
            let measured = (points.len() == members.len()).then(|| fitted_slope(&points)).flatten();
            let met = measured.is_some_and(|m| (m - slope).abs() <= expectation.within.allows(slope));
            let expected = format!("slope over {over} of {} runs = {}", members.len(), decimal(slope));
            // Told of the group's first run; the expected text says how many there are.
            checked.push(expectation.checked(&column, &members[0].id, expected, measured.into(), met));
        }
    }
    checked
}

fn fitted_slope(points: &[(f64, f64)]) -> Option<f64> {
    let n = points.len() as f64;
    let (mx, my) = (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
    let xx: f64 = points.iter().map(|p| (p.0 - mx).powi(2)).sum();
    let xy: f64 = points.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum();
    (points.len() >= 2 && xx > 0.0).then(|| xy / xx)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;
    use toml::Table;

    fn study(rows: &[(f64, f64)], lr: f64) -> StudyRun {
        let mut record = Record::new(vec!["step".into(), "x.layer0".into(), "x.layer1".into()]);
        for &(step, value) in rows {
            record.push(vec![Cell::number(step), Cell::number(value), Cell::number(value)]);
        }
        let config = format!("[model]\ndepth = 2\n[solver]\nlr = {lr}\nweight_decay = 0.5");
        StudyRun {
            id: format!("lr={lr}"),
            keys: vec![("solver.lr".into(), lr.to_string())],
            outcome: "completed".into(),
            step: 0,
            reason: None,
            config: config.parse().expect("valid"),
            manifest: serde_json::Value::Null,
            record,
            directions: Vec::new(),
        }
    }

    fn verdicts(expect: &str, runs: Vec<StudyRun>) -> Vec<Checked> {
        let table: Table = expect.parse().expect("valid");
        let expectation = Expectation::parse(&Value::Table(table)).expect("valid");
        let study = Study {
            name: "x".into(),
            id: None,
            claim: None,
            reference: None,
            experiment: String::new(),
            runs,
            plots: Vec::new(),
            expectations: Vec::new(),
        };
        check(&[expectation], &study)
    }

    #[test]
    fn laws_are_held_at_every_probe_and_the_worst_is_given() {
        let law = "metric = \"x.layer*\"\nat = \"every\"\nlaw = \"(1-lr*lambda)^(2*t)\"\nwithin = \"1%\"";
        let exact: Vec<(f64, f64)> = (0..4).map(|t| (t as f64, 0.95f64.powi(2 * t))).collect();
        assert!(verdicts(law, vec![study(&exact, 0.1)])[0].met);
        let mut off = exact;
        off[2].1 *= 1.02;
        let checked = verdicts(law, vec![study(&off, 0.1)]);
        assert!(!checked[0].met);
        assert_eq!(checked[0].measured, serde_json::json!(off[2].1));
    }

    #[test]
    fn t_is_the_time_under_flow() {
        let law = "metric = \"x.layer0\"\nat = \"every\"\nlaw = \"exp(-2*lambda*t)\"\nwithin = 1e-12";
        let exact: Vec<(f64, f64)> = [0.0, 4.0, 9.0].map(|step: f64| (step, (-0.25 * step).exp())).to_vec();
        let mut run = study(&exact, 0.25);
        assert!(!verdicts(law, vec![run.clone()])[0].met, "t is the step of gd");
        run.config["solver"].as_table_mut().expect("a table").insert("kind".into(), "flow".into());
        assert!(verdicts(law, vec![run.clone()])[0].met);
        // By pieces: four steps of 0.25, then of 1.
        let pieces: Vec<(f64, f64)> =
            [(0.0, 0.0), (4.0, 1.0), (9.0, 6.0)].map(|(s, t): (f64, f64)| (s, (-t).exp())).to_vec();
        let pieces = study(&pieces, 0.25).record;
        run.record = pieces;
        run.config["solver"]["lr"] = "[[0, 0.25], [4, 1]]".parse().expect("a list");
        assert!(verdicts(law, vec![run])[0].met);
    }

    #[test]
    fn slopes_group_runs_that_differ_in_one_key() {
        let runs = [0.4, 0.2, 0.1].map(|lr| study(&[(0.0, 1.0), (9.0, 3.0 * lr * lr)], lr)).to_vec();
        let checked = verdicts("metric = \"x.layer0\"\nslope = 2\nover = \"solver.lr\"\nwithin = 0.1", runs);
        assert_eq!(checked.len(), 1);
        assert!(checked[0].met && (checked[0].measured.as_f64().expect("a slope") - 2.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_missing_is_not_met() {
        let run = || study(&[(0.0, f64::NAN)], 0.1);
        assert!(!verdicts("metric = \"x.layer0\"\nmax = 1", vec![run()])[0].met);
        assert!(!verdicts("metric = \"y.layer0\"\nmax = 1", vec![run()])[0].met);
        assert!(!verdicts("metric = \"x.layer0\"\nmax = 1\nwhere = { arm = \"z\" }", vec![run()])[0].met);
    }

    #[test]
    fn formulas_know_depth_and_layer() {
        let checked =
            verdicts("metric = \"x.layer*\"\nequals = \"1/(L-l+1)\"\nwithin = 1e-9", vec![study(&[(0.0, 0.5)], 0.1)]);
        assert!(!checked[0].met, "layer 1 should be 1, not 0.5");
        assert_eq!(checked[0].metric, "x.layer1");
    }

    #[test]
    fn formulas_know_the_grid_s_keys_and_need_a_value() {
        let expect = |law: &str| {
            let text = format!("metric = \"x.layer0\"\nat = \"every\"\nequals = \"{law}\"\nwithin = 1e-9");
            verdicts(&text, vec![study(&[(0.0, 0.1), (1.0, 0.1)], 0.1)]).remove(0)
        };
        assert!(expect("solver.weight_decay * model.depth / 10").met);
        // Undefined at the second probe only.
        assert!(!expect("0.1 + 0*log(1/2 - t)").met);
        assert!(!expect("solver.momentum").met);
    }
}
