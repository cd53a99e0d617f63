//! A network that burn-train's `Learner` trains, and the Neural Feature Ansatz as two of its metrics.
//!
//! The targets are y = x₀ + x₀x₁ of ten Gaussian inputs, so there are two features to learn; a ReLU network learns
//! them with weight decay.

mod ansatz;
#[cfg(not(feature = "tui"))]
mod lines;

use std::error::Error;
use std::io::Write;

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::lr_scheduler::constant::ConstantLr;
use burn::module::Module;
use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig};
use burn::optim::SgdConfig;
use burn::optim::decay::WeightDecayConfig;
use burn::tensor::{Device, Distribution, ExecutionError, Tensor, TensorData, activation};
use burn::train::metric::{Adaptor, ItemLazy, LossInput, LossMetric};
use burn::train::{InferenceStep, Learner, RegressionOutput, SupervisedTraining, TrainOutput, TrainStep};

use ansatz::{Ansatz, Quantity, Seen};
use nfa_metrics::Sites;

const INPUTS: usize = 10;

#[derive(Module, Debug)]
struct Net {
    first: Linear,
    second: Linear,
}

impl Net {
    fn new(hidden: usize, device: &Device) -> Self {
        Net { first: LinearConfig::new(INPUTS, hidden).init(device), second: LinearConfig::new(hidden, 1).init(device) }
    }

    fn forward(&self, x: Tensor<2>, at: &mut Sites) -> Tensor<2> {
        let h = activation::relu(at.linear("first", x, &self.first));
        at.linear("second", h, &self.second)
    }

    fn regression(&self, batch: Batch) -> RegressionOutput {
        let output = self.forward(batch.x, &mut Sites::off());
        let loss = MseLoss::new().forward(output.clone(), batch.y.clone(), Reduction::Mean);
        RegressionOutput::new(loss, output, batch.y)
    }

    /// What the metric needs of a network: two lines in a model of one's own.
    fn seen(&self) -> Seen {
        let net = self.clone();
        Seen { forward: Box::new(move |x, at| net.forward(x, at)) }
    }
}

impl TrainStep for Net {
    type Input = Batch;
    type Output = RegressionOutput;

    fn step(&self, batch: Batch) -> TrainOutput<RegressionOutput> {
        let output = self.regression(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Net {
    type Input = Batch;
    type Output = Validated;

    fn step(&self, batch: Batch) -> Validated {
        Validated { regression: self.regression(batch), net: self.clone() }
    }
}

/// A validation output that carries its network: metrics see nothing else. (A clone shares its tensors.)
struct Validated {
    regression: RegressionOutput,
    net: Net,
}

impl ItemLazy for Validated {
    fn sync(self) -> Result<Self, ExecutionError> {
        Ok(Validated { regression: self.regression.sync()?, ..self })
    }
}

impl Adaptor<LossInput> for Validated {
    fn adapt(&self) -> LossInput {
        self.regression.adapt()
    }
}

impl Adaptor<Seen> for Validated {
    fn adapt(&self) -> Seen {
        self.net.seen()
    }
}

#[derive(Clone, Debug)]
struct Row {
    x: [f32; INPUTS],
    y: f32,
}

#[derive(Clone, Debug)]
struct Batch {
    x: Tensor<2>,
    y: Tensor<2>,
}

struct Rows;

impl Batcher<Row, Batch> for Rows {
    fn batch(&self, rows: Vec<Row>, device: &Device) -> Batch {
        let (n, x) = (rows.len(), rows.iter().flat_map(|row| row.x).collect::<Vec<f32>>());
        let y = rows.iter().map(|row| row.y).collect::<Vec<f32>>();
        Batch {
            x: Tensor::from_data(TensorData::new(x, [n, INPUTS]), device),
            y: Tensor::from_data(TensorData::new(y, [n, 1]), device),
        }
    }
}

/// Random rows with their targets.
fn rows(count: usize, device: &Device) -> Result<Vec<Row>, Box<dyn Error>> {
    let x = Tensor::<2>::random([count, INPUTS], Distribution::Normal(0.0, 1.0), device).try_into_vec_as::<f32>()?;
    let (rows, _) = x.as_chunks::<INPUTS>();
    Ok(rows.iter().map(|x| Row { x: *x, y: x[0] + x[0] * x[1] }).collect())
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::flex();
    device.seed(0);
    let (train, valid) = (rows(4000, &device)?, rows(500, &device)?);
    let probe = Rows.batch(train[..256].to_vec(), &device).x;
    let net = Net::new(64, &device.clone().autodiff());
    let start = net.clone().valid().seen().finding(&probe)?;

    let loader =
        |rows: Vec<Row>, size| DataLoaderBuilder::new(Rows).batch_size(size).shuffle(1).build(InMemDataset::new(rows));
    let training = SupervisedTraining::new("out", loader(train, 50), loader(valid, 500))
        .metrics((LossMetric::new(),))
        .metric_valid_numeric(Ansatz::new(Quantity::Exponent, probe.clone()))
        .metric_valid_numeric(Ansatz::new(Quantity::Misfit, probe.clone()))
        .num_epochs(40);
    #[cfg(not(feature = "tui"))]
    let training = training.renderer(Box::new(lines::Lines::default()));
    let decay = WeightDecayConfig::new(1e-2);
    let optimizer = SgdConfig::new().with_weight_decay(Some(decay)).init();
    let ended = training.launch(Learner::new(net, optimizer, ConstantLr::new(0.05)));
    if let Some(error) = ended.error {
        return Err(error.into());
    }

    let end = ended.model.seen().finding(&probe)?;
    for (when, found) in [("before", start), ("after", end)] {
        writeln!(std::io::stdout(), "{when:6} training: {}, {}", found.verdict.name(), found.reason)?;
    }
    Ok(())
}
