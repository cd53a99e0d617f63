//! Two matrices computed elsewhere.

use nfa_metrics::laws::nfa;
use nfa_metrics::survey::alphas;
use nfa_metrics::{Details, Judged, Mat, Pair, Psd, assess};

use crate::error::{Error, Result};
use crate::measure::measurement::{LayerMeasurement, Measurement, Task};
use crate::measure::settings::Settings;

/// Two matrices, each with machine epsilon of its numbers.
pub struct Given {
    /// WᵀW.
    pub nfm: (Mat, f64),
    /// The AGOP.
    pub agop: (Mat, f64),
    /// Weight matrices from there to the outputs.
    pub depth: Option<usize>,
    /// Directions of the AGOP that are no rounding.
    pub rank: Option<usize>,
}

/// Two matrices computed elsewhere.
///
/// # Errors
/// Matrices that are not square, not of one size, not symmetric, not finite, or have negative
/// eigenvalues; a rank beyond their size.
pub fn from_matrices(given: Given, title: &str, settings: &Settings) -> Result<Measurement> {
    let Given { nfm: (nfm, nfm_eps), agop: (agop, agop_eps), depth, rank } = given;
    for (name, matrix) in [("--nfm", &nfm), ("--agop", &agop)] {
        check_symmetric(name, matrix)?;
    }
    if nfm.nrows() != agop.nrows() {
        let (a, b) = (nfm.nrows(), agop.nrows());
        return Err(Error::input(format!(
            "--nfm is {a} x {a} and --agop {b} x {b}; both are [d_in, d_in] of one layer"
        )));
    }
    if let Some(rank) = rank.filter(|&rank| rank > agop.nrows()) {
        return Err(Error::input(format!("--rank {rank}: --agop has {} directions", agop.nrows())));
    }
    let (m, g) = (Psd::gram_of(nfm, nfm_eps), Psd::gram_of(agop.clone(), agop_eps));
    for (name, psd) in [("--nfm", &m), ("--agop", &g)] {
        let scale = psd.matrix().norm_l2();
        // As for symmetry: what f32 arithmetic leaves.
        if let Some(lowest) = psd.lowest().filter(|lowest| *lowest < -1e-4 * scale) {
            let message = format!("{name} has the eigenvalue {lowest:.3e}; a Gram matrix has none below 0");
            return Err(Error::input(message));
        }
    }
    let g = match rank {
        None => g,
        Some(rank) => within_rank(&Psd::gram(agop.clone()), rank)
            .ok_or_else(|| Error::input("--agop: its eigenvalues can't be computed"))?,
    };
    let pair = |g: &Psd| Pair::new(m.clone(), g.clone()).predicting(depth.map(|depth| 1.0 / depth as f64));
    let law = nfa::LAW;
    let assessed = |g: &Psd| assess(&pair(g), law.family, None, &settings.thresholds);
    let (pair, finding) = (pair(&g), assessed(&g));
    // What the exponent would be if all that stands there were signal.
    let whole = Psd::gram(agop);
    let kept = |psd: &Psd| psd.spectrum().map(|spectrum| spectrum.rank);
    let notes = match (kept(&g), kept(&whole), assessed(&whole).alpha, finding.alpha) {
        (Some(kept), Some(all), Some(other), Some(alpha)) if kept < all => vec![format!(
            "{} of {} directions of --agop are taken for rounding of its numbers ({}); with them alpha would be {other:.4}, \
             not {alpha:.4}",
            g.dim() - kept,
            g.dim(),
            if rank.is_some() {
                "--rank".into()
            } else {
                format!("machine epsilon {agop_eps:.0e}; --rank states another")
            },
        )],
        _ => Vec::new(),
    };
    let own = depth.map(|depth| 1.0 / depth as f64);
    let details = Details::new(&pair, &alphas(own, &settings.alphas));
    let layer = LayerMeasurement {
        depth_from_here: depth,
        last: depth == Some(1),
        ..LayerMeasurement::alone(title, m.dim(), Judged::alone(law, finding, details))
    };
    let layer = LayerMeasurement { matrices: Some((m, g)), ..layer };
    Ok(Measurement {
        title: title.into(),
        samples: None,
        dtype: "f64".into(),
        device: "host".into(),
        source: "matrices",
        capture: None,
        task: Task::default(),
        layers: vec![layer],
        columns: None,
        sizes: None,
        imbalance: Vec::new(),
        notes,
        thresholds: settings.thresholds,
    })
}

/// Of a matrix its largest directions.
fn within_rank(of: &Psd, rank: usize) -> Option<Psd> {
    let spectrum = of.spectrum()?;
    let (values, vectors) = (&spectrum.values, &spectrum.vectors);
    let (d, kept) = (of.dim(), rank.min(values.len()));
    let part = |i: usize, j: usize| (0..kept).map(|k| values[k] * vectors[(i, k)] * vectors[(j, k)]).sum::<f64>();
    Some(Psd::gram(Mat::from_fn(d, d, part)))
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
