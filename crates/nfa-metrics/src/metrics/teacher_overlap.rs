//! Whether the network found the directions that its targets depend on.

use crate::column::{Better, MetricInfo};
use crate::laws::needs::Needs;
use crate::matrix::Mat;
use crate::matrix::psd::Psd;
use crate::metrics::metric::{Metric, Snapshot, Value};

/// `teacher_overlap.agop`, `teacher_overlap.nfm`.
pub const METRIC: Metric = Metric { name: "teacher_overlap", needs: Needs::AGOP, info, measure };

fn info() -> Vec<MetricInfo> {
    let row = |name: &str, symbol, doc| MetricInfo {
        name: name.into(),
        symbol,
        unit: "1",
        range: "[0, 1]",
        better: Better::Higher,
        doc,
        reference: "arXiv:2206.15144 (multi-index targets)",
    };
    vec![
        row(
            "teacher_overlap.agop",
            "|U_k^T V|^2/k",
            "Overlap of the AGOP's leading k eigenvectors at the first layer's input with the k directions that the targets \
             depend on; chance is k/d. Whether the network learned what there is to learn, which no law tells. Of \
             datasets that know these directions.",
        ),
        row("teacher_overlap.nfm", "|U_k^T V|^2/k", "The same of W^T W of the first layer."),
    ]
}

/// |UᵀV|²/k of the leading k eigenvectors U and orthonormal rows V.
fn overlap(of: &Psd, teacher: &Mat) -> Option<f64> {
    let k = teacher.nrows();
    let spectrum = of.spectrum()?;
    let vectors = spectrum.vectors.get(.., ..k.min(spectrum.vectors.ncols()));
    let vectors = match &spectrum.frame {
        Some(frame) => &**frame * vectors,
        None => vectors.to_owned(),
    };
    (vectors.nrows() == teacher.ncols()).then(|| (teacher * vectors).squared_norm_l2() / k as f64)
}

fn measure(at: &Snapshot<'_>) -> Vec<Value> {
    let (Some(teacher), Some(first)) = (at.teacher, at.observation.layers.first()) else { return Vec::new() };
    let of_agop = first.agop.as_ref().and_then(|agop| overlap(agop, teacher));
    let of_nfm = overlap(&Psd::nfm(&first.weight), teacher);
    vec![("teacher_overlap.agop".into(), of_agop), ("teacher_overlap.nfm".into(), of_nfm)]
}
