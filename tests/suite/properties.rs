//! What must hold for every network and every pair of matrices, whatever the numbers are.

use burn::tensor::{DType, Device, Tensor};
use nfa_metrics::judge::misfit::ALPHA_RANGE;
use nfa_metrics::observe::jacobian::{jacobian, to_host};
use nfa_metrics::weights_of;
use nfa_metrics::{
    AgopOptions, Details, Family, Finding, Mat, Observation, Pair, Path, Psd, Thresholds, Verdict, assess, laws,
    observe_network,
};
use nfa_models::init::{geometric, orthonormal_columns};
use nfa_models::testing::layers;
use nfa_models::{Activation, AnyNetwork, Context, Init, Mlp, Stream, models};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::golden::{mlp, tensor};

/// Rounding of products of a few matrices of size <= 10, in units of the largest entry.
const ROUNDING: f64 = 1e-12;

/// The same cases on every run: a property that fails does so on every machine.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() }
}

/// A random network with its data.
#[derive(Clone, Debug)]
struct Setting {
    seed: u64,
    widths: Vec<usize>,
    activation: Activation,
    bias: bool,
    samples: usize,
    path: Path,
}

fn settings() -> impl Strategy<Value = Setting> {
    (
        any::<u64>(),
        prop::collection::vec(1usize..=7, 2..=5),
        prop::sample::select(Activation::ALL.to_vec()),
        any::<bool>(),
        1usize..=20,
        prop::sample::select(vec![Path::Factored, Path::Autodiff]),
    )
        .prop_map(|(seed, widths, activation, bias, samples, path)| Setting {
            seed,
            widths,
            activation,
            bias,
            samples,
            path,
        })
}

/// What a network is made of, on the host, where transformations are easy.
#[derive(Clone)]
struct Parts {
    weights: Vec<Mat>,
    biases: Vec<Vec<f64>>,
    x: Mat,
}

impl Setting {
    fn stream(&self) -> Stream {
        Stream::root(self.seed)
    }

    fn depth(&self) -> usize {
        self.widths.len() - 1
    }

    fn parts(&self) -> Parts {
        let stream = self.stream();
        let weights: Vec<Mat> = (0..self.depth())
            .map(|l| normal(&stream.fork(&format!("w{l}")), self.widths[l + 1], self.widths[l]))
            .collect();
        let biases = (0..self.depth()).map(|l| stream.fork(&format!("b{l}")).normals(self.widths[l + 1])).collect();
        Parts { weights, biases, x: normal(&stream.fork("x"), self.samples, self.widths[0]) * 1.5 }
    }

    fn network(&self, parts: &Parts) -> Mlp {
        mlp(&parts.weights, self.bias.then_some(&parts.biases), self.activation)
    }

    fn options(&self) -> AgopOptions {
        AgopOptions { path: self.path, ..AgopOptions::default() }
    }

    fn observe_network(&self, parts: &Parts) -> Observation {
        observed(&self.network(parts), &tensor(&parts.x), None, &self.options())
    }
}

fn observed(network: &dyn AnyNetwork, x: &Tensor<2>, weights: Option<&[f64]>, options: &AgopOptions) -> Observation {
    observe_network(network, x, weights, options).expect("has sites")
}

/// Independent normals of standard deviation 1/sqrt(cols).
fn normal(stream: &Stream, rows: usize, cols: usize) -> Mat {
    let values = stream.normals(rows * cols);
    Mat::from_fn(rows, cols, |i, j| values[i * cols + j] / (cols as f64).sqrt())
}

fn rotation(stream: &Stream, d: usize) -> Mat {
    let q = orthonormal_columns(d, d, stream);
    Mat::from_fn(d, d, |i, j| q.data[i * d + j])
}

fn permutation(stream: &Stream, d: usize) -> Mat {
    let order = stream.permutation(d);
    Mat::from_fn(d, d, |i, j| if order[i] == j { 1.0 } else { 0.0 })
}

fn times(matrix: &Mat, vector: &[f64]) -> Vec<f64> {
    (0..matrix.nrows()).map(|i| (0..vector.len()).map(|j| matrix[(i, j)] * vector[j]).sum()).collect()
}

fn relative(got: &Mat, expected: &Mat) -> f64 {
    let size = expected.norm_l2();
    if size == 0.0 { got.norm_l2() } else { (got - expected).norm_l2() / size }
}

