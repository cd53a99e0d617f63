//! The fan of a measured network: the report's figure, one network a layer.

use nfa_metrics::judge::finding::Finding;
use nfa_metrics::laws::law::{Law, Laws};

use crate::measure::measurement::{LayerMeasurement, Measurement};
use crate::report::figures::fan::{Drawn, Fan, Found, Panel};
use crate::report::figures::view::{HUES, spread};

/// The figure of the first law that was measured, as a standalone SVG; `None` where no layer has directions.
pub fn svg(measurement: &Measurement, laws: &Laws) -> Option<String> {
    let of = |law: &Law| -> Vec<(&LayerMeasurement, &Finding)> {
        let layers = measurement.layers.iter();
        let found = layers.flat_map(|layer| layer.laws.iter().map(move |found| (layer, found)));
        found.filter(|(_, found)| found.law.name == law.name).map(|(layer, found)| (layer, &found.finding)).collect()
    };
    let (law, layers) = laws.rows().iter().map(|law| (law, of(law))).find(|(_, layers)| !layers.is_empty())?;
    let choice = match layers.len() {
        n if n > HUES => format!("Drawn: {HUES} of {n} layers, evenly spread, the first and the last among them."),
        _ => String::new(),
    };
    let found = |finding: &Finding| Found {
        alpha: finding.alpha,
        predicted: finding.predicted,
        misfit: finding.misfit,
        verdict: finding.verdict.name().into(),
        within: measurement.thresholds.exponent,
    };
    let all: Vec<Found> = layers.iter().map(|(_, finding)| found(finding)).collect();
    let drawn = spread(layers, HUES).into_iter().enumerate().map(|(hue, (layer, finding))| Drawn {
        // PyTorch's nn.Sequential names its layers by number.
        label: layer.name.parse::<usize>().map_or_else(|_| layer.name.clone(), |n| format!("layer {n}")),
        hue,
        directions: finding.directions.clone(),
        found: found(finding),
    });
    let panel = Panel { title: measurement.title.clone(), drawn: drawn.collect(), found: all.clone() };
    let groups = vec![(measurement.title.clone(), all)];
    let fan = Fan { law, layer: None, name: String::new(), panels: vec![panel], groups, stopped: "", choice: &choice };
    fan.figure().map(|figure| figure.standalone())
}
