//! What rows of Jacobians need wherever they are computed: batches, random signs, quadratic forms.

use std::ops::Range;

use nfa_models::Stream;

use crate::matrix::Mat;

/// Rows of so many numbers each that a few temporaries of them fit into `memory`.
pub(crate) fn rows_within(memory: usize, numbers: usize) -> usize {
    (memory / (8 * numbers.max(1))).max(1)
}

/// Random signs / √draws for a batch, `[b, draws, c]`.
pub(crate) fn sign_rows(samples: &Range<usize>, draws: usize, c: usize) -> Vec<f64> {
    let stream = Stream::root(0).fork("agop.sketch");
    let scale = 1.0 / (draws as f64).sqrt();
    samples
        .clone()
        .flat_map(|i| {
            let mut draw = stream.fork_index(i as u64).draws();
            (0..draws * c).map(move |_| scale * draw.sign()).collect::<Vec<_>>()
        })
        .collect()
}

/// Σ rᵀΓr over each sample's rows, which are grouped by sample.
pub(crate) fn quadratic_forms(
    n: usize,
    functionals: &[&Mat],
    visit: impl FnOnce(&mut dyn FnMut(Range<usize>, Mat)),
) -> Vec<Vec<f64>> {
    let mut found = vec![vec![0.0; n]; functionals.len()];
    visit(&mut |samples, rows| {
        let each = rows.nrows() / samples.len();
        for (functional, found) in functionals.iter().zip(&mut found) {
            let image = &rows * *functional;
            for r in 0..rows.nrows() {
                let value: f64 = (0..rows.ncols()).map(|j| rows[(r, j)] * image[(r, j)]).sum();
                found[samples.start + r / each] += value;
            }
        }
    });
    found
}
