//! The suite for solvers.

use burn::tensor::{DType, Device, Tensor};
use nfa_models::parameters::Parameter;
use nfa_models::{Activation, AnyNetwork, Mlp, Parameters, Registry, Stream};

use crate::data::split::Split;
use crate::record::theory::{Clock, DecayLaw};
use crate::testing::{apart, example, normal};
use crate::train::decay::Decay;
use crate::train::loss::half_mse::HalfMse;
use crate::train::objective::{Objective, Training};
use crate::train::problem::Problem;
use crate::train::rate::Rate;
use crate::train::setting::Setting;
use crate::train::solver::{Solver, State};

const WIDTHS: [usize; 4] = [6, 9, 7, 3];
const ROWS: usize = 12;
const LR: f64 = 0.05;
const DECAY: Decay = Decay { weight_decay: 0.1, decay_bias: false };

/// Checks every solver of a registry; panics with what fails and where.
///
/// On a small tanh network on the given device, in `f64` and `f32`: the example builds, with the decay that it is
/// given; a state that is saved and restored goes on to the same bits, an empty one starts afresh, and what does
/// not belong to a state is refused; the host form, where there is one and the device is a CPU, takes the same
/// steps as the tensors to 1e-9; the law of decay that it tells is what it does, and the clock.
///
/// # Panics
/// On the first property that fails.
pub fn solvers(known: &Registry<dyn Solver>, device: &Device) {
    for entry in known.entries() {
        let build = |lr: f64, problem: Option<Problem<'_>>| {
            let setting = Setting { rate: Rate::Constant(lr), decay: DECAY, seed: 7, problem };
            let built = known.build(example(entry.kind, entry.example), &setting);
            built.unwrap_or_else(|error| panic!("{}: the example does not build: {error}", entry.kind))
        };
        assert_eq!(build(LR, None).decay(), DECAY, "{}: its decay is not the setting's", entry.kind);
        for dtype in [DType::F64, DType::F32] {
            states(entry.kind, &|| build(LR, None), device, dtype);
        }
        host_form(entry.kind, &build, device);
        theory(entry.kind, &build, device);
    }
}

type Build<'a> = dyn Fn(f64, Option<Problem<'_>>) -> Box<dyn Solver> + 'a;

fn network(device: &Device, dtype: DType) -> Box<dyn AnyNetwork> {
    let layers = WIDTHS.len() - 1;
    let weight = |l: usize| normal(&format!("w{l}"), [WIDTHS[l + 1], WIDTHS[l]], device, dtype).mul_scalar(0.4);
    let bias = |l: usize| Some(normal(&format!("b{l}"), [1, WIDTHS[l + 1]], device, dtype).reshape([WIDTHS[l + 1]]));
    let mlp = Mlp::new(
        (0..layers).map(weight).collect(),
        (0..layers).map(bias).collect(),
        vec![Activation::Tanh; layers - 1],
    );
    Box::new(mlp.expect("widths chain"))
}

fn split(device: &Device, dtype: DType) -> Split {
    let inputs = normal("x", [ROWS, WIDTHS[0]], device, dtype);
    Split { inputs, targets: normal("y", [ROWS, WIDTHS[3]], device, dtype), weights: None }
}

fn numbers(parameters: &Parameters) -> Vec<f64> {
    let read = |p: &Parameter| p.value.clone().inner().try_into_vec_as::<f64>().expect("readable");
    parameters.iter().flat_map(read).collect()
}

/// Does some steps; where they lead.
fn walk(
    kind: &str,
    solver: &mut dyn Solver,
    network: &mut dyn AnyNetwork,
    objective: &dyn Objective,
    steps: std::ops::Range<u64>,
) -> Vec<f64> {
    for step in steps {
        let done = solver.step(network, objective, step);
        done.unwrap_or_else(|error| panic!("{kind}: step {step}: {error}"));
    }
    numbers(&network.parameters())
}

