//! The AGOP by every path: one line of [`WAYS`] each.

use std::hint::black_box;

use burn::tensor::{DType, Tensor};
use nfa_metrics::{AgopOptions, Mat, Path, observe_network};
use nfa_models::{Activation, AnyNetwork, Mlp};
use nfa_models::{network::placement, place::is_on_host};
use serde_json::Value;

use crate::bench::args::{AgopArgs, Common, Reference};
use crate::bench::memory::Peak;
use crate::bench::problem::{AGOP, Drawn, Problem};
use crate::bench::row::{Row, finite};
use crate::bench::saved::Saved;
use crate::bench::work::{self, Shape};
use crate::bench::{Bench, clock};
use crate::error::{Error, Result};
use crate::machine::devices::{self, Dtype};

/// A way to compute AGOPs.
pub struct Way {
    /// Its name in tables.
    pub name: &'static str,
    /// What the engine is asked for.
    pub path: Path,
    /// What its rows call the device, where that isn't the one that holds the network.
    pub device: Option<&'static str>,
    /// Whether it takes a network.
    pub takes: fn(&dyn AnyNetwork) -> bool,
    /// Its multiply-adds.
    pub work: fn(&Shape<'_>) -> f64,
}

/// Every way, one line each; the last is the definition, which referees where that is affordable.
pub const WAYS: [Way; 3] = [
    Way { name: "host", path: Path::Host, device: Some("host"), takes: is_chain, work: work::host },
    Way { name: "factored", path: Path::Factored, device: None, takes: is_chain, work: work::factored },
    Way { name: "autodiff", path: Path::Autodiff, device: None, takes: |_| true, work: work::autodiff },
];

fn is_chain(network: &dyn AnyNetwork) -> bool {
    network.chain().is_some()
}

/// The way that `Path::Auto` takes.
pub fn automatic(network: &dyn AnyNetwork) -> &'static str {
    let on_host = placement(network).is_some_and(|(device, _)| is_on_host(&device));
    match (is_chain(network), on_host) {
        (true, true) => "host",
        (true, false) => "factored",
        (false, _) => "autodiff",
    }
}

/// A repeat lasts at least so many seconds.
const BLOCK: f64 = 0.05;

/// A reference that takes longer is left out unless asked for, in seconds at [`CAUTIOUS`].
const PATIENCE: f64 = 30.0;
/// What any machine manages in f64, in multiply-adds per second.
const CAUTIOUS: f64 = 5e9;

/// What is timed.
pub struct Plan<'a> {
    /// The network and its rows.
    pub problem: Problem,
    /// At the inputs of which layers.
    pub layers: Vec<usize>,
    /// `all`, `auto` or a way's name.
    pub path: &'a str,
    /// When the result in f64 is computed.
    pub reference: Reference,
    /// Devices, dtypes and repeats.
    pub common: &'a Common,
}

impl<'a> Plan<'a> {
    /// What the command line asks for.
    ///
    /// # Errors
    /// Unknown problems, paths and layers.
    pub fn read(args: &'a AgopArgs) -> Result<Self> {
        let problem = Problem::read(&args.problem, &AGOP, 4096)?;
        let plan = Plan {
            layers: layers(&args.layers, problem.depth())?,
            problem,
            path: &args.path,
            reference: args.reference,
            common: &args.common,
        };
        check_path(plan.path)?;
        Ok(plan)
    }

    fn shape(&self) -> Shape<'_> {
        shape(&self.problem, &self.layers)
    }

    fn options(&self, way: &Way) -> AgopOptions {
        // Whole matrices are asked for.
        AgopOptions { path: way.path, layers: Some(self.layers.clone()), frames: false, ..AgopOptions::default() }
    }

    /// The way whose result in f64 on the CPU the others are held against: autodiff, which is the
    /// definition, where that is affordable.
    fn referee(&self) -> Option<&'static Way> {
        let seconds = |way: &Way| (way.work)(&self.shape()) / CAUTIOUS;
        let affordable = |way: &&Way| seconds(way) <= PATIENCE;
        match self.reference {
            Reference::Never => None,
            Reference::Auto => WAYS.iter().rev().find(affordable),
            Reference::Always => WAYS.iter().rev().find(affordable).or(WAYS.first()),
        }
    }
}

/// The counts' view of a problem.
pub(super) fn shape<'a>(problem: &'a Problem, layers: &'a [usize]) -> Shape<'a> {
    let linear = problem.activation == Activation::Linear;
    Shape { widths: &problem.widths, samples: problem.samples, linear, layers }
}

