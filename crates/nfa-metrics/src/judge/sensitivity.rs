//! How the exponent and the misfit answer to a small change of B: the infinitesimal jackknife.
//!
//! α maximises F(α, B) = log <A, B^α> - ½ log |B^α|², so dα = -(∂²F/∂α∂B)⟨dB⟩ / (∂²F/∂α²), and at the
//! optimum dδ = -(cos²/δ) (∂F/∂B)⟨dB⟩ (δ² = 1 - cos²). Derivatives of functions of B are divided
//! differences in its eigenbasis (Daleckii and Krein). For B = mean of B_i the variance of either is
//! that of tr(Γ B_i) over the samples, with Γ the gradient given here.

use crate::judge::misfit::{Fit, Seen};
use crate::matrix::Mat;
use crate::matrix::tolerance;

/// Gradients in B, `[d, d]` symmetric, in the original basis.
#[derive(Clone, Debug)]
pub struct Sensitivity {
    /// dα = tr(alpha dB).
    pub alpha: Mat,
    /// dδ = tr(misfit dB).
    pub misfit: Mat,
}

impl Sensitivity {
    /// Of a power fit; `None` where it has no exponent, or one that ran to an end of the search
    /// (no optimum: nothing moves with B), or the exponent has no curvature.
    pub fn new(seen: &Seen, fit: &Fit) -> Option<Self> {
        let spectrum = &seen.spectrum;
        let alpha = fit.alpha.filter(|_| fit.at_end.is_none())?;
        let (d, rank) = (spectrum.values.len(), spectrum.rank);
        let top = *spectrum.values.first()?;
        let g: Vec<f64> = spectrum.values.iter().map(|g| g / top).collect();
        let log: Vec<f64> = g.iter().map(|g| if *g > 0.0 { g.ln() } else { 0.0 }).collect();
        let f: Vec<f64> = (0..d).map(|i| if i < rank { (alpha * log[i]).exp() } else { 0.0 }).collect();
        let m = |i: usize| seen.rotated[(i, i)];
        let sum = |term: &dyn Fn(usize) -> f64| (0..rank).map(term).sum::<f64>();
        let (n, n_a, n_aa) =
            (sum(&|i| m(i) * f[i]), sum(&|i| m(i) * f[i] * log[i]), sum(&|i| m(i) * f[i] * log[i].powi(2)));
        let (s, s_a, s_aa) =
            (sum(&|i| f[i] * f[i]), sum(&|i| 2.0 * f[i] * f[i] * log[i]), sum(&|i| 4.0 * f[i] * f[i] * log[i].powi(2)));
        let curvature = n_aa / n - (n_a / n).powi(2) - 0.5 * (s_aa / s - (s_a / s).powi(2));
        if !curvature.is_finite() || curvature >= 0.0 {
            return None;
        }
        // Divided differences of x^α and x^α ln x. Where both eigenvalues are 0 every sample is 0 too.
        let power = |i: usize, j: usize| divided(g[i], g[j], f[i], f[j], alpha * f[i] / g[i].max(f64::MIN_POSITIVE));
        let log_power = |i: usize, j: usize| {
            let slope = f[i] / g[i].max(f64::MIN_POSITIVE) * (alpha * log[i] + 1.0);
            divided(g[i], g[j], f[i] * log[i], f[j] * log[j], slope)
        };
        let mut in_alpha = Mat::zeros(d, d);
        let mut in_misfit = Mat::zeros(d, d);
        let cos2 = n * n / (s * seen.norm * seen.norm);
        // A misfit of rounding has no direction.
        let steepness = if fit.misfit > tolerance::rounding(seen.dim()) { cos2 / fit.misfit } else { 0.0 };
        for i in 0..d {
            for j in 0..d {
                if i >= rank && j >= rank {
                    continue;
                }
                let a = seen.rotated[(i, j)];
                let n_b = a * power(i, j);
                let n_ab = a * log_power(i, j);
                let (s_b, s_ab) = if i == j {
                    let base = 2.0 * f[i] * f[i] / g[i];
                    (alpha * base, base * (2.0 * alpha * log[i] + 1.0))
                } else {
                    (0.0, 0.0)
                };
                let f_b = n_b / n - 0.5 * s_b / s;
                let f_ab = n_ab / n - n_a * n_b / (n * n) - 0.5 * (s_ab / s - s_a * s_b / (s * s));
                in_alpha[(i, j)] = -f_ab / (curvature * top);
                in_misfit[(i, j)] = -steepness * f_b / top;
            }
        }
        let back = |gradient: Mat| {
            let vectors = match &spectrum.frame {
                Some(frame) => &**frame * &spectrum.vectors,
                None => spectrum.vectors.clone(),
            };
            let full = &vectors * gradient * vectors.transpose();
            Mat::from_fn(seen.dim(), seen.dim(), |i, j| 0.5 * (full[(i, j)] + full[(j, i)]))
        };
        Some(Sensitivity { alpha: back(in_alpha), misfit: back(in_misfit) })
    }
}

/// (f(x) - f(y)) / (x - y), or the derivative where x and y are close.
fn divided(x: f64, y: f64, fx: f64, fy: f64, slope: f64) -> f64 {
    if (x - y).abs() <= 1e-7 * x.max(y) { slope } else { (fx - fy) / (x - y) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::family::Family;
    use crate::{Psd, mat};

    #[test]
    fn gradients_agree_with_central_differences() {
        let a =
            Psd::gram(mat(&[[2.0, 0.3, 0.1, 0.0], [0.3, 1.0, -0.2, 0.1], [0.1, -0.2, 0.7, 0.0], [0.0, 0.1, 0.0, 0.4]]));
        let b = mat(&[[5.0, 0.4, 0.0, 0.2], [0.4, 1.5, 0.3, 0.0], [0.0, 0.3, 0.6, 0.1], [0.2, 0.0, 0.1, 0.2]]);
        let fit = |b: &Mat| {
            let seen = Seen::new(&a, &Psd::gram(b.clone())).expect("finite");
            let fit = Fit::new(&seen, Family::Power).expect("neither is zero");
            (seen, fit)
        };
        let (seen, at) = fit(&b);
        let sensitivity = Sensitivity::new(&seen, &at).expect("curved");
        let direction =
            mat(&[[0.3, -0.1, 0.2, 0.0], [-0.1, 0.5, 0.0, 0.1], [0.2, 0.0, -0.2, 0.3], [0.0, 0.1, 0.3, 0.1]]);
        let step = 1e-5;
        let (_, up) = fit(&(&b + &direction * step));
        let (_, down) = fit(&(&b - &direction * step));
        let inner = |gamma: &Mat| (0..16).map(|k| gamma[(k / 4, k % 4)] * direction[(k / 4, k % 4)]).sum::<f64>();
        let numeric = (up.alpha.expect("distinct") - down.alpha.expect("distinct")) / (2.0 * step);
        assert!((inner(&sensitivity.alpha) / numeric - 1.0).abs() < 1e-6, "{} {numeric}", inner(&sensitivity.alpha));
        let numeric = (up.misfit - down.misfit) / (2.0 * step);
        assert!((inner(&sensitivity.misfit) / numeric - 1.0).abs() < 1e-6, "{} {numeric}", inner(&sensitivity.misfit));
    }
}
