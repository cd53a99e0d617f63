//! A dense layer on slices, forward and back.

use crate::activation::Activation;
use crate::host::gemm::{Into, View, product};
use crate::host::{Cores, Real, vector};
use crate::spec_error::SpecError;

/// z = Wh + b and a = φ(z), where the layer's numbers lie.
#[derive(Clone, Copy, Debug)]
pub struct Dense<'a, T> {
    /// W, `[out, into]`.
    pub weights: View<'a, T>,
    /// Wᵀ, `[into, out]`, where it is kept beside W.
    pub transposed: Option<View<'a, T>>,
    /// b, `[out]`.
    pub biases: Option<&'a [T]>,
    /// φ.
    pub activation: Activation,
}

/// Narrower weights are not worth a transposed copy.
const TRANSPOSED_WIDTH: usize = 64;

/// Whether weights are worth a transposed copy, where they meet several blocks of rows: each product
/// would turn them round.
pub fn worth_transposing(out: usize, into: usize) -> bool {
    out.min(into) >= TRANSPOSED_WIDTH
}

/// Checks that dense layers are a chain: `weights` are `[d_l, d_{l-1}]`, `biases` the sizes of those there are.
///
/// # Errors
/// No layers, shapes that don't chain, the wrong number of biases or activations.
pub fn check_chain(weights: &[[usize; 2]], biases: &[Option<usize>], activations: usize) -> Result<(), SpecError> {
    let depth = weights.len();
    let wrong = |message: String| Err(SpecError::value("", message));
    if depth == 0 {
        return wrong("a network needs at least one layer".into());
    }
    if biases.len() != depth || activations != depth - 1 {
        return wrong(format!(
            "{depth} layers take {depth} biases and {} activations, not {} and {activations}",
            depth - 1,
            biases.len(),
        ));
    }
    for (l, pair) in weights.windows(2).enumerate() {
        let ([out, _], [_, into]) = (pair[0], pair[1]);
        if out != into {
            return wrong(format!("layer {l} has {out} outputs and layer {} takes {into}", l + 1));
        }
    }
    for (l, (&[out, _], &bias)) in weights.iter().zip(biases).enumerate() {
        if let Some(count) = bias.filter(|&count| count != out) {
            return wrong(format!("layer {l} has {out} outputs and {count} biases"));
        }
    }
    Ok(())
}

impl<T: Real> Dense<'_, T> {
    /// a ← φ(Wh + b) and, unless φ is linear, slope ← φ'(z).
    ///
    /// # Shapes
    /// h: `[n, into]`; a: `[n, out]`; slope: at least as long, or empty where φ is linear
    ///
    /// # Panics
    /// Where shapes don't fit.
    pub fn forward(&self, h: View<'_, T>, a: &mut [T], slope: &mut [T], cores: Cores) {
        let [out, _] = self.weights.size();
        let how = match self.biases {
            None => Into::Set,
            Some(biases) => {
                a.chunks_exact_mut(out).for_each(|row| row.copy_from_slice(biases));
                Into::Add
            }
        };
        product(a, out, how, h, self.transposed.unwrap_or(self.weights.t()), cores);
        if self.activation != Activation::Linear {
            let count = a.len();
            vector::activate(self.activation, a, Some(&mut slope[..count]), cores);
        }
    }

    /// ∂/∂z from ∂/∂a, in place: times φ'(z), the same for every row of a sample.
    ///
    /// # Shapes
    /// rows: `[n · any, out]`, grouped by sample; slope: `[n, out]`, or anything where φ is linear
    pub fn back_to_z(&self, rows: &mut [T], slope: &[T]) {
        if self.activation == Activation::Linear {
            return;
        }
        let [out, _] = self.weights.size();
        let each = rows.len() / slope.len().max(1);
        if each <= 1 {
            return vector::scale(rows, slope);
        }
        for (rows, slope) in rows.chunks_exact_mut(each * out).zip(slope.chunks_exact(out)) {
            rows.chunks_exact_mut(out).for_each(|row| vector::scale(row, slope));
        }
    }

    /// ∂/∂h = ∂/∂z W.
    ///
    /// # Shapes
    /// at_z: `[n, out]`; at_h: `[n, into]`
    ///
    /// # Panics
    /// Where shapes don't fit.
    pub fn back_to_h(&self, at_z: View<'_, T>, at_h: &mut [T], cores: Cores) {
        let [_, into] = self.weights.size();
        product(at_h, into, Into::Set, at_z, self.weights, cores);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forward_and_back_agree_with_differences() {
        let (n, out, into) = (3, 4, 5);
        let numbers = |count: usize, salt: f64| (0..count).map(|i| (i as f64 * 0.7 + salt).sin()).collect::<Vec<f64>>();
        let (w, b, h) = (numbers(out * into, 0.1), numbers(out, 0.2), numbers(n * into, 0.3));
        let wt: Vec<f64> = (0..into * out).map(|k| w[k % out * into + k / out]).collect();
        for activation in [Activation::Linear, Activation::Tanh] {
            for (transposed, biases) in [(None, Some(&b[..])), (Some(View::new(&wt, into, out)), None)] {
                let layer = Dense { weights: View::new(&w, out, into), transposed, biases, activation };
                let run = |h: &[f64]| {
                    let (mut a, mut slope) = (vec![0.0; n * out], vec![0.0; n * out]);
                    layer.forward(View::new(h, n, into), &mut a, &mut slope, Cores::One);
                    (a, slope)
                };
                let slope = run(&h).1;
                // Two rows a sample: ∂a_0 and ∂(a_1 + 2 a_2).
                let mut rows = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 0.0].repeat(n);
                layer.back_to_z(&mut rows, &slope);
                let mut at_h = vec![0.0; 2 * n * into];
                layer.back_to_h(View::new(&rows, 2 * n, out), &mut at_h, Cores::One);
                for (i, j) in (0..n).flat_map(|i| (0..into).map(move |j| (i, j))) {
                    let at = |step: f64| {
                        let mut h = h.clone();
                        h[i * into + j] += step;
                        let a = run(&h).0;
                        [a[i * out], a[i * out + 1] + 2.0 * a[i * out + 2]]
                    };
                    let (up, down) = (at(1e-5), at(-1e-5));
                    for row in 0..2 {
                        let (numeric, exact) = ((up[row] - down[row]) / 2e-5, at_h[(2 * i + row) * into + j]);
                        assert!((numeric - exact).abs() < 1e-9, "{activation}, row {row} of sample {i}: {exact}");
                    }
                }
            }
        }
    }
}
