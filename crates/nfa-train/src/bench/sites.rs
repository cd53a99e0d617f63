//! All sites of networks that are no chains, and a gradient step through convolutions: one line of [`NETWORKS`] each.

use std::hint::black_box;
use std::path::Path;

use burn::module::Param;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{LayerNorm, LayerNormConfig, Linear};
use burn::tensor::activation::relu;
use burn::tensor::{DType, Device, Tensor, TensorData};
use nfa_metrics::{AgopOptions, Forward, Mat, Sites, observe_forward};
use nfa_models::{Activation, Stream};

use crate::bench::args::{Common, SitesArgs};
use crate::bench::memory::Peak;
use crate::bench::row::{Row, finite};
use crate::bench::saved::Saved;
use crate::bench::{Bench, clock};
use crate::error::{Error, Result};
use crate::machine::devices::{self, Dtype};

/// A network whose sites are timed.
pub struct Network {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub doc: &'static str,
    /// Numbers of a row, and rows.
    shape: [usize; 2],
    parameters: fn() -> Vec<Shape>,
    build: fn(&Drawn, Place<'_>) -> Box<Forward<'static>>,
    /// Whether a step is timed (loss Σ f², gradients in inputs and parameters) and not its sites.
    step: bool,
}

type Place<'a> = (&'a Device, DType);

/// Every network, one line each.
pub const NETWORKS: [Network; 5] = [
    Network {
        name: "residual",
        doc: "three pre-norm residual blocks 128-256-128 (tanh) between 64 inputs and 10 outputs; 8 sites",
        shape: [64, 2048],
        parameters: of_residual,
        build: residual,
        step: false,
    },
    Network {
        name: "attention",
        doc: "four heads over 16 tokens of 32 numbers, a skip, their mean to 10 outputs; q, k, v, o, head",
        shape: [512, 512],
        parameters: of_attention,
        build: attention,
        step: false,
    },
    Network {
        name: "convolution",
        doc: "3 x 3 convolutions 1-16-32 (relu) of 8 x 8 images, a head of 10; 3 sites",
        shape: [64, 1797],
        parameters: of_convolution,
        build: |drawn, place| convolution(drawn, place, true),
        step: false,
    },
    Network {
        name: "step8",
        doc: "forward and backward through 3 x 3 convolutions 1-16-32 (relu) of 64 images of 8 x 8",
        shape: [64, 64],
        parameters: of_convolutions,
        build: |drawn, place| convolution(drawn, place, false),
        step: true,
    },
    Network {
        name: "step28",
        doc: "forward and backward through 3 x 3 convolutions 1-16-32 (relu) of 128 images of 28 x 28",
        shape: [784, 128],
        parameters: of_convolutions,
        build: |drawn, place| convolution(drawn, place, false),
        step: true,
    },
];

/// A parameter's name and shape.
type Shape = (String, Vec<usize>);

/// Weights and biases of a map.
fn map(name: &str, weight: &[usize]) -> Vec<Shape> {
    vec![(format!("{name}.weight"), weight.to_vec()), (format!("{name}.bias"), vec![weight[0]])]
}

fn of_residual() -> Vec<Shape> {
    let mut shapes = map("stem", &[128, 64]);
    for i in 0..3 {
        let norm = |part: &str| (format!("blocks.{i}.norm.{part}"), vec![128]);
        shapes.extend(["weight", "bias"].map(norm));
        shapes.extend(map(&format!("blocks.{i}.up"), &[256, 128]));
        shapes.extend(map(&format!("blocks.{i}.down"), &[128, 256]));
    }
    shapes.extend(map("head", &[10, 128]));
    shapes
}

fn of_attention() -> Vec<Shape> {
    let inner = ["q", "k", "v", "o"].into_iter().flat_map(|name| map(name, &[32, 32]));
    inner.chain(map("head", &[10, 32])).collect()
}

fn of_convolutions() -> Vec<Shape> {
    [map("conv1", &[16, 1, 3, 3]), map("conv2", &[32, 16, 3, 3])].concat()
}