fn states(kind: &str, fresh: &dyn Fn() -> Box<dyn Solver>, device: &Device, dtype: DType) {
    let split = split(device, dtype);
    let start = network(device, dtype);
    let rows = Training::new(&split, &HalfMse {}, None, start.as_ref(), &Stream::root(3));
    let (mut first, mut net) = (fresh(), start.clone());
    let half = walk(kind, first.as_mut(), net.as_mut(), &rows, 0..4);
    assert!(half.iter().all(|value| value.is_finite()), "{kind}: four steps at lr = {LR} are not finite");
    assert_ne!(half, numbers(&start.parameters()), "{kind}: four steps change nothing");
    let (state, mut resumed) = (first.state(), net.clone());
    let whole = walk(kind, first.as_mut(), net.as_mut(), &rows, 4..8);
    let mut second = fresh();
    second.restore(state.clone()).unwrap_or_else(|error| panic!("{kind}: its own state is refused: {error}"));
    let again = walk(kind, second.as_mut(), resumed.as_mut(), &rows, 4..8);
    assert!(whole == again, "{kind}, {dtype:?}: a restored solver goes on {:.1e} beside", apart(&again, &whole));
    first.restore(State::default()).unwrap_or_else(|error| panic!("{kind}: an empty state is refused: {error}"));
    let again = walk(kind, first.as_mut(), start.clone().as_mut(), &rows, 0..4);
    assert!(half == again, "{kind}, {dtype:?}: an empty state does not start afresh");
    for (what, more) in [
        ("number", State { numbers: vec![("more".into(), 1.0)], ..state.clone() }),
        ("entry", State { slots: vec![("more".into(), start.parameters())], ..state }),
    ] {
        assert!(fresh().restore(more).is_err(), "{kind}: an unknown {what} in a state is not refused");
    }
}

fn host_form(kind: &str, build: &Build<'_>, device: &Device) {
    let (split, mut on_tensors) = (split(device, DType::F64), network(device, DType::F64));
    let rows = Training::new(&split, &HalfMse {}, None, on_tensors.as_ref(), &Stream::root(3));
    let problem = Problem::new(on_tensors.as_ref(), &rows);
    let mut tensors = build(LR, None);
    if !tensors.has_host_form() || problem.is_none() {
        return;
    }
    let (mut host, mut on_host) = (build(LR, problem), on_tensors.clone());
    assert_eq!(host.engine(), "host", "{kind}: has a host form, and is built without it");
    for step in 0..20 {
        let exact = walk(kind, tensors.as_mut(), on_tensors.as_mut(), &rows, step..step + 1);
        let found = walk(kind, host.as_mut(), on_host.as_mut(), &rows, step..step + 1);
        let off = apart(&found, &exact);
        assert!(off <= 1e-9, "{kind}: after step {step} the host form is {off:.1e} off the tensors'");
    }
}

/// A loss that is 0 everywhere: what moves is decay alone.
struct Nothing(Tensor<2>);

impl Objective for Nothing {
    fn evaluate(&self, network: &dyn AnyNetwork, _: u64) -> (Tensor<1>, Parameters) {
        network.gradient(&|net| net.outputs(self.0.clone()).sum().mul_scalar(0.0))
    }
}

