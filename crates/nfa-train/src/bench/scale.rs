//! How the AGOP's time grows: one size swept while the others stay, and the slope in a log-log plot
//! beside that of the count of operations.

use nfa_metrics::AgopOptions;
use nfa_models::Activation;
use serde_json::json;

use crate::bench::Bench;
use crate::bench::agop::{self, Way};
use crate::bench::args::ScaleArgs;
use crate::bench::problem::Problem;
use crate::bench::row::{Row, finite};
use crate::error::{Error, Result};
use crate::machine::devices::{self, Dtype};

/// The sizes that stay while another grows.
#[derive(Clone, Copy)]
struct Sizes {
    n: usize,
    d: usize,
    c: usize,
    depth: usize,
    h: usize,
}

const STAY: Sizes = Sizes { n: 2048, d: 256, c: 8, depth: 3, h: 256 };

/// What grows, over which values, and how it is set.
type Sweep = (&'static str, &'static [usize], fn(&mut Sizes) -> &mut usize);

const SWEEPS: [Sweep; 5] = [
    ("n", &[512, 1024, 2048, 4096, 8192], |sizes| &mut sizes.n),
    ("d", &[128, 256, 512, 1024, 2048], |sizes| &mut sizes.d),
    ("c", &[2, 4, 8, 16, 32], |sizes| &mut sizes.c),
    ("L", &[2, 3, 5, 9], |sizes| &mut sizes.depth),
    ("h", &[64, 128, 256, 512, 1024], |sizes| &mut sizes.h),
];

/// A repeat lasts at least so many seconds, for sizes that are not shrunk.
const BLOCK: f64 = 0.05;

/// All sizes divided, but those that count layers and outputs.
fn shrunk(sizes: Sizes, by: usize) -> Sizes {
    let small = |size: usize| (size / by).max(1);
    Sizes { n: small(sizes.n), d: small(sizes.d), c: sizes.c, depth: sizes.depth, h: small(sizes.h) }
}

/// One row per device, dtype, way and swept size.
///
/// # Errors
/// Unknown names; an interruption.
pub fn run(bench: &Bench<'_>, args: &ScaleArgs) -> Result<()> {
    agop::check_path(&args.path)?;
    let activation: Activation =
        args.activation.parse().map_err(|error| Error::input(format!("--activation {error}")))?;
    let places = bench.places(&args.common, &[Dtype::F32])?;
    let points: usize = SWEEPS.iter().map(|sweep| sweep.1.len()).sum();
    let block = BLOCK / args.shrink as f64;
    let pulses = (places.len() * points * agop::count(&args.path)) as u64 * (args.common.repeats + 1);
    bench.begin(pulses, "scale");
    // A way with a device of its own is timed once, whatever device brought it.
    let mut done: Vec<(&str, Dtype)> = Vec::new();
    for (name, dtype) in places {
        let known = done.clone();
        for sweep in SWEEPS {
            let mut found: Vec<(&Way, bool, Vec<Point>)> = Vec::new();
            for &value in sweep.1 {
                let mut sizes = STAY;
                *sweep.2(&mut sizes) = value;
                let sizes = shrunk(sizes, args.shrink as usize);
                let value = *sweep.2(&mut { sizes });
                let widths = [vec![sizes.d], vec![sizes.h; sizes.depth - 1], vec![sizes.c]].concat();
                let problem = Problem { name: None, widths, activation, samples: sizes.n, bias: false, seed: 0 };
                let device = devices::open(&name, dtype)?;
                let drawn = problem.draw(0);
                let network = drawn.network(&device, dtype.burn())?;
                let x = drawn.rows(&device, dtype.burn());
                for way in agop::ways(&args.path, &network)? {
                    if way.device.is_some_and(|own| known.contains(&(own, dtype))) {
                        continue;
                    }
                    done.extend(way.device.map(|own| (own, dtype)));
                    let options =
                        AgopOptions { path: way.path, layers: Some(vec![0]), frames: false, ..AgopOptions::default() };
                    let label = format!("{} = {value} {name} {} {}", sweep.0, dtype.name(), way.name);
                    let times = agop::time(bench, &network, &x, &options, (block, args.common.repeats), &label)?;
                    let count = (way.work)(&agop::shape(&problem, &[0]));
                    let point = Point { value: value as f64, seconds: times.median(), count };
                    match found.iter_mut().find(|(known, ..)| known.name == way.name) {
                        Some((.., points)) => points.push(point),
                        None => found.push((way, way.name == agop::automatic(&network), vec![point])),
                    }
                }
            }
            for (way, auto, points) in found {
                let device = way.device.unwrap_or(&name).to_string();
                let mut row = Row { kind: "scale", device, dtype: dtype.name(), auto, ..Row::default() };
                row.path = Some(way.name);
                row.activation = Some(activation.to_string());
                row.repeats = Some(args.common.repeats);
                let each = |f: &dyn Fn(&Point) -> f64| points.iter().map(f).collect::<Vec<f64>>();
                row.note("sweep", sweep.0);
                row.note("values", each(&|point| point.value));
                row.note("seconds", each(&|point| point.seconds));
                row.note("multiply_adds", each(&|point| point.count));
                row.note("slope", json!(slope(&points, |point| point.seconds)));
                row.note("model_slope", json!(slope(&points, |point| point.count)));
                // How it grows at the far end, where what doesn't grow weighs least.
                let end = &points[points.len().saturating_sub(2)..];
                row.note("end_slope", json!(slope(end, |point| point.seconds)));
                row.note("end_model_slope", json!(slope(end, |point| point.count)));
                let stay = shrunk(STAY, args.shrink as usize);
                row.note("stay", json!({ "n": stay.n, "d": stay.d, "c": stay.c, "L": stay.depth, "h": stay.h }));
                bench.emit(row);
            }
        }
    }
    Ok(())
}

struct Point {
    value: f64,
    seconds: f64,
    count: f64,
}

/// The least-squares slope of log y over log value; `None` where the values don't differ.
fn slope(points: &[Point], y: impl Fn(&Point) -> f64) -> Option<f64> {
    let n = points.len() as f64;
    let mean = |f: &dyn Fn(&Point) -> f64| points.iter().map(f).sum::<f64>() / n;
    let (mx, my) = (mean(&|point| point.value.ln()), mean(&|point| y(point).ln()));
    let sum = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
        points.iter().map(|point| f(point.value.ln() - mx, y(point).ln() - my)).sum()
    };
    finite(sum(&|dx, dy| dx * dy) / sum(&|dx, _| dx * dx))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_has_its_slope() {
        let points: Vec<Point> =
            [1.0, 2.0, 8.0].map(|value: f64| Point { value, seconds: 3.0 * value.powf(1.7), count: value }).into();
        assert!((slope(&points, |point| point.seconds).unwrap_or(0.0) - 1.7).abs() < 1e-12);
        assert_eq!(slope(&points[..1], |point| point.seconds), None);
    }
}