fn of_convolution() -> Vec<Shape> {
    [of_convolutions(), map("head", &[10, 512])].concat()
}

/// The parameters and rows of a network.
struct Drawn {
    parameters: Vec<(String, Vec<usize>, Vec<f64>)>,
    /// `[n, d]`
    x: (Vec<f64>, [usize; 2]),
}

impl Drawn {
    fn of(network: &Network) -> Self {
        let stream = Stream::root(0).fork("bench").fork("sites").fork(network.name);
        // Exact in f32, so that all compute with the same.
        let single = |values: Vec<f64>, scale: f64| values.into_iter().map(|v| f64::from((v * scale) as f32)).collect();
        let parameter = |(name, shape): Shape| {
            let fan = shape[1..].iter().product::<usize>() as f64;
            let drawn = stream.fork(&name).normals(shape.iter().product());
            // Vectors are biases, or a norm's factors about 1.
            let values: Vec<f64> = single(drawn, if shape.len() == 1 { 0.1 } else { 1.0 / fan.sqrt() });
            let values = match name.ends_with("norm.weight") {
                true => values.into_iter().map(|v| f64::from((1.0 + v) as f32)).collect(),
                false => values,
            };
            (name, shape, values)
        };
        let [d, n] = network.shape;
        let x = (single(stream.fork("x").normals(n * d), 1.0), [n, d]);
        Drawn { parameters: (network.parameters)().into_iter().map(parameter).collect(), x }
    }

    fn tensor<const D: usize>(&self, name: &str, place: Place<'_>) -> Tensor<D> {
        let found = self.parameters.iter().find(|(own, ..)| *own == name);
        let (shape, values) = found.map(|(_, shape, values)| (shape.clone(), values.clone())).unwrap_or_default();
        Tensor::from_data(TensorData::new(values, shape), place)
    }

    fn rows(&self, place: Place<'_>) -> Tensor<2> {
        Tensor::from_data(TensorData::new(self.x.0.clone(), self.x.1), place)
    }

    fn linear(&self, name: &str, place: Place<'_>) -> Linear {
        let weight = self.tensor::<2>(&format!("{name}.weight"), place).transpose();
        let bias = self.tensor(&format!("{name}.bias"), place);
        Linear { weight: Param::from_tensor(weight), bias: Some(Param::from_tensor(bias)) }
    }

    fn conv(&self, name: &str, place: Place<'_>) -> Conv2d {
        let weight: Tensor<4> = self.tensor(&format!("{name}.weight"), place);
        let [out, into, rows, cols] = weight.dims();
        let mut layer = Conv2dConfig::new([into, out], [rows, cols]).init(place.0);
        layer.weight = Param::from_tensor(weight);
        layer.bias = Some(Param::from_tensor(self.tensor(&format!("{name}.bias"), place)));
        layer
    }

    fn norm(&self, name: &str, place: Place<'_>) -> LayerNorm {
        let gamma: Tensor<1> = self.tensor(&format!("{name}.weight"), place);
        let mut norm = LayerNormConfig::new(gamma.dims()[0]).init(place.0);
        norm.gamma = Param::from_tensor(gamma);
        norm.beta = Some(Param::from_tensor(self.tensor(&format!("{name}.bias"), place)));
        norm
    }
}

