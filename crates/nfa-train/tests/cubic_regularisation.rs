//! ARC, R-ARC and R-ARC-D as a library: closed inputs on which other cubic and trust-region codes failed in public,
//! each for its kind, and what theory says of every method.

use nfa_metrics::{Mat, mat};
use nfa_models::Stream;
use nfa_train::minimise::cubic::{Minimiser, Spectrum};
use nfa_train::minimise::{Acceptance, Function, Growth, Known, Settings, Size, Sketch, Stop, Unusable, minimise};

fn solve(h: &Mat, g: &[f64], sigma: f64) -> Minimiser {
    Spectrum::of(h).expect("finite").minimise(g, sigma)
}

fn norm(v: &[f64]) -> f64 {
    let top = v.iter().fold(0.0, |top: f64, v| top.max(v.abs()));
    if top == 0.0 { 0.0 } else { top * v.iter().map(|v| (v / top).powi(2)).sum::<f64>().sqrt() }
}

/// The conditions of a global minimiser, from their definition: (H + λI)u = -g, λ = σ|u|, H + λI ⪰ 0.
#[track_caller]
fn is_global(h: &Mat, g: &[f64], sigma: f64, found: &Minimiser, tolerance: f64) {
    let (n, u, lambda) = (g.len(), &found.step, found.shift);
    let values = Spectrum::of(h).expect("finite").values().to_vec();
    let size = values.iter().fold(0.0, |top: f64, w| top.max(w.abs())) + lambda;
    let scale = size * norm(u) + norm(g);
    let rest: Vec<f64> = (0..n).map(|i| (0..n).map(|j| h[(i, j)] * u[j]).sum::<f64>() + lambda * u[i] + g[i]).collect();
    assert!(norm(&rest) <= tolerance * scale.max(f64::MIN_POSITIVE), "residual {:.1e} of {scale:.1e}", norm(&rest));
    assert!(
        (lambda - sigma * norm(u)).abs() <= tolerance * size.max(f64::MIN_POSITIVE),
        "lambda is {lambda}, not sigma |u|"
    );
    assert!(values[0] + lambda >= -1e-13 * size, "H + lambda I has the eigenvalue {:.1e}", values[0] + lambda);
    assert!(found.residual <= tolerance && found.evaluations <= 60, "{found:?}");
    assert!(found.change <= 0.0);
}

/// Case 1.
#[test]
fn the_hard_case_has_its_closed_form() {
    let h = mat(&[[0.0, 0.0, 0.0], [0.0, -20.0, 0.0], [0.0, 0.0, 0.0]]);
    let found = solve(&h, &[1.0, 0.0, -1.0], 1.0);
    assert!((found.shift - 20.0).abs() <= 1e-13);
    let middle = (400.0_f64 - 0.005).sqrt();
    for (value, expected) in found.step.iter().zip([-0.05, found.step[1].signum() * middle, 0.05]) {
        assert!((value - expected).abs() <= 1e-13, "{:?}", found.step);
    }
    is_global(&h, &[1.0, 0.0, -1.0], 1.0, &found, 1e-12);
}

/// A symmetric matrix of these eigenvalues, and its eigenvectors as columns.
fn rotated(values: &[f64], stream: &Stream) -> (Mat, Mat) {
    let n = values.len();
    let normals = stream.normals(n * n);
    let q = Mat::from_fn(n, n, |i, j| normals[i * n + j]).qr().compute_thin_Q();
    let h = Mat::from_fn(n, n, |i, j| {
        let (i, j) = (i.max(j), i.min(j));
        (0..n).map(|k| q[(i, k)] * values[k] * q[(j, k)]).sum()
    });
    (h, q)
}