/// The ways of a network that `path` stands for.
///
/// # Errors
/// One that was named and does not take it.
pub(super) fn ways(path: &str, network: &dyn AnyNetwork) -> Result<Vec<&'static Way>> {
    let chosen = |way: &&Way| match path {
        "all" => true,
        "auto" => way.name == automatic(network),
        name => way.name == name,
    };
    let found: Vec<_> = WAYS.iter().filter(|way| chosen(way) && (way.takes)(network)).collect();
    match found.is_empty() {
        true => Err(Error::input(format!("--path {path}: does not take this network; --path auto does"))),
        false => Ok(found),
    }
}

/// How many ways `path` stands for.
pub(super) fn count(path: &str) -> usize {
    if path == "all" { WAYS.len() } else { 1 }
}

/// Whether a network, its rows and its AGOPs find room.
///
/// # Errors
/// Where they don't.
fn check_size(bench: &Bench<'_>, problem: &Problem, layers: &[usize]) -> Result<()> {
    let (widths, n) = (&problem.widths, problem.samples);
    let square = |l: &usize| widths[*l] * widths[*l];
    let numbers = 3 * n * widths[0] + 4 * widths.windows(2).map(|pair| pair[0] * pair[1]).sum::<usize>();
    // Each in f32, in f64 and beside the one that it is held against.
    let agops = 4 * layers.iter().map(square).sum::<usize>();
    bench.fits(8.0 * (numbers + agops) as f64, "fewer --samples, smaller --widths or fewer --layers")
}

/// Checks the name of a path.
pub(super) fn check_path(name: &str) -> Result<()> {
    let known = || ["all", "auto"].into_iter().chain(WAYS.iter().map(|way| way.name));
    if known().any(|word| word == name) {
        return Ok(());
    }
    Err(Error::input(format!("--path {name}: known are {}", known().collect::<Vec<_>>().join(", "))))
}

