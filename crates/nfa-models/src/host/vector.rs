//! Activation functions over slices, with their slopes.
//!
//! Each kernel is a scalar function without branches, which the compiler turns into vector
//! instructions. A value does not depend on its neighbours, nor on whether slopes are asked for.
//!
//! Largest errors in units of the last place, of values and slopes; in `f64` as met at 30,000 points
//! against 60 digits, in `f32` of every number there is against the kernels of `f64`:
//!
//! | | `f64` | | `f32` | |
//! |---|---|---|---|---|
//! | tanh | 1.9 | 3.8 | 2.2 | 4.8 |
//! | gelu | 3.1 | 3.9 | 4.1 | 4.9 |
//! | silu | 2.7 | 3.0 | 3.3 | 5.5 |
//! | sigmoid | 1.5 | 3.6 | 2.0 | 4.1 |
//! | softplus | 2.2 | 1.5 | 2.8 | 2.0 |
//!
//! That holds in the tails too, down to subnormal numbers. The slopes of gelu and silu have a zero
//! near -0.75 and -1.28: between -1.1 and -0.4, -1.8 and -0.8, their unit is the machine epsilon.

use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

use crate::activation::Activation;
use crate::host::lane::Lane;
use crate::host::{Cores, Real};

/// Numbers that are worked on together: a multiple of every vector length.
const BLOCK: usize = 64;

/// From so many numbers on more than one thread is worth waking, and so many each gets at a time.
const SHARE: usize = 1 << 14;

/// z ← φ(z) and, where it is asked for, slope ← φ'(z); short slices always on one core.
///
/// At a kink the slope is that of the left: relu'(0) = 0. At ±∞ both are the limits, NaN stays NaN.
///
/// # Shapes
/// z, slope: the same length
///
/// # Panics
/// If the lengths differ.
pub fn activate<T: Real>(activation: Activation, z: &mut [T], slope: Option<&mut [T]>, cores: Cores) {
    if z.len() < 4 * SHARE || cores.count() == 1 {
        return T::activate(activation, z, slope);
    }
    match slope {
        None => z.par_chunks_mut(SHARE).for_each(|z| T::activate(activation, z, None)),
        Some(slope) => {
            assert_eq!(z.len(), slope.len(), "one slope for each number");
            let shares = z.par_chunks_mut(SHARE).zip(slope.par_chunks_mut(SHARE));
            shares.for_each(|(z, slope)| T::activate(activation, z, Some(slope)));
        }
    }
}

/// z ← z ∘ factors
///
/// # Shapes
/// z, factors: the same length
pub fn scale<T: Real>(z: &mut [T], factors: &[T]) {
    crate::host::vectorised(
        #[inline(always)]
        || z.iter_mut().zip(factors).for_each(|(z, &factor)| *z *= factor),
    );
}

pub(super) fn run<T: Lane>(activation: Activation, z: &mut [T], slope: Option<&mut [T]>) {
    if let Some(slope) = &slope {
        assert_eq!(z.len(), slope.len(), "one slope for each number");
    }
    match activation {
        Activation::Linear => {
            if let Some(slope) = slope {
                slope.fill(T::ONE);
            }
        }
        Activation::Relu => pass(relu, z, slope),
        Activation::LeakyRelu(low) => {
            let low = T::parameter(low);
            pass(
                #[inline(always)]
                move |z| leaky_relu(z, low),
                z,
                slope,
            );
        }
        Activation::Tanh => pass(tanh, z, slope),
        Activation::Gelu => pass(gelu, z, slope),
        Activation::Silu => pass(silu, z, slope),
        Activation::Sigmoid => pass(sigmoid, z, slope),
        Activation::Softplus => pass(softplus, z, slope),
        Activation::Quadratic => pass(
            #[inline(always)]
            |z| (z * z, T::TWO * z),
            z,
            slope,
        ),
    }
}

/// A kernel z ↦ (φ(z), φ'(z)) along slices of one length.
struct Pass<'a, T, K> {
    kernel: K,
    z: &'a mut [T],
    slope: Option<&'a mut [T]>,
}

