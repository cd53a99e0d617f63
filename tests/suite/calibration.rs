//! How often the verdict is wrong, on pairs whose truth is known.
//!
//! Truth comes from the construction, or from the distance to the family as an independent search
//! finds it: eigenpairs by Jacobi rotations, exponents on a dense grid, nothing of the engine.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use nfa_metrics::matrix::psd::RankRule;
use nfa_metrics::{Family, Finding, Mat, Pair, Psd, Thresholds, Verdict, assess};
use nfa_models::Stream;
use nfa_models::init::{geometric, orthonormal_columns};

/// What a fair judge may say of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Truth {
    /// A power, up to a perturbation well below the threshold: not `fails`.
    Power,
    /// Between the thresholds: neither `holds` nor `fails`.
    Between,
    /// Every exponent fits alike, and closely: neither `holds` nor `fails`.
    Alike,
    /// No power is near: neither `holds` nor `approximate`.
    Far,
    /// Unrelated, and near only because both are nearly multiples of the identity, as everything
    /// of that kind is: neither `holds` nor `approximate`.
    Chance,
}

impl Truth {
    fn forbids(self, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Holds => self != Truth::Power,
            Verdict::Fails => !matches!(self, Truth::Far | Truth::Chance),
            Verdict::Approximate => matches!(self, Truth::Far | Truth::Chance),
            Verdict::Undetermined | Verdict::NotApplicable => false,
        }
    }
}

const SIZES: [usize; 12] = [2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 40, 64];
const EXPONENTS: [f64; 7] = [0.2, 0.25, 1.0 / 3.0, 0.5, 2.0 / 3.0, 1.0, 1.5];

/// B of a trial, with its eigenpairs by the independent way.
struct Right {
    psd: Psd,
    matrix: Mat,
    /// Descending, exactly 0 beyond the rank.
    values: Vec<f64>,
    vectors: Mat,
    what: String,
}

fn uniform(stream: &Stream) -> f64 {
    stream.draws().uniform()
}

pub(crate) fn pick<T: Copy>(stream: &Stream, from: &[T]) -> T {
    from[stream.draws().below(from.len() as u64) as usize]
}

fn normal(stream: &Stream, rows: usize, cols: usize) -> Mat {
    let values = stream.normals(rows * cols);
    Mat::from_fn(rows, cols, |i, j| values[i * cols + j])
}

pub(crate) fn rotation(stream: &Stream, d: usize) -> Mat {
    let q = orthonormal_columns(d, d, stream);
    Mat::from_fn(d, d, |i, j| q.data[i * d + j])
}

pub(crate) fn unit(a: &Mat) -> Mat {
    a * (1.0 / a.norm_l2())
}

/// V diag(values) Vᵀ.
pub(crate) fn with_spectrum(vectors: &Mat, values: &[f64]) -> Mat {
    let scaled = Mat::from_fn(vectors.nrows(), values.len(), |i, k| vectors[(i, k)] * values[k]);
    &scaled * vectors.transpose()
}