fn residual(drawn: &Drawn, place: Place<'_>) -> Box<Forward<'static>> {
    let block = |i: usize| {
        let part = |name: &str| format!("blocks.{i}.{name}");
        (drawn.norm(&part("norm"), place), drawn.linear(&part("up"), place), drawn.linear(&part("down"), place))
    };
    let (stem, head, blocks) = (drawn.linear("stem", place), drawn.linear("head", place), [0, 1, 2].map(block));
    Box::new(move |x, at| {
        let mut h = at.linear("stem", x, &stem);
        for (i, (norm, up, down)) in blocks.iter().enumerate() {
            let normed = at.layer_norm(h.clone(), norm);
            let u = at.linear(format_args!("blocks.{i}.up"), normed, up);
            let u = at.activation(u, |u| Activation::Tanh.forward(u));
            h = h + at.linear(format_args!("blocks.{i}.down"), u, down);
        }
        at.linear("head", h, &head)
    })
}

fn attention(drawn: &Drawn, place: Place<'_>) -> Box<Forward<'static>> {
    const TOKENS: usize = 16;
    const HEADS: usize = 4;
    let [q, k, v, o, head] = ["q", "k", "v", "o", "head"].map(|name| drawn.linear(name, place));
    Box::new(move |x, at| {
        let [n, numbers] = x.dims();
        let d = numbers / TOKENS;
        let x: Tensor<3> = x.reshape([n, TOKENS, d]);
        let apart = |z: Tensor<3>| -> Tensor<4> { z.reshape([n, TOKENS, HEADS, d / HEADS]).swap_dims(1, 2) };
        let q = apart(at.linear("q", x.clone(), &q));
        let k = apart(at.linear("k", x.clone(), &k));
        let v = apart(at.linear("v", x.clone(), &v));
        let scale = 1.0 / ((d / HEADS) as f64).sqrt();
        let scores = at.matmul(q, k.swap_dims(2, 3)).mul_scalar(scale);
        let shares = at.softmax(scores);
        let mix = at.matmul(shares, v);
        let mix: Tensor<3> = mix.swap_dims(1, 2).reshape([n, TOKENS, d]);
        let h = x + at.linear("o", mix, &o);
        at.linear("head", h.mean_dim(1).reshape([n, d]), &head)
    })
}

fn convolution(drawn: &Drawn, place: Place<'_>, with_head: bool) -> Box<Forward<'static>> {
    let (conv1, conv2) = (drawn.conv("conv1", place), drawn.conv("conv2", place));
    let head = with_head.then(|| drawn.linear("head", place));
    Box::new(move |x, at| {
        let [n, d] = x.dims();
        let side = d.isqrt();
        let h = at.conv2d("conv1", x.reshape([n, 1, side, side]), &conv1);
        let h = at.activation(h, relu);
        let h = at.conv2d("conv2", h, &conv2);
        let h: Tensor<2> = at.activation(h, relu).flatten(1, 3);
        match &head {
            Some(head) => at.linear("head", h, head),
            None => h,
        }
    })
}

/// The AGOPs at all sites.
fn agops(forward: &Forward<'_>, x: &Tensor<2>) -> Vec<(String, Mat)> {
    let options = AgopOptions { frames: false, ..AgopOptions::default() };
    let layers = observe_forward(forward, x, None, &options).into_iter().flat_map(|observed| observed.layers);
    layers.filter_map(|layer| Some((layer.name, layer.agop?.matrix().clone()))).collect()
}

/// A network somewhere, and a call of what is timed.
struct Ready {
    forward: Box<Forward<'static>>,
    x: Tensor<2>,
    step: bool,
}

impl Ready {
    fn new(network: &Network, drawn: &Drawn, (device, dtype): Place<'_>) -> Self {
        // Steps have gradients in the parameters too: on the tape's device they are tracked.
        let tape = device.clone().autodiff();
        let place = (if network.step { &tape } else { device }, dtype);
        Ready { forward: (network.build)(drawn, place), x: drawn.rows((device, dtype)), step: network.step }
    }

    fn call(&self) {
        match self.step {
            false => drop(black_box(agops(&self.forward, &self.x))),
            true => {
                let x = self.x.clone().autodiff().require_grad();
                let loss = (self.forward)(x.clone(), &mut Sites::off()).powi_scalar(2).sum();
                drop(black_box(x.grad(&loss.backward())));
            }
        }
    }
}

/// The networks that were asked for.
fn chosen(args: &SitesArgs) -> Result<Vec<&'static Network>> {
    let known = || NETWORKS.iter().map(|network| network.name).collect::<Vec<_>>().join(", ");
    let found: Vec<&Network> =
        NETWORKS.iter().filter(|network| args.network == "all" || network.name == args.network).collect();
    if found.is_empty() {
        return Err(Error::input(format!("--network {}: known are all, {}", args.network, known())));
    }
    Ok(found)
}

/// Times every network that was asked for; one row each.
///
/// # Errors
/// Unknown names; devices that fail; an interruption.
pub fn run(bench: &Bench<'_>, args: &SitesArgs, common: &Common) -> Result<()> {
    let (networks, places) = (chosen(args)?, bench.places(common, &[Dtype::F32])?);
    bench.begin((networks.len() * places.len()) as u64 * (common.repeats + 1), "sites");
    for network in networks {
        let drawn = Drawn::of(network);
        for (name, dtype) in &places {
            let device = devices::open(name, *dtype)?;
            let memory = Peak::start(bench.store());
            let ready = Ready::new(network, &drawn, (&device, dtype.burn()));
            let mut work = |calls: u64| {
                (0..calls).for_each(|_| ready.call());
                Ok(())
            };
            let label = format!("{} on {name}", network.name);
            let times = clock::time(&mut work, BLOCK, common.repeats, &|| bench.pulse(&label))?.per(1);
            let mut row =
                Row { kind: "sites", device: name.clone(), dtype: dtype.name(), auto: true, ..Row::default() };
            row.path = Some(network.name);
            row.timed(&times, 1.0, None, None);
            row.peak_memory_bytes = memory.and_then(|peak| peak.bytes());
            row.max_relative_error = if network.step { None } else { worst(network, &drawn, &ready) };
            row.note("doc", network.doc);
            bench.emit(row);
        }
    }
    Ok(())
}

/// A repeat lasts at least so many seconds.
const BLOCK: f64 = 0.05;

/// max|G - G64| / max|G64| over all sites.
fn worst(network: &Network, drawn: &Drawn, ready: &Ready) -> Option<f64> {
    let exact = Ready::new(network, drawn, (&Device::flex(), DType::F64));
    let (got, exact) = (agops(&ready.forward, &ready.x), agops(&exact.forward, &exact.x));
    let each = got.iter().zip(&exact).map(|((_, got), (_, exact))| (got - exact).norm_max() / exact.norm_max());
    finite(each.fold(0.0, f64::max))
}

/// Writes a network, its rows and the AGOPs at its sites.
///
/// # Errors
/// More than one network; a file that can't be written.
pub fn save(bench: &Bench<'_>, args: &SitesArgs, path: &Path) -> Result<()> {
    let network = one(args)?;
    let (drawn, mut saved) = (Drawn::of(network), Saved::default());
    for (name, shape, values) in &drawn.parameters {
        saved.exact(name, shape.clone(), values);
    }
    saved.exact("x", drawn.x.1.to_vec(), &drawn.x.0);
    saved.say("network", network.name.to_string());
    if !network.step {
        let exact = Ready::new(network, &drawn, (&Device::flex(), DType::F64));
        for (site, agop) in agops(&exact.forward, &exact.x) {
            let d = agop.nrows();
            saved.result(&format!("agop.{site}"), vec![d, d], (0..d * d).map(|k| agop[(k / d, k % d)]).collect());
        }
    }
    saved.write(bench.store(), path)
}

fn one(args: &SitesArgs) -> Result<&'static Network> {
    match chosen(args)?[..] {
        [network] => Ok(network),
        _ => Err(Error::input("one network is saved or timed on demand: name it with --network")),
    }
}

/// Sets one network up, then times a repeat for every line that comes.
///
/// # Errors
/// More than one network, device or dtype; input that ends is no error.
pub fn on_demand(bench: &Bench<'_>, args: &SitesArgs) -> Result<()> {
    let (network, (name, dtype)) = (one(args)?, bench.one_place(&args.common, Dtype::F32)?);
    let (drawn, device) = (Drawn::of(network), devices::open(&name, dtype)?);
    let ready = Ready::new(network, &drawn, (&device, dtype.burn()));
    let mut work = |calls: u64| {
        (0..calls).for_each(|_| ready.call());
        Ok(())
    };
    bench.serve(network.name, true, &mut work, BLOCK)
}
