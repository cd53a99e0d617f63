//! Time of the exact AGOP at the input of an MLP, and at all layers in one sweep.
//!
//! `cargo bench -p nfa-train --bench agop -- [widths] [samples]`, by default problem A:
//! 784-512-512-10 ReLU, 4,096 samples, f32. `benches/peers/agop_torch.py` is the same in PyTorch.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)] // a program of one page

use std::time::Instant;

use burn::tensor::{DType, Device, Tensor, TensorData};
use nfa_metrics::{AgopOptions, Path, observe_network};
use nfa_models::{Context, Stream, models};

const REPEATS: usize = 9;

fn main() {
    nfa_train::allocator::keep_pages();
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let widths: Vec<usize> =
        arguments.first().map_or("784,512,512,10", String::as_str).split(',').map(|w| w.parse().unwrap()).collect();
    let samples: usize = arguments.get(1).map_or(4096, |n| n.parse().unwrap());
    let device = Device::flex();
    let hidden: Vec<String> = widths[1..widths.len() - 1].iter().map(usize::to_string).collect();
    let spec = format!("kind = \"mlp\"\nwidths = [{}]\nactivation = \"relu\"", hidden.join(", "));
    let build = |dtype: DType| {
        let context = Context {
            inputs: widths[0],
            outputs: widths[widths.len() - 1],
            device: &device,
            dtype,
            stream: Stream::root(0).fork("init"),
            stored: None,
        };
        let data = Stream::root(0).fork("data").normals(samples * widths[0]);
        let x = Tensor::<2>::from_data(TensorData::new(data, [samples, widths[0]]), (&device, dtype));
        (models().build(spec.parse().unwrap(), &context).unwrap(), x)
    };
    let (network, x) = build(DType::F32);
    for (name, path, layers) in [
        ("factored, first layer", Path::Factored, Some(vec![0])),
        ("factored, all layers", Path::Factored, None),
        ("autodiff, first layer", Path::Autodiff, Some(vec![0])),
    ] {
        let options = AgopOptions { path, layers, ..AgopOptions::default() };
        let mut seconds: Vec<f64> = (0..=REPEATS)
            .map(|_| {
                let start = Instant::now();
                let observed = observe_network(network.as_ref(), &x, None, &options);
                assert!(observed.layers[0].agop.as_ref().unwrap().trace() > 0.0);
                start.elapsed().as_secs_f64()
            })
            .skip(1)
            .collect();
        seconds.sort_by(f64::total_cmp);
        let (median, least) = (seconds[REPEATS / 2], seconds[0]);
        println!(
            "{name:24} median {:7.1} ms  min {:7.1} ms  {:8.0} samples/s",
            1e3 * median,
            1e3 * least,
            samples as f64 / median
        );
    }
}
