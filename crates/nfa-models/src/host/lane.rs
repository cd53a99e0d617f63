//! What the kernels of [`vector`](crate::host::vector) need of a number type; it seals [`Real`](crate::host::Real).

use std::ops::{Add, Div, Mul, Neg, Sub};

use crate::activation::Activation;
use crate::host::vector;

/// A number type with its polynomials, one lane of a vector register.
///
/// The polynomials (constant first) are fitted and printed by `tests/oracle/polynomials.py`.
pub trait Lane:
    Copy
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + 'static
{
    const ZERO: Self;
    const HALF: Self;
    const ONE: Self;
    const TWO: Self;
    /// 1/√(2π)
    const NORMAL: Self;
    const LOG2_E: Self;
    /// log 2 in two parts, the first so short that its multiples are exact.
    const LN2: [Self; 2];
    /// Added and taken away again it rounds to an integer, which then stands in the lowest bits.
    const ROUND: Self;
    /// The exponential function is 0 from here on down.
    const FLOOR: Self;
    /// The density of the normal distribution is 0 from here on.
    const FAR: Self;
    /// (e^r - 1 - r) / r² on |r| <= log(2)/2.
    const EXP: &'static [Self];
    /// log(1 + w) = s + s³ · this in s², s = 2w / (2 + w), for w in 0..=1.
    const LOG: &'static [Self];
    /// (1 + 0.8 x) Q(x) e^(x²/2) in (x - CENTRE) / (x + CENTRE), Q the normal distribution's upper tail.
    const TAIL: &'static [Self];
    const CENTRE: Self;
    /// 0.8
    const STEEP: Self;

    /// self · factor + term, rounded once.
    fn fma(self, factor: Self, term: Self) -> Self;
    fn abs(self) -> Self;
    /// With the sign of another.
    fn copysign(self, sign: Self) -> Self;
    /// [s, t] with s t = 2^n for the integer n = `shifted` - ROUND <= 0, neither of them subnormal
    /// where that can be seen.
    fn powers(shifted: Self) -> [Self; 2];
    fn parameter(value: f64) -> Self;
    /// [`vector::activate`], compiled once and here.
    fn activate(activation: Activation, z: &mut [Self], slope: Option<&mut [Self]>);
}

macro_rules! lane {
    ($type:ident, $mantissa:literal, $bias:literal, $round:literal, {$($constants:tt)*}) => {
        impl Lane for $type {
            const ZERO: Self = 0.0;
            const HALF: Self = 0.5;
            const ONE: Self = 1.0;
            const TWO: Self = 2.0;
            const LOG2_E: Self = std::$type::consts::LOG2_E;
            const ROUND: Self = $round;
            const STEEP: Self = 0.8;
            $($constants)*

            #[inline(always)]
            fn fma(self, factor: Self, term: Self) -> Self {
                self.mul_add(factor, term)
            }

            #[inline(always)]
            fn abs(self) -> Self {
                $type::abs(self)
            }

            #[inline(always)]
            fn copysign(self, sign: Self) -> Self {
                $type::copysign(self, sign)
            }

            #[inline(always)]
            fn powers(shifted: Self) -> [Self; 2] {
                let exponent = shifted.to_bits().wrapping_sub(Self::ROUND.to_bits()).wrapping_add(2 * $bias);
                let half = exponent >> 1;
                let rest = exponent.wrapping_sub(half);
                [$type::from_bits(half << $mantissa), $type::from_bits(rest << $mantissa)]
            }

            #[inline(always)]
            fn parameter(value: f64) -> Self {
                value as $type
            }

            fn activate(activation: Activation, z: &mut [Self], slope: Option<&mut [Self]>) {
                vector::run(activation, z, slope);
            }
        }
    };
}

lane!(f32, 23, 127, 12_582_912.0, {
    const NORMAL: Self = 0.398_942_3;
    const LN2: [Self; 2] = [0.693_145_75, 1.428_606_8e-6];
    const FLOOR: Self = -120.0;
    const FAR: Self = 14.625;
    const CENTRE: Self = 4.0;
    const EXP: &'static [Self] =
        &[5.0e-1, 1.666_666_7e-1, 4.166_646_3e-2, 8.333_310_5e-3, 1.393_373_1e-3, 1.989_108e-4];
    const LOG: &'static [Self] = &[8.333_333_6e-2, 1.249_990_8e-2, 2.233_778e-3, 4.239_565_5e-4, 1.134_000_5e-4];
    const TAIL: &'static [Self] = &[
        3.965_247e-1,
        -1.114_423_2e-1,
        3.607_555_5e-2,
        8.538_602e-3,
        -1.958_519_4e-2,
        1.265_263_4e-2,
        -3.900_998_7e-3,
        -1.105_196_8e-4,
        5.181_426_5e-4,
        -6.398_922e-5,
        -5.779_456_5e-5,
    ];
});

lane!(f64, 52, 1023, 6_755_399_441_055_744.0, {
    const NORMAL: Self = 0.398_942_280_401_432_7;
    const LN2: [Self; 2] = [0.693_147_180_559_890_3, 5.497_923_018_708_371e-14];
    const FLOOR: Self = -800.0;
    const FAR: Self = 39.0;
    const CENTRE: Self = 5.375;
    const EXP: &'static [Self] = &[
        5.0e-1,
        1.666_666_666_666_667e-1,
        4.166_666_666_666_667e-2,
        8.333_333_333_326_084e-3,
        1.388_888_888_888_371_1e-3,
        1.984_126_987_500_228e-4,
        2.480_158_732_567_746e-5,
        2.755_725_517_000_089e-6,
        2.755_727_347_871_858e-7,
        2.510_531_272_962_210_3e-8,
        2.091_475_532_589_32e-9,
    ];
    const LOG: &'static [Self] = &[
        8.333_333_333_333_333e-2,
        1.250_000_000_000_000_4e-2,
        2.232_142_857_142_339e-3,
        4.340_277_777_994_528_5e-4,
        8.877_840_862_307_449e-5,
        1.878_005_402_075_703_4e-5,
        4.068_962_691_997_735e-6,
        8.978_269_780_915_097e-7,
        1.998_977_515_099_577_8e-7,
        4.740_726_898_457_878e-8,
        7.550_848_545_754_249e-9,
        4.539_269_989_558_752e-9,
    ];
    const TAIL: &'static [Self] = &[
        3.809_745_409_605_482e-1,
        -9.836_612_679_481_573e-2,
        5.050_038_906_995_556e-2,
        -1.314_326_924_728_264_7e-2,
        -7.764_384_882_879_03e-3,
        1.396_409_104_290_229e-2,
        -1.153_022_813_510_273_6e-2,
        6.563_836_770_618_424e-3,
        -2.632_349_855_152_653e-3,
        6.273_049_062_608_316e-4,
        1.089_940_984_665_256_4e-5,
        -7.228_625_082_634_639e-5,
        2.108_353_569_435_154e-5,
        3.211_486_397_851_284_4e-6,
        -3.431_761_355_466_598e-6,
        2.229_541_554_507_389e-7,
        4.448_616_360_436_347e-7,
        -8.673_996_931_270_148e-8,
        -5.815_676_503_229_305_5e-8,
        1.571_705_558_995_189e-8,
        7.966_424_607_758_752e-9,
        -1.685_122_451_521_720_6e-9,
        -8.534_765_684_971_695e-10,
    ];
});
