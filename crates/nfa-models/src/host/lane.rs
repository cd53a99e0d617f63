//! What the kernels of [`vector`](super::vector) need of a number type; it seals [`Real`](super::Real).

use std::ops::{Add, Div, Mul, Neg, Sub};

use super::vector;
use crate::Activation;

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
    /// (1 + 1.25 x) Q(x) e^(x²/2) in (x - CENTRE) / (x + CENTRE), Q the normal distribution's upper tail.
    const TAIL: &'static [Self];
    const CENTRE: Self;
    /// 1.25
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
    ($type:ident, $bits:ident, $mantissa:literal, $bias:literal, $round:literal, {$($constants:tt)*}) => {
        impl Lane for $type {
            const ZERO: Self = 0.0;
            const HALF: Self = 0.5;
            const ONE: Self = 1.0;
            const TWO: Self = 2.0;
            const NORMAL: Self = 0.398_942_280_401_432_7;
            const LOG2_E: Self = std::$type::consts::LOG2_E;
            const ROUND: Self = $round;
            const STEEP: Self = 1.25;
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

lane!(f32, u32, 23, 127, 12_582_912.0, {
    const LN2: [Self; 2] = [0.693_145_75, 1.428_606_8e-6];
    const FLOOR: Self = -120.0;
    const FAR: Self = 14.5;
    const CENTRE: Self = 3.75;
    const EXP: &'static [Self] =
        &[5.0e-1, 1.666_666_7e-1, 4.166_646_3e-2, 8.333_310_5e-3, 1.393_373_1e-3, 1.989_108e-4];
    const LOG: &'static [Self] = &[8.333_333_6e-2, 1.249_990_8e-2, 2.233_778e-3, 4.239_565_5e-4, 1.134_000_5e-4];
    const TAIL: &'static [Self] = &[
        5.689_73e-1,
        -7.714_826e-2,
        -2.154_650_7e-2,
        5.862_726_6e-2,
        -4.606_805_7e-2,
        1.932_911_4e-2,
        -2.567_099_2e-3,
        -1.619_539e-3,
        5.971_128e-4,
        1.734_244_1e-4,
        -2.645_048_5e-5,
    ];
});

lane!(f64, u64, 52, 1023, 6_755_399_441_055_744.0, {
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
        5.548_391_015_168_361e-1,
        -7.764_800_378_960_526e-2,
        1.575_603_830_784_234_5e-2,
        2.553_859_699_536_847e-2,
        -4.139_090_319_006_338e-2,
        3.773_070_419_171_442e-2,
        -2.521_757_105_637_407_3e-2,
        1.281_964_290_654_518_7e-2,
        -4.733_269_906_994_109e-3,
        1.020_386_747_993_443_3e-3,
        5.740_632_467_397_079e-5,
        -1.292_584_308_601_332_3e-4,
        3.318_945_676_399_684e-5,
        6.761_497_398_948_363e-6,
        -5.742_488_258_909_194e-6,
        1.969_323_542_643_113_6e-7,
        7.653_871_871_523_231e-7,
        -1.224_474_613_435_038e-7,
        -1.013_984_748_058_285_8e-7,
        2.306_685_136_852_188_6e-8,
        1.367_368_469_975_590_5e-8,
        -2.419_089_121_690_339e-9,
        -1.375_612_784_979_149_1e-9,
    ];
});
