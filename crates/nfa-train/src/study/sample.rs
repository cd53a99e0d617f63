//! A small study for tests: two arms, two depths, records that follow theory exactly.

use crate::claim::expectation::Basis;
use crate::record::direction::Direction;
use crate::record::theory::{DecayLaw, Theory};
use crate::record::{Cell, Record};
use crate::study::{Checked, Study, StudyRun};

/// Probes of a sample run.
const STEPS: [u32; 4] = [0, 1, 10, 100];

/// A run of an arm with a depth.
pub(crate) fn run(arm: &str, depth: u32) -> StudyRun {
    let config = format!(
        "[model]\nkind = \"mlp\"\ndepth = {depth}\nactivation = \"linear\"\n[solver]\nkind = \"gd\"\nlr = 0.02\nweight_decay = 0.03\nsteps = 100"
    );
    StudyRun {
        id: format!("{arm}-depth{depth}"),
        keys: vec![("arm".to_string(), arm.to_string()), ("model.depth".to_string(), depth.to_string())],
        outcome: "completed".to_string(),
        step: 100,
        reason: None,
        config: config.parse().unwrap(),
        manifest: serde_json::json!({ "nfa": "0.1.0", "device": "flex" }),
        theory: Theory {
            decay: Some(DecayLaw::Discrete),
            depth: Some(depth as usize),
            linear: true,
            ..Theory::default()
        },
        sites: Vec::new(),
        record: record(depth),
        directions: (0..depth).flat_map(|layer| directions(depth, layer)).collect(),
    }
}

/// The record of a run of a depth.
fn record(depth: u32) -> Record {
    let mut columns = vec!["step".to_string(), "loss.test".to_string()];
    for layer in 0..depth {
        for quantity in [
            "alpha",
            "misfit",
            "parts.directions",
            "parts.order",
            "parts.shape",
            "null.haar",
            "null.init",
            "verdict",
            "reason",
            "predicted",
            "one_minus_cosine",
        ] {
            columns.push(format!("nfa.{quantity}.layer{layer}"));
        }
        if layer + 1 < depth {
            columns.push(format!("imbalance_ratio.layer{layer}"));
        }
    }
    let mut record = Record::new(columns);
    for step in STEPS {
        record.push(row(depth, step));
    }
    record
}

/// One row: misfit 0.01 in parts 3:4:0, exponent 1/(depth from here).
fn row(depth: u32, step: u32) -> Vec<Cell> {
    let ratio = (1.0_f64 - 0.02 * 0.03).powf(2.0 * f64::from(step));
    let mut row = vec![Cell::number(f64::from(step)), Cell::number(0.5 / (1.0 + f64::from(step)))];
    for layer in 0..depth {
        let alpha = 1.0 / f64::from(depth - layer);
        for value in [alpha, 0.01, 0.006, 0.008, 0.0, 0.5, 0.3] {
            row.push(Cell::number(value));
        }
        row.push(Cell::Text("holds".to_string()));
        row.push(Cell::Text("misfit 0.01 <= 0.05".to_string()));
        row.push(Cell::number(alpha));
        row.push(Cell::number(5e-5));
        if layer + 1 < depth {
            row.push(Cell::number(ratio));
        }
    }
    row
}

/// Directions on the ray of a layer, one of them without effect.
fn directions(depth: u32, layer: u32) -> Vec<Direction> {
    let alpha = 1.0 / f64::from(depth - layer);
    let at = |g: f64| Direction {
        step: 100,
        law: "nfa".to_string(),
        layer: layer as usize,
        g,
        m: 2.0 * g.powf(alpha),
        leak: 0.01,
    };
    vec![at(1.0), at(0.25), at(0.05), at(0.0)]
}

/// A study of two arms and two depths with met expectations.
pub(crate) fn study() -> Study {
    let runs: Vec<StudyRun> = ["balanced", "decay"].iter().flat_map(|arm| [run(arm, 2), run(arm, 3)]).collect();
    let expectations = runs.iter().map(|run| checked(&run.id, true)).collect();
    Study {
        name: "sample".to_string(),
        id: Some("NFA-0".to_string()),
        claim: Some("The exponent is 1/L.".to_string()),
        reference: Some("arXiv:2510.15563".to_string()),
        experiment: "name = \"sample\"".to_string(),
        laws: nfa_metrics::laws(),
        known: crate::claim::columns::Columns::of(
            &nfa_metrics::laws(),
            &nfa_metrics::metrics(),
            &crate::train::solvers::solvers(),
        ),
        runs,
        repeats: 0,
        plots: Vec::new(),
        expectations,
    }
}

/// An expectation on the exponent of a run.
pub(crate) fn checked(run: &str, met: bool) -> Checked {
    Checked {
        metric: "nfa.alpha.layer0".to_string(),
        scope: serde_json::json!({}),
        at: "last".to_string(),
        run: run.to_string(),
        expected: "1/L = 0.5".to_string(),
        measured: serde_json::json!(0.5),
        tolerance: Some("0.005".to_string()),
        met,
        basis: Basis::Theory,
        block: 0,
    }
}

/// A plot as it stands in a file.
pub(crate) fn plot(text: &str) -> crate::claim::plot::Plot {
    let block = toml::Value::Table(text.parse().unwrap());
    let columns = crate::claim::columns::Columns::of(
        &nfa_metrics::laws(),
        &nfa_metrics::metrics(),
        &crate::train::solvers::solvers(),
    );
    crate::claim::plot::Plot::parse(&block, 0, &columns).unwrap()
}