/// Case 2, and every kind beside it: convex, indefinite, singular, near-hard and hard.
#[test]
fn a_thousand_reduced_problems_are_solved_to_rounding() {
    let mut most = 0;
    for seed in 0..1000 {
        let stream = Stream::root(seed).fork("cubic");
        let mut draws = stream.draws();
        let n = [1, 2, 5, 20, 50][seed as usize % 5];
        let mut values: Vec<f64> = (0..n).map(|_| draws.normal()).collect();
        match seed % 4 {
            0 => values.iter_mut().for_each(|w| *w = w.abs()),
            1 => values.iter_mut().skip(n / 2).for_each(|w| *w = 0.0),
            _ => values[0] = -3.0,
        }
        values.sort_by(f64::total_cmp);
        let (h, q) = rotated(&values, &stream);
        let mut along: Vec<f64> = (0..n).map(|_| draws.normal()).collect();
        if seed % 4 > 1 {
            // How near: exactly hard, or 1e-16 to 1e-6 of the gradient along the lowest eigenvector.
            along[0] = if seed % 8 == 2 { 0.0 } else { draws.sign() * 10f64.powf(-16.0 + 10.0 * draws.uniform()) };
        }
        let g: Vec<f64> = (0..n).map(|i| (0..n).map(|k| q[(i, k)] * along[k]).sum()).collect();
        for sigma in [1e-8, 0.3, 1.0, 40.0, 1e8] {
            let found = solve(&h, &g, sigma);
            is_global(&h, &g, sigma, &found, 1e-10);
            most = most.max(found.evaluations);
        }
    }
    assert!(most <= 15, "{most} evaluations of the equation");
}

/// Case 2, in coordinates where it is known: the branch with the lower model, to 1e-10 of its length.
#[test]
fn near_the_hard_case_the_step_is_the_one_of_the_exact_equation() {
    for seed in 0..200 {
        let mut draws = Stream::root(seed).fork("near").draws();
        let n = 50;
        let values: Vec<f64> = (0..n).map(|i| if i == 0 { -5.0 } else { -4.0 + 9.0 * draws.uniform() }).collect();
        let epsilon = 10f64.powf(-16.0 + 10.0 * draws.uniform());
        let mut g: Vec<f64> = (0..n).map(|_| draws.normal()).collect();
        g[0] = epsilon;
        let h = Mat::from_fn(n, n, |i, j| if i == j { values[i] } else { 0.0 });
        let sigma = 0.01;
        let found = solve(&h, &g, sigma);
        // Bisection on mu = lambda - 5 in a form without cancellation.
        let length = |mu: f64| norm(&(0..n).map(|i| g[i] / (values[i] + 5.0 + mu)).collect::<Vec<f64>>());
        let (mut low, mut high) = (1e-300_f64, 1e3);
        for _ in 0..2000 {
            let middle = (low * high).sqrt();
            if length(middle) > (middle + 5.0) / sigma { low = middle } else { high = middle }
        }
        let exact: Vec<f64> = (0..n).map(|i| -g[i] / (values[i] + 5.0 + high)).collect();
        let off: Vec<f64> = exact.iter().zip(&found.step).map(|(a, b)| a - b).collect();
        assert!(norm(&off) <= 1e-10 * norm(&exact), "seed {seed}: {:.1e} at {epsilon:.1e}", norm(&off));
        assert!(found.step[0] < 0.0, "against the gradient");
    }
}

/// Cases 3 and 10: shifts over many decades, gradients near nothing.
#[test]
fn the_equation_ends_over_sixty_decades() {
    for power in -30..=30 {
        let tiny = 10f64.powi(power);
        for h in [
            mat(&[[tiny, 0.0], [0.0, 1.0]]),
            mat(&[[-tiny, 0.0], [0.0, 1.0]]),
            mat(&[[tiny, 0.0], [0.0, 0.0]]),
            mat(&[[-1.0, 0.0], [0.0, -1.0 + 1e-15]]),
        ] {
            for g in [[tiny, 0.0], [0.0, tiny], [tiny, 1.0], [1e-30, 1e-30], [0.0, 0.0]] {
                for sigma in [1e-8, 1.0, 1e12] {
                    is_global(&h, &g, sigma, &solve(&h, &g, sigma), 1e-12);
                }
            }
        }
    }
}

