//! What is computed: an MLP, its rows and targets, drawn from keyed streams.

use burn::tensor::{DType, Device, Tensor, TensorData};
use nfa_models::{Activation, Mlp, Stream};

use crate::bench::args::ProblemArgs;
use crate::data::split::Split;
use crate::error::{Error, Result};

/// A problem of the tables.
#[derive(Clone, Copy, Debug)]
pub struct Standard {
    /// Its letter.
    pub name: &'static str,
    widths: &'static [usize],
    activation: Activation,
    samples: usize,
}

const fn standard(name: &'static str, widths: &'static [usize], activation: Activation, samples: usize) -> Standard {
    Standard { name, widths, activation, samples }
}

/// The AGOP's standard problems.
pub const AGOP: [Standard; 3] = [
    standard("A", &[784, 512, 512, 10], Activation::Relu, 4096),
    standard("B", &[3072, 1024, 1024, 1024, 1024, 10], Activation::Relu, 2048),
    standard("C", &[10, 64, 64, 64, 1], Activation::Tanh, 100_000),
];

/// Training's standard problems.
pub const TRAIN: [Standard; 3] = [
    standard("S", &[10, 64, 1], Activation::Relu, 500),
    standard("M", &[20, 256, 256, 1], Activation::Relu, 1000),
    standard("L", &[50, 512, 512, 512, 512, 1], Activation::Relu, 1000),
];

/// More numbers than this in one matrix are a typing error.
const MOST: usize = 1 << 31;

/// A network's shape and the number of its rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Its letter, if it is a standard one as it stands.
    pub name: Option<&'static str>,
    /// Inputs, hidden widths, outputs.
    pub widths: Vec<usize>,
    /// Between layers.
    pub activation: Activation,
    /// Rows.
    pub samples: usize,
    /// Whether layers have biases.
    pub bias: bool,
    /// Of weights and rows.
    pub seed: u64,
}

impl Problem {
    /// A standard problem as it stands.
    pub fn of(standard: &Standard) -> Self {
        Problem {
            name: Some(standard.name),
            widths: standard.widths.to_vec(),
            activation: standard.activation,
            samples: standard.samples,
            bias: false,
            seed: 0,
        }
    }

    /// The one that the command line asks for: a standard one, changed or not, or one's own.
    ///
    /// # Errors
    /// Unknown names, widths that are no network, sizes beyond reason.
    pub fn read(args: &ProblemArgs, known: &[Standard], samples: usize) -> Result<Self> {
        let mut problem = match (&args.problem, args.widths.as_slice()) {
            (Some(name), _) => {
                let found = known.iter().find(|standard| standard.name.eq_ignore_ascii_case(name));
                let names: Vec<&str> = known.iter().map(|standard| standard.name).collect();
                let unknown = || Error::input(format!("--problem {name}: known here are {}", names.join(", ")));
                Problem::of(found.ok_or_else(unknown)?)
            }
            (None, []) => Problem::of(&known[0]),
            (None, widths) => Problem {
                name: None,
                widths: widths.to_vec(),
                activation: Activation::Relu,
                samples,
                bias: false,
                seed: 0,
            },
        };
        let as_it_stands = problem.clone();
        if let Some(word) = &args.activation {
            problem.activation = word.parse().map_err(|error| Error::input(format!("--activation {error}")))?;
        }
        problem.samples = args.samples.unwrap_or(problem.samples);
        problem.bias = args.bias;
        if problem != as_it_stands {
            problem.name = None;
        }
        problem.seed = args.seed;
        problem.check()?;
        Ok(problem)
    }

    fn check(&self) -> Result<()> {
        let widths = &self.widths;
        if widths.len() < 2 || widths.contains(&0) {
            let given: Vec<String> = widths.iter().map(usize::to_string).collect();
            return Err(Error::input(format!(
                "--widths {}: give inputs, hidden widths and outputs, all positive, as in 784,512,512,10",
                given.join(",")
            )));
        }
        if self.samples == 0 {
            return Err(Error::input("--samples 0: at least one row"));
        }
        let largest = widths.windows(2).map(|pair| pair[0].saturating_mul(pair[1]));
        let rows = widths.iter().map(|width| width.saturating_mul(self.samples));
        match largest.chain(rows).max() {
            Some(numbers) if numbers > MOST => Err(Error::input(format!(
                "{} with {} rows: a matrix of {numbers} numbers; at most {MOST} are tried",
                self.shape(),
                self.samples
            ))),
            _ => Ok(()),
        }
    }

    /// As people write it: `784-512-512-10`.
    pub fn shape(&self) -> String {
        self.widths.iter().map(usize::to_string).collect::<Vec<_>>().join("-")
    }

    /// Its shape, activation and rows in words.
    pub fn title(&self) -> String {
        let name = self.name.map_or(String::new(), |name| format!("{name}: "));
        let bias = if self.bias { ", biases" } else { "" };
        format!("{name}{} {}{bias}, n = {}", self.shape(), self.activation, self.samples)
    }

    /// The number of weight matrices.
    pub fn depth(&self) -> usize {
        self.widths.len() - 1
    }

