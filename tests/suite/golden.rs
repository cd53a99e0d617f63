//! The engine against numbers that NumPy computed from the definitions alone (`tests/oracle`).

use std::collections::BTreeMap;

use burn::tensor::{DType, Device, Tensor, TensorData};
use nfa_metrics::to_host;
use nfa_metrics::{
    AgopOptions, AlphaDetails, CertificateKind, Details, Family, Finding, Mat, Pair, Path, Psd, Scores, Snapshot,
    Thresholds, Verdict, assess, laws, metrics, observe_network,
};
use nfa_models::{Activation, AnyNetwork, Mlp};
use nfa_tests::golden::{index, list, matrix, number, numbers, read, text};
use serde_json::Value;

/// Entries, so far as they are not a difference that rounding fills, agree to this share.
const RELATIVE: f64 = 1e-10;
/// What is 0 in exact arithmetic is rounding on both sides: 1e-15 on entries of order 1.
const ABSOLUTE: f64 = 1e-12;

/// A host matrix on the device that every machine has.
pub(crate) fn tensor(matrix: &Mat) -> Tensor<2> {
    let (rows, cols) = (matrix.nrows(), matrix.ncols());
    let data = (0..rows * cols).map(|k| matrix[(k / cols, k % cols)]).collect();
    Tensor::from_data(TensorData::new::<f64, _>(data, [rows, cols]), (&Device::flex(), DType::F64))
}

/// A network with the same activation everywhere.
pub(crate) fn mlp(weights: &[Mat], biases: Option<&[Vec<f64>]>, activation: Activation) -> Mlp {
    let bias = |values: &Vec<f64>| {
        let data = TensorData::new::<f64, _>(values.clone(), [values.len()]);
        Tensor::from_data(data, (&Device::flex(), DType::F64))
    };
    let biases = (0..weights.len()).map(|l| biases.map(|biases| bias(&biases[l]))).collect();
    Mlp::new(weights.iter().map(tensor).collect(), biases, vec![activation; weights.len() - 1]).expect("shapes chain")
}

/// The network of a case; `None` where the models don't have its activation.
fn network(case: &Value) -> Option<Mlp> {
    let name = text(&case["activation"]);
    let activation = Activation::ALL.into_iter().find(|activation| activation.name() == name)?;
    let weights: Vec<Mat> = list(&case["weights"]).iter().map(matrix).collect();
    let biases = case["biases"].as_array().map(|biases| biases.iter().map(numbers).collect::<Vec<_>>());
    Some(mlp(&weights, biases.as_deref(), activation))
}

fn sample_weights(case: &Value) -> Option<Vec<f64>> {
    case["sample_weights"].as_array().map(|weights| weights.iter().map(number).collect())
}

/// Compares and collects, so that one run shows every difference.
#[derive(Default)]
struct Compare {
    differences: Vec<String>,
}

impl Compare {
    fn number(&mut self, what: &str, got: f64, expected: f64) {
        // NaN compares false and so counts as a difference.
        let close = (got - expected).abs() <= (RELATIVE * expected.abs()).max(ABSOLUTE);
        if !close {
            self.differences.push(format!("{what}: {got:e} against {expected:e}"));
        }
    }

    fn option(&mut self, what: &str, got: Option<f64>, expected: Option<f64>) {
        match (got, expected) {
            (Some(got), Some(expected)) => self.number(what, got, expected),
            (None, None) => {}
            _ => self.differences.push(format!("{what}: {got:?} against {expected:?}")),
        }
    }

    /// Entry by entry, in units of the largest: small entries are differences of large products.
    fn matrix(&mut self, what: &str, got: &Mat, expected: &Value) {
        let expected = matrix(expected);
        assert_eq!((got.nrows(), got.ncols()), (expected.nrows(), expected.ncols()), "{what}");
        let error = (got - &expected).norm_max();
        let close = error <= RELATIVE * expected.norm_max();
        if !close {
            self.differences.push(format!("{what}: off by {error:e}"));
        }
    }

