//! How many multiply-adds a computation takes: the model behind GFLOP/s and behind slopes.
//!
//! Matrix products alone are counted, entrywise work is not. A product that is symmetric counts whole
//! where it is formed whole, and half on the host, which forms one triangle. One multiply-add is two
//! floating-point operations.

/// A chain of dense layers as the counts see it.
#[derive(Clone, Debug)]
pub struct Shape<'a> {
    /// Inputs, hidden widths, outputs.
    pub widths: &'a [usize],
    /// Rows.
    pub samples: usize,
    /// Whether nothing stands between the layers: then no data is read.
    pub linear: bool,
    /// At the inputs of which layers.
    pub layers: &'a [usize],
}

impl Shape<'_> {
    fn depth(&self) -> usize {
        self.widths.len() - 1
    }

    fn outputs(&self) -> f64 {
        self.widths[self.depth()] as f64
    }

    /// d_l d_{l+1}, summed over a range of layers.
    fn weights(&self, layers: std::ops::Range<usize>) -> f64 {
        layers.map(|l| self.widths[l] as f64 * self.widths[l + 1] as f64).sum()
    }

    /// From this layer on the Jacobian is a product of weights.
    fn linear_from(&self) -> usize {
        if self.linear { 0 } else { self.depth() - 1 }
    }

    /// The product of the weights behind a layer and its own.
    fn product(&self, layer: usize) -> f64 {
        self.outputs() * self.weights(layer..self.depth() - 1)
    }
}

/// Multiply-adds of the factored path: one forward, one backward sweep of c rows per sample that
/// stops at the first layer asked for, its Gram matrices, and what they are mapped by.
pub fn factored(shape: &Shape<'_>) -> f64 {
    sweep(shape, 1.0)
}

/// Multiply-adds of the host path: those of [`factored`], symmetric products at half.
pub fn host(shape: &Shape<'_>) -> f64 {
    sweep(shape, 0.5)
}

fn sweep(shape: &Shape<'_>, symmetric: f64) -> f64 {
    let (n, c, last) = (shape.samples as f64, shape.outputs(), shape.linear_from());
    let first = shape.layers.iter().copied().filter(|&l| l < last).min();
    let swept = first.map_or(0.0, |first| {
        let mut sum = n * shape.weights(0..last) + shape.product(last);
        for l in first..last {
            let (d, h) = (shape.widths[l] as f64, shape.widths[l + 1] as f64);
            let wanted = shape.layers.contains(&l);
            if l > first || (wanted && h > d) {
                sum += n * c * d * h;
            }
            if wanted {
                let short = d.min(h);
                sum += symmetric * n * c * short * short;
                if h <= d {
                    sum += h * h * d + symmetric * h * d * d;
                }
            }
        }
        sum
    });
    let constant = shape.layers.iter().filter(|&&l| l >= last).map(|&l| {
        let d = shape.widths[l] as f64;
        shape.product(l) + c * d * d
    });
    swept + constant.sum::<f64>()
}

/// Multiply-adds of the autodiff path: those of [`host`] of a network that nothing is known about, which goes
/// through its last layer as through all others.
pub fn autodiff(shape: &Shape<'_>) -> f64 {
    let (n, c, last) = (shape.samples as f64, shape.outputs(), shape.depth() - 1);
    let through =
        if shape.layers.iter().any(|&l| l < last) { n * (1.0 + c) * shape.weights(last..last + 1) } else { 0.0 };
    host(&Shape { linear: false, ..shape.clone() }) + through
}

/// Multiply-adds of one gradient of a loss in all weights: the forward, the weights' gradients, and
/// the errors behind the first layer.
pub fn gradient(widths: &[usize], samples: usize) -> f64 {
    let n = samples as f64;
    let product = |pair: &[usize]| pair[0] as f64 * pair[1] as f64;
    let all: f64 = widths.windows(2).map(product).sum();
    n * (3.0 * all - widths.windows(2).next().map_or(0.0, product))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_the_standard_problems() {
        // By hand: forward 784*512 + 512*512, then per output 512*512 + 512*512, per sample.
        let a = Shape { widths: &[784, 512, 512, 10], samples: 4096, linear: false, layers: &[0] };
        let sweep = 4096.0 * (401_408.0 + 262_144.0) + 4096.0 * 10.0 * 2.0 * 262_144.0;
        let closing = 512.0 * 512.0 * 784.0 + 512.0 * 784.0 * 784.0;
        assert_eq!(factored(&a), sweep + closing);
        assert_eq!(host(&a), sweep - 2048.0 * 10.0 * 262_144.0 + closing - 256.0 * 784.0 * 784.0);
        assert_eq!(autodiff(&a), host(&a) + 4096.0 * 11.0 * 5120.0);
        // Narrow inputs: the sweep ends at the input, one product later.
        let c = Shape { widths: &[10, 64, 64, 64, 1], samples: 100, linear: false, layers: &[0] };
        assert_eq!(factored(&c), 100.0 * (640.0 + 2.0 * 4096.0) + 100.0 * (2.0 * 4096.0 + 640.0 + 100.0));
        // Linear: no data at all.
        let linear = Shape { linear: true, ..a };
        assert_eq!(factored(&linear), 10.0 * (262_144.0 + 401_408.0) + 10.0 * 784.0 * 784.0);
        assert_eq!(gradient(&[10, 64, 1], 500), 500.0 * (640.0 + 64.0) * 3.0 - 500.0 * 640.0);
    }
}
