//! The judge: any pair of matrices in, exponent, misfit, certificates, nulls and verdict out.

pub mod agreement;
pub mod certificate;
pub mod details;
pub mod family;
pub mod finding;
pub mod interval;
mod isotonic;
pub mod misfit;
pub mod pair;
pub mod right;
pub mod sensitivity;
pub mod verdict;