fn agop(observation: &Observation, layer: usize) -> &Psd {
    observation.layers[layer].agop.as_ref().expect("observed")
}

fn finding(observation: &Observation, layer: usize) -> Finding {
    let nfa = *laws().get("nfa").expect("a row");
    assess(&(nfa.pair)(observation, layer).expect("observed"), nfa.family, None, &Thresholds::default())
}

fn close(a: Option<f64>, b: Option<f64>, tolerance: f64) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= tolerance,
        (a, b) => a == b,
    }
}

/// Whether two findings say the same. An exponent is as good as the misfit is curved in it, so its
/// tolerance is wider; certificates that are rounding may come and go.
fn agree(a: &Finding, b: &Finding) -> Result<(), TestCaseError> {
    prop_assert!(close(a.alpha, b.alpha, 1e-6), "alpha {:?} {:?}", a.alpha, b.alpha);
    prop_assert!(close(a.misfit, b.misfit, 1e-10), "misfit {:?} {:?}", a.misfit, b.misfit);
    let part = |f: &Finding, of: fn(&nfa_metrics::Parts) -> f64| f.parts.as_ref().map(of);
    prop_assert!(close(part(a, |p| p.directions), part(b, |p| p.directions), 1e-10));
    // Square roots of differences, good to the root of rounding where they are 0.
    prop_assert!(close(part(a, |p| p.order), part(b, |p| p.order), 1e-7));
    prop_assert!(close(part(a, |p| p.shape), part(b, |p| p.shape), 1e-7));
    prop_assert!(close(a.null.haar, b.null.haar, 1e-6), "haar {:?} {:?}", a.null.haar, b.null.haar);
    prop_assert_eq!(a.verdict, b.verdict, "{} / {}", a.reason, b.reason);
    for (these, those) in [(a, b), (b, a)] {
        for certificate in these.certificates.iter().filter(|c| c.margin.is_none_or(|m| m > 1e-10)) {
            let twin = those.certificates.iter().find(|c| c.kind == certificate.kind);
            prop_assert!(twin.is_some_and(|twin| close(twin.margin, certificate.margin, 1e-10)), "{certificate:?}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(64))]

    #[test]
    fn rotated_inputs_conjugate_the_first_layer_alone(s in settings()) {
        let parts = s.parts();
        let q = rotation(&s.stream().fork("q"), s.widths[0]);
        let mut rotated = parts.clone();
        rotated.x = &parts.x * q.transpose();
        rotated.weights[0] = &parts.weights[0] * q.transpose();
        let (before, after) = (s.observe_network(&parts), s.observe_network(&rotated));
        for l in 0..s.depth() {
            let nfm = |o: &Observation| Psd::nfm(&o.layers[l].weight).matrix().clone();
            let turn = |m: &Mat| if l == 0 { &q * m * q.transpose() } else { m.clone() };
            prop_assert!(relative(agop(&after, l).matrix(), &turn(agop(&before, l).matrix())) <= ROUNDING);
            prop_assert!(relative(&nfm(&after), &turn(&nfm(&before))) <= ROUNDING);
            agree(&finding(&before, l), &finding(&after, l))?;
        }
    }

    #[test]
    fn rotated_outputs_change_nothing(s in settings()) {
        let parts = s.parts();
        let last = s.depth() - 1;
        let r = rotation(&s.stream().fork("r"), s.widths[last + 1]);
        let mut rotated = parts.clone();
        rotated.weights[last] = &r * &parts.weights[last];
        rotated.biases[last] = times(&r, &parts.biases[last]);
        let (before, after) = (s.observe_network(&parts), s.observe_network(&rotated));
        for l in 0..s.depth() {
            prop_assert!(relative(agop(&after, l).matrix(), agop(&before, l).matrix()) <= ROUNDING);
            agree(&finding(&before, l), &finding(&after, l))?;
        }
    }

    #[test]
    fn a_scaled_network_has_the_same_finding(s in settings(), log_scale in -9.0f64..9.0) {
        let parts = s.parts();
        let c = log_scale.exp();
        let last = s.depth() - 1;
        let mut scaled = parts.clone();
        scaled.weights[last] = &parts.weights[last] * c;
        scaled.biases[last].iter_mut().for_each(|b| *b *= c);
        let (before, after) = (s.observe_network(&parts), s.observe_network(&scaled));
        for l in 0..s.depth() {
            let expected = agop(&before, l).matrix() * (c * c);
            prop_assert!(relative(agop(&after, l).matrix(), &expected) <= ROUNDING);
            let (before, after) = (finding(&before, l), finding(&after, l));
            agree(&before, &after)?;
            // κ takes up both scales.
            if let (Some(k0), Some(k1), Some(alpha)) = (before.kappa, after.kappa, before.alpha) {
                let weights = if l == last { c * c } else { 1.0 };
                prop_assert!((k1 * c.powf(2.0 * alpha) / (weights * k0) - 1.0).abs() <= 1e-5, "{k0} {k1}");
            }
        }
    }

    #[test]
    fn hidden_units_have_no_order(s in settings()) {
        let parts = s.parts();
        let mut permuted = parts.clone();
        let mut frames = vec![Mat::identity(s.widths[0], s.widths[0])];
        for l in 1..s.depth() {
            let p = permutation(&s.stream().fork(&format!("p{l}")), s.widths[l]);
            permuted.weights[l - 1] = &p * &permuted.weights[l - 1];
            permuted.biases[l - 1] = times(&p, &permuted.biases[l - 1]);
            permuted.weights[l] = &permuted.weights[l] * p.transpose();
            frames.push(p);
        }
        let (before, after) = (s.observe_network(&parts), s.observe_network(&permuted));
        for (l, p) in frames.iter().enumerate() {
            let expected = p * agop(&before, l).matrix() * p.transpose();
            prop_assert!(relative(agop(&after, l).matrix(), &expected) <= ROUNDING);
            agree(&finding(&before, l), &finding(&after, l))?;
        }
    }

    #[test]
    fn samples_have_no_order_and_weigh_as_often_as_they_occur(s in settings()) {
        let parts = s.parts();
        let network = s.network(&parts);
        let mut draws = s.stream().fork("counts").draws();
        let counts: Vec<usize> = (0..s.samples).map(|_| 1 + draws.below(3) as usize).collect();
        let repeated: Vec<usize> = (0..s.samples).flat_map(|i| std::iter::repeat_n(i, counts[i])).collect();
        let order = s.stream().fork("order").permutation(repeated.len());
        let d = s.widths[0];
        let many = Mat::from_fn(repeated.len(), d, |i, j| parts.x[(repeated[order[i]], j)]);
        let mean = repeated.len() as f64 / s.samples as f64;
        let weights: Vec<f64> = counts.iter().map(|&count| count as f64 / mean).collect();
        let repeated = observed(&network, &tensor(&many), None, &s.options());
        let weighted = observed(&network, &tensor(&parts.x), Some(&weights), &s.options());
        for l in 0..s.depth() {
            prop_assert!(relative(agop(&repeated, l).matrix(), agop(&weighted, l).matrix()) <= ROUNDING);
        }
    }

    #[test]
    fn any_batches_give_the_same(s in settings(), batch in 1usize..=24, factor in any::<bool>()) {
        let parts = s.parts();
        let (network, x) = (s.network(&parts), tensor(&parts.x));
        let weights: Vec<f64> = {
            let raw: Vec<f64> = s.stream().fork("sample").normals(s.samples).iter().map(|v| v * v + 0.1).collect();
            let mean = raw.iter().sum::<f64>() / s.samples as f64;
            raw.iter().map(|w| w / mean).collect()
        };
        let whole = observed(&network, &x, Some(&weights), &s.options());
        let factor_work = if factor { 2e9 } else { 0.0 };
        let options = AgopOptions { batch: Some(batch), factor_work, ..s.options() };
        let split = observed(&network, &x, Some(&weights), &options);
        for l in 0..s.depth() {
            prop_assert!(relative(agop(&split, l).matrix(), agop(&whole, l).matrix()) <= ROUNDING);
        }
    }

    #[test]
    fn the_trace_is_the_mean_squared_jacobian(s in settings()) {
        let parts = s.parts();
        let network = s.network(&parts);
        let observation = s.observe_network(&parts);
        for l in 0..s.depth() {
            let chain = AnyNetwork::chain(&network).expect("an Mlp is one");
            let h = layers(&chain, 0..l, tensor(&parts.x)).unsqueeze_dim(1);
            let rows = jacobian(|h| layers(&chain, l..s.depth(), h.squeeze_dim(1)), &h);
            let mean = rows.into_iter().map(|row| to_host(row).squared_norm_l2()).sum::<f64>() / s.samples as f64;
            prop_assert!((agop(&observation, l).trace() - mean).abs() <= ROUNDING * mean);
            let matrix = agop(&observation, l).matrix();
            let diagonal: f64 = (0..matrix.nrows()).map(|i| matrix[(i, i)]).sum();
            prop_assert!((diagonal - mean).abs() <= ROUNDING * mean);
            // x enters through W_1 alone: the null space of W_1 is one of the AGOP.
            let spectrum = Psd::nfm(&observation.layers[l].weight);
            let spectrum = spectrum.spectrum().expect("finite");
            let null = spectrum.vectors.subcols(spectrum.rank, spectrum.values.len() - spectrum.rank);
            prop_assert!((matrix * null).norm_l2() <= ROUNDING * matrix.norm_l2().max(f64::MIN_POSITIVE));
        }
    }

    #[test]
    fn a_linear_network_has_the_agop_of_its_product(s in settings()) {
        let s = Setting { activation: Activation::Linear, ..s };
        let parts = s.parts();
        let observation = s.observe_network(&parts);
        let mut product = Mat::identity(s.widths[s.depth()], s.widths[s.depth()]);
        for l in (0..s.depth()).rev() {
            product = &product * &parts.weights[l];
            let error = relative(agop(&observation, l).matrix(), &(product.transpose() * &product));
            prop_assert!(error <= 1e-13, "{error:e}");
        }
    }
}

#[test]
fn a_balanced_start_obeys_the_law_at_every_layer() {
    let device = Device::flex();
    let widths_of: [&[usize]; 7] = [
        &[6, 4],
        &[7, 9, 5],
        &[8, 5, 9, 6],
        &[9, 7, 12, 6, 8],
        &[6, 8, 7, 9, 5, 7],
        &[10, 8, 6, 9, 7, 11, 8],
        &[3, 5, 2],
    ];
    for (k, widths) in widths_of.into_iter().enumerate() {
        let depth = widths.len() - 1;
        let init = Init::Balanced { spectrum: [1.3, 0.4] };
        let layers = init.layers(widths, &Stream::root(k as u64), None).expect("it exists");
        let weights: Vec<Mat> = layers
            .into_iter()
            .map(|layer| layer.weight)
            .map(|w| Mat::from_fn(w.rows, w.cols, |i, j| w.data[i * w.cols + j]))
            .collect();
        let x = tensor(&normal(&Stream::root(99), 9, widths[0]));
        for path in [Path::Factored, Path::Autodiff] {
            let options = AgopOptions { path, ..AgopOptions::default() };
            let observation = observed(&mlp(&weights, None, Activation::Linear), &x, None, &options);
            for (l, weight) in weights.iter().enumerate() {
                let exponent = 1.0 / (depth - l) as f64;
                let power = agop(&observation, l).spectrum().expect("finite").power(exponent);
                let error = relative(&power, Psd::nfm(weight).matrix());
                assert!(error <= 1e-12, "{widths:?} {path:?} layer {l}: {error:e}");
                let finding = finding(&observation, l);
                assert!(close(finding.alpha, Some(exponent), 1e-11), "{widths:?} layer {l}: {:?}", finding.alpha);
                assert!(close(finding.kappa, Some(1.0), 1e-11), "{widths:?} layer {l}: {:?}", finding.kappa);
                assert!(close(finding.misfit, Some(0.0), 1e-12), "{widths:?} layer {l}: {:?}", finding.misfit);
                assert_eq!((finding.predicted, finding.exponent_agrees), (Some(exponent), Some(true)));
                assert_eq!(finding.verdict, Verdict::Holds, "{widths:?} layer {l}: {}", finding.reason);
            }
        }
    }
    // The same through the file form, whose widths are equal.
    let table =
        toml::from_str("kind = \"mlp\"\ndepth = 4\nwidth = 9\ninit = { kind = \"balanced\", spectrum = [0.9, 0.5] }\n")
            .expect("a table");
    let stream = Stream::root(3);
    let context = Context { inputs: 8, outputs: 6, device: &device, dtype: DType::F64, stream, stored: None };
    let network = models().build(table, &context).expect("builds");
    let x = tensor(&normal(&Stream::root(98), 5, 8));
    let observation = observed(&*network, &x, None, &AgopOptions::default());
    for l in 0..weights_of(&*network, &x).expect("has sites").len() {
        assert!(close(finding(&observation, l).alpha, Some(1.0 / (4 - l) as f64), 1e-11));
    }
}

/// A random PSD pair: any ranks, steep or flat spectra, equal eigenvalues, shared eigenvectors.
fn pair(stream: &Stream) -> (Psd, Psd) {
    let mut draws = stream.fork("shape").draws();
    let d = 1 + draws.below(8) as usize;
    let shared = draws.below(3) == 0;
    let mut one = |name: &str, frame: &str| {
        let rank = 1 + draws.below(d as u64) as usize;
        let steep = 10f64.powf(-6.0 * draws.uniform());
        let pooled = draws.below(4) == 0;
        let kind = draws.below(3);
        let scale = 10f64.powf(4.0 * draws.uniform() - 2.0);
        if kind == 0 && !shared {
            return Psd::nfm(&(normal(&stream.fork(name), rank, d) * scale));
        }
        let mut values = match kind {
            1 => geometric(1.0, steep, rank),
            _ => stream.fork(&format!("{name}.values")).normals(rank).iter().map(|v| v * v).collect(),
        };
        if pooled && rank >= 3 {
            values[1] = values[0];
        }
        // Along the shared frame the two orders differ, so that some pairs are reversed.
        let order = stream.fork(&format!("{name}.order")).permutation(d);
        let q = rotation(&stream.fork(frame), d);
        let value = |k: usize| values.get(order[k]).copied().unwrap_or(0.0);
        let factor = Mat::from_fn(d, d, |k, j| scale * value(k).sqrt() * q[(j, k)]);
        Psd::nfm(&factor)
    };
    let a = one("a", "frame");
    let b = one("b", if shared { "frame" } else { "other" });
    (a, b)
}

#[test]
fn every_pair_splits_is_bounded_and_is_fitted_best() {
    let exponents: Vec<f64> = geometric(ALPHA_RANGE[0], ALPHA_RANGE[1], 25);
    let mut fitted = 0;
    for k in 0..3000 {
        let (a, b) = pair(&Stream::root(7).fork_index(k));
        let pair = Pair::new(a, b);
        let size = pair.a.matrix().norm_l2();
        for family in [Family::Power, Family::Proportional, Family::Equal] {
            let found = assess(&pair, family, None, &Thresholds::default());
            let (Some(misfit), Some(parts)) = (found.misfit, found.parts) else { continue };
            let what = format!("pair {k} {family:?}");
            // Rounding of a sum of squares of entries; Equal's can be large.
            let slack = 1e-12 * misfit.max(1.0).powi(2);
            let sum = parts.directions.powi(2) + parts.order.powi(2) + parts.shape.powi(2);
            assert!((sum - misfit * misfit).abs() <= slack, "{what}: {parts:?} {misfit}");
            if family != Family::Equal {
                assert!((0.0..=1.0 + 1e-12).contains(&misfit), "{what}: {misfit}");
            }
            for certificate in &found.certificates {
                let bound = certificate.margin.unwrap_or(0.0);
                assert!(bound.powi(2) <= misfit * misfit + slack, "{what}: {certificate:?} {misfit}");
            }
            let haar = found.null.haar.expect("neither is zero");
            assert!((0.0..=1.0).contains(&haar), "{what}: {haar}");
            if family == Family::Power {
                fitted += usize::from(found.alpha.is_some());
                let spectrum = pair.b.psd().and_then(Psd::spectrum).expect("finite");
                for &exponent in &exponents {
                    let power = spectrum.power(exponent);
                    let inner: f64 = (0..power.ncols())
                        .map(|j| (0..power.nrows()).map(|i| power[(i, j)] * pair.a.matrix()[(i, j)]).sum::<f64>())
                        .sum();
                    let kappa = inner / power.squared_norm_l2();
                    let there = (pair.a.matrix() - power * kappa).norm_l2() / size;
                    assert!(
                        there >= misfit - 1e-9,
                        "{what}: {there} at {exponent} below {misfit} at {:?}",
                        found.alpha
                    );
                }
            }
        }
        let details = Details::new(&pair, &[0.25, 0.5, 1.0]).expect("finite");
        for at in details.at {
            let cosine = at.cosine.expect("neither is zero");
            assert!((-1e-15..=1.0 + 1e-14).contains(&cosine), "pair {k}: {cosine}");
            let miss = at.one_minus_cosine.expect("neither is zero");
            assert!((miss - (1.0 - cosine)).abs() <= 1e-13, "pair {k}: {miss} {cosine}");
            let sorted = at.cosine_sorted.expect("neither is zero");
            assert!(cosine <= sorted + 1e-13 && sorted <= 1.0 + 1e-13, "pair {k}: {cosine} {sorted}");
            for one in [at.traceless_cosine, at.pearson, at.pearson_offdiag].into_iter().flatten() {
                assert!(one.abs() <= 1.0 + 1e-9, "pair {k}: {at:?}");
            }
        }
        for (_, overlap) in details.top_k_overlap {
            assert!((-1e-15..=1.0 + 1e-12).contains(&overlap), "pair {k}: {overlap}");
        }
    }
    assert!(fitted > 1500, "only {fitted} pairs had an exponent to fit");
}

#[test]
fn equal_is_zero_for_equal_matrices_alone() {
    for k in 0..300 {
        let stream = Stream::root(8).fork_index(k);
        let (a, other) = pair(&stream);
        let d = a.dim();
        let equal = assess(&Pair::new(a.clone(), a.clone()), Family::Equal, None, &Thresholds::default());
        assert!(equal.misfit.is_some_and(|misfit| misfit <= 1e-14), "pair {k}: {:?}", equal.misfit);
        assert_eq!(equal.verdict, Verdict::Holds);
        assert_eq!((equal.alpha, equal.kappa), (Some(1.0), Some(1.0)));
        // Any difference counts in full, its scale included.
        let size = 10f64.powi(-(k as i32 % 8)) / other.matrix().norm_l2() * a.matrix().norm_l2();
        let b = Psd::gram(Mat::from_fn(d, d, |i, j| a.matrix()[(i, j)] + size * other.matrix()[(i, j)]));
        let distance = (b.matrix() - a.matrix()).norm_l2() / a.matrix().norm_l2();
        let found = assess(&Pair::new(a, b), Family::Equal, None, &Thresholds::default());
        assert!(
            close(found.misfit, Some(distance), 1e-12 * distance.max(1.0)),
            "pair {k}: {:?} {distance}",
            found.misfit
        );
        assert!(found.exponent_agrees.is_none() && found.predicted.is_none() && found.alpha_interval.is_none());
        let verdict = match distance {
            x if x <= 0.05 => Verdict::Holds,
            x if x <= 0.2 => Verdict::Approximate,
            _ => Verdict::Fails,
        };
        assert_eq!(found.verdict, verdict, "pair {k}: {distance}, {}", found.reason);
    }
}

#[test]
fn correlations_are_those_of_the_entries() {
    // Centred in two passes over the entries, the definition word by word.
    let correlation = |x: &[f64], y: &[f64]| {
        let centred = |v: &[f64]| -> Vec<f64> {
            let mean = v.iter().sum::<f64>() / v.len() as f64;
            v.iter().map(|v| v - mean).collect()
        };
        let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
        let (x, y) = (centred(x), centred(y));
        let product: f64 = x.iter().zip(&y).map(|(x, y)| x * y).sum();
        (product / (norm(&x) * norm(&y)), norm(&x), norm(&y))
    };
    let mut defined = 0;
    for k in 0..1500u64 {
        let stream = Stream::root(9).fork_index(k);
        let (a, b) = pair(&stream);
        let d = a.dim();
        // Every other pair is nearly diagonal, as features of single pixels are.
        let near = |psd: Psd, name: &str| {
            let diagonal: Vec<f64> = stream.fork(name).normals(d).iter().map(|v| 1.0 + v * v).collect();
            let share = 10f64.powi(-(k as i32 % 5)) / psd.matrix().norm_l2();
            let at = |i: usize, j: usize| share * psd.matrix()[(i, j)] + if i == j { diagonal[i] } else { 0.0 };
            if k % 2 == 0 { psd } else { Psd::gram(Mat::from_fn(d, d, at)) }
        };
        let (a, b) = (near(a, "da"), near(b, "db"));
        let details = Details::new(&Pair::new(a.clone(), b.clone()), &[0.5, 1.0]).expect("finite");
        for at in details.at {
            let power = b.spectrum().expect("finite").power(at.alpha);
            let entries = |m: &Mat, off: bool| -> Vec<f64> {
                let pairs = (0..d).flat_map(|i| (0..d).map(move |j| (i, j)));
                pairs.filter(|&(i, j)| !off || i != j).map(|(i, j)| m[(i, j)]).collect()
            };
            let (m, p) = (a.matrix(), &power);
            for (name, got, off) in [("pearson", at.pearson, false), ("pearson_offdiag", at.pearson_offdiag, true)] {
                let (expected, x, y) = correlation(&entries(m, off), &entries(p, off));
                // What remains after centring, in units of what rounding is relative to.
                let left = (x / m.norm_l2()).min(y / p.norm_l2());
                let what = format!("pair {k} d {d} {name} at {}: {got:?} against {expected}", at.alpha);
                if left > 1e-6 {
                    defined += 1;
                    assert!(close(got, Some(expected), 1e-13 / left), "{what}");
                } else if left.is_nan() || left < 1e-15 {
                    assert_eq!(got, None, "{what}");
                }
            }
        }
    }
    assert!(defined > 3000, "only {defined} correlations were defined");
}

#[test]
fn what_is_undefined_is_absent_and_nothing_is_nan() {
    let sizes = [0.0, 1e-200, 1e-150, 1e-100, 1e-30, 1.0, 1e30, 1e100, 1e150, 1e200, f64::INFINITY, f64::NAN];
    for k in 0..40 {
        let (a, b) = pair(&Stream::root(10).fork_index(k));
        for (x, y) in sizes.iter().flat_map(|x| sizes.iter().map(move |y| (x, y))) {
            let sized = |psd: &Psd, by: f64| Psd::gram(psd.matrix() * by);
            let pair = Pair::new(sized(&a, *x), sized(&b, *y));
            for family in [Family::Power, Family::Proportional, Family::Equal] {
                let found = assess(&pair, family, None, &Thresholds::default());
                let parts = found.parts.map(|p| [p.directions, p.order, p.shape]);
                let margins = found.certificates.iter().filter_map(|c| c.margin);
                let scalars = [found.alpha, found.misfit, found.null.haar, found.kappa].into_iter().flatten();
                let all = scalars.chain(parts.into_iter().flatten()).chain(margins);
                let bad: Vec<f64> = all.filter(|v| !v.is_finite()).collect();
                assert!(bad.is_empty(), "pair {k} at {x:e}, {y:e}, {family:?}: {found:?}");
            }
        }
    }
}

#[test]
fn equal_singular_values_are_equal_in_every_dtype() {
    // Orthogonal layers have flat AGOPs up to the rounding of the weights: no exponent to read off.
    let device = Device::flex();
    for (d, seed) in [3, 4, 8, 32].into_iter().flat_map(|d| (0..5).map(move |seed| (d, seed))) {
        for dtype in [DType::F64, DType::F32] {
            let table = toml::from_str(&format!(
                "kind = \"mlp\"\ndepth = 3\nwidth = {d}\ninit = {{ kind = \"orthogonal\", gain = 1.5 }}\n"
            ));
            let stream = Stream::root(seed);
            let context = Context { inputs: d, outputs: d, device: &device, dtype, stream, stored: None };
            let network = models().build(table.expect("a table"), &context).expect("builds");
            let x = Tensor::<2>::ones([2, d], (&device, dtype));
            for factor_work in [0.0, 2e9] {
                for path in [Path::Factored, Path::Autodiff] {
                    let options = AgopOptions { path, factor_work, ..AgopOptions::default() };
                    let finding = finding(&observed(&*network, &x, None, &options), 0);
                    let what =
                        format!("d {d} {dtype:?} {path:?} {factor_work}: {:?} {}", finding.alpha, finding.reason);
                    assert_eq!((finding.alpha, finding.verdict), (None, Verdict::Undetermined), "{what}");
                }
            }
        }
    }
}
