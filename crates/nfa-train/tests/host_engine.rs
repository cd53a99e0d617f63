//! The host engine against Burn's autodiff, step by step: two programs that share no line of the
//! arithmetic.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

use burn::tensor::{DType, Device, Tensor, TensorData};
use nfa_models::{Activation, AnyNetwork, Mlp, Stream};
use nfa_train::data::split::Split;
use nfa_train::train::losses::losses;
use nfa_train::train::objective::{Training, scalar};
use nfa_train::train::problem::Problem;
use nfa_train::train::rate::Rate;
use nfa_train::train::solver::Solver;
use nfa_train::train::solvers::{build, solvers};

fn tensor(name: &str, rows: usize, cols: usize, dtype: DType) -> Tensor<2> {
    let data = Stream::root(7).fork(name).normals(rows * cols).into_iter().map(|v| v / (cols as f64).sqrt()).collect();
    Tensor::from_data(TensorData::new::<f64, _>(data, [rows, cols]), (&Device::flex(), dtype))
}

fn network(widths: &[usize], activation: Activation, biases: bool, dtype: DType) -> Mlp {
    let layers = widths.len() - 1;
    let weights = (0..layers).map(|l| tensor(&format!("w{l}"), widths[l + 1], widths[l], dtype)).collect();
    let bias = |l: usize| tensor(&format!("b{l}"), 1, widths[l + 1], dtype).reshape([widths[l + 1]]);
    Mlp::new(weights, (0..layers).map(|l| biases.then(|| bias(l))).collect(), vec![activation; layers - 1]).unwrap()
}

/// A solver from its table, on the host where there is a problem.
fn solver(table: &str, rate: &Rate, problem: Option<Problem<'_>>) -> Box<dyn Solver> {
    build(&solvers(), table.parse().unwrap(), rate, problem).unwrap()
}

struct Case<'a> {
    solver: &'a str,
    loss: &'a str,
    widths: &'a [usize],
    activation: Activation,
    biases: bool,
    samples: usize,
    lr: f64,
    weighted: bool,
    batch: Option<usize>,
    dtype: DType,
}

const PLAIN: Case<'_> = Case {
    solver: "kind = \"gd\"",
    loss: "half_mse",
    widths: &[6, 9, 7, 3],
    activation: Activation::Tanh,
    biases: true,
    samples: 40,
    lr: 0.02,
    weighted: false,
    batch: None,
    dtype: DType::F64,
};

impl Case<'_> {
    fn split(&self) -> Split {
        let (d, c) = (self.widths[0], self.widths[self.widths.len() - 1]);
        let inputs = tensor("x", self.samples, d, self.dtype).mul_scalar((d as f64).sqrt());
        let targets = match self.loss {
            "cross_entropy" => {
                let one_hot = (0..self.samples * c).map(|k| if k % c == (k / c * 7) % c { 1.0 } else { 0.0 }).collect();
                Tensor::from_data(TensorData::new::<f64, _>(one_hot, [self.samples, c]), (&Device::flex(), self.dtype))
            }
            _ => tensor("y", self.samples, c, self.dtype),
        };
        let n = self.samples as f64;
        let weights = self.weighted.then(|| (0..self.samples).map(|i| 0.5 + i as f64 / (n - 1.0)).collect());
        Split { inputs, targets, weights }
    }

    /// The largest difference of a parameter between the engines over the steps, and of a loss.
    fn differences(&self, steps: u64) -> (f64, f64) {
        let split = self.split();
        let mut table = toml::Table::new();
        table.insert("kind".into(), self.loss.into());
        let loss = losses().build(table, &()).unwrap();
        let rate = Rate::Pieces(vec![(0.0, self.lr), (50.0, 0.5 * self.lr)]);
        let mut slow = solver(self.solver, &rate, None);
        let mut one: Box<dyn AnyNetwork> = Box::new(network(self.widths, self.activation, self.biases, self.dtype));
        let mut other = one.clone();
        let training = Training::new(&split, loss.as_ref(), self.batch, one.as_ref(), &Stream::root(3));
        let mut fast = solver(self.solver, &rate, Problem::new(one.as_ref(), &training));
        assert_eq!((slow.engine(), fast.engine()), ("autodiff", "host"));
        let (mut apart, mut losses) = (0f64, 0f64);
        for step in 0..steps {
            let a = slow.step(one.as_mut(), &training, step).unwrap();
            let b = fast.step(other.as_mut(), &training, step).unwrap();
            losses = losses.max((scalar(a.loss) - scalar(b.loss)).abs());
            apart = apart.max(difference(one.as_ref(), other.as_ref()));
        }
        assert_ne!(difference(one.as_ref(), &network(self.widths, self.activation, self.biases, self.dtype)), 0.0);
        (apart, losses)
    }
}

