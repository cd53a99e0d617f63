//! Records held against expectations.

use crate::claim::at::At;
use crate::claim::expectation::{Expectation, Relation};
use crate::keys::{get, number};
use crate::record::{Cell, decimal};
use crate::study::{Checked, Study, StudyRun, layer_of};

/// Every expectation against every run it speaks of; one that speaks of no run is not met.
pub fn check(expectations: &[Expectation], study: &Study) -> Vec<Checked> {
    let held = expectations.iter().enumerate().flat_map(|(block, expectation)| {
        let mut checks = held(expectation, study);
        checks.iter_mut().for_each(|check| check.block = block);
        checks
    });
    held.collect()
}

/// One expectation against the runs that it speaks of.
fn held(expectation: &Expectation, study: &Study) -> Vec<Checked> {
    let runs: Vec<&StudyRun> =
        study.runs.iter().filter(|run| expectation.scope.holds(run.arm(), &run.config)).collect();
    if runs.is_empty() {
        let expected = "at least one run that it speaks of".to_string();
        return vec![checked(expectation, &expectation.metric, "", expected, serde_json::Value::Null, false)];
    }
    match &expectation.relation {
        Relation::Slope { slope, over } => slopes(expectation, *slope, over, &runs),
        _ => runs.into_iter().map(|run| against(expectation, run)).collect(),
    }
}

/// The columns of a run that an expectation speaks of; one that is named is held even where it is missing.
fn columns(expectation: &Expectation, run: &StudyRun) -> Vec<String> {
    if expectation.metric.contains("layer*") {
        run.columns(&expectation.metric)
    } else {
        vec![expectation.metric.clone()]
    }
}

fn checked(
    expectation: &Expectation,
    metric: &str,
    run: &str,
    expected: String,
    measured: serde_json::Value,
    met: bool,
) -> Checked {
    Checked {
        metric: metric.into(),
        scope: serde_json::to_value(&expectation.scope).unwrap_or_default(),
        at: expectation.at.to_string(),
        run: run.into(),
        expected,
        measured,
        tolerance: expectation.within.text(),
        met,
        basis: expectation.basis,
        block: 0,
    }
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
    for column in columns(expectation, run) {
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
            checked(expectation, &column, &run.id, expected, measured, excess <= 0.0)
        }
        None => {
            let expected = "a column of this name with a value there".to_string();
            checked(expectation, &expectation.metric, &run.id, expected, serde_json::Value::Null, false)
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
    let variable = |name: &str| match name {
        "l" => layer_of(column).map(|layer| layer as f64 + 1.0),
        "t" => step.and_then(|step| run.variables().clock(step)),
        name => run.variables().value(name),
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
    let mut slopes = Vec::new();
    for (_, members) in groups {
        for column in columns(expectation, members[0]) {
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
            slopes.push(checked(expectation, &column, &members[0].id, expected, measured.into(), met));
        }
    }
    slopes
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
    use crate::record::theory::Clock;
    use crate::study::sample;
    use toml::{Table, Value};

    fn study(rows: &[(f64, f64)], lr: f64) -> StudyRun {
        let mut record = Record::new(vec!["step".into(), "x.layer0".into(), "x.layer1".into()]);
        for &(step, value) in rows {
            record.push(vec![Cell::number(step), Cell::number(value), Cell::number(value)]);
        }
        let config = format!("[model]\ndepth = 2\n[solver]\nlr = {lr}\nweight_decay = 0.5");
        StudyRun {
            id: format!("lr={lr}"),
            keys: vec![("solver.lr".into(), lr.to_string())],
            config: config.parse().expect("valid"),
            record,
            ..sample::run("", 2)
        }
    }

    fn verdicts(expect: &str, runs: Vec<StudyRun>) -> Vec<Checked> {
        let table: Table = expect.parse().expect("valid");
        let expectation = Expectation::parse(&Value::Table(table)).expect("valid");
        let study = Study { runs, ..sample::study() };
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
        assert!(!verdicts(law, vec![run.clone()])[0].met, "t is the step");
        run.theory.clock = Clock::Time;
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