/// `all`, or numbers from 0.
fn layers(text: &str, depth: usize) -> Result<Vec<usize>> {
    if text == "all" {
        return Ok((0..depth).collect());
    }
    let wrong = || Error::input(format!("--layers {text}: write all, or numbers from 0 to {}, as in 0,1", depth - 1));
    let mut found: Vec<usize> = text
        .split(',')
        .map(|word| word.trim().parse().ok().filter(|&l| l < depth))
        .collect::<Option<_>>()
        .ok_or_else(wrong)?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// The AGOPs as a caller gets them: whole matrices on the host.
fn compute(network: &dyn AnyNetwork, x: &Tensor<2>, options: &AgopOptions) -> Vec<Mat> {
    let observed = observe_network(network, x, None, options);
    let layers = observed.iter().flat_map(|observed| &observed.layers);
    layers.filter_map(|layer| Some(layer.agop.as_ref()?.matrix().clone())).collect()
}

/// The same, left where they are: their first entries.
fn touch(network: &dyn AnyNetwork, x: &Tensor<2>, options: &AgopOptions) -> f64 {
    let observed = observe_network(network, x, None, options);
    let whole =
        observed.iter().flat_map(|observed| &observed.layers).filter_map(|layer| Some(layer.agop.as_ref()?.matrix()));
    whole.map(|matrix| matrix[(0, 0)]).sum()
}

/// Times a network's AGOPs in one way.
pub(super) fn time(
    bench: &Bench<'_>,
    network: &dyn AnyNetwork,
    x: &Tensor<2>,
    options: &AgopOptions,
    (block, repeats): (f64, u64),
    label: &str,
) -> Result<clock::Times> {
    let mut work = |calls: u64| {
        for _ in 0..calls {
            black_box(touch(network, x, options));
        }
        Ok(())
    };
    clock::time(&mut work, block, repeats, &|| bench.pulse(label))
}

/// Times what a plan says; one row per device, dtype and way.
///
/// # Errors
/// Devices that are not there; an interruption.
pub fn run(bench: &Bench<'_>, plan: &Plan<'_>) -> Result<()> {
    let places = bench.places(plan.common, &[Dtype::F32])?;
    let problem = &plan.problem;
    check_size(bench, problem, &plan.layers)?;
    let pulses = (places.len() * count(plan.path)) as u64 * (plan.common.repeats + 1);
    bench.begin(pulses, &format!("AGOP {}", problem.title()));
    let drawn = problem.draw(0);
    let reference = reference(plan, &drawn)?;
    let mut done: Vec<(&str, Dtype)> = Vec::new();
    for (name, dtype) in places {
        let device = devices::open(&name, dtype)?;
        let network = drawn.network(&device, dtype.burn())?;
        let x = drawn.rows(&device, dtype.burn());
        for way in ways(plan.path, &network)? {
            if way.device.is_some_and(|own| done.contains(&(own, dtype))) {
                continue;
            }
            done.extend(way.device.map(|own| (own, dtype)));
            let label = format!("{} {name} {} {}", problem.title(), dtype.name(), way.name);
            let peak = bench.peak(&name, &device, dtype)?;
            let options = plan.options(way);
            let memory = Peak::start(bench.store());
            let times = time(bench, &network, &x, &options, (BLOCK, plan.common.repeats), &label)?;
            let mut row = Row::of("agop", problem);
            row.device = way.device.unwrap_or(&name).to_string();
            (row.path, row.dtype, row.auto) = (Some(way.name), dtype.name(), way.name == automatic(&network));
            row.timed(&times, problem.samples as f64, Some((way.work)(&plan.shape())), Some(peak));
            row.peak_memory_bytes = memory.and_then(|peak| peak.bytes());
            // Nothing is held against itself.
            let itself = |referee: &str| dtype == Dtype::F64 && name == "flex" && referee == way.name;
            row.max_relative_error = reference
                .as_ref()
                .filter(|(referee, _)| !itself(referee))
                .and_then(|(_, exact)| error(&compute(&network, &x, &options), exact));
            row.note("layers", plan.layers.clone());
            row.note("reference", reference.as_ref().map_or(Value::Null, |(referee, _)| (*referee).into()));
            bench.emit(row);
        }
    }
    Ok(())
}

/// The result in f64 on the CPU, and by which way; `None` where that is too slow or has no device.
fn reference(plan: &Plan<'_>, drawn: &Drawn) -> Result<Option<(&'static str, Vec<Mat>)>> {
    let (Some(way), Ok(device)) = (plan.referee(), devices::open("flex", Dtype::F64)) else { return Ok(None) };
    let network = drawn.network(&device, DType::F64)?;
    Ok(Some((way.name, compute(&network, &drawn.rows(&device, DType::F64), &plan.options(way)))))
}

/// max|G - G64| / max|G64| over all entries of all layers, the largest layer's.
fn error(got: &[Mat], exact: &[Mat]) -> Option<f64> {
    let mut pairs = got.iter().zip(exact).map(|(got, exact)| (got - exact).norm_max() / exact.norm_max());
    // f64::max would pass over a NaN.
    pairs.try_fold(0.0, |worst: f64, error| Some(finite(error)?.max(worst)))
}

/// Sets one way up, then times a repeat for every line that comes.
///
/// # Errors
/// More than one thing to time; input that ends is no error.
pub fn on_demand(bench: &Bench<'_>, plan: &Plan<'_>) -> Result<()> {
    check_size(bench, &plan.problem, &plan.layers)?;
    let (name, dtype) = bench.one_place(plan.common, Dtype::F32)?;
    let device = devices::open(&name, dtype)?;
    let drawn = plan.problem.draw(0);
    let network: Mlp = drawn.network(&device, dtype.burn())?;
    let x = drawn.rows(&device, dtype.burn());
    let ways = ways(plan.path, &network)?;
    let [way] = ways.as_slice() else {
        return Err(Error::input("--on-demand times one way: give --path auto, or one by name"));
    };
    let options = plan.options(way);
    let mut work = |calls: u64| {
        for _ in 0..calls {
            black_box(touch(&network, &x, &options));
        }
        Ok(())
    };
    bench.serve(way.name, way.name == automatic(&network), &mut work, BLOCK)
}

/// Weights, rows and AGOPs as a file.
///
/// # Errors
/// A file that can't be written.
pub fn save(bench: &Bench<'_>, plan: &Plan<'_>, path: &std::path::Path) -> Result<()> {
    let drawn = plan.problem.draw(0);
    let mut saved = Saved::of(&plan.problem, &drawn);
    let device = devices::open("flex", Dtype::F64)?;
    let network = drawn.network(&device, DType::F64)?;
    let agops = compute(&network, &drawn.rows(&device, DType::F64), &plan.options(&WAYS[0]));
    for (layer, agop) in plan.layers.iter().zip(&agops) {
        let rows = agop.nrows();
        let data = (0..rows * rows).map(|k| agop[(k / rows, k % rows)]).collect();
        saved.result(&format!("layers.{layer}.agop"), vec![rows, rows], data);
    }
    saved.write(bench.store(), path)
}
