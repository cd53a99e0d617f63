//! Products with a Hessian from differences of gradients, where nobody has derived it.

use crate::minimise::function::Function;

/// Central differences cost and lose this share of the digits: h = ε^(1/3), error ε^(2/3).
fn step(epsilon: f64) -> f64 {
    epsilon.cbrt()
}

/// The relative error of [`products`], about.
pub(super) fn precision(epsilon: f64) -> f64 {
    step(epsilon) * step(epsilon)
}

/// Hv ≈ (g(x + hv) - g(x - hv)) / 2h for each row v, h|v| a small share of the size of x.
///
/// # Shapes
/// rows: `[l, D]` → `[l, D]`
pub(super) fn products<F: Function + ?Sized>(f: &mut F, x: &[f64], rows: &[f64]) -> Vec<f64> {
    let d = x.len();
    let size = 1.0 + largest(x);
    let mut products = Vec::with_capacity(rows.len());
    for row in rows.chunks_exact(d.max(1)) {
        let length = largest(row);
        if length == 0.0 {
            products.extend(std::iter::repeat_n(0.0, d));
            continue;
        }
        let h = step(f.epsilon()) * size / length;
        let mut at = |h: f64| {
            let mut moved: Vec<f64> = x.iter().zip(row).map(|(x, v)| x + h * v).collect();
            f.round(&mut moved);
            f.gradient(&moved)
        };
        let (up, down) = (at(h), at(-h));
        products.extend(up.iter().zip(&down).map(|(up, down)| (up - down) / (2.0 * h)));
    }
    products
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most: f64, v| most.max(v.abs()))
}