    /// Its numbers; `replica` changes the weights alone.
    pub fn draw(&self, replica: u64) -> Drawn {
        let root = Stream::root(self.seed).fork("bench");
        let (rows, start) = (root.fork("rows"), root.fork("weights").fork_index(replica));
        let weights = self.widths.windows(2).enumerate().map(|(l, pair)| {
            let scale = 1.0 / (pair[0] as f64).sqrt();
            normals(&start.fork(&format!("layers.{l}.weight")), pair[0] * pair[1], scale)
        });
        let biases = self
            .widths
            .iter()
            .skip(1)
            .enumerate()
            .map(|(l, &width)| self.bias.then(|| normals(&start.fork(&format!("layers.{l}.bias")), width, 0.1)));
        Drawn {
            widths: self.widths.clone(),
            activation: self.activation,
            weights: weights.collect(),
            biases: biases.collect(),
            inputs: normals(&rows, self.samples * self.widths[0], 1.0),
            samples: self.samples,
        }
    }

    /// Targets of the rows: sines of random directions, the largest of a row as its class where
    /// classes are wanted.
    ///
    /// # Shapes
    /// `[n, c]`, row-major
    pub fn targets(&self, inputs: &[f64], classes: bool) -> Vec<f64> {
        let (d, c) = (self.widths[0], self.widths[self.depth()]);
        let teacher = normals(&Stream::root(self.seed).fork("bench").fork("teacher"), d * c, 1.0 / (d as f64).sqrt());
        let row = |x: &[f64]| -> Vec<f64> {
            let along = |k: usize| x.iter().enumerate().map(|(j, v)| v * teacher[j * c + k]).sum::<f64>();
            let values: Vec<f64> = (0..c).map(|k| single(libm::sin(along(k)))).collect();
            if !classes {
                return values;
            }
            let largest = (0..c).fold(0, |best, k| if values[k] > values[best] { k } else { best });
            (0..c).map(|k| if k == largest { 1.0 } else { 0.0 }).collect()
        };
        inputs.chunks(d).flat_map(row).collect()
    }
}

/// Rounded to single precision, so that every dtype and every program computes with the same
/// numbers.
fn single(value: f64) -> f64 {
    f64::from(value as f32)
}

fn normals(stream: &Stream, count: usize, scale: f64) -> Vec<f64> {
    stream.normals(count).into_iter().map(|value| single(value * scale)).collect()
}

/// A problem's numbers on the host, all exact in `f32`.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// Inputs, hidden widths, outputs.
    pub widths: Vec<usize>,
    /// Between layers.
    pub activation: Activation,
    /// `[d_out, d_in]` each, row-major.
    pub weights: Vec<Vec<f64>>,
    /// `[d_out]` each.
    pub biases: Vec<Option<Vec<f64>>>,
    /// `[n, d]`, row-major.
    pub inputs: Vec<f64>,
    /// n.
    pub samples: usize,
}

impl Drawn {
    /// The network on a device.
    ///
    /// # Errors
    /// None that a checked problem can have.
    pub fn network(&self, device: &Device, dtype: DType) -> Result<Mlp> {
        let pairs = self.widths.windows(2);
        let weights =
            self.weights.iter().zip(pairs).map(|(data, pair)| {
                Tensor::from_data(TensorData::new(data.clone(), [pair[1], pair[0]]), (device, dtype))
            });
        let biases = self.biases.iter().map(|bias| {
            let bias = bias.as_ref()?;
            Some(Tensor::from_data(TensorData::new(bias.clone(), [bias.len()]), (device, dtype)))
        });
        let activations = vec![self.activation; self.weights.len() - 1];
        Ok(Mlp::new(weights.collect(), biases.collect(), activations)?)
    }

    /// The rows on a device.
    ///
    /// # Shapes
    /// `[n, d]`
    pub fn rows(&self, device: &Device, dtype: DType) -> Tensor<2> {
        matrix(self.inputs.clone(), self.samples, device, dtype)
    }

    /// Rows and targets on a device.
    pub fn split(&self, targets: &[f64], device: &Device, dtype: DType) -> Split {
        let inputs = self.rows(device, dtype);
        Split { inputs, targets: matrix(targets.to_vec(), self.samples, device, dtype), weights: None }
    }
}

/// A row-major matrix on a device.
pub(super) fn matrix(data: Vec<f64>, rows: usize, device: &Device, dtype: DType) -> Tensor<2> {
    let columns = data.len() / rows.max(1);
    Tensor::from_data(TensorData::new(data, [rows, columns]), (device, dtype))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact_in_single_precision_and_replicas_differ() {
        let problem = Problem { samples: 7, bias: true, ..Problem::of(&TRAIN[0]) };
        let (drawn, other) = (problem.draw(0), problem.draw(1));
        let all = drawn.weights.iter().flatten().chain(&drawn.inputs).chain(drawn.biases.iter().flatten().flatten());
        assert!(all.clone().all(|&v| single(v) == v) && all.count() == 640 + 64 + 70 + 65);
        assert_eq!(drawn.inputs, other.inputs);
        assert_ne!(drawn.weights, other.weights);
        let classes = Problem { widths: vec![10, 3], ..problem.clone() }.targets(&drawn.inputs, true);
        assert!(classes.chunks(3).all(|row| row.iter().sum::<f64>() == 1.0));
    }
}
