//! The loss at every layer of a chain on the host, in `f64`: one sweep forward and one back.

use std::ops::Range;

use nfa_models::host::gemm::{Into, View, product};
use nfa_models::host::{Cores, Dense};
use nfa_models::{Activation, host::dense::worth_transposing};

use crate::laws::needs::Needs;
use crate::matrix::Mat;
use crate::matrix::sandwich::{column_major, row_major};
use crate::observation::moments::Moments;
use crate::observe::host_chain::HostChain;
use crate::observe::linearity::Linearity;

/// Turns the outputs of some samples `[b, c]` into the gradients of each sample's own loss there.
pub type OutputGradients<'a> = dyn Fn(&mut [f64], Range<usize>) + Sync + 'a;

/// What is asked of a loss on rows.
#[derive(Clone, Copy)]
pub struct HostLoss<'a> {
    /// The loss.
    pub gradients: &'a OutputGradients<'a>,
    /// Sample weights of mean 1, one per row.
    pub weights: Option<&'a [f64]>,
    /// Targets, `[n, c]`, where it is asked how linear they are.
    pub targets: Option<&'a Mat>,
    /// Which moments, beside the gradient.
    pub needs: Needs,
}

/// Turns the outputs of some samples into what goes back the k-th time.
type Start<'a> = dyn FnMut(&mut [f64], Range<usize>, usize) + 'a;

/// Takes a layer, samples, what the layer reads of them and the gradient in what its map puts out.
type Sink<'a> = dyn FnMut(usize, Range<usize>, View<'_, f64>, View<'_, f64>) + 'a;

/// Samples that are swept together.
const BLOCK: usize = 1024;

impl HostChain {
    /// Moments of a loss at every layer.
    ///
    /// # Shapes
    /// x: `[n, d]`, row-major
    pub fn moments(&self, x: &[f64], loss: &HostLoss<'_>) -> Vec<Moments> {
        let sums = |w: &Mat| Sums::new(w, loss);
        let mut found: Vec<Sums> = self.weights.iter().map(sums).collect();
        let n = x.len() / self.inputs().max(1);
        self.sweep(
            x,
            1,
            &mut |outputs, samples, _| (loss.gradients)(outputs, samples),
            &mut |layer, samples, h, delta| found[layer].add(loss, samples, h, delta),
        );
        found.into_iter().zip(&self.weights).map(|(sums, w)| sums.finish(n, w)).collect()
    }

    /// K = mean Σ_k (∂f_k/∂z)(∂f_k/∂z)ᵀ behind every layer's map.
    ///
    /// # Shapes
    /// x: `[n, d]`, row-major; `[d_out, d_out]` each
    pub fn output_gradients(&self, x: &[f64], weights: Option<&[f64]>) -> Vec<Mat> {
        let n = x.len() / self.inputs().max(1);
        let mut sums: Vec<Vec<f64>> = self.weights.iter().map(|w| vec![0.0; w.nrows() * w.nrows()]).collect();
        self.sweep(
            x,
            self.outputs(),
            &mut |outputs, samples, k| {
                let c = self.outputs();
                for (row, sample) in outputs.chunks_exact_mut(c).zip(samples) {
                    row.fill(0.0);
                    row[k] = weights.map_or(1.0, |weights| weights[sample].sqrt());
                }
            },
            &mut |layer, _, _, delta| add(&mut sums[layer], delta.t(), delta),
        );
        let mean = |(sum, w): (Vec<f64>, &Mat)| to_mat(&sum, w.nrows(), w.nrows(), n);
        sums.into_iter().zip(&self.weights).map(mean).collect()
    }