fn pass<T: Lane, K: Fn(T) -> (T, T)>(kernel: K, z: &mut [T], slope: Option<&mut [T]>) {
    Arch::new().dispatch(Pass { kernel, z, slope });
}

impl<T: Lane, K: Fn(T) -> (T, T)> NullaryFnOnce for Pass<'_, T, K> {
    type Output = ();

    /// Whole blocks alone, a copy of the rest among them: what the compiler sees has a fixed length.
    #[inline(always)]
    fn call(self) {
        let Pass { kernel, z, slope } = self;
        let (blocks, rest) = z.as_chunks_mut::<BLOCK>();
        let mut last = [T::ZERO; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        match slope {
            None => {
                for block in blocks {
                    values(&kernel, block);
                }
                if !rest.is_empty() {
                    values(&kernel, &mut last);
                }
            }
            Some(slope) => {
                let (slopes, slope_rest) = slope.as_chunks_mut::<BLOCK>();
                for (block, slopes) in blocks.iter_mut().zip(slopes) {
                    values_and_slopes(&kernel, block, slopes);
                }
                if !rest.is_empty() {
                    let mut slopes = [T::ZERO; BLOCK];
                    values_and_slopes(&kernel, &mut last, &mut slopes);
                    slope_rest.copy_from_slice(&slopes[..rest.len()]);
                }
            }
        }
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

#[inline(always)]
fn values<T: Lane>(kernel: &impl Fn(T) -> (T, T), z: &mut [T; BLOCK]) {
    for z in z {
        *z = kernel(*z).0;
    }
}

#[inline(always)]
fn values_and_slopes<T: Lane>(kernel: &impl Fn(T) -> (T, T), z: &mut [T; BLOCK], slope: &mut [T; BLOCK]) {
    for (z, slope) in z.iter_mut().zip(slope) {
        (*z, *slope) = kernel(*z);
    }
}

#[inline(always)]
fn polynomial<T: Lane>(coefficients: &[T], t: T) -> T {
    coefficients.iter().rev().fold(T::ZERO, |sum, &c| sum.fma(t, c))
}

/// `yes` where true: a choice without a branch, of two numbers that are there anyway.
#[inline(always)]
fn choose<T: Lane>(which: bool, yes: T, no: T) -> T {
    if which { yes } else { no }
}

/// e^(x + low) = (1 + p) s t for x in FLOOR..=0 and |low| below its rounding; s t is a power of 2.
struct Exp<T> {
    p: T,
    s: T,
    t: T,
}

impl<T: Lane> Exp<T> {
    #[inline(always)]
    fn new(x: T, low: T) -> Self {
        let shifted = x.fma(T::LOG2_E, T::ROUND);
        let n = shifted - T::ROUND;
        let [high, rest] = T::LN2;
        // The first difference is exact; what r loses by rounding is not lost to p.
        let (whole, low) = ((-n).fma(high, x), (-n).fma(rest, low));
        let r = whole + low;
        let p = (r * r).fma(polynomial(T::EXP, r), low) + whole;
        let [s, t] = T::powers(shifted);
        Exp { p, s, t }
    }

    /// e^-z for z >= 0.
    #[inline(always)]
    fn minus(z: T) -> Self {
        let x = -z;
        Exp::new(choose(x < T::FLOOR, T::FLOOR, x), T::ZERO)
    }

    /// All but the last power of 2: a normal number. That power comes last, so that what is
    /// subnormal is rounded but once.
    #[inline(always)]
    fn head(&self) -> T {
        self.s.fma(self.p, self.s)
    }
}

/// numerator / (large + small) for a sum in 1..=2 and |small| <= large. Near 1 the sum's rounding is
/// a whole unit of the quotient's: to first order lost / sum, so there it is given back.
#[inline(always)]
fn divide<T: Lane>(numerator: T, large: T, small: T) -> T {
    let sum = large + small;
    let lost = choose(sum < T::ONE + T::HALF, small - (sum - large), T::ZERO);
    let quotient = numerator / sum;
    (-quotient).fma(lost, quotient)
}

#[inline(always)]
fn relu<T: Lane>(z: T) -> (T, T) {
    // Asked this way round NaN stays what it is.
    let closed = z <= T::ZERO;
    (choose(closed, T::ZERO, z), choose(z > T::ZERO, T::ONE, T::ZERO))
}

#[inline(always)]
fn leaky_relu<T: Lane>(z: T, low: T) -> (T, T) {
    let open = z > T::ZERO;
    (choose(open, z, z * low), choose(open, T::ONE, low))
}

/// tanh |z| = -e / (2 + e), e = e^(-2|z|) - 1; its slope e^(-2|z|) (1 + tanh |z|)².
#[inline(always)]
fn tanh<T: Lane>(z: T) -> (T, T) {
    let exp = Exp::minus(T::TWO * z.abs());
    let power = exp.s * exp.t;
    let e = power.fma(exp.p, power - T::ONE);
    let a = divide(-e, T::TWO, e);
    let b = T::ONE + a;
    (a.copysign(z), exp.head() * b * b * exp.t)
}

/// σ(z) = u t and σ(-z) = 1 - σ(z), where t is a power of 2 that is to come last.
struct Logistic<T> {
    u: T,
    t: T,
    complement: T,
    /// e^-|z|
    w: T,
}

impl<T: Lane> Logistic<T> {
    #[inline(always)]
    fn new(z: T) -> Self {
        let exp = Exp::minus(z.abs());
        let (head, negative) = (exp.head(), z < T::ZERO);
        let w = head * exp.t;
        let u = divide(choose(negative, head, T::ONE), T::ONE, w);
        let t = choose(negative, exp.t, T::ONE);
        let complement = choose(negative, T::ONE - u * t, w * u);
        Logistic { u, t, complement, w }
    }
}

#[inline(always)]
fn sigmoid<T: Lane>(z: T) -> (T, T) {
    let Logistic { u, t, complement, .. } = Logistic::new(z);
    (u * t, u * complement * t)
}

/// z σ(z), and σ(z) (1 + z σ(-z)).
#[inline(always)]
fn silu<T: Lane>(z: T) -> (T, T) {
    let Logistic { u, t, complement, .. } = Logistic::new(z);
    let value = choose(z < T::FLOOR, T::FLOOR, z) * u * t;
    // Where the complement is 0 or 1 its product would be ∞.
    let inner = choose(z < T::FLOOR, T::FLOOR, choose(z > -T::FLOOR, -T::FLOOR, z));
    (value, inner.fma(complement, T::ONE) * u * t)
}

/// max(z, 0) + log(1 + e^-|z|)
#[inline(always)]
fn softplus<T: Lane>(z: T) -> (T, T) {
    let Logistic { u, t, w, .. } = Logistic::new(z);
    let s = T::TWO * w / (T::TWO + w);
    let square = s * s;
    let log = (s * square).fma(polynomial(T::LOG, square), s);
    (choose(z > T::ZERO, z, T::ZERO) + log, u * t)
}

/// z Φ(z), and Φ(z) + z φ(z). With x = |z| and Q(x) = g e^(-x²/2) the slope is Q - x φ where z < 0,
/// and 1 less that elsewhere.
#[inline(always)]
fn gelu<T: Lane>(z: T) -> (T, T) {
    let negative = z < T::ZERO;
    let x = choose(z.abs() > T::FAR, T::FAR, z.abs());
    let square = x * x;
    // What rounding took from x².
    let rest = x.fma(x, -square);
    let exp = Exp::new(-T::HALF * square, -T::HALF * rest);
    let g = polynomial(T::TAIL, (x - T::CENTRE) / (x + T::CENTRE)) / x.fma(T::STEEP, T::ONE);
    let head = exp.head();
    let below = x * g * head * exp.t;
    let above = (-x).fma(g * head * exp.t, z.abs());
    let value = choose(negative, below, above).copysign(z);
    let lower = (-x).fma(T::NORMAL, g) * head * exp.t;
    (value, choose(negative, lower, T::ONE - lower))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values and slopes at one number.
    fn at<T: Real>(activation: Activation, z: f64) -> (f64, f64) {
        let (mut value, mut slope) = ([T::from_f64(z)], [T::ZERO]);
        activate(activation, &mut value, Some(&mut slope), Cores::One);
        (value[0].to_f64(), slope[0].to_f64())
    }

    fn limits<T: Real>() {
        let infinite = f64::INFINITY;
        // φ(-∞), φ'(-∞), φ(∞), φ'(∞), φ(0), φ'(0)
        let expected = [
            (Activation::Linear, [-infinite, 1.0, infinite, 1.0, 0.0, 1.0]),
            (Activation::Relu, [0.0, 0.0, infinite, 1.0, 0.0, 0.0]),
            (Activation::LeakyRelu(0.25), [-infinite, 0.25, infinite, 1.0, 0.0, 0.25]),
            (Activation::Tanh, [-1.0, 0.0, 1.0, 0.0, 0.0, 1.0]),
            (Activation::Gelu, [0.0, 0.0, infinite, 1.0, 0.0, 0.5]),
            (Activation::Silu, [0.0, 0.0, infinite, 1.0, 0.0, 0.5]),
            (Activation::Sigmoid, [0.0, 0.0, 1.0, 0.0, 0.5, 0.25]),
            (Activation::Softplus, [0.0, 0.0, infinite, 1.0, T::from_f64(2f64.ln()).to_f64(), 0.5]),
            (Activation::Quadratic, [infinite, -infinite, infinite, infinite, 0.0, 0.0]),
        ];
        for (activation, expected) in expected {
            let found = [-infinite, infinite, 0.0].map(|z| at::<T>(activation, z));
            let found: Vec<f64> = found.into_iter().flat_map(|(value, slope)| [value, slope]).collect();
            assert_eq!(found, expected, "{activation}");
            assert!(at::<T>(activation, f64::NAN).0.is_nan(), "{activation} of NaN");
            if !matches!(activation, Activation::Sigmoid | Activation::Softplus) {
                let odd = !matches!(activation, Activation::Relu | Activation::Quadratic);
                assert_eq!(at::<T>(activation, -0.0).0.is_sign_negative(), odd, "{activation} of -0");
            }
        }
    }

    #[test]
    fn limits_zeros_and_nan_are_right() {
        limits::<f32>();
        limits::<f64>();
    }

    fn same_bits<T: Real>() {
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        let (one, three) = (pool(1), pool(3));
        // Longer than what is shared out, and no multiple of a block.
        let z: Vec<T> = (0..5 * SHARE + 77).map(|i| T::from_f64(20.0 * (i as f64 * 0.7).sin())).collect();
        let bits = |values: &[T]| values.iter().map(|v| v.to_f64().to_bits()).collect::<Vec<_>>();
        for activation in Activation::ALL {
            let compute = || {
                let (mut value, mut slope) = (z.clone(), z.clone());
                activate(activation, &mut value, Some(&mut slope), Cores::All);
                let mut alone = z.clone();
                activate(activation, &mut alone, None, Cores::All);
                assert_eq!(bits(&alone), bits(&value), "{activation}: the slope changes the value");
                (bits(&value), bits(&slope))
            };
            let (values, slopes) = one.install(compute);
            assert!((values.clone(), slopes.clone()) == three.install(compute), "{activation}: threads show");
            for i in (0..z.len()).step_by(1009) {
                let (value, slope) = at::<T>(activation, z[i].to_f64());
                assert_eq!((values[i], slopes[i]), (value.to_bits(), slope.to_bits()), "{activation}: neighbours show");
            }
        }
    }

    #[test]
    fn neither_threads_nor_neighbours_nor_slopes_change_a_bit() {
        same_bits::<f32>();
        same_bits::<f64>();
    }
}
