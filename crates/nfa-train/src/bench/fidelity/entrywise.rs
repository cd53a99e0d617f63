//! Operations entry by entry, each with its value and its slopes.

use burn::tensor::{Tensor, activation};
use nfa_models::{Activation, Stream};

use crate::bench::fidelity::twofold::Twofold;
use crate::bench::fidelity::worst::{Finding, Place, Unit, Worst};
use crate::machine::devices::Dtype;

/// Where arguments come from.
#[derive(Clone, Copy)]
enum Domain {
    /// All signs and sizes up to 80.
    Real,
    /// From 1e-30 to 1e30.
    Positive,
    /// From 1e-3 to 1e3.
    Middle,
    /// Above -1.
    AboveMinusOne,
}

impl Domain {
    /// A fixed list, then random ones, rounded to the dtype.
    fn points(self, stream: &Stream, dtype: Dtype) -> Vec<f64> {
        let mut draws = stream.draws();
        let both = |list: &[f64]| list.iter().flat_map(|&v| [v, -v]).collect::<Vec<f64>>();
        let mut points = match self {
            Domain::Real => {
                both(&[0.0, 1e-30, 1e-8, 1e-4, 0.01, 0.1, 0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 40.0, 80.0])
            }
            Domain::Positive => {
                let powers = (-30..=30).step_by(5).map(|k| 10f64.powi(k));
                powers.chain([0.5, 0.999, 1.0 - 1e-6, 1.0 + 1e-6, 1.001, 2.0]).collect()
            }
            Domain::Middle => vec![1e-3, 0.01, 0.1, 0.5, 0.999, 1.0, 1.001, 2.0, 10.0, 100.0, 1e3],
            Domain::AboveMinusOne => {
                let near = both(&[1e-30, 1e-8, 1e-4, 0.1, 0.5, 0.9, 0.99, 0.999]);
                near.into_iter().chain([0.0, 1.0, 10.0, 1e5, 1e10]).collect()
            }
        };
        for k in 0..400 {
            let (z, sign) = (draws.normal(), draws.sign());
            let size = 10f64.powf(-8.0 * draws.uniform());
            points.push(match (self, k % 3) {
                (Domain::Real, 0) => z,
                (Domain::Real, 1) => (10.0 * z).clamp(-80.0, 80.0),
                (Domain::Real, _) => sign * size,
                (Domain::Positive, 0) => (10.0 * z).exp().clamp(1e-30, 1e30),
                (Domain::Positive, 1) => 1.0 + 0.1 * sign * size,
                (Domain::Positive, _) => z.exp(),
                (Domain::Middle, _) => (2.0 * z).exp().clamp(1e-3, 1e3),
                (Domain::AboveMinusOne, 0) => z.exp() - 0.99,
                (Domain::AboveMinusOne, 1) => 0.9 * sign * size,
                (Domain::AboveMinusOne, _) => (5.0 * z).exp(),
            });
        }
        points.into_iter().map(|v| rounded(v, dtype)).collect()
    }
}

/// A number in a dtype.
pub(super) fn rounded(value: f64, dtype: Dtype) -> f64 {
    match dtype {
        Dtype::F32 => f64::from(value as f32),
        Dtype::F64 => value,
    }
}

type Apply = Box<dyn Fn(&[Tensor<1>], Dtype) -> Tensor<1>>;
type Value = Box<dyn Fn(&[f64], Dtype) -> Twofold>;
type Slopes = Box<dyn Fn(&[f64], Dtype) -> Vec<Twofold>>;

/// An operation entry by entry.
pub(super) struct Entrywise {
    pub(super) name: String,
    domains: Vec<Domain>,
    /// Arguments that are tried forward only: overflow, underflow, the edge of the domain.
    edges: Vec<f64>,
    apply: Apply,
    value: Value,
    slopes: Slopes,
    /// φ'(z) by its closed form, where the project has one.
    formula: Option<Apply>,
    units: [Unit; 2],
    reference: &'static str,
}

pub(super) const TWOFOLD: &str = "106 bits";
pub(super) const LIBM: &str = "libm in f64, within 1 ulp or a few";

