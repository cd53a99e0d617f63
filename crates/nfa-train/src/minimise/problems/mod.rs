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