    fn holds(&mut self, what: &str, condition: bool) {
        if !condition {
            self.differences.push(what.into());
        }
    }

    fn law(&mut self, what: &str, got: &Finding, expected: &Value) {
        self.option(&format!("{what} alpha"), got.alpha, expected["alpha"].as_f64());
        self.option(&format!("{what} kappa"), got.kappa, expected["kappa"].as_f64());
        self.option(&format!("{what} misfit"), got.misfit, Some(number(&expected["misfit"])));
        let (Some(parts), Some(misfit)) = (got.parts, got.misfit) else {
            self.differences.push(format!("{what}: no parts"));
            return;
        };
        self.number(&format!("{what} directions"), parts.directions, number(&expected["parts"]["directions"]));
        self.number(&format!("{what} order"), parts.order, number(&expected["parts"]["order"]));
        self.number(&format!("{what} shape"), parts.shape, number(&expected["parts"]["shape"]));
        let sum = parts.directions.powi(2) + parts.order.powi(2) + parts.shape.powi(2);
        self.holds(&format!("{what}: parts {sum:e} don't add to {misfit:e}^2"), (sum - misfit * misfit).abs() <= 1e-12);
        self.certificates(what, got, expected);
    }

    fn certificates(&mut self, what: &str, got: &Finding, expected: &Value) {
        let mut before = f64::INFINITY;
        for certificate in &got.certificates {
            let name = certificate.kind.name();
            match certificate.margin {
                Some(margin) => {
                    let oracle = expected["certificates"][name].as_f64();
                    self.option(&format!("{what} certificate {name}"), Some(margin), oracle);
                    self.holds(&format!("{what}: {name} is listed out of order"), margin <= before + ABSOLUTE);
                    before = margin;
                }
                None => self.holds(&format!("{what}: {name} has no margin"), certificate.kind == CertificateKind::Tie),
            }
        }
        for (name, margin) in expected["certificates"].as_object().expect("a table") {
            let listed = got.certificates.iter().any(|c| c.kind.name() == name);
            let stands = margin.as_f64().is_some_and(|margin| margin > ABSOLUTE);
            self.holds(&format!("{what}: {name} stands and is not listed"), listed || !stands);
        }
    }

    fn details(&mut self, what: &str, got: &Details, expected: &Value) {
        let scalar = |name: &str| expected[name].as_f64();
        self.option(&format!("{what} nfm_trace"), Some(got.nfm_trace), scalar("nfm_trace"));
        self.option(&format!("{what} agop_trace"), Some(got.agop_trace), scalar("agop_trace"));
        self.option(&format!("{what} agop_rank"), Some(got.agop_rank as f64), scalar("agop_rank"));
        self.option(&format!("{what} nfm_effective_rank"), got.nfm_effective_rank, scalar("nfm_effective_rank"));
        self.option(&format!("{what} loglog_slope"), got.loglog_slope, scalar("loglog_slope"));
        self.option(&format!("{what} loglog_r2"), got.loglog_r2, scalar("loglog_r2"));
        self.option(&format!("{what} kendall_tau"), got.kendall_tau, scalar("kendall_tau"));
        let overlaps: BTreeMap<String, f64> = got.top_k_overlap.iter().map(|&(k, v)| (k.to_string(), v)).collect();
        let names = expected["top_k_overlap"].as_object().expect("a table");
        self.holds(&format!("{what}: other k in top_k_overlap"), overlaps.keys().all(|k| names.contains_key(k)));
        for (k, value) in names {
            self.option(&format!("{what} top_k_overlap {k}"), overlaps.get(k).copied(), value.as_f64());
        }
        type Column = fn(&AlphaDetails) -> Option<f64>;
        let columns: [(&str, Column); 9] = [
            ("cosine", |at| at.cosine),
            ("one_minus_cosine", |at| at.one_minus_cosine),
            ("traceless_cosine", |at| at.traceless_cosine),
            ("pearson", |at| at.pearson),
            ("pearson_offdiag", |at| at.pearson_offdiag),
            ("relative_error", |at| at.relative_error),
            ("kappa", |at| at.kappa),
            ("cosine_sorted", |at| at.cosine_sorted),
            ("haar", |at| at.haar),
        ];
        for (name, column) in columns {
            let table = expected[name].as_object().expect("a table");
            assert_eq!(table.len(), got.at.len());
            for at in &got.at {
                // The key is the shortest decimal, as files and records print it.
                let key = at.alpha.to_string();
                let value = table.get(&key).unwrap_or_else(|| panic!("{what}: no {name} at {key}"));
                self.option(&format!("{what} {name} at {key}"), column(at), value.as_f64());
            }
        }
    }

