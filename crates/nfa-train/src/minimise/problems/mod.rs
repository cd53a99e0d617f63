//! Functions to try solvers on, with derivatives of every order that they need: one file each, one line each in
//! [`PROBLEMS`]. [`Rotated`] puts one of r variables into D dimensions, so that its Hessian has rank r at most.
//!
//! Definitions as in CUTEst (Gould, Orban, Toint 2015, doi:10.1007/s10589-014-9687-3), with these exceptions:
//!
//! | here | in CUTEst |
//! |---|---|
//! | `broydn7d`: 3 - y/2 (OptimizationProblems.jl), starts at -1 | 3 - 2y, starts at 1 |
//! | `genrose`: (1 - y_i)² for i < r, starts at -1.2, 1, ... | 1 more, i > 1, starts at i/(r + 1) |
//! | `schmvett`: starts at 3 | starts at 0.5 |
//! | `sinquad` | `SINQUAD2`: `SINQUAD` leaves the middle terms unsquared |
//! | `srosenbr`: starts at -1.2, 1, ... | its second start: the first lost a sign |
//! | `tointgss`: 10/(r + 2) (OptimizationProblems.jl) | 10/(r - 2) |

mod artif;
mod arwhead;
mod broydn3d;
mod broydn7d;
mod cosine;
mod curly10;
mod dixmaanf;
mod engval1;
mod extrosnb;
mod genrose;
mod jet;
mod liarwhd;
mod nondquar;
pub mod problem;
pub mod rotated;
mod schmvett;
mod sinquad;
mod srosenbr;
mod terms;
mod tointgss;
mod woods;

pub use problem::Problem;
pub use rotated::Rotated;

/// Every problem.
pub const PROBLEMS: [&Problem; 17] = [
    &artif::ARTIF,
    &broydn3d::BROYDN3D,
    &broydn7d::BROYDN7D,
    &genrose::GENROSE,
    &srosenbr::SROSENBR,
    &extrosnb::EXTROSNB,
    &arwhead::ARWHEAD,
    &engval1::ENGVAL1,
    &cosine::COSINE,
    &nondquar::NONDQUAR,
    &liarwhd::LIARWHD,
    &sinquad::SINQUAD,
    &tointgss::TOINTGSS,
    &schmvett::SCHMVETT,
    &curly10::CURLY10,
    &dixmaanf::DIXMAANF,
    &woods::WOODS,
];