fn entrywise(
    name: &str,
    domains: &[Domain],
    apply: impl Fn(&[Tensor<1>], Dtype) -> Tensor<1> + 'static,
    value: impl Fn(&[f64], Dtype) -> Twofold + 'static,
    slopes: impl Fn(&[f64], Dtype) -> Vec<Twofold> + 'static,
) -> Entrywise {
    Entrywise {
        name: name.to_string(),
        domains: domains.to_vec(),
        edges: Vec::new(),
        apply: Box::new(apply),
        value: Box::new(value),
        slopes: Box::new(slopes),
        formula: None,
        units: [Unit::RESULT; 2],
        reference: TWOFOLD,
    }
}

/// A function of one argument from `f64` functions.
fn function(
    name: &str,
    domain: Domain,
    apply: impl Fn(Tensor<1>) -> Tensor<1> + 'static,
    value: impl Fn(f64) -> f64 + 'static,
    slope: impl Fn(f64) -> f64 + 'static,
) -> Entrywise {
    let entry = entrywise(
        name,
        &[domain],
        move |x, _| apply(x[0].clone()),
        move |x, _| Twofold::new(value(x[0])),
        move |x, _| vec![Twofold::new(slope(x[0]))],
    );
    Entrywise { reference: LIBM, ..entry }
}

impl Entrywise {
    fn edges(mut self, edges: &[f64]) -> Self {
        self.edges = edges.to_vec();
        self
    }

    fn units(mut self, forward: Unit, backward: Unit) -> Self {
        self.units = [forward, backward];
        self
    }

    pub(super) fn check(&self, place: &Place<'_>) -> Vec<Finding> {
        let stream = Stream::root(0).fork("fidelity").fork(&self.name);
        let mut arguments: Vec<Vec<f64>> = Vec::new();
        for (k, domain) in self.domains.iter().enumerate() {
            let points = domain.points(&stream.fork_index(k as u64), place.dtype);
            // So that every size of one argument meets every size of the other.
            let order = stream.fork("order").fork_index(k as u64).permutation(points.len());
            arguments.push(if k == 0 { points } else { order.into_iter().map(|i| points[i]).collect() });
        }
        let count = arguments.iter().map(Vec::len).min().unwrap_or(0);
        arguments.iter_mut().for_each(|points| points.truncate(count));
        let at = |i: usize| arguments.iter().map(|points| points[i]).collect::<Vec<f64>>();
        let leaves = || arguments.iter().map(|points| place.vector(points));
        let wide = |worst: &mut Worst, got: &[f64], unit: &Unit, exact: &dyn Fn(usize, &[f64]) -> Twofold| {
            for (i, &got) in got.iter().enumerate() {
                let point = at(i);
                let exact = exact(i, &point);
                worst.hold(got, exact, unit.magnitude(&point), place.dtype, || words(&point));
            }
        };
        let [forward_unit, backward_unit] = &self.units;
        let mut forward = Worst::default();
        let got = forward.read(place, (self.apply)(&leaves().collect::<Vec<_>>(), place.dtype));
        wide(&mut forward, &got, forward_unit, &|_, point| (self.value)(point, place.dtype));
        if !self.edges.is_empty() {
            let got = forward.read(place, (self.apply)(&[place.vector(&self.edges)], place.dtype));
            for (&edge, &got) in self.edges.iter().zip(&got) {
                let edge = rounded(edge, place.dtype);
                let exact = (self.value)(&[edge], place.dtype);
                forward.hold(got, exact, forward_unit.magnitude(&[edge]), place.dtype, || words(&[edge]));
            }
        }
        let mut backward = Worst::default();
        let tracked: Vec<Tensor<1>> = leaves().map(|leaf| leaf.autodiff().require_grad()).collect();
        let mut gradients = (self.apply)(&tracked, place.dtype).sum().backward();
        for (k, leaf) in tracked.iter().enumerate() {
            let gradient = leaf.grad_remove(&mut gradients).unwrap_or_else(|| leaf.clone().inner().zeros_like());
            let got = backward.read(place, gradient);
            wide(&mut backward, &got, backward_unit, &|_, point| (self.slopes)(point, place.dtype)[k]);
        }
        let mut found = vec![
            Finding::new("forward", forward, forward_unit, self.reference),
            Finding::new("backward", backward, backward_unit, self.reference),
        ];
        if let Some(formula) = &self.formula {
            let mut derivative = Worst::default();
            let got = derivative.read(place, formula(&leaves().collect::<Vec<_>>(), place.dtype));
            wide(&mut derivative, &got, backward_unit, &|_, point| (self.slopes)(point, place.dtype)[0]);
            found.push(Finding::new("derivative", derivative, backward_unit, self.reference));
        }
        found
    }
}

