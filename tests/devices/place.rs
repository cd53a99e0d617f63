//! Where the suite runs, and how close is close there.

use burn::tensor::{Device, Tensor, TensorData};
use nfa_metrics::Mat;
use nfa_models::{Activation, Mlp};
use nfa_train::machine::devices::{BACKENDS, Dtype, open};

/// A backend in a dtype.
pub struct Place {
    /// As `--device` takes it.
    pub name: &'static str,
    /// In which it computes.
    pub dtype: Dtype,
    pub device: Device,
}

/// Every backend of this build in every dtype that it computes in, but for those that the environment
/// leaves out by name.
pub fn places() -> Vec<Place> {
    let left_out = std::env::var("NFA_SKIP_DEVICES").unwrap_or_default();
    let mut places = Vec::new();
    for backend in BACKENDS.into_iter().filter(|backend| backend.compiled) {
        let name = backend.name;
        if left_out.split(',').any(|word| word.trim() == name) {
            println!("{name}: left out, as NFA_SKIP_DEVICES says");
            continue;
        }
        for dtype in [Dtype::F64, Dtype::F32].into_iter().filter(|&dtype| backend.f64 || dtype == Dtype::F32) {
            let device = open(name, dtype).unwrap_or_else(|error| {
                panic!("{name} is compiled in and cannot be tested: {error}\nNFA_SKIP_DEVICES={name} leaves it out")
            });
            places.push(Place { name, dtype, device });
        }
    }
    assert!(!places.is_empty(), "no backend is left to test");
    places
}

impl Place {
    /// flex in `f64`: the suite's other checks, and the models' conformance tests, hold it against NumPy, the
    /// standard library and finite differences.
    pub fn reference() -> Self {
        Place { name: "flex", dtype: Dtype::F64, device: Device::flex() }
    }

    /// Whether it is the reference itself.
    pub fn is_reference(&self) -> bool {
        self.name == "flex" && self.dtype == Dtype::F64
    }

    pub fn title(&self) -> String {
        format!("{} {}", self.name, self.dtype.name())
    }

    /// A tolerance per dtype.
    pub fn either(&self, f64: f64, f32: f64) -> f64 {
        match self.dtype {
            Dtype::F64 => f64,
            Dtype::F32 => f32,
        }
    }

    /// # Shapes
    /// the matrix's
    pub fn tensor(&self, matrix: &Mat) -> Tensor<2> {
        let (rows, cols) = (matrix.nrows(), matrix.ncols());
        let data: Vec<f64> = (0..rows * cols).map(|k| matrix[(k / cols, k % cols)]).collect();
        Tensor::from_data(TensorData::new(data, [rows, cols]), (&self.device, self.dtype.burn()))
    }

    fn vector(&self, values: &[f64]) -> Tensor<1> {
        Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), (&self.device, self.dtype.burn()))
    }

    /// An MLP with one activation.
    pub fn mlp(&self, weights: &[Mat], biases: Option<&[Vec<f64>]>, activation: Activation) -> Mlp {
        let biases = (0..weights.len()).map(|l| biases.map(|biases| self.vector(&biases[l]))).collect();
        let weights: Vec<Tensor<2>> = weights.iter().map(|weight| self.tensor(weight)).collect();
        let activations = vec![activation; weights.len() - 1];
        Mlp::new(weights, biases, activations).unwrap()
    }
}

/// The largest of many errors, and where it was.
pub struct Worst {
    what: String,
    share: f64,
    error: f64,
    tolerance: f64,
    at: String,
}

impl Worst {
    /// Of a check at a place.
    pub fn of(what: &str, place: &Place) -> Self {
        let what = format!("{what}, {}", place.title());
        Worst { what, share: 0.0, error: 0.0, tolerance: f64::INFINITY, at: "nowhere".into() }
    }

    /// An error that may be as large as `tolerance`.
    pub fn see(&mut self, error: f64, tolerance: f64, at: impl FnOnce() -> String) {
        let share = error / tolerance;
        if share > self.share || share.is_nan() {
            (self.share, self.error, self.tolerance, self.at) = (share, error, tolerance, at());
        }
    }

    /// Tells it, and asserts.
    #[track_caller]
    pub fn tell(self) {
        let Worst { what, share, error, tolerance, at } = self;
        println!("{what}: {error:.1e} of {tolerance:.0e} at {at}");
        assert!(share <= 1.0, "{what}: {error:e} at {at}, more than {tolerance:e}");
    }
}

/// |X - Y| as a share of |Y| (Frobenius).
pub fn relative(x: &Mat, y: &Mat) -> f64 {
    (x - y).norm_l2() / y.norm_l2()
}