    /// Blocks of samples forward once and back several times; hands out what each layer reads and the gradient in what
    /// its map puts out.
    fn sweep(&self, x: &[f64], times: usize, start: &mut Start<'_>, sink: &mut Sink<'_>) {
        let (d, depth) = (self.inputs(), self.weights.len());
        let rows: Vec<Vec<f64>> = self.weights.iter().map(row_major).collect();
        // Column by column: the transpose, row by row.
        let turned = |w: &Mat| worth_transposing(w.nrows(), w.ncols()).then(|| column_major(w));
        let turned: Vec<Option<Vec<f64>>> = self.weights.iter().map(turned).collect();
        let dense = |l: usize| {
            let (out, into) = (self.weights[l].nrows(), self.weights[l].ncols());
            Dense {
                weights: View::new(&rows[l], out, into),
                transposed: turned[l].as_ref().map(|values| View::new(values, into, out)),
                biases: self.biases[l].as_deref(),
                activation: self.activations.get(l).copied().unwrap_or(Activation::Linear),
            }
        };
        let n = x.len() / d.max(1);
        for from in (0..n).step_by(BLOCK) {
            let samples = from..(from + BLOCK).min(n);
            let b = samples.len();
            let mut values = vec![x[samples.start * d..samples.end * d].to_vec()];
            let mut slopes = Vec::with_capacity(depth);
            for l in 0..depth {
                let (out, into) = (self.weights[l].nrows(), self.weights[l].ncols());
                let (mut a, mut slope) = (vec![0.0; b * out], vec![0.0; b * out]);
                dense(l).forward(View::new(&values[l], b, into), &mut a, &mut slope, Cores::All);
                values.push(a);
                slopes.push(slope);
            }
            for k in 0..times {
                let mut delta = values[depth].clone();
                start(&mut delta, samples.clone(), k);
                for l in (0..depth).rev() {
                    let (out, into) = (self.weights[l].nrows(), self.weights[l].ncols());
                    dense(l).back_to_z(&mut delta, &slopes[l]);
                    let at_z = View::new(&delta, b, out);
                    sink(l, samples.clone(), View::new(&values[l], b, into), at_z);
                    if l > 0 {
                        let mut through = vec![0.0; b * into];
                        dense(l).back_to_h(at_z, &mut through, Cores::All);
                        delta = through;
                    }
                }
            }
        }
    }
}

/// sum += a b.
fn add(sum: &mut [f64], a: View<'_, f64>, b: View<'_, f64>) {
    let [_, cols] = b.size();
    product(sum, cols, Into::Add, a, b, Cores::All);
}

fn to_mat(sum: &[f64], rows: usize, cols: usize, n: usize) -> Mat {
    Mat::from_fn(rows, cols, |i, j| sum[i * cols + j] / n as f64)
}

/// Of one layer.
struct Sums {
    gradient: Vec<f64>,
    values: Option<Vec<f64>>,
    behind: Option<Vec<f64>>,
    linearity: Option<Linearity>,
}

impl Sums {
    fn new(w: &Mat, loss: &HostLoss<'_>) -> Self {
        let (k, d) = (w.nrows(), w.ncols());
        let asked = |need: Needs, size: usize| loss.needs.contains(need).then(|| vec![0.0; size]);
        let targets = loss.targets.filter(|_| loss.needs.contains(Needs::TARGETS));
        Sums {
            gradient: vec![0.0; k * d],
            values: asked(Needs::INPUT_MOMENTS, d * d),
            behind: asked(Needs::GRADIENT_MOMENTS, k * k),
            linearity: targets.map(|targets| Linearity::new(d, targets.ncols())),
        }
    }

    fn add(&mut self, loss: &HostLoss<'_>, samples: Range<usize>, h: View<'_, f64>, delta: View<'_, f64>) {
        let weight = |row: usize| loss.weights.map_or(1.0, |weights| weights[samples.start + row]);
        let weighted = |rows: View<'_, f64>| -> Vec<f64> {
            let each =
                |(row, values): (usize, &[f64])| -> Vec<f64> { values.iter().map(|v| v * weight(row)).collect() };
            rows.row_slices().enumerate().flat_map(each).collect()
        };
        let own = |rows: View<'_, f64>| loss.weights.map(|_| weighted(rows));
        let ([b, k], [_, d]) = (delta.size(), h.size());
        let (of_delta, of_h) = (own(delta), own(h));
        let heavy_delta = of_delta.as_ref().map_or(delta, |values| View::new(values, b, k));
        let heavy_h = of_h.as_ref().map_or(h, |values| View::new(values, b, d));
        add(&mut self.gradient, heavy_delta.t(), h);
        if let Some(values) = &mut self.values {
            add(values, heavy_h.t(), h);
        }
        if let Some(behind) = &mut self.behind {
            add(behind, heavy_delta.t(), delta);
        }
        if let (Some(linearity), Some(targets)) = (&mut self.linearity, loss.targets) {
            let rows = Mat::from_fn(b, d, |i, j| h.at(i, j));
            let y = targets.subrows(samples.start, b).to_owned();
            linearity.add(&rows, &y, weight);
        }
    }

    fn finish(self, n: usize, w: &Mat) -> Moments {
        let (k, d) = (w.nrows(), w.ncols());
        let behind = self.behind.map(|sum| to_mat(&sum, k, k, n));
        Moments {
            gradient: to_mat(&self.gradient, k, d, n),
            values: self.values.map(|sum| to_mat(&sum, d, d, n)),
            gradients: behind.as_ref().map(|behind| w.transpose() * behind * w),
            behind,
            linearity: self.linearity.and_then(|linearity| linearity.share()),
        }
    }
}