    fn finish(self) {
        assert!(self.differences.is_empty(), "{} differences\n{}", self.differences.len(), self.differences.join("\n"));
    }
}

#[test]
fn networks_agops_laws_and_details() {
    let file = read("laws.json");
    let (laws, metrics) = (laws(), metrics());
    let (nfa, balance) = (laws.get("nfa").expect("a row"), laws.get("balance").expect("a row"));
    let imbalance = metrics.get("imbalance").expect("a row");
    let thresholds = Thresholds::default();
    let mut compare = Compare::default();
    for case in list(&file["cases"]) {
        let name = text(&case["name"]);
        let network = network(case).expect("a known activation");
        let x = tensor(&matrix(&case["inputs"]));
        compare.matrix(&format!("{name} outputs"), &to_host(network.outputs(x.clone())), &case["outputs"]);
        let layers = list(&case["layers"]);
        for path in [Path::Factored, Path::Autodiff] {
            let options = AgopOptions { path, ..AgopOptions::default() };
            let observation =
                observe_network(&network, &x, sample_weights(case).as_deref(), &options).expect("has sites");
            assert_eq!(observation.layers.len(), layers.len());
            for (l, expected) in layers.iter().enumerate() {
                let what = format!("{name} {path:?} layer {l}");
                assert_eq!(observation.layers[l].depth_from_here, Some(index(&expected["depth_from_here"])), "{what}");
                let pair = (nfa.pair)(&observation, l).expect("observed");
                compare.matrix(&format!("{what} nfm"), pair.a.matrix(), &expected["nfm"]);
                compare.matrix(&format!("{what} agop"), pair.b.matrix(), &expected["agop"]);
                let finding = assess(&pair, nfa.family, None, &thresholds);
                compare.option(&format!("{what} predicted"), finding.predicted, expected["predicted"].as_f64());
                compare.law(&what, &finding, &expected["nfa"]);
                let expected = &expected["details"];
                let keys = expected["cosine"].as_object().expect("a table").keys();
                let alphas: Vec<f64> = keys.map(|key| key.parse().expect("a number")).collect();
                let details = Details::new(&pair, &alphas).expect("finite");
                compare.details(&what, &details, expected);
            }
            let values: BTreeMap<String, Option<f64>> = (imbalance.measure)(&Snapshot {
                teacher: None,
                observation: &observation,
                train: Scores { loss: 0.0, accuracy: None },
                test: None,
                penalty: 0.0,
                initial_imbalance: None,
                slope: None,
                work: 0.0,
                first_loss: None,
                least_loss: None,
                update: None,
            })
            .into_iter()
            .collect();
            for (l, expected) in list(&case["imbalance"]).iter().enumerate() {
                let what = format!("{name} {path:?} imbalance {l}");
                let frobenius = number(&expected["frobenius"]);
                compare.option(&what, values[&format!("imbalance.layer{l}")], Some(frobenius));
                // The law's misfit is the same distance in units of its own left side.
                let pair = (balance.pair)(&observation, l).expect("widths fit");
                let finding = assess(&pair, balance.family, None, &thresholds);
                let relative = frobenius / matrix(&layers[l + 1]["nfm"]).norm_l2();
                compare.option(&format!("{what} balance"), finding.misfit, Some(relative));
                compare.holds(&format!("{what} exponent"), finding.exponent_agrees.is_none());
            }
            assert!((balance.pair)(&observation, layers.len() - 1).is_none());
        }
    }
    compare.finish();
}

