//! Functions to try solvers on, with derivatives of every order that they need: one file each, one line each in
//! [`PROBLEMS`]. [`Rotated`] puts one of r variables into D dimensions, so that its Hessian has rank r at most.
//!
//! Definitions as in CUTEst (Gould, Orban, Toint 2015, doi:10.1007/s10589-014-9687-3).

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

    /// Values at the start of 12 variables, by plain loops over the definitions in Python.
    const STARTS: [(&str, f64); PROBLEMS.len()] = [
        ("artif", 4.643595523189581),
        ("broydn3d", 23.0),
        ("broydn7d", 34.99638868967823),
        ("genrose", 2565.2),
        ("srosenbr", 145.19999999999996),
        ("extrosnb", 4404.0),
        ("arwhead", 33.0),
        ("engval1", 649.0),
        ("cosine", 9.6534081807941),
        ("nondquar", 18.0),
        ("liarwhd", 7020.0),
        ("sinquad", 0.6561),
        ("tointgss", 97.14285714285712),
        ("schmvett", -19.29262798332297),
        ("curly10", -0.0005368781059095243),
        ("dixmaanf", 158.20833333333334),
        ("woods", 57576.0),
    ];

    #[test]
    fn values_are_the_definitions() {
        for (name, expected) in STARTS {
            let known = problem(name).expect(name);
            let value = known.value(&(known.start)(12));
            assert!(
                (value - expected).abs() <= 1e-13 * expected.abs().max(1.0),
                "{name}: {value}, expected {expected}"
            );
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
            for (r, seed) in [(12, 0), (12, 1), (24, 2)] {
                let y = near(problem, r, seed);
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
            ("schmvett", vec![std::f64::consts::PI / (1.0 + std::f64::consts::PI); 12]),
        ] {
            let problem = problem(name).expect(name);
            let (value, minimum) = (problem.value(&y), (problem.minimum)(12).expect("known"));
            assert!((value - minimum).abs() <= 1e-12, "{name}: {value}, told {minimum}");
            let slope = problem.gradient(&y).iter().fold(0.0, |top: f64, g| top.max(g.abs()));
            assert!(slope <= 1e-12, "{name}: a slope of {slope:.1e} at its minimum");
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
        assert!(Rotated::new(PROBLEMS[0], 20, 19, &Stream::root(0)).is_err());
        assert!(Rotated::plain(problem("woods").expect("known"), 6).is_err());
        assert!(Rotated::plain(problem("srosenbr").expect("known"), 7).is_err());
    }
}
