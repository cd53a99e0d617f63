//! A function of one's own, minimised by R-ARC-D: `cargo run --release -p nfa-train --example minimise`.
//!
//! Logistic regression on 300 samples of 2,000 features, of which four directions matter: the Hessian has rank 4 at
//! most, and R-ARC-D finds that out.
#![allow(clippy::print_stdout)]

use nfa_models::Stream;
use nfa_train::minimise::{Function, Settings, Sketch, Unusable, minimise};

const FEATURES: usize = 2000;
const SAMPLES: usize = 300;

/// (1/n) Σ log(1 + exp(-y_i a_i·x)) + (λ/2)|x|².
struct Logistic {
    rows: Vec<[f64; 4]>,
    directions: Vec<f64>,
    signs: Vec<f64>,
    decay: Vec<f64>,
}

impl Logistic {
    fn new() -> Self {
        let stream = Stream::root(1);
        let normals = stream.fork("rows").normals(SAMPLES * 4);
        let rows = normals.chunks(4).map(|row| [row[0], row[1], row[2], row[3]]).collect();
        let signs = stream.fork("signs").normals(SAMPLES).iter().map(|noise| noise.signum()).collect();
        let directions = stream.fork("directions").normals(4 * FEATURES);
        Logistic { rows, directions, signs, decay: vec![1e-3; FEATURES] }
    }

    /// a_i·x for every sample, and back.
    fn scores(&self, x: &[f64]) -> Vec<f64> {
        let along: Vec<f64> =
            self.directions.chunks(FEATURES).map(|d| d.iter().zip(x).map(|(d, x)| d * x).sum()).collect();
        self.rows.iter().map(|row| row.iter().zip(&along).map(|(a, b)| a * b).sum()).collect()
    }

    fn back(&self, weights: &[f64]) -> Vec<f64> {
        let mut along = [0.0; 4];
        for (row, weight) in self.rows.iter().zip(weights) {
            along.iter_mut().zip(row).for_each(|(sum, a)| *sum += weight * a);
        }
        (0..FEATURES).map(|j| (0..4).map(|k| along[k] * self.directions[k * FEATURES + j]).sum()).collect()
    }
}

fn sigma(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

impl Function for Logistic {
    fn dimension(&self) -> usize {
        FEATURES
    }

    fn value(&mut self, x: &[f64]) -> f64 {
        let each = self.scores(x).into_iter().zip(&self.signs).map(|(s, y)| (-y * s).exp().ln_1p());
        each.sum::<f64>() / SAMPLES as f64
    }

    fn gradient(&mut self, x: &[f64]) -> Vec<f64> {
        let weights: Vec<f64> =
            self.scores(x).iter().zip(&self.signs).map(|(s, y)| -y * sigma(-y * s) / SAMPLES as f64).collect();
        self.back(&weights)
    }

    // Optional: without it Hv comes from differences of the gradient, and the certificate says so.
    fn products(&mut self, x: &[f64], rows: &[f64]) -> Vec<f64> {
        let bends: Vec<f64> = self.scores(x).iter().map(|s| sigma(*s) * sigma(-s) / SAMPLES as f64).collect();
        let product = |v: &[f64]| {
            let weights: Vec<f64> = self.scores(v).iter().zip(&bends).map(|(s, bend)| s * bend).collect();
            self.back(&weights)
        };
        rows.chunks(FEATURES).flat_map(product).collect()
    }

    fn precision(&self) -> f64 {
        f64::EPSILON
    }

    // The penalty: added analytically, and left out of the rank.
    fn decay(&self) -> &[f64] {
        &self.decay
    }
}

fn main() -> Result<(), Unusable> {
    let settings = Settings { gradient_tol: 1e-8, sketch: Sketch::Guided, ..Settings::r_arc_d() };
    let end = minimise(&mut Logistic::new(), &vec![0.0; FEATURES], &settings, 200)?;
    println!(" iteration      value      |Bg|   l  rank     sigma  ratio   work");
    for (k, i) in end.iterations.iter().enumerate() {
        println!(
            "{k:10} {:10.6} {:9.2e} {:3} {:5} {:9.1e} {:6.2} {:6.1}",
            i.value, i.gradient, i.rows, i.rank, i.sigma, i.ratio, i.work
        );
    }
    println!("{}", end.certificate);
    Ok(())
}