/// The largest over the parameters, relative to 1 or the parameter.
fn difference(a: &dyn AnyNetwork, b: &dyn AnyNetwork) -> f64 {
    let read = |net: &dyn AnyNetwork| -> Vec<f64> {
        net.parameters().iter().flat_map(|p| p.value.clone().try_into_vec_as::<f64>().unwrap()).collect()
    };
    let (a, b) = (read(a), read(b));
    assert!(a.iter().chain(&b).all(|value| value.is_finite()), "no run of these leaves");
    a.iter().zip(&b).map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, f64::max)
}

const SOLVERS: [&str; 11] = [
    "kind = \"gd\"\nweight_decay = 0.05",
    "kind = \"sgd\"\nweight_decay = 0.05\ndecay_bias = true",
    "kind = \"momentum\"\nweight_decay = 0.05\ndampening = 0.2",
    "kind = \"nesterov\"\nweight_decay = 0.05",
    "kind = \"rmsprop\"\nweight_decay = 0.05\neps = 1e-3",
    "kind = \"adam\"\nweight_decay = 0.05\neps = 1e-3",
    "kind = \"adam\"\ndecay_bias = true\neps = 1e-3",
    "kind = \"adamw\"\nweight_decay = 0.05\neps = 1e-3",
    "kind = \"muon\"\nweight_decay = 0.05",
    "kind = \"muon\"\nnesterov = false\nscale = \"none\"",
    "kind = \"muon\"\northogonalize = \"newton_schulz\"",
];

#[test]
fn a_hundred_steps_of_every_first_order_solver() {
    for solver in SOLVERS {
        let case = Case { solver, ..PLAIN };
        let (parameters, losses) = case.differences(100);
        assert!(parameters <= 1e-12 && losses <= 1e-12, "{solver}: {parameters:e}, losses {losses:e}");
    }
    let known = solvers();
    let tested = |kind: &str| SOLVERS.iter().any(|solver| solver.contains(&format!("\"{kind}\"")));
    for entry in known.entries() {
        // These evaluate as often as they like, and have no rule.
        let higher = ["flow", "lbfgs", "arc", "r_arc", "r_arc_d"].contains(&entry.kind);
        assert_eq!(tested(entry.kind), !higher, "{} takes its hundred steps here", entry.kind);
    }
}

#[test]
fn every_activation_loss_weight_and_batch() {
    for activation in Activation::ALL {
        // A polynomial of degree 4 leaves earlier.
        let lr = if activation == Activation::Quadratic { 1e-4 } else { PLAIN.lr };
        let case = Case { activation, widths: &[5, 8, 8, 2], lr, ..PLAIN };
        let (parameters, losses) = case.differences(100);
        assert!(parameters <= 1e-12 && losses <= 1e-12, "{activation}: {parameters:e}, losses {losses:e}");
    }
    for loss in ["half_mse", "mse", "cross_entropy"] {
        for weighted in [false, true] {
            for batch in [None, Some(7)] {
                let case = Case { solver: "kind = \"sgd\"", loss, weighted, batch, ..PLAIN };
                let (parameters, losses) = case.differences(100);
                let name = format!("{loss}, weighted {weighted}, batch {batch:?}");
                assert!(parameters <= 1e-12 && losses <= 1e-12, "{name}: {parameters:e}, losses {losses:e}");
            }
        }
    }
}