/// Eigenpairs of a symmetric matrix by cyclic Jacobi rotations, descending.
fn jacobi(matrix: &Mat) -> (Vec<f64>, Mat) {
    let d = matrix.nrows();
    let mut a: Vec<Vec<f64>> = (0..d).map(|i| (0..d).map(|j| matrix[(i, j)]).collect()).collect();
    // Rows of `v` are the eigenvectors, so that a rotation touches two contiguous rows.
    let mut v: Vec<Vec<f64>> = (0..d).map(|i| (0..d).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    let size = matrix.norm_l2();
    for _ in 0..40 {
        let off: f64 = (0..d).map(|i| (0..i).map(|j| a[i][j] * a[i][j]).sum::<f64>()).sum();
        if off.sqrt() <= 1e-15 * size {
            break;
        }
        for p in 0..d {
            for q in p + 1..d {
                if a[p][q].abs() <= 1e-18 * size {
                    continue;
                }
                let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                for row in &mut a {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
                for rows in [&mut a, &mut v] {
                    let (head, tail) = rows.split_at_mut(q);
                    for (x, y) in head[p].iter_mut().zip(&mut tail[0]) {
                        (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
                    }
                }
            }
        }
    }
    let mut order: Vec<usize> = (0..d).collect();
    order.sort_by(|&i, &j| a[j][j].total_cmp(&a[i][i]));
    (order.iter().map(|&k| a[k][k]).collect(), Mat::from_fn(d, d, |i, k| v[order[k]][i]))
}

/// Least distance of A to κB^α over a dense grid of exponents, and the exponent.
fn search(a: &Mat, b: &Right) -> (f64, f64) {
    let size = a.norm_l2();
    let top = b.values[0];
    let rotated = a * &b.vectors;
    let m: Vec<f64> =
        (0..b.values.len()).map(|k| (0..a.nrows()).map(|i| rotated[(i, k)] * b.vectors[(i, k)]).sum()).collect();
    let distance = |alpha: f64| {
        let power: Vec<f64> = b.values.iter().map(|&g| if g > 0.0 { (g / top).powf(alpha) } else { 0.0 }).collect();
        let cross: f64 = m.iter().zip(&power).map(|(m, p)| m * p).sum();
        let square: f64 = power.iter().map(|p| p * p).sum();
        // Through the cosine: no threshold here is small enough for the cancellation to matter.
        (1.0 - cross * cross / (square * size * size)).max(0.0).sqrt()
    };
    let mut best = (f64::INFINITY, 0.0);
    let (mut low, mut high) = (0.001f64, 4.0f64);
    for _ in 0..2 {
        for alpha in geometric(low, high, 300) {
            let here = distance(alpha);
            if here < best.0 {
                best = (here, alpha);
            }
        }
        // Once more between the neighbours of the best.
        let step = (high / low).powf(1.0 / 299.0);
        (low, high) = ((best.1 / step).max(0.001), (best.1 * step).min(4.0));
    }
    best
}

impl Right {
    fn from_factor(factor: Mat, n: usize, as_gram: bool, what: String) -> Self {
        let matrix = factor.transpose() * &factor;
        let rank = factor.nrows().min(factor.ncols());
        let (mut values, vectors) = jacobi(&matrix);
        values[rank..].fill(0.0);
        let psd =
            if as_gram { Psd::gram(matrix.clone()) } else { Psd::factor(factor, n, RankRule::Stacked, f64::EPSILON) };
        Right { psd, matrix, values, vectors, what }
    }

    /// The AGOP of n Jacobian rows with a decaying covariance in a random frame.
    fn jacobian(stream: &Stream) -> Self {
        let d = pick(&stream.fork("d"), &SIZES);
        let n = match stream.fork("rows").draws().below(3) {
            0 => 2 + stream.fork("few").draws().below(d as u64 - 1) as usize,
            1 => 2 * d,
            _ => 10 * d,
        };
        let decades = 0.6 + 2.4 * uniform(&stream.fork("decades"));
        let roots: Vec<f64> = geometric(1.0, 10f64.powf(-decades), d).iter().map(|g| g.sqrt()).collect();
        let frame = rotation(&stream.fork("frame"), d);
        let rows = normal(&stream.fork("jacobian"), n, d);
        let scaled = Mat::from_fn(n, d, |i, k| rows[(i, k)] * roots[k] / (n as f64).sqrt());
        let as_gram = stream.fork("form").draws().below(2) == 0;
        Self::from_factor(scaled * frame.transpose(), n, as_gram, format!("d {d}, n {n}, decades {decades:.2}"))
    }

    /// r equal eigenvalues, the others 0.
    fn flat(stream: &Stream, d: usize, r: usize) -> Self {
        let q = orthonormal_columns(d, r, &stream.fork("frame"));
        let scale = 10f64.powf(2.0 * uniform(&stream.fork("scale")) - 1.0);
        let factor = Mat::from_fn(r, d, |k, j| scale * q.data[j * r + k]);
        let as_gram = stream.fork("form").draws().below(2) == 0;
        Self::from_factor(factor, r, as_gram, format!("d {d}, rank {r}, flat"))
    }

    /// The identity and a symmetric perturbation with entries of this size.
    fn nearly_flat(stream: &Stream, d: usize, spread: f64) -> Self {
        let matrix = nearly_identity(stream, d, spread);
        let (values, vectors) = jacobi(&matrix);
        let psd = Psd::gram(matrix.clone());
        Right { psd, matrix, values, vectors, what: format!("d {d}, identity and {spread:e}") }
    }

    fn d(&self) -> usize {
        self.matrix.nrows()
    }

    fn power(&self, alpha: f64) -> Mat {
        let top = self.values[0];
        let values: Vec<f64> = self.values.iter().map(|&g| if g > 0.0 { (g / top).powf(alpha) } else { 0.0 }).collect();
        unit(&with_spectrum(&self.vectors, &values))
    }
}

/// A random PSD matrix of norm 1.
fn wishart(stream: &Stream, d: usize) -> Mat {
    let rows = 1 + stream.fork("rows").draws().below(2 * d as u64) as usize;
    let x = normal(&stream.fork("x"), rows, d);
    unit(&(x.transpose() * &x))
}

fn nearly_identity(stream: &Stream, d: usize, spread: f64) -> Mat {
    let x = normal(stream, d, d);
    Mat::from_fn(d, d, |i, j| f64::from(u8::from(i == j)) + 0.5 * spread * (x[(i, j)] + x[(j, i)]))
}

/// How far a matrix is from a multiple of the identity: what an exponent is read off.
fn traceless_share(a: &Mat) -> f64 {
    let d = a.nrows() as f64;
    let trace: f64 = (0..a.nrows()).map(|i| a[(i, i)]).sum();
    (1.0 - trace * trace / (d * a.squared_norm_l2())).max(0.0).sqrt()
}

struct Trial {
    kind: &'static str,
    truth: Truth,
    a: Mat,
    b: Right,
    distance: f64,
}

/// A power with a perturbation of at most 2 %.
fn positive(stream: &Stream) -> Option<Trial> {
    let b = Right::jacobian(&stream.fork("b"));
    let alpha = pick(&stream.fork("alpha"), &EXPONENTS);
    let noise = pick(&stream.fork("noise"), &[0.0, 1e-8, 1e-4, 5e-3, 0.02]);
    let power = b.power(alpha);
    // Flat powers leave nothing to read an exponent off; they are trials of their own.
    if traceless_share(&power) < 0.2 {
        return None;
    }
    let a = power + wishart(&stream.fork("e"), b.d()) * noise;
    let (distance, _) = search(&a, &b);
    assert!(distance <= noise + 1e-4, "the search is too coarse: {distance} for {noise}, {}", b.what);
    Some(Trial { kind: "power + noise", truth: Truth::Power, a, b, distance })
}

/// What has nothing to do with B, unless small sizes bring it near by chance.
fn null(stream: &Stream) -> Option<Trial> {
    let b = Right::jacobian(&stream.fork("b"));
    let (kind, a) = if stream.fork("kind").draws().below(2) == 0 {
        ("independent", Right::jacobian_of(&stream.fork("a"), b.d()))
    } else {
        let r = rotation(&stream.fork("r"), b.d());
        let alpha = pick(&stream.fork("alpha"), &EXPONENTS);
        ("random rotation", &r * b.power(alpha) * r.transpose())
    };
    by_distance(kind, a, b)
}

/// Truth from the distance alone; `None` in the bands around the thresholds.
fn by_distance(kind: &'static str, a: Mat, b: Right) -> Option<Trial> {
    let (distance, alpha) = search(&a, &b);
    let interior = (0.002..3.8).contains(&alpha);
    let truth = match distance {
        x if x > 0.25 => Truth::Far,
        // At the lower end there is no positive exponent, and `fails` is right.
        x if (0.08..0.15).contains(&x) && interior => Truth::Between,
        _ => return None,
    };
    Some(Trial { kind, truth, a, b, distance })
}

impl Right {
    /// A Gram matrix of random rows in a given dimension, with its own decay and frame.
    fn jacobian_of(stream: &Stream, d: usize) -> Mat {
        let n = 1 + stream.fork("rows").draws().below(3 * d as u64) as usize;
        let roots = geometric(1.0, 10f64.powf(-1.5 * uniform(&stream.fork("decades"))), d);
        let frame = rotation(&stream.fork("frame"), d);
        let rows = normal(&stream.fork("jacobian"), n, d);
        let scaled = Mat::from_fn(n, d, |i, k| rows[(i, k)] * roots[k]) * frame.transpose();
        unit(&(scaled.transpose() * &scaled))
    }
}

/// A power that is bent: by other directions, by the shape of its spectrum, by its order, or by a
/// small rotation of the frame.
fn bent(stream: &Stream, strength: f64) -> Option<Trial> {
    let b = Right::jacobian(&stream.fork("b"));
    let d = b.d();
    let alpha = pick(&stream.fork("alpha"), &EXPONENTS);
    let power = b.power(alpha);
    let (kind, a) = match stream.fork("kind").draws().below(4) {
        0 => ("foreign directions", power + wishart(&stream.fork("e"), d) * strength),
        1 => {
            // Above the median one exponent, below it another.
            let top = b.values[0];
            let middle = b.values[d / 2].max(1e-3 * top);
            let other = alpha * (1.0 + 6.0 * strength);
            let values: Vec<f64> = b
                .values
                .iter()
                .map(|&g| match g {
                    g if g <= 0.0 => 0.0,
                    g if g >= middle => (g / middle).powf(alpha),
                    g => (g / middle).powf(other),
                })
                .collect();
            ("two exponents", unit(&with_spectrum(&b.vectors, &values)))
        }
        2 => {
            // Part of the spectrum the other way round.
            let rank = b.values.iter().filter(|&&g| g > 0.0).count();
            let mut values: Vec<f64> = b.values.iter().map(|&g| if g > 0.0 { g.powf(alpha) } else { 0.0 }).collect();
            let swapped: Vec<f64> = (0..rank).map(|k| values[rank - 1 - k]).collect();
            let share = strength.min(1.0);
            for (value, other) in values.iter_mut().zip(swapped) {
                *value += share * (other - *value);
            }
            ("reversed", unit(&with_spectrum(&b.vectors, &values)))
        }
        _ => {
            // Eigenvectors turned by small angles in planes of neighbours.
            let mut vectors = b.vectors.clone();
            for k in 0..d - 1 {
                let angle = 2.0 * strength * uniform(&stream.fork(&format!("angle {k}")));
                let (s, c) = angle.sin_cos();
                for i in 0..d {
                    let (x, y) = (vectors[(i, k)], vectors[(i, k + 1)]);
                    vectors[(i, k)] = c * x - s * y;
                    vectors[(i, k + 1)] = s * x + c * y;
                }
            }
            let values: Vec<f64> = b.values.iter().map(|&g| if g > 0.0 { g.powf(alpha) } else { 0.0 }).collect();
            ("turned", unit(&with_spectrum(&vectors, &values)))
        }
    };
    by_distance(kind, a, b)
}

/// B has one distinct eigenvalue: a direction, a subspace, or the whole space.
fn alike(stream: &Stream) -> Option<Trial> {
    let d = pick(&stream.fork("d"), &SIZES);
    let rank = match stream.fork("rank").draws().below(3) {
        0 => 1,
        1 => d,
        _ => 1 + stream.fork("some").draws().below(d as u64) as usize,
    };
    let b = Right::flat(&stream.fork("b"), d, rank);
    let noise = pick(&stream.fork("noise"), &[0.0, 1e-6, 0.01, 0.1]);
    let e = wishart(&stream.fork("e"), d);
    // On the whole space A can be anything: no exponent fits better than another.
    let a = if rank == d && stream.fork("any").draws().below(2) == 0 { e } else { b.power(1.0) + e * noise };
    let (distance, _) = search(&a, &b);
    // A misfit that no exponent changes is one all the same.
    let truth = match distance {
        x if x < 0.15 => Truth::Alike,
        x if x > 0.25 => Truth::Far,
        _ => return None,
    };
    Some(Trial { kind: if rank == 1 { "rank 1" } else { "flat" }, truth, a, b, distance })
}

/// One direction or subspace that A does not share.
fn elsewhere(stream: &Stream) -> Option<Trial> {
    let d = pick(&stream.fork("d"), &SIZES);
    let rank = 1 + stream.fork("rank").draws().below(d as u64 / 2) as usize;
    let b = Right::flat(&stream.fork("b"), d, rank);
    let a = wishart(&stream.fork("a"), d);
    let trial = by_distance("elsewhere", a, b)?;
    (trial.truth == Truth::Far).then_some(trial)
}

/// A is a multiple of the identity and B is not: every positive exponent is wrong, the smaller the
/// less, so that the distance says nothing.
fn tie(stream: &Stream) -> Option<Trial> {
    let b = Right::jacobian(&stream.fork("b"));
    let rank = b.values.iter().filter(|&&g| g > 0.0).count();
    if b.values[0] <= 1.2 * b.values[rank - 1] {
        return None;
    }
    let a = b.power(1e-12);
    let (distance, _) = search(&a, &b);
    Some(Trial { kind: "tie", truth: Truth::Far, a, b, distance })
}

/// Perturbations of the identity, small enough that every pair of them is close.
const SPREADS: [f64; 4] = [1e-6, 1e-4, 1e-2, 0.04];

/// Two nearly flat matrices that know nothing of each other, or a flat one and any other.
fn unrelated(stream: &Stream) -> Option<Trial> {
    let spread = pick(&stream.fork("spread"), &SPREADS);
    let (kind, b) = if stream.fork("kind").draws().below(2) == 0 {
        let d = pick(&stream.fork("d"), &SIZES);
        ("both nearly flat", Right::nearly_flat(&stream.fork("b"), d, spread))
    } else {
        ("A nearly flat", Right::jacobian(&stream.fork("b")))
    };
    let a = nearly_identity(&stream.fork("a"), b.d(), spread);
    let (distance, _) = search(&a, &b);
    Some(Trial { kind, truth: Truth::Chance, a, b, distance })
}

/// A power of a nearly flat matrix, seen through noise that is small beside what is not flat.
fn flat_power(stream: &Stream) -> Option<Trial> {
    let d = pick(&stream.fork("d"), &SIZES);
    let b = Right::nearly_flat(&stream.fork("b"), d, pick(&stream.fork("spread"), &SPREADS));
    let power = b.power(pick(&stream.fork("alpha"), &EXPONENTS));
    let noise = 0.01 * traceless_share(&power);
    let a = power + wishart(&stream.fork("e"), d) * noise;
    let (distance, _) = search(&a, &b);
    Some(Trial { kind: "flat power + noise", truth: Truth::Power, a, b, distance })
}

/// `count` trials of a kind; draws that are in no band are drawn again.
fn draw(name: &str, count: usize, make: impl Fn(&Stream) -> Option<Trial>) -> Vec<Trial> {
    let stream = Stream::root(11).fork(name);
    let trials: Vec<Trial> = (0..20 * count as u64).filter_map(|k| make(&stream.fork_index(k))).take(count).collect();
    assert_eq!(trials.len(), count, "{name}: too few draws are usable");
    trials
}

fn judged(trial: &Trial) -> Finding {
    let pair = Pair::new(Psd::gram(trial.a.clone()), trial.b.psd.clone());
    assess(&pair, Family::Power, None, &Thresholds::default())
}

#[test]
fn false_answers_are_below_one_percent() {
    let mut trials = draw("positives", 300, positive);
    trials.extend(draw("nulls", 300, null));
    trials.extend(draw("near misses", 300, |stream| {
        bent(stream, 0.05 + 0.3 * uniform(&stream.fork("strength"))).filter(|trial| trial.truth == Truth::Between)
    }));
    trials.extend(draw("clear misses", 200, |stream| {
        bent(stream, 0.4 + uniform(&stream.fork("strength"))).filter(|trial| trial.truth == Truth::Far)
    }));
    trials.extend(draw("alike", 200, alike));
    trials.extend(draw("elsewhere", 60, elsewhere));
    trials.extend(draw("ties", 40, tie));
    trials.extend(draw("flat powers", 80, flat_power));
    trials.extend(draw("unrelated", 300, unrelated));
    let mut table: BTreeMap<(Truth, &str), [usize; 4]> = BTreeMap::new();
    let mut wrong = String::new();
    // Wrong and all, by verdict and truth.
    let mut tallies: BTreeMap<(&str, Truth), [usize; 2]> = BTreeMap::new();
    for trial in &trials {
        let finding = judged(trial);
        let misfit = finding.misfit.expect("neither is zero");
        assert!((misfit - trial.distance).abs() <= 1e-4, "{misfit} against {}: {}", trial.distance, trial.b.what);
        let column = match finding.verdict {
            Verdict::Holds => 0,
            Verdict::Approximate => 1,
            Verdict::Fails => 2,
            Verdict::Undetermined | Verdict::NotApplicable => 3,
        };
        table.entry((trial.truth, trial.kind)).or_default()[column] += 1;
        for verdict in [Verdict::Holds, Verdict::Approximate, Verdict::Fails]
            .into_iter()
            .filter(|&verdict| trial.truth.forbids(verdict))
        {
            let tally = tallies.entry((verdict.name(), trial.truth)).or_default();
            *tally = [tally[0] + usize::from(finding.verdict == verdict), tally[1] + 1];
        }
        if trial.truth.forbids(finding.verdict) {
            let (kind, what, reason) = (trial.kind, &trial.b.what, &finding.reason);
            let _ = writeln!(wrong, "{:?} ({kind}; {what}), distance {:.4}: {reason}", trial.truth, trial.distance);
        }
    }
    let mut report = format!("{:32} {:>6} {:>6} {:>6} {:>6}\n", "truth", "holds", "approx", "fails", "undet");
    for ((truth, kind), [h, a, f, u]) in &table {
        let _ = writeln!(report, "{:32} {h:6} {a:6} {f:6} {u:6}", format!("{truth:?}: {kind}"));
    }
    for ((verdict, truth), [false_ones, all]) in &tallies {
        let _ = writeln!(report, "false {verdict} where {truth:?}: {false_ones} of {all}");
    }
    let report = report + &wrong;
    assert!(trials.len() >= 400);
    // For each truth on its own, so that an easy kind does not dilute a hard one.
    for ((verdict, truth), [false_ones, all]) in &tallies {
        assert!(100 * false_ones <= *all, "false {verdict} where {truth:?}\n{report}");
    }
    // An engine that never commits itself would pass so far.
    let committed = |truth: Truth, column: usize| {
        let rows = table.iter().filter(|((t, _), _)| *t == truth);
        rows.fold([0, 0], |sum, (_, row)| [sum[0] + row[column], sum[1] + row.iter().sum::<usize>()])
    };
    let (right, all) = (committed(Truth::Power, 0), committed(Truth::Far, 2));
    assert!(100 * right[0] >= 95 * right[1], "too few powers are seen\n{report}");
    assert!(100 * all[0] >= 95 * all[1], "too few failures are seen\n{report}");
}
