//! When a linear network will have come to the ansatz, from its start and its data alone.
//!
//! The imbalance D_k of layers k and k + 1 shrinks by a known factor ρ(t) (arXiv:2510.15563), and to
//! first order in it the first layer's relative error is Σ_k (L - k)/L |D_k| / |M|. For M the forecast
//! takes what balanced layers need for the least-squares map P: |P^(2/L)|. Decay makes the end a little
//! smaller than that, and different D_k partly cancel, so that it is a forecast and no bound.

use crate::matrix::Mat;
use crate::matrix::psd::Psd;
use crate::observation::imbalance;

/// 1 - cosine at which the ansatz is as good as reached.
pub const REACHED: f64 = 1e-4;

/// When the cosine of the first layer passes 1 - [`REACHED`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Forecast {
    /// It starts balanced.
    Always,
    /// Nothing removes the imbalance.
    Never,
    /// After about so many steps.
    Step(f64),
}

/// How the imbalance shrinks: its factor per step.
///
/// # Shapes
/// layers: the start's weights from the input on, `[d_l, d_{l-1}]`; inputs: `[n, d]`; targets: `[n, c]`
pub fn forecast(layers: &[Mat], inputs: &Mat, targets: &Mat, factor: f64) -> Option<Forecast> {
    let depth = layers.len() as f64;
    let map = least_squares(inputs, targets)?;
    let map = Psd::nfm(&map);
    let end: f64 = map.spectrum()?.values.iter().map(|g| g.powf(2.0 / depth)).sum::<f64>().sqrt();
    let error: f64 = layers
        .windows(2)
        .enumerate()
        .map(|(k, pair)| (depth - 1.0 - k as f64) / depth * imbalance(&pair[1], &pair[0]).norm_l2())
        .sum::<f64>()
        / end;
    // 1 - cos = error² / 2.
    let allowed = (2.0 * REACHED).sqrt();
    Some(if error <= allowed {
        Forecast::Always
    } else if factor >= 1.0 {
        Forecast::Never
    } else {
        Forecast::Step((allowed / error).ln() / factor.ln())
    })
}

/// P of the least |XPᵀ - Y|.
fn least_squares(x: &Mat, y: &Mat) -> Option<Mat> {
    let gram = Psd::nfm(x);
    let spectrum = gram.spectrum()?;
    let v = spectrum.vectors.subcols(0, spectrum.rank);
    let seen = y.transpose() * x * v;
    Some(Mat::from_fn(seen.nrows(), seen.ncols(), |i, k| seen[(i, k)] / spectrum.values[k]) * v.transpose())
}
