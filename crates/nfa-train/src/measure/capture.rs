//! The sites of a capture file.

use nfa_metrics::{Asked, Capture, Laws, Rows, parallel, survey};

use crate::error::Result;
use crate::measure::measurement::{Imbalance, LayerMeasurement, Measurement, Task};
use crate::measure::recorded::Recorded;
use crate::measure::settings::Settings;

/// A network from a capture file.
///
/// # Errors
/// Layers that aren't there.
pub fn from_capture(laws: &Laws, capture: &Capture, title: &str, settings: &Settings) -> Result<Measurement> {
    let observation = capture.observation();
    let recorded = Recorded::new(&capture.metadata);
    let wanted = settings.places(&capture.sites.iter().map(|site| site.name.clone()).collect::<Vec<_>>())?;
    let whole = wanted.len() == capture.sites.len();
    let measure = |layer: usize| {
        let asked = Asked {
            layers: &[layer],
            thresholds: &settings.thresholds,
            alphas: &settings.alphas,
            rows: Some(Rows { distinct: capture.distinct(), draws: true }),
            predicts: true,
            // K at initialisation is not in the file, so no law has a start to compare with.
            init: &|_, _| None,
            spread: &|law, layer, _| capture.sites[layer].over_blocks(law),
        };
        LayerMeasurement::new(&observation, layer, survey(laws.rows(), &observation, &asked))
    };
    let layers = parallel::map(wanted.len(), |i| measure(wanted[i]));
    let stored = if capture.sites.iter().all(|site| site.eps == f64::EPSILON) { "f64" } else { "f32" };
    let dtype = capture.metadata.get("compute").map_or(stored, |name| match name.as_str() {
        known @ ("f64" | "f32" | "tf32" | "bf16" | "f16") => known,
        _ => stored,
    });
    Ok(Measurement {
        title: title.into(),
        samples: Some(capture.samples()),
        dtype: dtype.into(),
        device: if recorded.framework.is_empty() { "unknown".into() } else { recorded.framework.clone() },
        source: "capture",
        capture: Some(recorded),
        task: Task::default(),
        layers,
        // Of the whole recording.
        sizes: capture.metadata.get("sizes").filter(|_| whole).and_then(|sizes| serde_json::from_str(sizes).ok()),
        imbalance: Imbalance::of(&observation),
        notes: Vec::new(),
        thresholds: settings.thresholds,
    })
}
