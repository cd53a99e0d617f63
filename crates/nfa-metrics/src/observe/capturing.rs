//! Captures of networks on Burn: the file `nfa.capture/1` that [`Capture`](crate::Capture) reads.

use std::borrow::Cow;
use std::collections::HashMap;

use burn::tensor::{DType, Tensor};
use nfa_models::{SitesError, Stream};
use safetensors::{Dtype, View};

use crate::laws::needs::Needs;
use crate::matrix::Mat;
use crate::observation::moments::Moments;
use crate::observation::penalty::Penalty;
use crate::observe::agop::options::AgopOptions;
use crate::observe::agop::sites::SitesOnRows;
use crate::observe::capture::CaptureError;
use crate::observe::layout::{Forward, Layout, Placed};
use crate::observe::moments::{LossOnRows, SampleLosses, moments};

/// What a capture holds beside weights and K.
#[derive(Clone, Default)]
pub struct Capturing<'a> {
    /// Sample weights of mean 1, one per row.
    pub weights: Option<&'a [f64]>,
    /// Weights at initialisation, one per site.
    pub init: Option<&'a [Mat]>,
    /// The loss by name and as a function: then gradients and moments are written too.
    pub loss: Option<(&'a str, &'a SampleLosses<'a>)>,
    /// The rows that were trained on and their weights, where they are others: gradients and moments are of these.
    pub trained: Option<(&'a Tensor<2>, Option<&'a [f64]>)>,
    /// How weight decay acted.
    pub penalty: Penalty,
}

/// Blocks of samples that K is written in.
const BLOCKS: usize = 16;

/// The bytes of a capture file: at every site with weights W, K in blocks of samples and how many they are.
///
/// # Shapes
/// x: `[n, d]`, forward: `[n, d]` → `[n, c]`
///
/// # Errors
/// Sites that can't be measured ([`SitesError`]); rows of which none has a weight.
pub fn capture(forward: &Forward<'_>, x: &Tensor<2>, what: &Capturing<'_>) -> Result<Vec<u8>, CaptureError> {
    let whole = |message: String| CaptureError { entry: String::new(), message };
    let (layout, ks, counts, found) = observed(forward, x, what).map_err(|error| whole(error.to_string()))?;
    if ks.is_empty() {
        return Err(whole("no row has a weight".into()));
    }
    let (entries, notes) = (entries(&layout, &ks, &counts, found.as_deref(), x.dtype(), what), notes(&layout, x, what));
    safetensors::serialize(entries, Some(notes)).map_err(|error| whole(error.to_string()))
}

type Observed = (Layout, Vec<Vec<Mat>>, Vec<f64>, Option<Vec<Moments>>);

/// The network's sites; K of each by blocks, and the blocks' samples; moments where they are asked for.
fn observed(forward: &Forward<'_>, x: &Tensor<2>, what: &Capturing<'_>) -> Result<Observed, SitesError> {
    let layout = Layout::new(forward, x)?.with_weights();
    let options = AgopOptions::default();
    // Drawn, as the order of a file may follow its classes; what has no weight is in no block.
    let mut order = Stream::root(0).fork("capture.blocks").permutation(x.dims()[0]);
    order.retain(|&row| what.weights.is_none_or(|weights| weights[row] > 0.0));
    let n = order.len();
    let blocks = BLOCKS.min(n);
    let (mut ks, mut counts) = (Vec::with_capacity(blocks), Vec::with_capacity(blocks));
    for b in 0..blocks {
        let rows = &order[b * n / blocks..(b + 1) * n / blocks];
        let x = crate::observe::inputs::select(x, rows);
        let weights: Option<Vec<f64>> = what.weights.map(|weights| rows.iter().map(|&row| weights[row]).collect());
        // The reader weighs a block's mean by its count.
        let count = weights.as_ref().map_or(rows.len() as f64, |weights| weights.iter().sum());
        let share = rows.len() as f64 / count;
        let sites = SitesOnRows { forward, layout: &layout, x: &x, weights: weights.as_deref(), options: &options };
        ks.push(sites.ks()?.into_iter().map(|k| k * share).collect::<Vec<Mat>>());
        counts.push(count);
    }
    let (rows, weights) = what.trained.unwrap_or((x, what.weights));
    let asked = |(_, loss)| LossOnRows { loss, weights, targets: None, needs: Needs::LOSS };
    let found = what.loss.map(|loss| moments(forward, rows, &asked(loss), &options)).transpose()?;
    Ok((layout, ks, counts, found))
}

