//! The conformance suite: what every model must satisfy, one's own included.
//!
//! ```
//! # use nfa_models::{models, testing};
//! // In one's own crate, inside a #[test], with the registry that holds one's models:
//! testing::conformance(&models(), &burn::tensor::Device::flex());
//! ```

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::context::Context;
use crate::network::{AnyNetwork, Chain};
use crate::parameters::{Parameter, Parameters};
use crate::rng::Stream;
use crate::sites::{Record, Sites, SitesError};
use crate::spec::Registry;

const ROWS: usize = 7;

/// Checks every model of a registry; panics with what fails and where.
///
/// In `f64` on the given device, of the inputs and outputs that [`crate::Spec::SHAPE`] says: the
/// example builds, twice the same; rows are independent to the bit; sites are there, the same whether or not
/// rows come several times over, and those of the chain where the network is one; parameters can be read and set
/// back, and misfits are refused; gradients in parameters, in inputs and at every site agree with central differences
/// to 1e-7.
///
/// # Panics
/// On the first property that fails.
pub fn conformance(models: &Registry<dyn AnyNetwork>, device: &Device) {
    for entry in models.entries() {
        assert!(!entry.doc.is_empty() && !entry.reference.is_empty(), "{}: no doc or reference", entry.kind);
        let [inputs, outputs] = entry.shape;
        let build = || {
            let stream = Stream::root(11).fork("init");
            let context = Context { inputs, outputs, device, dtype: DType::F64, stream, stored: None };
            let built = entry.example_table().and_then(|table| models.build(table, &context));
            built.unwrap_or_else(|error| panic!("{}: the example does not build: {error}", entry.kind))
        };
        let network = build();
        assert_eq!(flat(network.as_ref()), flat(build().as_ref()), "{}: building twice gives two networks", entry.kind);
        check(entry.kind, network, entry.shape, device);
    }
}

/// The suite for one built network, on as many inputs and outputs as `shape` says.
///
/// # Panics
/// On the first property that fails.
pub fn check(name: &str, mut network: Box<dyn AnyNetwork>, shape: [usize; 2], device: &Device) {
    let [inputs, outputs] = shape;
    let data = TensorData::new(Stream::root(12).normals(ROWS * inputs), [ROWS, inputs]);
    let x = Tensor::from_data(data, (device, DType::F64));
    let found = network.outputs(x.clone()).dims();
    assert_eq!(found, [ROWS, outputs], "{name}: the shape of the outputs of {ROWS} rows");
    row_independence(name, network.as_ref(), &x);
    sites(name, network.as_ref(), &x);
    setting_parameters(name, network.as_mut());
    parameter_gradients(name, network.as_ref(), &x);
    input_gradients(name, network.as_ref(), &x);
    site_gradients(name, network.as_ref(), &x);
}

/// Some of a chain's layers, one after the other, in Burn's operations alone.
///
/// # Shapes
/// h: `[n, d]` of the first → `[n, h]` of the last
pub fn layers(chain: &Chain, layers: std::ops::Range<usize>, h: Tensor<2>) -> Tensor<2> {
    layers.fold(h, |h, l| {
        let mut z = h.matmul(chain.weights[l].clone().transpose());
        if let Some(bias) = &chain.biases[l] {
            z = z + bias.clone().unsqueeze();
        }
        chain.activations.get(l).map_or(z.clone(), |activation| activation.forward(z))
    })
}

fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    tensor.clone().inner().try_into_vec_as::<f64>().expect("readable")
}

fn flat(network: &dyn AnyNetwork) -> Vec<f64> {
    network.parameters().iter().flat_map(|p| values(&p.value)).collect()
}

fn row_independence(name: &str, network: &dyn AnyNetwork, x: &Tensor<2>) {
    let before = values(&network.outputs(x.clone()));
    let (mut data, [rows, inputs]) = (values(x), x.dims());
    data[2 * inputs..3 * inputs].iter_mut().for_each(|v| *v += 0.5);
    let moved = Tensor::from_data(TensorData::new(data, [rows, inputs]), (&x.device(), x.dtype()));
    let after = values(&network.outputs(moved));
    let c = before.len() / ROWS;
    for row in (0..ROWS).filter(|&row| row != 2) {
        assert_eq!(
            before[row * c..(row + 1) * c],
            after[row * c..(row + 1) * c],
            "{name}: row {row} changed with row 2; a layer couples samples"
        );
    }
}

/// What passes on some rows, which come `copies` times.
fn record(name: &str, network: &dyn AnyNetwork, x: &Tensor<2>, copies: usize) -> (Tensor<2>, Record) {
    let mut at = Sites::recording(copies).with_inputs().with_weights();
    let y = network.forward(x.clone().repeat(&[copies, 1]), &mut at);
    (y, at.finish().unwrap_or_else(|error| panic!("{name}: {error}")))
}