/// Case 4.
#[test]
fn singular_matrices_give_finite_steps() {
    for n in 1..=50 {
        let stream = Stream::root(n as u64).fork("singular");
        let values: Vec<f64> = (0..n).map(|k| if k < n / 2 { 0.0 } else { 1.0 + k as f64 }).collect();
        let (h, q) = rotated(&values, &stream);
        let inside: Vec<f64> = (0..n).map(|i| (n / 2..n).map(|k| q[(i, k)]).sum()).collect();
        for g in [inside, stream.fork("g").normals(n)] {
            let found = solve(&h, &g, 1.0);
            assert!(found.step.iter().all(|u| u.is_finite()));
            is_global(&h, &g, 1.0, &found, 1e-12);
        }
    }
}

/// A function by closures, which counts what is asked of it.
struct Counted<V, G> {
    size: usize,
    value: V,
    gradient: G,
    /// Where the function was not finite.
    outside: Vec<Vec<f64>>,
    /// Values, gradients and products that were asked for.
    asked: [usize; 3],
}

fn counted<V: Fn(&[f64]) -> f64, G: Fn(&[f64]) -> Vec<f64>>(size: usize, value: V, gradient: G) -> Counted<V, G> {
    Counted { size, value, gradient, outside: Vec::new(), asked: [0; 3] }
}

impl<V: Fn(&[f64]) -> f64, G: Fn(&[f64]) -> Vec<f64>> Function for Counted<V, G> {
    fn dimension(&self) -> usize {
        self.size
    }

    fn value(&mut self, x: &[f64]) -> f64 {
        self.asked[0] += 1;
        let value = (self.value)(x);
        if !value.is_finite() {
            self.outside.push(x.to_vec());
        }
        value
    }

    fn gradient(&mut self, x: &[f64]) -> Vec<f64> {
        self.asked[1] += 1;
        assert!(!self.outside.iter().any(|point| point == x), "a gradient outside the domain, at {x:?}");
        (self.gradient)(x)
    }
}

/// Case 5: log barriers, with a first step that leaves the domain.
#[test]
fn points_outside_the_domain_are_rejected_unseen() {
    let value = |x: &[f64]| 1e-3 * x[0] - x[0].ln() + (x[1] - 2.0).powi(2) - 1e-6 * (5.0 - x[1]).ln();
    let gradient = |x: &[f64]| vec![1e-3 - 1.0 / x[0], 2.0 * (x[1] - 2.0) + 1e-6 / (5.0 - x[1])];
    let mut f = counted(2, value, gradient);
    let settings = Settings { gradient_tol: 1e-7, sigma0: 1e-12, sigma_min: 1e-16, ..Settings::arc() };
    let end = minimise(&mut f, &[5000.0, 4.9], &settings, 300).expect("starts inside");
    assert_eq!(end.certificate.stopped_by, Stop::Gradient, "{}", end.certificate);
    assert!((end.x[0] - 1000.0).abs() < 0.1, "{:?}", end.x);
    assert!(!f.outside.is_empty(), "no trial left the domain: the test is none");
    for pair in end.iterations.windows(2) {
        if pair[0].ratio.is_nan() {
            assert!(!pair[0].accepted && pair[1].sigma > pair[0].sigma && pair[1].value == pair[0].value);
        }
    }
}

#[test]
fn a_start_outside_the_domain_is_refused() {
    let mut f = counted(1, |x| x[0].ln(), |x| vec![1.0 / x[0]]);
    let why = minimise(&mut f, &[-1.0], &Settings::arc(), 5).expect_err("log of a negative number");
    assert!(matches!(&why, Unusable::NotFinite(what) if what.contains("at the start")), "{why}");
    assert_eq!(f.asked, [1, 0, 0], "nothing else is asked there");
}