fn pair(case: &Value) -> Pair {
    Pair::new(Psd::gram(matrix(&case["a"])), Psd::gram(matrix(&case["b"])))
}

#[test]
fn counterexamples_fail_with_their_certificate() {
    let file = read("counterexamples.json");
    let cases = list(&file["pairs"]);
    let names: Vec<&str> = cases.iter().map(|case| text(&case["name"])).collect();
    assert_eq!(names, ["A", "B", "C", "C'", "D", "E", "E'"]);
    let nfa = *laws().get("nfa").expect("a row");
    let mut compare = Compare::default();
    let mut networks = 0;
    for (case, name) in cases.iter().zip(names) {
        let certificate = text(&case["certificate"]);
        let mut pairs = vec![(String::from("matrices"), pair(case))];
        // Where the models lack an activation the two matrices alone are judged.
        if let Some(built) = network(&case["network"]) {
            networks += 1;
            let x = tensor(&matrix(&case["network"]["inputs"]));
            let weights = sample_weights(&case["network"]);
            for path in [Path::Factored, Path::Autodiff] {
                let options = AgopOptions { path, ..AgopOptions::default() };
                let observation = observe_network(&built, &x, weights.as_deref(), &options).expect("has sites");
                pairs.push((format!("{path:?}"), (nfa.pair)(&observation, 0).expect("observed")));
            }
        }
        for (how, pair) in pairs {
            let what = format!("{name} {how}");
            compare.matrix(&format!("{what} a"), pair.a.matrix(), &case["a"]);
            compare.matrix(&format!("{what} b"), pair.b.matrix(), &case["b"]);
            let finding = assess(&pair, Family::Power, None, &Thresholds::default());
            compare.law(&what, &finding, case);
            let fails = finding.verdict == Verdict::Fails;
            compare.holds(&format!("{what}: {:?}, {}", finding.verdict, finding.reason), fails);
            let kinds: Vec<&str> = finding.certificates.iter().map(|c| c.kind.name()).collect();
            compare.holds(&format!("{what}: only {kinds:?}"), kinds.contains(&certificate));
            let tie = kinds.contains(&"tie") == (certificate == "tie");
            compare.holds(&format!("{what}: tie among {kinds:?}"), tie);
            if name == "C" {
                compare.holds(&format!("{what}: {kinds:?}, not order first"), kinds[0] == "order");
            }
            // No margin refutes more than the best exponent on (0, 4], limits included, leaves.
            let least = 1.0 - number(&case["sup_cosine"]).powi(2);
            for margin in finding.certificates.iter().filter_map(|c| c.margin) {
                compare.holds(&format!("{what}: margin {margin:e}"), margin.powi(2) <= least + ABSOLUTE);
            }
        }
    }
    assert!(networks >= 5, "only {networks} of the networks could be built");
    compare.finish();
}

#[test]
fn equal_eigenvalues_are_pooled() {
    let file = read("counterexamples.json");
    let mut compare = Compare::default();
    for case in list(&file["pooled"]) {
        let name = text(&case["name"]);
        let finding = assess(&pair(case), Family::Power, None, &Thresholds::default());
        compare.law(name, &finding, case);
        // These exponents lie inside the search, so that the cosine's supremum is the misfit's.
        let cosine = finding.misfit.map(|misfit| (1.0 - misfit * misfit).sqrt());
        compare.option(&format!("{name} sup_cosine"), cosine, case["sup_cosine"].as_f64());
        // A misfit that is large whatever the exponent is fails without one.
        let far = finding.misfit.is_some_and(|misfit| misfit > Thresholds::default().approximate);
        let told = finding.alpha.is_some() || far || finding.verdict == Verdict::Undetermined;
        compare.holds(&format!("{name}: {:?} without an exponent", finding.verdict), told);
    }
    compare.finish();
}