fn words(point: &[f64]) -> String {
    point.iter().map(|v| format!("{v:e}")).collect::<Vec<_>>().join(", ")
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-z))
}

/// Φ and φ of the standard normal distribution.
fn normal(z: f64) -> (f64, f64) {
    let cdf = 0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2);
    (cdf, libm::exp(-0.5 * z * z) / std::f64::consts::TAU.sqrt())
}

fn softplus(z: f64) -> f64 {
    z.max(0.0) + libm::log1p(libm::exp(-z.abs()))
}

fn gelu_slope(z: f64) -> f64 {
    let (cdf, density) = normal(z);
    cdf + z * density
}

fn silu_slope(z: f64) -> f64 {
    sigmoid(z) + z * sigmoid(z) * sigmoid(-z)
}

/// φ and φ' by their definitions.
fn definition(activation: Activation, z: f64) -> (f64, f64) {
    let open = if z > 0.0 { 1.0 } else { 0.0 };
    match activation {
        Activation::Linear => (z, 1.0),
        Activation::Relu => (z.max(0.0), open),
        Activation::LeakyRelu(slope) if z <= 0.0 => (slope * z, slope),
        Activation::LeakyRelu(_) => (z, 1.0),
        Activation::Tanh => (libm::tanh(z), libm::cosh(z).powi(-2)),
        Activation::Gelu => (z * normal(z).0, gelu_slope(z)),
        Activation::Silu => (z * sigmoid(z), silu_slope(z)),
        Activation::Sigmoid => (sigmoid(z), sigmoid(z) * sigmoid(-z)),
        Activation::Softplus => (softplus(z), sigmoid(z)),
        Activation::Quadratic => (z * z, 2.0 * z),
    }
}

/// Units where a result is the difference of larger terms, by name.
fn units_of(name: &str) -> (Unit, Unit) {
    match name {
        // 1 - tanh², and σ(1 - σ).
        "tanh" => (Unit::RESULT, Unit::ONE),
        "sigmoid" => (Unit::RESULT, Unit::VALUE_OF_SIGMOID),
        // z(1 + erf)/2, and its derivative.
        "gelu" => (Unit::ARGUMENT, Unit::ONE),
        "silu" => (Unit::RESULT, Unit::SILU_TERMS),
        _ => (Unit::RESULT, Unit::RESULT),
    }
}

/// Sums and products.
fn arithmetic() -> Vec<Entrywise> {
    use Domain::{Middle, Real};
    let new = Twofold::new;
    let third = |dtype| rounded(1.0 / 3.0, dtype);
    vec![
        entrywise(
            "add",
            &[Real, Real],
            |x, _| x[0].clone() + x[1].clone(),
            |x, _| Twofold::sum(x[0], x[1]),
            |_, _| vec![Twofold::new(1.0); 2],
        ),
        entrywise(
            "sub",
            &[Real, Real],
            |x, _| x[0].clone() - x[1].clone(),
            |x, _| Twofold::sum(x[0], -x[1]),
            |_, _| vec![Twofold::new(1.0), Twofold::new(-1.0)],
        ),
        entrywise(
            "mul",
            &[Real, Real],
            |x, _| x[0].clone() * x[1].clone(),
            |x, _| Twofold::product(x[0], x[1]),
            move |x, _| vec![new(x[1]), new(x[0])],
        ),
        entrywise(
            "div",
            &[Real, Middle],
            |x, _| x[0].clone() / x[1].clone(),
            move |x, _| new(x[0]).over(new(x[1])),
            move |x, _| {
                let square = Twofold::product(x[1], x[1]);
                vec![new(1.0).over(new(x[1])), new(-x[0]).over(square)]
            },
        ),
        entrywise(
            "add_scalar",
            &[Real],
            |x, dtype| x[0].clone().add_scalar(rounded(0.1, dtype)),
            |x, dtype| Twofold::sum(x[0], rounded(0.1, dtype)),
            move |_, _| vec![new(1.0)],
        ),
        entrywise(
            "mul_scalar",
            &[Real],
            move |x, dtype| x[0].clone().mul_scalar(third(dtype)),
            move |x, dtype| Twofold::product(x[0], third(dtype)),
            move |_, dtype| vec![new(third(dtype))],
        ),
        entrywise(
            "div_scalar",
            &[Real],
            |x, _| x[0].clone().div_scalar(3.0),
            move |x, _| new(x[0]).over(new(3.0)),
            move |_, _| vec![new(1.0).over(new(3.0))],
        ),
        entrywise("neg", &[Real], |x, _| x[0].clone().neg(), move |x, _| new(-x[0]), move |_, _| vec![new(-1.0)]),
    ]
}