/// Case 6: a function whose third derivative is 1e8 times what sigma says at first.
#[test]
fn failures_in_a_row_are_as_many_as_sigma_has_to_grow() {
    let steep = 2e8;
    let value = move |x: &[f64]| -x[0] + steep / 6.0 * x[0].abs().powi(3);
    let gradient = move |x: &[f64]| vec![-1.0 + steep / 2.0 * x[0] * x[0].abs()];
    let mut f = counted(1, value, gradient);
    let settings = Settings { gradient_tol: 1e-6, ..Settings::arc() };
    let end = minimise(&mut f, &[0.0], &settings, 200).expect("finite");
    assert_eq!(end.certificate.stopped_by, Stop::Gradient, "{}", end.certificate);
    let (mut row, mut most) = (0, 0);
    for iteration in &end.iterations {
        row = if iteration.accepted { 0 } else { row + 1 };
        most = most.max(row);
    }
    // sigma >= L/(2 (1 - theta)) always succeeds.
    let bound = (steep / (2.0 * 0.9)).log2().ceil() as usize;
    assert!(most > 15 && most <= bound, "{most} failures in a row, at most {bound}");
    assert!((end.x[0] - (2.0 / steep).sqrt()).abs() < 1e-9);
}

/// Case 7.
#[test]
fn near_rounding_steps_are_judged_by_their_slopes() {
    let value = |x: &[f64]| 100.0 * x[0].exp() - 1e5 * x[0];
    let gradient = |x: &[f64]| vec![100.0 * x[0].exp() - 1e5];
    let settings = Settings { gradient_tol: 1e-6, ..Settings::arc() };
    let end = minimise(&mut counted(1, value, gradient), &[5.4388], &settings, 100).expect("finite");
    assert!((end.x[0] - 1000f64.ln()).abs() < 1e-10, "{}", end.x[0]);
    assert!(end.certificate.gradient <= 1e-6 && end.certificate.is_minimum(), "{}", end.certificate);
    // Without a tolerance it ends all the same, and says why.
    let end = minimise(&mut counted(1, value, gradient), &[5.4388], &Settings::arc(), 500).expect("finite");
    assert_eq!(end.certificate.stopped_by, Stop::Rounding, "{}", end.certificate);
    assert!(end.certificate.gradient <= 1e-9 && end.iterations.iter().any(|i| i.by_slopes && i.accepted));
}

/// (x² - 1)² - y² e^(-y²)/2 …: at (±1, 0) a saddle with a gradient of nothing.
#[allow(clippy::type_complexity)]
fn saddle() -> (impl Fn(&[f64]) -> f64, impl Fn(&[f64]) -> Vec<f64>) {
    let a = 3.9e-3;
    let value = move |x: &[f64]| (x[0] * x[0] - 1.0).powi(2) - a * x[1] * x[1] + x[1].powi(4) + x[2] * x[2];
    let gradient =
        move |x: &[f64]| vec![4.0 * x[0] * (x[0] * x[0] - 1.0), -2.0 * a * x[1] + 4.0 * x[1].powi(3), 2.0 * x[2]];
    (value, gradient)
}

/// Case 8: |g| below its tolerance and an eigenvalue of -7.8e-3.
#[test]
fn curvature_that_is_left_is_no_end_and_the_next_step_uses_it() {
    for settings in [Settings::arc(), Settings::r_arc(1), Settings::r_arc(2), Settings::r_arc_d()] {
        let settings = Settings { gradient_tol: 1e-7, ..settings };
        let (value, gradient) = saddle();
        let start = [1.0, 1e-9, 0.0];
        let mut f = counted(3, &value, &gradient);
        let end = minimise(&mut f, &start, &settings, 20_000).expect("finite");
        assert_eq!(end.certificate.stopped_by, Stop::Gradient, "{settings:?}: {}", end.certificate);
        assert!((end.x[1].abs() - (3.9e-3_f64 / 2.0).sqrt()).abs() < 1e-5, "{:?}", end.x);
        assert!(end.certificate.curvature > 0.0 && end.certificate.known == Known::Exact);
        // With no iteration to spare the status says that curvature is left.
        let end = minimise(&mut counted(3, &value, &gradient), &start, &settings, 1).expect("finite");
        assert!(!end.certificate.is_minimum(), "{}", end.certificate);
        assert!(end.certificate.to_string().contains("curvature"), "{}", end.certificate);
    }
}

