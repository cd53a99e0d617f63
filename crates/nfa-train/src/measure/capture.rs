//! The sites of a capture file.

use std::fmt::Display;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use nfa_metrics::{Asked, CaptureError, Law, Laws, Needs, Recording, Rows, Trained, parallel, survey};

use crate::error::{Error, Result};
use crate::measure::chosen;
use crate::measure::measurement::{LayerMeasurement, Measurement, Task};
use crate::measure::recorded::Recorded;
use crate::measure::settings::{Settings, Tell, check_size, title_of};

/// A network from a capture file, a site in memory at a time.
///
/// # Errors
/// Layers that aren't there; sites that don't add up, or are larger than is tried.
pub fn from_capture(
    laws: &Laws,
    file: &Recording<'_>,
    path: &Path,
    settings: &Settings,
    tell: Tell<'_>,
) -> Result<Measurement> {
    let wrong = |error: &dyn Display| Error::input(format!("{}: {error}", path.display()));
    let notes = file.metadata();
    let recorded = Recorded::new(notes);
    let (sites, refusal) = Sites::new(laws, file, settings, &wrong)?;
    let wanted = settings.places(file.names())?;
    for &site in &wanted {
        // One without entries is named by its reader.
        let size = file.size(site).filter(|(k, _)| *k > 0);
        let (name, d) = (&file.names()[site], size.map_or(0, |(_, d)| d));
        let what = format!("{}: the Gram matrix of `{name}`'s inputs", path.display());
        check_size(&what, d, d, "record without it (`sites`, `max_size`)")?;
    }
    let done = AtomicUsize::new(0);
    let measure = |layer: usize| {
        let found = sites.measure(layer).map_err(|error| wrong(&error));
        tell(done.fetch_add(1, Ordering::Relaxed) + 1, wanted.len(), &format!("{} layers", title_of(path)));
        found
    };
    let found = parallel::map(wanted.len(), |i| measure(wanted[i])).into_iter().collect::<Result<Vec<_>>>()?;
    let samples = found.first().map(|(_, samples, _)| *samples);
    let stored = if found.iter().all(|(_, _, eps)| *eps == f64::EPSILON) { "f64" } else { "f32" };
    let dtype = notes.get("compute").map_or(stored, |name| match name.as_str() {
        known @ ("f64" | "f32" | "tf32" | "bf16" | "f16") => known,
        _ => stored,
    });
    let whole = wanted.len() == file.names().len();
    Ok(Measurement {
        title: title_of(path),
        samples,
        dtype: dtype.into(),
        device: if recorded.framework.is_empty() { "unknown".into() } else { recorded.framework.clone() },
        source: "capture",
        capture: Some(recorded),
        task: Task::default(),
        layers: found.into_iter().map(|(layer, ..)| layer).collect(),
        columns: None,
        // Of the whole recording.
        sizes: notes.get("sizes").filter(|_| whole).and_then(|sizes| serde_json::from_str(sizes).ok()),
        // Sites say nothing of what reads them.
        imbalance: Vec::new(),
        notes: refusal.map(|why| format!("fact, bfact: {why}")).into_iter().collect(),
        thresholds: settings.thresholds,
    })
}

/// What is asked of each site.
struct Sites<'a> {
    file: &'a Recording<'a>,
    settings: &'a Settings,
    laws: Vec<&'a Law>,
    needs: Needs,
    trained: Trained,
    /// Rows that differ, where the recorder counted them.
    rows: Option<usize>,
}

impl<'a> Sites<'a> {
    /// And why laws of stationary points are refused at all of them, where they are.
    fn new(
        laws: &'a Laws,
        file: &'a Recording<'a>,
        settings: &'a Settings,
        wrong: &dyn Fn(&dyn Display) -> Error,
    ) -> Result<(Self, Option<String>)> {
        let (notes, has_loss) = (file.metadata(), file.has("grad"));
        let trained = if has_loss { Trained::read(notes) } else { Ok(Trained::default()) };
        let trained = trained.map_err(|error| wrong(&error))?;
        let refusal = has_loss.then(|| trained.refusal(file.names())).flatten();
        let given = [
            (true, Needs::AGOP.and(Needs::OUTPUT_GRADIENTS)),
            (file.has("weight_init"), Needs::START),
            (has_loss, Needs::LOSS_GRADIENT),
            (has_loss && refusal.is_none(), Needs::DECAY),
            (file.has("hh"), Needs::INPUT_MOMENTS),
            (file.has("gg"), Needs::GRADIENT_MOMENTS),
        ];
        let there = given.into_iter().filter(|(is, _)| *is).map(|(_, needs)| needs).collect();
        let of_decay = |name: &&String| laws.get(name).is_some_and(|law| law.needs.contains(Needs::DECAY));
        if let (Some(why), Some(law)) = (&refusal, settings.laws.iter().find(of_decay)) {
            return Err(wrong(&format!("--law {law}: {why}")));
        }
        let laws = chosen::laws(laws, &settings.laws, there)?;
        let rows = notes.get("rows").and_then(|rows| rows.trim().parse().ok());
        Ok((Sites { file, settings, needs: chosen::needs(&laws), laws, trained, rows }, refusal))
    }

    /// A site, its samples, and the machine epsilon of what its K is stored in.
    fn measure(&self, layer: usize) -> std::result::Result<(LayerMeasurement, f64, f64), CaptureError> {
        let Sites { file, settings, trained, .. } = self;
        let site = file.site_for(layer, self.needs)?;
        let mut observation = site.observation(file.is_last(layer));
        observation.layers[0].penalty = trained.penalty(&site.name);
        observation.layers[0].unsound = trained.unsound(&site.name, file.names());
        let distinct = self.rows.unwrap_or(usize::MAX).min(site.samples() as usize);
        let asked = Asked {
            layers: &[0],
            thresholds: &settings.thresholds,
            alphas: &settings.alphas,
            rows: Some(Rows { distinct, draws: true }),
            predicts: true,
            // K at initialisation is not in the file, so no law has a start to compare with.
            init: &|_, _| None,
            spread: &|law, _, _| site.over_blocks(law),
        };
        let judged = survey(self.laws.iter().copied(), &observation, &asked);
        let mut found = LayerMeasurement::new(&observation, 0, judged);
        found.layer = layer;
        found.laws.iter_mut().for_each(|judged| judged.layer = layer);
        // What rounding leaves open of both is not what rows leave open.
        let law = found.laws.first().map(|found| found.law);
        let law = law.filter(|_| settings.compares && site.computed <= f64::from(f32::EPSILON));
        found.jackknife = law.and_then(|law| site.jackknife(&law));
        // Those of all layers together outweigh everything else.
        found.weight = found.weight.filter(|_| settings.compares);
        found.matrices = found.matrices.filter(|_| settings.saves);
        found.fact = found.fact.filter(|_| settings.saves);
        Ok((found, site.samples(), site.eps))
    }
}