/// Powers, transcendental functions and activations, as Burn has them.
fn functions() -> Vec<Entrywise> {
    use Domain::{AboveMinusOne, Middle, Positive, Real};
    let new = Twofold::new;
    vec![
        entrywise(
            "sqrt",
            &[Positive],
            |x, _| x[0].clone().sqrt(),
            move |x, _| new(x[0]).root(),
            move |x, _| vec![new(0.5).over(new(x[0]).root())],
        )
        .edges(&[0.0, -1.0]),
        entrywise(
            "powi_scalar(2)",
            &[Real],
            |x, _| x[0].clone().powi_scalar(2),
            |x, _| Twofold::product(x[0], x[0]),
            move |x, _| vec![new(2.0 * x[0])],
        ),
        Entrywise {
            reference: LIBM,
            ..entrywise(
                "powf_scalar(1/5)",
                &[Middle],
                |x, dtype| x[0].clone().powf_scalar(rounded(0.2, dtype)),
                move |x, dtype| new(libm::pow(x[0], rounded(0.2, dtype))),
                move |x, dtype| vec![new(rounded(0.2, dtype) * libm::pow(x[0], rounded(0.2, dtype) - 1.0))],
            )
        },
        function("exp", Real, Tensor::exp, libm::exp, libm::exp).edges(&[1000.0, -1000.0]),
        function("log", Positive, Tensor::log, libm::log, |x| 1.0 / x).edges(&[0.0, -1.0]),
        function("log1p", AboveMinusOne, Tensor::log1p, libm::log1p, |x| 1.0 / (1.0 + x)),
        function("tanh", Real, activation::tanh, libm::tanh, |z| definition(Activation::Tanh, z).1)
            .edges(&[1000.0, -1000.0]),
        function("sigmoid", Real, activation::sigmoid, sigmoid, |z| definition(Activation::Sigmoid, z).1)
            .edges(&[1000.0, -1000.0]),
        function("erf", Real, Tensor::erf, libm::erf, |x| std::f64::consts::FRAC_2_SQRT_PI * libm::exp(-x * x)),
        function("relu", Real, activation::relu, |z| z.max(0.0), |z| definition(Activation::Relu, z).1),
        function("gelu", Real, activation::gelu, |z| z * normal(z).0, gelu_slope),
        function("silu", Real, activation::silu, |z| z * sigmoid(z), silu_slope),
        function("softplus", Real, |z| activation::softplus(z, 1.0), softplus, sigmoid),
    ]
}

/// Every operation that is entry by entry.
pub(super) fn all() -> Vec<Entrywise> {
    let mut all = arithmetic();
    all.extend(functions());
    for entry in &mut all {
        let (forward, backward) = units_of(&entry.name);
        entry.units = [forward, backward];
    }
    for kind in Activation::ALL {
        let (forward, backward) = units_of(kind.name());
        let mut entry = function(
            &format!("activation.{}", kind.name()),
            Domain::Real,
            move |z| kind.forward(z),
            move |z| definition(kind, z).0,
            move |z| definition(kind, z).1,
        )
        .units(forward, backward);
        entry.formula = Some(Box::new(move |x, _| {
            let z = x[0].clone();
            kind.with_slope(z.clone()).1.unwrap_or_else(|| z.zeros_like().add_scalar(1.0))
        }));
        all.push(entry);
    }
    all
}
