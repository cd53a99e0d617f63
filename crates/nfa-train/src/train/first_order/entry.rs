//! What entrywise rules compute with.

use std::ops::{Add, Div, Mul, Sub};

#[cfg(feature = "burn")]
use burn::tensor::{Tensor, TensorData};
use nfa_metrics::Mat;
#[cfg(feature = "burn")]
use nfa_metrics::{epsilon, to_host};

/// What entrywise rules compute with: one number (on the host engine), or a tensor of them (on any
/// device). Factors and terms are rounded to its type first.
pub trait Entry: Clone + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> {
    /// self · factor
    #[must_use]
    fn times(self, factor: f64) -> Self;

    /// self + term
    #[must_use]
    fn plus(self, term: f64) -> Self;

    /// √self
    #[must_use]
    fn sqrt(self) -> Self;

    /// -1, 0 or 1.
    #[must_use]
    fn sign(self) -> Self;

    /// What `f` makes of it as a matrix of so many rows and columns, in host `f64`; `f` is also told the
    /// epsilon that the numbers are known to. For rules that are [`WHOLE`](super::rule::Rule::WHOLE): to others
    /// a number on the host is all the matrix there is.
    #[must_use]
    fn matrix(self, shape: [usize; 2], f: impl FnOnce(&Mat, f64) -> Mat) -> Self;
}

macro_rules! number {
    ($type:ident) => {
        impl Entry for $type {
            #[inline(always)]
            fn times(self, factor: f64) -> Self {
                self * factor as $type
            }

            #[inline(always)]
            fn plus(self, term: f64) -> Self {
                self + term as $type
            }

            #[inline(always)]
            fn sqrt(self) -> Self {
                $type::sqrt(self)
            }

            #[inline(always)]
            fn sign(self) -> Self {
                if self == 0.0 { 0.0 } else { self.signum() }
            }

            fn matrix(self, _: [usize; 2], f: impl FnOnce(&Mat, f64) -> Mat) -> Self {
                f(&Mat::from_fn(1, 1, |_, _| f64::from(self)), f64::from($type::EPSILON))[(0, 0)] as $type
            }
        }
    };
}

number!(f32);
number!(f64);

#[cfg(feature = "burn")]
impl Entry for Tensor<1> {
    fn times(self, factor: f64) -> Self {
        self.mul_scalar(factor)
    }

    fn plus(self, term: f64) -> Self {
        self.add_scalar(term)
    }

    fn sqrt(self) -> Self {
        Tensor::sqrt(self)
    }

    fn sign(self) -> Self {
        Tensor::sign(self)
    }

    fn matrix(self, [rows, cols]: [usize; 2], f: impl FnOnce(&Mat, f64) -> Mat) -> Self {
        let (device, dtype) = (self.device(), self.dtype());
        let made = f(&to_host(self.reshape([rows, cols])), epsilon(dtype));
        let data: Vec<f64> = (0..rows * cols).map(|k| made[(k / cols, k % cols)]).collect();
        Tensor::from_data(TensorData::new(data, [rows * cols]), (&device, dtype))
    }
}