/// Case 9.
#[test]
fn unknowns_of_very_different_sizes_end_by_rounding() {
    let target = [1.5e9, 1e-3, -2e-3];
    let value = move |x: &[f64]| x.iter().zip(target).map(|(x, t)| 0.5 * (x - t - 1e-8).powi(2)).sum::<f64>() + 1.0;
    let gradient = move |x: &[f64]| x.iter().zip(target).map(|(x, t)| x - t - 1e-8).collect::<Vec<f64>>();
    for settings in [Settings::arc(), Settings::r_arc(2), Settings::r_arc_d()] {
        let mut f = counted(3, value, gradient);
        let end = minimise(&mut f, &[1.4e9, 5e-3, 7e-3], &settings, 5000).expect("finite");
        // No number near 1.5e9 is nearer: the gradient can't be smaller.
        assert!(end.certificate.gradient >= 1e-8, "{}", end.certificate);
        assert_eq!(end.certificate.stopped_by, Stop::Rounding, "{settings:?}: {}", end.certificate);
        assert!((end.x[1] / 1e-3 - 1.0).abs() < 1e-4, "{:?}", end.x);
    }
}

/// Case 10.
#[test]
fn a_saddle_without_any_gradient_is_left_along_the_lowest_direction() {
    for scale in [1e-15, 1e-8, 1.0, 1e8, 1e15] {
        let value = move |x: &[f64]| scale * (x[0] * x[0] - x[1] * x[1] + 0.25 * x[1].powi(4));
        let gradient = move |x: &[f64]| vec![scale * 2.0 * x[0], scale * (-2.0 * x[1] + x[1].powi(3))];
        for settings in [Settings::arc(), Settings::r_arc(1)] {
            let settings = Settings {
                gradient_tol: 1e-7 * scale,
                curvature_tol: 1e-8 * scale,
                sigma0: scale,
                sigma_min: 1e-8 * scale,
                ..settings
            };
            let mut f = counted(2, value, gradient);
            let end = minimise(&mut f, &[0.0, 0.0], &settings, 1000).expect("finite");
            assert!((end.x[1].abs() - 2f64.sqrt()).abs() < 1e-5, "{scale:.0e}, {settings:?}: {:?}", end.x);
            assert_eq!(end.certificate.stopped_by, Stop::Gradient, "{}", end.certificate);
        }
    }
}

/// Σ 100 (y_{i+1} - y_i²)² + (1 - y_i)² of all D unknowns, with its derivatives.
struct Valley(usize);

impl Function for Valley {
    fn dimension(&self) -> usize {
        self.0
    }

    fn value(&mut self, x: &[f64]) -> f64 {
        x.windows(2).map(|w| 100.0 * (w[1] - w[0] * w[0]).powi(2) + (1.0 - w[0]).powi(2)).sum()
    }

    fn gradient(&mut self, x: &[f64]) -> Vec<f64> {
        let mut g = vec![0.0; x.len()];
        for i in 0..x.len() - 1 {
            let bend = x[i + 1] - x[i] * x[i];
            g[i] += -400.0 * x[i] * bend - 2.0 * (1.0 - x[i]);
            g[i + 1] += 200.0 * bend;
        }
        g
    }

    fn products(&mut self, x: &[f64], rows: &[f64]) -> Vec<f64> {
        let n = x.len();
        let mut all = vec![0.0; rows.len()];
        for (v, hv) in rows.chunks_exact(n).zip(all.chunks_exact_mut(n)) {
            for i in 0..n - 1 {
                let own = 1200.0 * x[i] * x[i] - 400.0 * x[i + 1] + 2.0;
                hv[i] += own * v[i] - 400.0 * x[i] * v[i + 1];
                hv[i + 1] += 200.0 * v[i + 1] - 400.0 * x[i] * v[i];
            }
        }
        all
    }

    fn precision(&self) -> f64 {
        f64::EPSILON
    }
}

fn bent(n: usize) -> Vec<f64> {
    (0..n).map(|i| if i % 2 == 0 { -1.2 } else { 1.0 }).collect()
}