/// The problem of this name.
pub fn problem(name: &str) -> Option<&'static Problem> {
    PROBLEMS.into_iter().find(|problem| problem.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::minimise::function::{Block, Function};
    use nfa_models::Stream;

    /// By plain loops over the definitions in Python: at the start of 12 variables, and of 12 and 120 off it.
    const VALUES: [(&str, [f64; 3]); PROBLEMS.len()] = [
        ("artif", [4.643595523189581, 4.301380483923476, 43.56781674379482]),
        ("broydn3d", [23.0, 22.933661200000007, 134.19617792000014]),
        ("broydn7d", [34.99638868967823, 34.819832244382845, 329.83757581311676]),
        ("genrose", [2565.2, 2586.0891739999997, 30086.48409199999]),
        ("srosenbr", [145.19999999999996, 151.26417499999994, 1479.4371409999997]),
        ("extrosnb", [4404.0, 4415.591214, 47651.802732000004]),
        ("arwhead", [33.0, 34.73976662, 338.71407444000033]),
        ("engval1", [649.0, 649.3328076599998, 7024.427321379997]),
        ("cosine", [9.6534081807941, 9.670391688857853, 104.33131927688721]),
        ("nondquar", [18.0, 17.303620889999998, 136.16191701]),
        ("liarwhd", [7020.0, 7044.401217199999, 70432.03770192001]),
        ("sinquad", [0.6561, 0.7233665352196782, 0.8534283311028078]),
        ("tointgss", [97.14285714285712, 97.33096315467232, 1071.8507759899514]),
        ("schmvett", [-19.29262798332297, -19.30236789845356, -227.60517347439523]),
        ("curly10", [-0.0005368781059095243, -0.1476980204678745, -3.1808580033221405]),
        ("dixmaanf", [158.20833333333334, 158.53186153488795, 1636.3054862648328]),
        ("woods", [57576.0, 57863.962896799996, 576200.1707844998]),
    ];

    /// The start, uneven: a wrong index shows.
    fn off(problem: &Problem, r: usize) -> Vec<f64> {
        (problem.start)(r).iter().enumerate().map(|(i, y)| y + 0.01 * ((i + 1) % 7) as f64 - 0.03).collect()
    }

    #[test]
    fn values_are_the_definitions() {
        for (name, expected) in VALUES {
            let known = problem(name).expect(name);
            let points = [(known.start)(12), off(known, 12), off(known, 120)];
            for (y, expected) in points.iter().zip(expected) {
                let value = known.value(y);
                // CURLY10's value at its start is what is left of terms that are larger.
                assert!(
                    (value - expected).abs() <= 1e-12 * expected.abs().max(1e-2),
                    "{name}: {value}, not {expected}"
                );
            }
        }
    }

    /// A point near the start, off every kink and symmetry.
    fn near(problem: &Problem, r: usize, seed: u64) -> Vec<f64> {
        let noise = Stream::root(seed).fork(problem.name).normals(r);
        (problem.start)(r).iter().zip(noise).map(|(y, noise)| y + 0.1 * noise).collect()
    }

    #[test]
    fn derivatives_are_those_of_the_value() {
        for problem in PROBLEMS {
            let points = [(12, 0), (12, 1), (24, 0), (24, 1)].map(|(r, seed)| near(problem, r, seed));
            for y in points.into_iter().chain([12, 24].map(problem.start)) {
                let r = y.len();
                let (gradient, hessian) = (problem.gradient(&y), problem.hessian(&y));
                let h = 1e-5;
                let top = gradient.iter().fold(1.0, |top: f64, g| top.max(g.abs()));
                let bent = hessian.norm_max().max(1.0);
                // Of the 7/3 powers the third derivative has no bound.
                let loose = if problem.name == "broydn7d" { 1e-4 } else { 1e-6 };
                for i in 0..r {
                    let at = |h: f64| {
                        let mut y = y.clone();
                        y[i] += h;
                        y
                    };
                    let numeric = (problem.value(&at(h)) - problem.value(&at(-h))) / (2.0 * h);
                    assert!((gradient[i] - numeric).abs() <= 1e-6 * top, "{problem:?}: {} and {numeric}", gradient[i]);
                    let (up, down) = (problem.gradient(&at(h)), problem.gradient(&at(-h)));
                    for j in 0..r {
                        let numeric = (up[j] - down[j]) / (2.0 * h);
                        let off = (hessian[(i, j)] - numeric).abs();
                        assert!(off <= loose * bent, "{problem:?} {i} {j}: {} and {numeric}", hessian[(i, j)]);
                    }
                }
            }
        }
    }

    /// Where every sum of CURLY10 is the largest root of 4q³ - 40q - 0.1, by Newton's method.
    fn curl() -> Vec<f64> {
        let q = (0..20).fold(3.0, |q: f64, _| q - (4.0 * q.powi(3) - 40.0 * q - 0.1) / (12.0 * q * q - 40.0));
        // Variables r and r - 11 are q, others nothing: each window of eleven holds one of them.
        (0..12).map(|i| if i == 11 || i == 0 { q } else { 0.0 }).collect()
    }

    /// A zero of BROYDN3D's equations.
    fn solved() -> Vec<f64> {
        let mut plain = Rotated::plain(problem("broydn3d").expect("known"), 12).expect("fits");
        let start = plain.start();
        crate::minimise::minimise(&mut plain, &start, &crate::minimise::Settings::arc(), 50).expect("runs").x
    }

    #[test]
    fn nothing_lies_below_a_minimum() {
        for problem in PROBLEMS {
            let Some(minimum) = (problem.minimum)(24) else { continue };
            for scale in [1e-3, 0.1, 1.0, 3.0] {
                for seed in 0..50 {
                    let y: Vec<f64> = Stream::root(seed).fork(problem.name).normals(24);
                    let value = problem.value(&y.iter().map(|y| scale * y).collect::<Vec<_>>());
                    assert!(value >= minimum, "{problem:?}: {value}, told {minimum}");
                }
            }
        }
    }

    #[test]
    fn minima_are_minima() {
        for (name, y) in [
            ("genrose", vec![1.0; 12]),
            ("srosenbr", vec![1.0; 12]),
            ("extrosnb", vec![1.0; 12]),
            ("liarwhd", vec![1.0; 12]),
            ("sinquad", vec![1.0; 12]),
            ("woods", vec![1.0; 12]),
            ("artif", vec![0.0; 12]),
            ("nondquar", vec![0.0; 12]),
            ("dixmaanf", vec![0.0; 12]),
            ("arwhead", (0..12).map(|i| if i < 11 { 1.0 } else { 0.0 }).collect()),
            ("tointgss", vec![0.0; 12]),
            ("cosine", vec![(1.0 + (1.0 + 16.0 * std::f64::consts::PI).sqrt()) / 4.0; 12]),
            ("curly10", curl()),
            ("broydn3d", solved()),
            ("schmvett", vec![std::f64::consts::PI / (1.0 + std::f64::consts::PI); 12]),
        ] {
            let problem = problem(name).expect(name);
            let (value, minimum) = (problem.value(&y), (problem.minimum)(12).expect("known"));
            assert!((value - minimum).abs() <= 1e-12 * minimum.abs().max(1.0), "{name}: {value}, told {minimum}");
            let slope = problem.gradient(&y).iter().fold(0.0, |top: f64, g| top.max(g.abs()));
            let rounding = 1e-13 * problem.hessian(&y).norm_max().max(10.0);
            assert!(slope <= rounding, "{name}: a slope of {slope:.1e} at its minimum");
        }
    }

    #[test]
    fn in_more_dimensions_only_the_span_counts() {
        let (r, d) = (12, 40);
        for problem in PROBLEMS {
            let mut f = Rotated::new(problem, r, d, &Stream::root(3)).expect("fits");
            let mut plain = Rotated::plain(problem, r).expect("fits");
            let x = f.start();
            let (value, own) = (f.value(&x), problem.value(&(problem.start)(r)));
            assert!((value - own).abs() <= 1e-11 * own.abs().max(1.0), "{problem:?}: {value} and {own}");
            // A step across the span of the rows, through the gradients that never leave it.
            let noise = Stream::root(4).normals(d);
            let inside = f.down(&f.up(&noise));
            let moved: Vec<f64> = x.iter().zip(&noise).zip(&inside).map(|((x, n), i)| x + n - i).collect();
            assert!((f.value(&moved) - value).abs() <= 1e-9 * value.abs().max(1.0), "{problem:?}");
            let rows = Stream::root(5).normals(3 * d);
            let (gradient, products) = (f.gradient(&x), f.products(&x, &rows));
            let (block, exact) = (f.block(&x, &rows), Block::of(&rows, &gradient, &products));
            let top = exact.hessian.norm_max();
            assert!((&block.hessian - &exact.hessian).norm_max() <= 1e-11 * top, "{problem:?}");
            let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
            let own = plain.gradient(&(problem.start)(r));
            assert!((norm(&gradient) - norm(&own)).abs() <= 1e-11 * norm(&own).max(1.0), "{problem:?}");
        }
    }

    #[test]
    fn in_more_dimensions_derivatives_are_those_of_the_value() {
        let (d, h) = (30, 1e-5);
        for problem in PROBLEMS {
            let mut f = Rotated::new(problem, 12, d, &Stream::root(6)).expect("fits");
            let noise = Stream::root(7).fork(problem.name).normals(2 * d);
            let x: Vec<f64> = f.start().iter().zip(&noise).map(|(x, noise)| x + 0.1 * noise).collect();
            let v = &noise[d..];
            let at = |h: f64| x.iter().zip(v).map(|(x, v)| x + h * v).collect::<Vec<_>>();
            let gradient = f.gradient(&x);
            let size = |values: &[f64]| values.iter().fold(1.0, |top: f64, v| top.max(v.abs()));
            let slope: f64 = gradient.iter().zip(v).map(|(g, v)| g * v).sum();
            let numeric = (f.value(&at(h)) - f.value(&at(-h))) / (2.0 * h);
            let top = size(&gradient) * d as f64;
            assert!((slope - numeric).abs() <= 1e-7 * top, "{problem:?}: {slope} and {numeric}");
            // Of the 7/3 powers the Hessian is but Hölder continuous, of exponent 1/3.
            let loose = if problem.name == "broydn7d" { 1e-4 } else { 1e-7 };
            let (up, down, products) = (f.gradient(&at(h)), f.gradient(&at(-h)), f.products(&x, v));
            for ((up, down), product) in up.iter().zip(&down).zip(&products) {
                let numeric = (up - down) / (2.0 * h);
                assert!((product - numeric).abs() <= loose * size(&products), "{problem:?}: {product} and {numeric}");
            }
        }
    }

    #[test]
    fn sizes_that_a_problem_has_not_are_refused() {
        for (name, refused, taken) in [
            ("artif", 1, 2),
            ("broydn3d", 1, 2),
            ("broydn7d", 7, 8),
            ("genrose", 1, 2),
            ("srosenbr", 7, 2),
            ("extrosnb", 1, 2),
            ("arwhead", 1, 2),
            ("engval1", 1, 2),
            ("cosine", 1, 2),
            ("nondquar", 3, 4),
            ("liarwhd", 1, 2),
            ("sinquad", 2, 3),
            ("tointgss", 2, 3),
            ("schmvett", 2, 3),
            ("curly10", 1, 2),
            ("dixmaanf", 8, 3),
            ("woods", 6, 4),
        ] {
            let problem = problem(name).expect(name);
            for refused in [0, refused] {
                assert!(Rotated::plain(problem, refused).is_err(), "{name} of {refused} variables");
            }
            let plain = Rotated::plain(problem, taken).expect(name);
            let y = plain.start();
            assert_eq!([y.len(), problem.gradient(&y).len(), problem.hessian(&y).nrows()], [taken; 3], "{name}");
            assert!(Rotated::new(problem, 24, 23, &Stream::root(0)).is_err(), "{name} in fewer dimensions");
        }
        assert!(problem("none").is_none());
    }
}