/// The arrays of a capture.
fn entries(
    layout: &Layout,
    ks: &[Vec<Mat>],
    counts: &[f64],
    found: Option<&[Moments]>,
    dtype: DType,
    what: &Capturing<'_>,
) -> Vec<(String, Numbers)> {
    let double = dtype == DType::F64;
    let mut entries: Vec<(String, Numbers)> = Vec::new();
    for (i, placed) in layout.sites.iter().enumerate() {
        let name = &placed.site.name;
        let Some(weight) = &placed.weight else { continue };
        let mut put = |part: &str, numbers: Numbers| entries.push((format!("{name}.{part}"), numbers));
        put("weight", Numbers::of(&[weight], false, double));
        put("k", Numbers::of(&ks.iter().map(|block| &block[i]).collect::<Vec<_>>(), true, double));
        put("count", Numbers { shape: vec![counts.len()], values: counts.to_vec(), double: true });
        if let Some(init) = what.init.and_then(|init| init.get(i)) {
            put("weight_init", Numbers::of(&[init], false, double));
        }
        if let Some(Moments { gradient, values, gradients, .. }) = found.and_then(|all| all.get(i)) {
            put("grad", Numbers::of(&[gradient], false, double));
            for (part, moment) in [("hh", values), ("gg", gradients)] {
                moment.iter().for_each(|moment| put(part, Numbers::of(&[moment], false, double)));
            }
        }
    }
    entries
}

/// The metadata of a capture.
fn notes(layout: &Layout, x: &Tensor<2>, what: &Capturing<'_>) -> HashMap<String, String> {
    let names = |which: &dyn Fn(&Placed) -> bool| -> String {
        let sites = layout.sites.iter().filter(|placed| which(placed));
        sites.map(|placed| placed.site.name.as_str()).collect::<Vec<_>>().join(",")
    };
    let skipped: Vec<String> = layout.skipped.iter().map(|(name, why)| format!("{name}: {why}")).collect();
    let (decay, weight_decay) = match what.penalty {
        Penalty::Unknown => ("", 0.0),
        Penalty::None => ("none", 0.0),
        Penalty::Coupled(lambda) => ("coupled", lambda),
        Penalty::Decoupled(lambda) => ("decoupled", lambda),
    };
    let notes = [
        ("format", "nfa.capture/1".to_string()),
        ("framework", "burn".into()),
        ("n", x.dims()[0].to_string()),
        ("outputs", layout.outputs.to_string()),
        ("loss", what.loss.map_or("", |(name, _)| name).to_string()),
        ("weight_decay", weight_decay.to_string()),
        ("decay", decay.into()),
        ("mode", "eval".into()),
        ("estimator", "exact".into()),
        ("order", names(&|_| true)),
        ("last", names(&|placed| placed.last.is_some())),
        ("skipped", skipped.join("; ")),
    ];
    notes.into_iter().map(|(key, value)| (key.to_string(), value)).collect()
}

/// Numbers of a file.
struct Numbers {
    shape: Vec<usize>,
    values: Vec<f64>,
    /// As `f64`, else as `f32`.
    double: bool,
}

impl Numbers {
    /// Matrices of one shape, row-major; `stacked` with an axis before.
    fn of(matrices: &[&Mat], stacked: bool, double: bool) -> Self {
        let (rows, cols) = matrices.first().map_or((0, 0), |matrix| (matrix.nrows(), matrix.ncols()));
        let entries = |matrix: &&Mat| -> Vec<f64> {
            (0..rows).flat_map(|i| (0..cols).map(move |j| (i, j))).map(|at| matrix[at]).collect()
        };
        let shape = if stacked { vec![matrices.len(), rows, cols] } else { vec![rows, cols] };
        Numbers { shape, values: matrices.iter().flat_map(entries).collect(), double }
    }
}

impl View for Numbers {
    fn dtype(&self) -> Dtype {
        if self.double { Dtype::F64 } else { Dtype::F32 }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let bytes = |value: &f64| {
            if self.double { value.to_le_bytes().to_vec() } else { (*value as f32).to_le_bytes().to_vec() }
        };
        Cow::Owned(self.values.iter().flat_map(bytes).collect())
    }

    fn data_len(&self) -> usize {
        self.values.len() * if self.double { 8 } else { 4 }
    }
}
