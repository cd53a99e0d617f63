//! The number types that the host computes with.

use std::iter::Sum;
use std::ops::{AddAssign, MulAssign, SubAssign};

#[cfg(feature = "burn")]
use burn::tensor::{DType, Element};

use crate::host::lane::Lane;

/// What Burn asks of its numbers.
#[cfg(not(feature = "burn"))]
pub trait Element: std::fmt::Debug + Send + Sync {}

/// `f32` or `f64`.
pub trait Real: Lane + Element + AddAssign + SubAssign + MulAssign + Sum {
    /// The distance from 1 to the next number.
    const EPS: Self;
    /// Its name in Burn.
    #[cfg(feature = "burn")]
    const DTYPE: DType;

    /// The nearest number of this type.
    fn from_f64(value: f64) -> Self;

    /// The same number.
    fn to_f64(self) -> f64;

    /// √self
    fn sqrt(self) -> Self;
}

macro_rules! real {
    ($type:ident, $dtype:ident) => {
        #[cfg(not(feature = "burn"))]
        impl Element for $type {}

        impl Real for $type {
            const EPS: Self = $type::EPSILON;
            #[cfg(feature = "burn")]
            const DTYPE: DType = DType::$dtype;

            #[inline(always)]
            fn from_f64(value: f64) -> Self {
                value as $type
            }

            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }

            #[inline(always)]
            fn sqrt(self) -> Self {
                $type::sqrt(self)
            }
        }
    };
}

real!(f32, F32);
real!(f64, F64);
