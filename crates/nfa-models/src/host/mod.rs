//! What a CPU computes without a tensor library: kernels over slices.
//!
//! Vectorised by run-time detection (AVX-512, AVX2, NEON), and every operation is one of IEEE 754,
//! so the same numbers come out with any instruction set and any number of threads.

pub mod convolution;
pub mod dense;
pub mod gemm;
mod lane;
pub mod real;
mod runs;
pub mod small;
pub mod vector;

pub use dense::Dense;
pub use real::Real;

/// Where an operation runs; its numbers are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cores {
    /// On the calling thread.
    One,
    /// On all cores of the pool that it is called in.
    All,
}

impl Cores {
    /// How many threads that is.
    fn count(self) -> usize {
        match self {
            Cores::One => 1,
            Cores::All => rayon::current_num_threads(),
        }
    }
}

/// Runs a function whose loops the compiler turns into the vector instructions of this machine, as far
/// as everything in it is inlined.
#[inline(always)]
pub fn vectorised<R>(f: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(f)
}