#[test]
fn all_random_directions_are_arc() {
    let start = bent(12);
    let arc = minimise(&mut Valley(12), &start, &Settings::arc(), 25).expect("finite");
    for sketch in [Sketch::Gaussian, Sketch::Hashing] {
        let settings = Settings { sketch, sigma_scale: true, nonzeros: 6, ..Settings::r_arc(12) };
        let random = minimise(&mut Valley(12), &start, &settings, 25).expect("finite");
        for (a, b) in arc.iterations.iter().zip(&random.iterations) {
            assert_eq!((a.accepted, a.sigma), (b.accepted, b.sigma), "{sketch:?}");
            assert!((a.value - b.value).abs() <= 1e-9 * a.value, "{sketch:?}: {} and {}", a.value, b.value);
        }
        let off: Vec<f64> = arc.x.iter().zip(&random.x).map(|(a, b)| a - b).collect();
        assert!(norm(&off) <= 1e-8 * norm(&arc.x), "{sketch:?}: {:.1e} apart", norm(&off));
    }
}

#[test]
fn the_same_seed_gives_the_same_run_on_any_number_of_threads() {
    let run = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        let settings = Settings { seed, ..Settings::r_arc(30) };
        pool.install(|| minimise(&mut Valley(300), &bent(300), &settings, 30).expect("finite")).x
    };
    let one = run(1, 7);
    assert!(one == run(2, 7) && one == run(8, 7), "threads change bits");
    assert!(one != run(1, 8), "the seed changes nothing");
}

#[test]
fn every_setting_minimises() {
    let base = Settings { gradient_tol: 1e-5, ..Settings::arc() };
    let adaptive = |rule| Size::Adaptive { l0: 2, c: 1.0, d: 1, rule };
    for (what, settings) in [
        ("cgt", Settings { acceptance: Acceptance::Cgt, ..base.clone() }),
        ("model", Settings { acceptance: Acceptance::Model, ..base.clone() }),
        ("hashing", Settings { size: Size::Fixed(12), sketch: Sketch::Hashing, ..base.clone() }),
        ("guided", Settings { size: Size::Fixed(12), sketch: Sketch::Guided, ..base.clone() }),
        ("kept", Settings { size: Size::Fixed(12), redraw_on_failure: false, ..base.clone() }),
        ("scaled", Settings { size: Size::Fixed(12), sigma_scale: true, ..base.clone() }),
        ("additive", Settings { size: adaptive(Growth::Additive), ..base.clone() }),
        ("double", Settings { size: adaptive(Growth::Double), ..base.clone() }),
        ("guided, adaptive", Settings { size: adaptive(Growth::Additive), sketch: Sketch::Guided, ..base.clone() }),
    ] {
        let end = minimise(&mut Valley(16), &bent(16), &settings, 3000).expect(what);
        assert_eq!(end.certificate.stopped_by, Stop::Gradient, "{what}: {}", end.certificate);
        assert!(end.certificate.gradient <= 1e-5 && end.certificate.residual <= 1e-8, "{what}: {}", end.certificate);
        let work = end.iterations.windows(2).all(|pair| pair[0].work < pair[1].work);
        assert!(work && end.iterations.iter().all(|i| i.rows <= 16), "{what}");
    }
}

#[test]
fn settings_outside_of_their_range_are_named() {
    for (settings, name) in [
        (Settings { theta: 0.0, ..Settings::arc() }, "theta"),
        (Settings { gamma: 1.0, ..Settings::arc() }, "gamma"),
        (Settings { sigma0: f64::NAN, ..Settings::arc() }, "sigma0"),
        (Settings { curvature_tol: -1.0, ..Settings::arc() }, "curvature_tol"),
        (Settings::r_arc(0), "l"),
        (Settings { size: Size::Adaptive { l0: 2, c: 0.5, d: 1, rule: Growth::Additive }, ..Settings::arc() }, "c"),
        (Settings { size: Size::Adaptive { l0: 2, c: 1.0, d: 0, rule: Growth::Additive }, ..Settings::arc() }, "d"),
    ] {
        let why = minimise(&mut Valley(4), &bent(4), &settings, 5).expect_err(name).to_string();
        assert!(why.starts_with(&format!("{name} ")), "{why}");
    }
    let why = minimise(&mut Valley(4), &bent(3), &Settings::arc(), 5).expect_err("a point of another size");
    assert!(matches!(why, Unusable::Size(_)));
}