fn sites(name: &str, network: &dyn AnyNetwork, x: &Tensor<2>) {
    let whole = values(&network.outputs(x.clone()));
    let (y, one) = record(name, network, x, 1);
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-13 * (1.0 + a.abs());
    let same = values(&y).iter().zip(&whole).all(|(&a, &b)| near(a, b));
    assert!(same, "{name}: recording its sites changes the outputs");
    assert!(!one.sites.is_empty(), "{name}: {}", SitesError::NoSite);
    let (y, three) = record(name, network, x, 3);
    for (copy, found) in values(&y).chunks(whole.len()).enumerate() {
        for (a, b) in whole.iter().zip(found) {
            assert!(near(*a, *b), "{name}: copy {copy} of the rows has output {b}, not {a}");
        }
    }
    assert_eq!(one.sites, three.sites, "{name}: sites differ when rows come three times");
    if let Some(chain) = network.chain() {
        let weights: Vec<Vec<f64>> = one.uses.iter().filter_map(|used| used.weight.as_ref()).map(values).collect();
        let expected: Vec<Vec<f64>> = chain.weights.iter().map(values).collect();
        assert_eq!(weights, expected, "{name}: the chain's layers are not the sites of forward");
    }
}

fn setting_parameters(name: &str, network: &mut dyn AnyNetwork) {
    let before = flat(network);
    let parameters = network.parameters();
    let scaled = parameters.map(|p| p.value.clone().mul_scalar(2.0));
    network.set_parameters(&scaled).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(flat(network), before.iter().map(|v| 2.0 * v).collect::<Vec<_>>(), "{name}: set_parameters");
    let partial = Parameters::new(parameters.iter().skip(1).cloned().collect());
    assert!(network.set_parameters(&partial).is_err(), "{name}: a missing parameter went unnoticed");
    network.set_parameters(&parameters).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(flat(network), before, "{name}: set_parameters does not restore");
}

/// Σ sin(f + k): every output counts, with different weights.
fn loss(outputs: Tensor<2>) -> Tensor<1> {
    let [n, c] = outputs.dims();
    let phase = Tensor::<1>::from_data(
        TensorData::new((0..n * c).map(|k| k as f64).collect(), [n * c]),
        (&outputs.device().inner(), outputs.dtype()),
    );
    (outputs.reshape([n * c]) + phase).sin().sum()
}

const STEP: f64 = 6e-6; // eps^(1/3): balances truncation and rounding of a central difference
const TOLERANCE: f64 = 1e-7;

fn parameter_gradients(name: &str, network: &dyn AnyNetwork, x: &Tensor<2>) {
    let (_, gradient) = network.gradient(&|net| loss(net.outputs(x.clone())));
    let parameters = network.parameters();
    let direction: Vec<Vec<f64>> =
        parameters.iter().map(|p| Stream::root(13).fork(&p.name).normals(p.shape.iter().product())).collect();
    let at = |t: f64| {
        let mut moved = network.boxed_clone();
        let mut index = 0;
        let values = parameters.map(|p: &Parameter| {
            let step = Tensor::from_data(
                TensorData::new(direction[index].clone(), [direction[index].len()]),
                (&p.value.device(), p.value.dtype()),
            );
            index += 1;
            p.value.clone() + step.mul_scalar(t)
        });
        moved.set_parameters(&values).expect("same network");
        values_sum(&loss(moved.outputs(x.clone())))
    };
    let numeric = (at(STEP) - at(-STEP)) / (2.0 * STEP);
    let exact: f64 = gradient
        .iter()
        .zip(&direction)
        .map(|(g, d)| values(&g.value).iter().zip(d).map(|(a, b)| a * b).sum::<f64>())
        .sum();
    assert!(
        (numeric - exact).abs() <= TOLERANCE * (1.0 + exact.abs()),
        "{name}: parameter gradient {exact}, difference {numeric}"
    );
}

fn input_gradients(name: &str, network: &dyn AnyNetwork, x: &Tensor<2>) {
    let leaf = x.clone().autodiff().require_grad();
    let gradient = leaf.grad_remove(&mut loss(network.outputs(leaf.clone())).backward());
    let gradient = gradient.unwrap_or_else(|| panic!("{name}: no gradient in its inputs"));
    let at = |moved: Tensor<2>| network.outputs(moved);
    differences(&format!("{name}: gradient in the inputs"), &values(&gradient), x, at);
}

