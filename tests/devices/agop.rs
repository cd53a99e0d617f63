//! AGOPs of every layer.

use burn::tensor::{Tensor, activation};
use nfa_metrics::{AgopOptions, Mat, Observation, Path, observe, observe_network};
use nfa_models::{Activation, Stream};
use nfa_tests::golden::{list, matrix, number, numbers, read, text};
use serde_json::Value;

use crate::place::{Place, Worst, relative};

/// Of a layer's AGOP, relative (Frobenius): some hundred roundings.
pub fn tolerance(place: &Place) -> f64 {
    place.either(1e-14, 1e-5)
}

/// What a case of `laws.json` says of its network, at a place.
pub fn observed(case: &Value, place: &Place, path: Path) -> Observation {
    let name = text(&case["activation"]);
    let activation = Activation::ALL.into_iter().find(|activation| activation.name() == name).unwrap();
    let weights: Vec<Mat> = list(&case["weights"]).iter().map(matrix).collect();
    let biases = case["biases"].as_array().map(|biases| biases.iter().map(numbers).collect::<Vec<_>>());
    let network = place.mlp(&weights, biases.as_deref(), activation);
    let samples = case["sample_weights"].as_array().map(|weights| weights.iter().map(number).collect::<Vec<_>>());
    let options = AgopOptions { path, batch: Some(7), ..AgopOptions::default() };
    observe_network(&network, &place.tensor(&matrix(&case["inputs"])), samples.as_deref(), &options).unwrap()
}

pub fn numpy(place: &Place) {
    let mut worst = Worst::of("AGOP against NumPy", place);
    for case in list(&read("laws.json")["cases"]) {
        for path in [Path::Factored, Path::Autodiff] {
            let observation = observed(case, place, path);
            let layers = list(&case["layers"]);
            assert_eq!(observation.layers.len(), layers.len());
            for (l, (layer, expected)) in observation.layers.iter().zip(layers).enumerate() {
                let error = relative(layer.agop.as_ref().unwrap().matrix(), &matrix(&expected["agop"]));
                worst.see(error, tolerance(place), || format!("{} {path:?} layer {l}", text(&case["name"])));
            }
        }
    }
    worst.tell();
}

fn normal(name: &str, rows: usize, cols: usize) -> Mat {
    let values = Stream::root(51).fork(name).normals(rows * cols);
    Mat::from_fn(rows, cols, |i, j| values[i * cols + j] / (cols as f64).sqrt())
}

pub fn flex(place: &Place) {
    let reference = Place::reference();
    let mut worst = Worst::of("AGOP against flex f64", place);
    let weights = [normal("0", 6, 5), normal("1", 7, 6), normal("2", 3, 7)];
    let biases = [vec![0.3; 6], vec![-0.2; 7], vec![0.1; 3]];
    // A relu gate whose argument is rounding would show as 1e-3 or more: with this seed there is none.
    let x = normal("x", 40, 5) * 2.0;
    let samples: Vec<f64> = (0..40).map(|i| 0.5 + i as f64 / 39.0).collect();
    for activation in Activation::ALL {
        for path in [Path::Factored, Path::Autodiff] {
            for (centered, sketch) in [(false, None), (true, None), (false, Some(4))] {
                let options = AgopOptions { path, centered, sketch, batch: Some(16), ..AgopOptions::default() };
                let at = |place: &Place| {
                    let network = place.mlp(&weights, Some(&biases), activation);
                    observe_network(&network, &place.tensor(&x), Some(&samples), &options).unwrap()
                };
                for (l, (got, expected)) in at(place).layers.iter().zip(&at(&reference).layers).enumerate() {
                    let (got, expected) = (got.agop.as_ref().unwrap().matrix(), expected.agop.as_ref().unwrap());
                    // A centred AGOP that vanishes has no relative error.
                    let error = (got - expected.matrix()).norm_l2() / expected.matrix().norm_l2().max(1e-2);
                    let at = || format!("{activation} {path:?} layer {l}, centered {centered}, sketch {sketch:?}");
                    worst.see(error, tolerance(place), at);
                }
            }
        }
    }
    // A model of one's own, with a softmax, positions and a map that is read by two.
    let at = |place: &Place| {
        let (w, v) = (place.tensor(&weights[0]), place.tensor(&normal("v", 4, 6)));
        let sites = observe(&place.tensor(&normal("tokens", 9, 10)), |x, at| {
            let n = x.dims()[0];
            let h: Tensor<3> = at.value("tokens", x.reshape([n, 2, 5]));
            let h = at.dense("keys", h, w.clone(), None);
            let mixed = activation::softmax(h, 1).sum_dim(2).reshape([n, 2]);
            let h = Tensor::cat(vec![mixed.clone(), mixed.clone().powi_scalar(3), mixed.exp()], 1);
            let h: Tensor<2> = at.value("mixed", h);
            h.matmul(v.clone().transpose())
        });
        sites.unwrap()
    };
    for ((name, got), (_, expected)) in at(place).iter().zip(at(&reference)) {
        worst.see(relative(got.matrix(), expected.matrix()), tolerance(place), || format!("site {name}"));
    }
    worst.tell();
}
