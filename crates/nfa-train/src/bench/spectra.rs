//! Eigendecompositions as probes do them: f64, on the host.

use std::hint::black_box;

use nfa_metrics::{Mat, Psd};
use nfa_models::Stream;

use crate::bench::args::{Common, SpectraArgs};
use crate::bench::memory::Peak;
use crate::bench::row::{Row, finite};
use crate::bench::{Bench, clock};
use crate::error::{Error, Result};
use crate::machine::threads;

/// A repeat lasts at least so many seconds.
const BLOCK: f64 = 0.05;
/// Larger matrices than this, of 8 GiB, are a typing error.
const LARGEST: usize = 1 << 15;

/// Checks sizes.
///
/// # Errors
/// Those that are none.
pub fn check(dims: &[usize]) -> Result<()> {
    match dims.iter().find(|&&d| d == 0 || d > LARGEST) {
        Some(bad) => Err(Error::input(format!("--dims {bad}: give sizes from 1 to {LARGEST}"))),
        None => Ok(()),
    }
}

/// A matrix with the fast decay that AGOPs have: XᵀX/n with column scales 1, 1/2, 1/3, ...
fn gram(d: usize) -> Mat {
    let rows = d + d / 2;
    let data = Stream::root(0).fork("bench").fork("spectra").normals(rows * d);
    let x = Mat::from_fn(rows, d, |i, j| data[i * d + j] / (j + 1) as f64);
    x.transpose() * &x * (1.0 / rows as f64)
}

/// So many decompositions at a time, so many times.
fn decompose(matrix: &Psd, jobs: u64, times: u64) {
    for _ in 0..times {
        // A clone of a matrix that has not been decomposed has no spectrum either.
        let one = |_| black_box(matrix.clone()).spectrum().map_or(0.0, |spectrum| spectrum.values[0]);
        black_box(threads::run(jobs as usize, jobs as usize, one));
    }
}

/// Times one size each, `jobs` matrices at a time; one row per size.
///
/// # Errors
/// An interruption.
pub fn run(bench: &Bench<'_>, dims: &[usize], jobs: u64, common: &Common) -> Result<()> {
    // Measured: the matrix and what it is made from, and a decomposition's workspace for each job.
    let largest = dims.iter().max().map_or(0.0, |&d| 8.0 * (d as f64).powi(2));
    bench.fits(largest * (5.0 + 6.0 * jobs as f64), "smaller --dims or fewer --jobs")?;
    bench.begin(dims.len() as u64 * (common.repeats + 1), "spectra");
    for &d in dims {
        let memory = Peak::start(bench.store());
        let gram = gram(d);
        let matrix = Psd::gram(gram.clone());
        let mut work = |calls: u64| {
            decompose(&matrix, jobs, calls);
            Ok(())
        };
        let label = format!("spectrum of a {d} x {d} matrix");
        let times = clock::time(&mut work, BLOCK, common.repeats, &|| bench.pulse(&label))?.per(jobs);
        let mut row = Row { kind: "spectra", device: "host".into(), dtype: "f64", auto: true, ..Row::default() };
        (row.path, row.engine) = (Some("gram"), Some("faer"));
        // How many there are a second; an eigensolver's operations depend on the numbers.
        row.timed(&times, 1.0, None, None);
        row.peak_memory_bytes = memory.and_then(|peak| peak.bytes());
        row.max_relative_error = residual(&matrix, &gram);
        row.note("dim", d);
        row.note("jobs", jobs);
        bench.emit(row);
    }
    Ok(())
}

/// max|VΛVᵀ - G| / max|G|.
fn residual(matrix: &Psd, gram: &Mat) -> Option<f64> {
    let spectrum = matrix.spectrum()?;
    let d = gram.nrows();
    let scaled = Mat::from_fn(d, d, |i, k| spectrum.vectors[(i, k)] * spectrum.values[k]);
    finite((scaled * spectrum.vectors.transpose() - gram).norm_max() / gram.norm_max())
}

/// Sets one size up, then times a repeat for every line that comes.
///
/// # Errors
/// More than one size; input that ends is no error.
pub fn on_demand(bench: &Bench<'_>, args: &SpectraArgs) -> Result<()> {
    let [d] = args.dims.as_slice() else {
        return Err(Error::input("--on-demand times one size: give --dims one number"));
    };
    let matrix = Psd::gram(gram(*d));
    let mut work = |calls: u64| {
        decompose(&matrix, args.jobs, calls);
        Ok(())
    };
    let name = if args.jobs == 1 { "faer".to_string() } else { format!("faer, {} at a time", args.jobs) };
    bench.serve_scaled(&name, true, &mut work, BLOCK, 1.0 / args.jobs as f64)
}