fn site_gradients(name: &str, network: &dyn AnyNetwork, x: &Tensor<2>) {
    let (y, record) = record(name, network, x, 1);
    let mut gradients = loss(y).backward();
    for used in &record.uses {
        // The uses of a shared weight can't be moved one by one.
        if record.uses.iter().filter(|other| other.name == used.name).count() > 1 {
            continue;
        }
        let delta = used.delta(&mut gradients).unwrap_or_else(|| panic!("{name}: nothing depends on {}", used.name));
        let output = used.output.clone().unwrap_or_else(|| panic!("{name}: {} puts nothing out", used.name));
        let count = delta.dims().iter().product();
        let at = |moved: Tensor<2>| {
            let mut at = Sites::recording(1).only(&[]).replacing(&used.name, moved.reshape([count]));
            network.forward(x.clone(), &mut at)
        };
        differences(&format!("{name}: gradient at {}", used.name), &values(&delta), &output.reshape([1, count]), at);
    }
}

/// Holds a gradient of [`loss`] against central differences, entry by entry.
fn differences(what: &str, gradient: &[f64], at: &Tensor<2>, outputs: impl Fn(Tensor<2>) -> Tensor<2>) {
    let (base, shape) = (values(at), at.dims());
    for k in 0..base.len() {
        let moved = |t: f64| {
            let mut data = base.clone();
            data[k] += t;
            values_sum(&loss(outputs(Tensor::from_data(TensorData::new(data, shape), (&at.device(), at.dtype())))))
        };
        let numeric = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
        assert!(
            (numeric - gradient[k]).abs() <= TOLERANCE * (1.0 + gradient[k].abs()),
            "{what}, entry {k}: {}, difference {numeric}",
            gradient[k]
        );
    }
}

fn values_sum(tensor: &Tensor<1>) -> f64 {
    values(tensor).iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Init, Mlp, Spec, SpecError};

    #[test]
    fn every_built_in_model_conforms() {
        conformance(&crate::models(), &Device::flex());
    }

    /// A model of square images.
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Image {}

    impl Spec<dyn AnyNetwork> for Image {
        const KIND: &'static str = "image";
        const DOC: &'static str = "A linear map of square images.";
        const REFERENCE: &'static str = "this test";
        const EXAMPLE: &'static str = "";
        const SHAPE: [usize; 2] = [16, 2];

        fn build(&self, context: &Context<'_>) -> Result<Box<dyn AnyNetwork>, SpecError> {
            let side = context.inputs.isqrt();
            if side * side != context.inputs {
                return Err(SpecError::value("", format!("{} inputs are no square image", context.inputs)));
            }
            let weight = context.weight("weight", &Init::default(), [context.outputs, context.inputs])?;
            Ok(Box::new(Mlp::new(vec![weight], vec![None], vec![])?))
        }
    }

    #[test]
    fn a_model_conforms_in_its_own_shape() {
        conformance(&Registry::new("model").with::<Image>(), &Device::flex());
    }

    /// Normals of variance 1 / cols: a quadratic network of depth 3 stays of order 1.
    fn scaled(stream: &Stream, rows: usize, cols: usize) -> Vec<f64> {
        stream.normals(rows * cols).into_iter().map(|v| v / (cols as f64).sqrt()).collect()
    }

    #[test]
    fn every_activation_conforms_with_and_without_biases() {
        let device = Device::flex();
        for activation in Activation::ALL {
            for bias in [false, true] {
                let stream = Stream::root(5).fork(activation.name());
                let tensor = |name: &str, rows: usize, cols: usize| {
                    Tensor::<2>::from_data(
                        TensorData::new(scaled(&stream.fork(name), rows, cols), [rows, cols]),
                        (&device, DType::F64),
                    )
                };
                let weights = vec![tensor("0", 6, 5), tensor("1", 4, 6), tensor("2", 3, 4)];
                let biases = [6, 4, 3].map(|d| bias.then(|| tensor("b", 1, d).reshape([d])));
                let network = Mlp::new(weights, biases.to_vec(), vec![activation; 2]).expect("shapes chain");
                check(activation.name(), Box::new(network), [5, 3], &device);
            }
        }
    }

    #[test]
    fn parameter_names_are_those_of_the_files() {
        let table = toml::from_str("kind = \"mlp\"\ndepth = 2\nwidth = 4\nbias = true").expect("valid TOML");
        let (device, stream) = (Device::flex(), Stream::root(0));
        let context = Context { inputs: 5, outputs: 3, device: &device, dtype: DType::F64, stream, stored: None };
        let network = crate::models().build(table, &context).expect("builds");
        let names: Vec<(String, Vec<usize>)> =
            network.parameters().iter().map(|p| (p.name.clone(), p.shape.clone())).collect();
        let expected = [
            ("layers.0.weight", vec![4, 5]),
            ("layers.0.bias", vec![4]),
            ("layers.1.weight", vec![3, 4]),
            ("layers.1.bias", vec![3]),
        ];
        assert_eq!(names, expected.map(|(n, s)| (n.to_string(), s)));
    }
}