/// A large convex function, whose least eigenvalue is 0.1: x_i² with weights from 0.1 to 10.
struct Bowl;

impl Function for Bowl {
    fn dimension(&self) -> usize {
        4000
    }

    fn value(&mut self, x: &[f64]) -> f64 {
        x.iter().enumerate().map(|(i, x)| 0.5 * weight(i) * x * x).sum()
    }

    fn gradient(&mut self, x: &[f64]) -> Vec<f64> {
        x.iter().enumerate().map(|(i, x)| weight(i) * x).collect()
    }

    fn products(&mut self, _: &[f64], rows: &[f64]) -> Vec<f64> {
        rows.iter().enumerate().map(|(i, v)| weight(i % 4000) * v).collect()
    }

    fn precision(&self) -> f64 {
        f64::EPSILON
    }
}

fn weight(i: usize) -> f64 {
    0.1 + 9.9 * i as f64 / 3999.0
}

#[test]
fn beyond_what_can_be_decomposed_curvature_is_estimated_and_says_so() {
    let end = minimise(&mut Bowl, &vec![1.0; 4000], &Settings::r_arc(20), 3).expect("finite");
    let certificate = end.certificate;
    assert_eq!((certificate.known, certificate.stopped_by), (Known::Estimated, Stop::Budget));
    let bound = certificate.bound.expect("a bound");
    assert!(bound <= 0.1 && 0.1 <= certificate.curvature + 1e-12, "{certificate}");
    assert!(certificate.curvature < 0.2 && bound > -1.0 && certificate.probability == Some(0.99), "{certificate}");
}

/// Iterations and work until the way down from the start to `level` is done but for 1e-5 of it.
fn reached(problem: &str, settings: &Settings, level: f64) -> (usize, f64, usize) {
    use nfa_train::minimise::problems::{Rotated, problem as known};
    let stream = Stream::root(settings.seed).fork("init").fork("rotation");
    let mut f = Rotated::new(known(problem).expect("known"), 20, 1000, &stream).expect("fits");
    let start = f.start();
    let end = minimise(&mut f, &start, settings, 120).expect("finite");
    let first = end.iterations[0].value;
    let count = end.iterations.iter().position(|i| i.value - level <= 1e-5 * (first - level)).expect("solved");
    (count, end.iterations[count - 1].hessians, end.iterations.last().expect("some").rows)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The level of genrose is that of the minimum which ARC ends in from this start, 3.98662: some seeds pass it on
/// their way to the other one.
#[test]
fn problems_of_low_rank_take_as_many_iterations_as_told_before() {
    for (problem, level, iterations) in [("genrose", 3.986_623_854_261_2, 54.0), ("artif", 0.0, 22.0)] {
        let runs = (0..5).map(|seed| reached(problem, &Settings { seed, ..Settings::r_arc(21) }, level));
        let (counts, hessians): (Vec<f64>, Vec<f64>) = runs.map(|(count, seen, _)| (count as f64, seen)).unzip();
        let (count, seen) = (median(counts.clone()), median(hessians));
        assert!((count / iterations - 1.0).abs() <= 0.25, "{problem}: {count} iterations of {counts:?}");
        assert!(seen < 0.03, "{problem}: {seen} full Hessians");
    }
}

#[test]
fn the_dimension_finds_the_rank() {
    for problem in ["genrose", "srosenbr", "artif"] {
        for rule in [Growth::Additive, Growth::Double] {
            let size = Size::Adaptive { l0: 2, c: 1.0, d: 1, rule };
            let level = if problem == "genrose" { 3.986_623_854_261_2 } else { 0.0 };
            let (_, _, rows) = reached(problem, &Settings { size, ..Settings::arc() }, level);
            assert_eq!(rows, 21, "{problem}, {rule:?}");
        }
    }
}