fn theory(kind: &str, build: &Build<'_>, device: &Device) {
    let split = split(device, DType::F64);
    let start = network(device, DType::F64);
    let rows = Training::new(&split, &HalfMse {}, None, start.as_ref(), &Stream::root(3));
    let after = |lr: f64, steps: u64, objective: &dyn Objective| {
        walk(kind, build(lr, None).as_mut(), start.clone().as_mut(), objective, 0..steps)
    };
    // W - lr (slope + λW), biases without λ.
    let moved = |slope: &Parameters, decay: f64| {
        let next = start.parameters().zip(slope, |w, g| {
            let decay = if w.is_bias() { 0.0 } else { decay };
            w.value.clone().mul_scalar(1.0 - decay) - g.value.clone().mul_scalar(LR)
        });
        numbers(&next)
    };
    let told = match build(LR, None).decay_law() {
        Some(DecayLaw::Discrete) => {
            let exact = moved(&rows.evaluate(start.as_ref(), 0).1, LR * DECAY.weight_decay);
            Some(("W - lr (g + lambda W)", apart(&after(LR, 1, &rows), &exact)))
        }
        Some(DecayLaw::Continuous) => {
            let still = Nothing(split.inputs.clone());
            let exact = moved(&still.evaluate(start.as_ref(), 0).1, -(-LR * DECAY.weight_decay).exp_m1());
            Some(("exp(-lambda t) W without a gradient", apart(&after(LR, 1, &still), &exact)))
        }
        None => None,
    };
    if let Some((law, off)) = told {
        assert!(off <= 1e-9, "{kind}: tells that a step is {law}, and is {off:.1e} beside");
    }
    if build(LR, None).clock() == Clock::Time {
        let off = apart(&after(LR, 2, &rows), &after(2.0 * LR, 1, &rows));
        assert!(off <= 1e-6, "{kind}: tells that t is time, and two steps are {off:.1e} beside one twice as long");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::first_order::entry::Entry;
    use crate::train::first_order::rule::{Rule, Turn};
    use crate::train::first_order::solver::solver;
    use nfa_models::{Spec, SpecError};
    use serde::{Deserialize, Serialize};

    #[test]
    fn the_built_in_solvers_conform() {
        solvers(&crate::train::solvers::solvers(), &Device::flex());
    }

    /// Gradients over the norm of their matrix, without saying that the matrix is needed whole.
    #[derive(Clone, Copy, Serialize, Deserialize)]
    struct Normalised {}

    impl Rule<0> for Normalised {
        const SLOTS: [&'static str; 0] = [];

        fn update<E: Entry>(&self, turn: &Turn, value: E, gradient: E, memory: [E; 0]) -> (E, [E; 0]) {
            let push = match turn.matrix {
                Some(shape) => gradient.matrix(shape, |matrix, _| matrix * (1.0 / matrix.norm_l2())),
                None => gradient,
            };
            (value - push.times(turn.lr), memory)
        }
    }

    /// Ten times the step that it tells.
    #[derive(Clone, Copy, Serialize, Deserialize)]
    struct Tenfold {}

    impl Rule<0> for Tenfold {
        const SLOTS: [&'static str; 0] = [];
        const LAW: Option<DecayLaw> = Some(DecayLaw::Discrete);

        fn update<E: Entry>(&self, turn: &Turn, value: E, gradient: E, memory: [E; 0]) -> (E, [E; 0]) {
            (value.times(1.0 - turn.lr * turn.decay) - gradient.times(10.0 * turn.lr), memory)
        }
    }

    macro_rules! spec {
        ($type:ident) => {
            impl Spec<dyn Solver> for $type {
                const KIND: &'static str = stringify!($type);
                const DOC: &'static str = "";
                const REFERENCE: &'static str = "";
                const EXAMPLE: &'static str = "";

                fn build(&self, setting: &Setting<'_>) -> Result<Box<dyn Solver>, SpecError> {
                    Ok(solver(*self, setting))
                }
            }
        };
    }

    spec!(Normalised);
    spec!(Tenfold);

    #[test]
    #[should_panic(expected = "the host form is")]
    fn a_rule_whose_forms_differ_is_found() {
        solvers(&Registry::new("solver").with::<Normalised>(), &Device::flex());
    }

    #[test]
    #[should_panic(expected = "tells that a step is W - lr (g + lambda W)")]
    fn a_rule_that_tells_another_law_is_found() {
        solvers(&Registry::new("solver").with::<Tenfold>(), &Device::flex());
    }
}
