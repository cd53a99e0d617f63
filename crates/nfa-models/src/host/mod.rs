//! What a CPU computes without a tensor library: kernels over slices.
//!
//! Vectorised by run-time detection (AVX-512, AVX2, NEON), and every operation is one of IEEE 754,
//! so the same numbers come out with any instruction set and any number of threads.

mod lane;
pub mod real;
pub mod vector;

pub use real::Real;
