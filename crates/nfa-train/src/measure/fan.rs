//! The fan of a measured network: the report's figure, one network a layer.

use crate::measure::Measurement;
use crate::record::direction::Direction;
use crate::record::{Cell, Record};
use crate::study::{Study, StudyRun};

/// The figure as a standalone SVG; `None` where no layer has directions.
pub fn svg(measurement: &Measurement) -> Option<String> {
    let runs = measurement
        .layers
        .iter()
        .filter_map(|layer| {
            let found = &layer.laws.first()?.finding;
            let columns = ["step", "nfa.alpha", "nfa.predicted", "nfa.misfit", "nfa.verdict", "nfa.reason"];
            let mut record = Record::new(
                columns.iter().map(|c| if *c == "step" { (*c).to_string() } else { format!("{c}.layer0") }).collect(),
            );
            record.push(vec![
                Cell::number(0.0),
                found.alpha.into(),
                found.predicted.into(),
                found.misfit.into(),
                Cell::Text(found.verdict.name().into()),
                Cell::Text(found.reason.clone()),
            ]);
            let mut model = toml::Table::new();
            if let Some(depth) = layer.depth_from_here {
                model.insert("depth".into(), i64::try_from(depth).unwrap_or(i64::MAX).into());
            }
            if found.predicted.is_some() {
                model.insert("activation".into(), "linear".into());
            }
            let mut config = toml::Table::new();
            config.insert("model".into(), model.into());
            let directions = found
                .directions
                .iter()
                .map(|d| Direction { step: 0, law: "nfa".into(), layer: 0, g: d.g, m: d.m, leak: d.leak })
                .collect();
            Some(StudyRun {
                id: layer.name.clone(),
                keys: vec![("layer".into(), layer.name.clone())],
                outcome: "completed".into(),
                step: 0,
                reason: None,
                config,
                manifest: serde_json::Value::Null,
                record,
                directions,
            })
        })
        .collect();
    let study = Study {
        name: measurement.title.clone(),
        id: None,
        claim: None,
        reference: None,
        experiment: String::new(),
        runs,
        plots: Vec::new(),
        expectations: Vec::new(),
    };
    crate::report::figures(&study).into_iter().find(|(name, _)| name == "fan.svg").map(|(_, svg)| svg)
}