#[test]
fn depths_widths_and_more_rows_than_fit_at_once() {
    let cases = [
        Case { widths: &[4, 3], ..PLAIN },
        Case { widths: &[4, 6, 5, 7, 6, 5, 1], biases: false, ..PLAIN },
        Case { widths: &[6, 300, 4], samples: 300, ..PLAIN },
        Case { widths: &[6, 20, 4], samples: 9000, weighted: true, ..PLAIN },
        Case { widths: &[6, 20, 4], samples: 9000, batch: Some(5000), solver: "kind = \"sgd\"", ..PLAIN },
        // Linear: a triangle stands for the rows.
        Case { widths: &[6, 20, 4], activation: Activation::Linear, biases: false, samples: 500, ..PLAIN },
    ];
    for case in cases {
        let (parameters, losses) = case.differences(10);
        assert!(parameters <= 1e-12 && losses <= 1e-12, "{:?}: {parameters:e}, losses {losses:e}", case.widths);
    }
}

#[test]
fn in_f32_they_agree_to_its_rounding() {
    for solver in ["kind = \"gd\"", "kind = \"momentum\"", "kind = \"adam\"\neps = 1e-3"] {
        let (parameters, losses) = Case { solver, dtype: DType::F32, ..PLAIN }.differences(20);
        assert!(parameters <= 2e-6 && losses <= 2e-6, "{solver}: {parameters:e}, {losses:e}");
    }
}

#[test]
fn the_number_of_threads_leaves_every_bit() {
    let run = |threads: usize| -> Vec<f64> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let case = Case { widths: &[6, 300, 130, 4], samples: 700, dtype: DType::F32, ..PLAIN };
            let split = case.split();
            let loss = losses().build("kind = \"mse\"".parse().unwrap(), &()).unwrap();
            let mut net: Box<dyn AnyNetwork> = Box::new(network(case.widths, case.activation, true, case.dtype));
            let training = Training::new(&split, loss.as_ref(), None, net.as_ref(), &Stream::root(3));
            let problem = Problem::new(net.as_ref(), &training);
            let mut fast = solver("kind = \"adam\"", &Rate::Constant(0.01), problem);
            assert_eq!(fast.engine(), "host");
            fast.advance(net.as_mut(), &training, 0..20, &mut |_, _| true).unwrap();
            net.parameters().iter().flat_map(|p| p.value.clone().try_into_vec_as::<f64>().unwrap()).collect()
        })
    };
    let one = run(1);
    assert!(one == run(2) && one == run(5));
}

/// A solver in the middle of its way, stopped by its watch, saved and taken up by another.
#[test]
fn a_state_goes_on_in_either_engine() {
    for table in ["kind = \"momentum\"", "kind = \"adam\"\neps = 1e-3"] {
        let case = Case { solver: table, ..PLAIN };
        let split = case.split();
        let loss = losses().build("kind = \"half_mse\"".parse().unwrap(), &()).unwrap();
        let mut net: Box<dyn AnyNetwork> = Box::new(network(case.widths, case.activation, true, case.dtype));
        let training = Training::new(&split, loss.as_ref(), None, net.as_ref(), &Stream::root(3));
        let fuse = |net: &dyn AnyNetwork| solver(table, &Rate::Constant(0.02), Problem::new(net, &training));
        let mut whole = net.clone();
        fuse(net.as_ref()).advance(whole.as_mut(), &training, 0..30, &mut |_, _| true).unwrap();
        let mut first = fuse(net.as_ref());
        let stretch = first.advance(net.as_mut(), &training, 0..30, &mut |step, _| step < 11).unwrap();
        assert_eq!((stretch.next, stretch.evaluations), (12, 12));
        let mut again = fuse(net.as_ref());
        let mut other = net.clone();
        again.restore(first.state()).unwrap();
        again.advance(other.as_mut(), &training, 12..30, &mut |_, _| true).unwrap();
        assert_eq!(difference(other.as_ref(), whole.as_ref()), 0.0, "the host engine resumes to the bit");
        let mut burn = solver(table, &Rate::Constant(0.02), None);
        burn.restore(first.state()).unwrap();
        burn.advance(net.as_mut(), &training, 12..30, &mut |_, _| true).unwrap();
        assert!(difference(net.as_ref(), whole.as_ref()) <= 1e-13, "and Burn takes it up");
        assert!(again.restore(nfa_train::train::solver::State { steps: 3, ..Default::default() }).is_err());
    }
}
