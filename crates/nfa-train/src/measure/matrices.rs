//! Two matrices computed elsewhere.

use nfa_metrics::laws::nfa;
use nfa_metrics::survey::alphas;
use nfa_metrics::{Details, Judged, Mat, Pair, Psd, assess};

use crate::error::{Error, Result};
use crate::measure::measurement::{LayerMeasurement, Measurement, Task};
use crate::measure::settings::Settings;

/// Two matrices computed elsewhere.
///
/// # Errors
/// Matrices that are not square, not of one size, not symmetric, not finite, or have negative
/// eigenvalues.
pub fn from_matrices(
    nfm: Mat,
    agop: Mat,
    depth: Option<usize>,
    title: &str,
    settings: &Settings,
) -> Result<Measurement> {
    for (name, matrix) in [("--nfm", &nfm), ("--agop", &agop)] {
        check_symmetric(name, matrix)?;
    }
    if nfm.nrows() != agop.nrows() {
        let (a, b) = (nfm.nrows(), agop.nrows());
        return Err(Error::input(format!(
            "--nfm is {a} x {a} and --agop {b} x {b}; both are [d_in, d_in] of one layer"
        )));
    }
    let (m, g) = (Psd::gram(nfm), Psd::gram(agop));
    for (name, psd) in [("--nfm", &m), ("--agop", &g)] {
        let scale = psd.matrix().norm_l2();
        // As for symmetry: what f32 arithmetic leaves.
        if let Some(lowest) = psd.lowest().filter(|lowest| *lowest < -1e-4 * scale) {
            let message = format!("{name} has the eigenvalue {lowest:.3e}; a Gram matrix has none below 0");
            return Err(Error::input(message));
        }
    }
    let pair = Pair::new(m.clone(), g.clone()).predicting(depth.map(|depth| 1.0 / depth as f64));
    let law = nfa::LAW;
    let finding = assess(&pair, law.family, None, &settings.thresholds);
    let own = depth.map(|depth| 1.0 / depth as f64);
    let details = Details::new(&pair, &alphas(own, &settings.alphas));
    let layer = LayerMeasurement {
        layer: 0,
        name: title.into(),
        d_in: m.dim(),
        d_out: None,
        depth_from_here: depth,
        last: depth == Some(1),
        laws: vec![Judged { law, layer: 0, finding, details }],
        weight: None,
        matrices: Some((m, g)),
    };
    Ok(Measurement {
        title: title.into(),
        samples: None,
        dtype: "f64".into(),
        device: "host".into(),
        source: "matrices",
        capture: None,
        task: Task::default(),
        layers: vec![layer],
        imbalance: Vec::new(),
        notes: Vec::new(),
        thresholds: settings.thresholds,
    })
}

fn check_symmetric(name: &str, matrix: &Mat) -> Result<()> {
    let (rows, cols) = (matrix.nrows(), matrix.ncols());
    if rows != cols {
        return Err(Error::input(format!("{name} is {rows} x {cols}; a Gram matrix is square")));
    }
    let scale = matrix.norm_l2();
    if !scale.is_finite() {
        return Err(Error::input(format!("{name} is too large, or not finite: its norm overflows")));
    }
    let skew = (matrix - matrix.transpose()).norm_l2();
    // What f32 arithmetic leaves; anything more is another matrix than was meant.
    if skew > 1e-4 * scale {
        return Err(Error::input(format!("{name} is not symmetric (|X - Xᵀ| / |X| = {:.1e})", skew / scale)));
    }
    Ok(())
}
