//! Weighted isotonic regression by pooling adjacent violators.

/// The nondecreasing sequence nearest to `values` in the weighted least-squares sense.
///
/// A sequence that rises already comes back bit for bit.
pub fn isotonic(values: &[f64], weights: &[f64]) -> Vec<f64> {
    // Blocks of (mean, weight, length); a block that falls below its predecessor joins it.
    let mut blocks: Vec<(f64, f64, usize)> = Vec::with_capacity(values.len());
    for (&value, &weight) in values.iter().zip(weights) {
        blocks.push((value, weight, 1));
        while let [.., (before, w0, n0), (last, w1, n1)] = blocks[..] {
            if before <= last {
                break;
            }
            blocks.truncate(blocks.len() - 2);
            blocks.push(((before * w0 + last * w1) / (w0 + w1), w0 + w1, n0 + n1));
        }
    }
    blocks.into_iter().flat_map(|(mean, _, length)| std::iter::repeat_n(mean, length)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_what_falls_and_keeps_what_rises() {
        assert_eq!(isotonic(&[1.0, 2.0, 4.0], &[1.0; 3]), [1.0, 2.0, 4.0]);
        assert_eq!(isotonic(&[4.0, 1.0, 1.0], &[1.0; 3]), [2.0, 2.0, 2.0]);
        assert_eq!(isotonic(&[1.0, 3.0, 2.0], &[1.0, 1.0, 3.0]), [1.0, 2.25, 2.25]);
    }
}
