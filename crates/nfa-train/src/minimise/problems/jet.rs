//! Numbers that carry their first and second derivatives in a few variables, so that a term is written once.

use std::ops::{Add, Mul, Neg, Sub};

/// A value with its gradient and Hessian in K variables.
#[derive(Clone, Copy, Debug)]
pub(super) struct Jet<const K: usize> {
    pub(super) value: f64,
    pub(super) gradient: [f64; K],
    pub(super) hessian: [[f64; K]; K],
}

impl<const K: usize> Jet<K> {
    fn constant(value: f64) -> Self {
        Jet { value, gradient: [0.0; K], hessian: [[0.0; K]; K] }
    }

    /// The variable of this number.
    pub(super) fn variable(value: f64, k: usize) -> Self {
        let mut jet = Jet::constant(value);
        jet.gradient[k] = 1.0;
        jet
    }

    /// φ of it, from φ, φ' and φ'' at its value.
    fn apply(self, [value, first, second]: [f64; 3]) -> Self {
        let g = self.gradient;
        Jet {
            value,
            gradient: g.map(|g| first * g),
            hessian: std::array::from_fn(|i| {
                std::array::from_fn(|j| first * self.hessian[i][j] + second * g[i] * g[j])
            }),
        }
    }

    pub(super) fn square(self) -> Self {
        self.apply([self.value * self.value, 2.0 * self.value, 2.0])
    }

    pub(super) fn powi(self, n: i32) -> Self {
        let (x, k) = (self.value, f64::from(n));
        self.apply([x.powi(n), k * x.powi(n - 1), k * (k - 1.0) * x.powi(n - 2)])
    }

    /// |x|^p, p ≥ 2.
    pub(super) fn abs_pow(self, p: f64) -> Self {
        let x = self.value.abs();
        let pow = libm::pow;
        self.apply([pow(x, p), p * pow(x, p - 1.0) * self.value.signum(), p * (p - 1.0) * pow(x, p - 2.0)])
    }

    pub(super) fn recip(self) -> Self {
        let inverse = 1.0 / self.value;
        self.apply([inverse, -inverse * inverse, 2.0 * inverse * inverse * inverse])
    }

    pub(super) fn exp(self) -> Self {
        self.apply([libm::exp(self.value); 3])
    }

    pub(super) fn sin(self) -> Self {
        let (s, c) = (libm::sin(self.value), libm::cos(self.value));
        self.apply([s, c, -s])
    }

    pub(super) fn cos(self) -> Self {
        let (s, c) = (libm::sin(self.value), libm::cos(self.value));
        self.apply([c, -s, -c])
    }

    pub(super) fn atan(self) -> Self {
        let first = 1.0 / (1.0 + self.value * self.value);
        self.apply([libm::atan(self.value), first, -2.0 * self.value * first * first])
    }
}

impl<const K: usize> Add for Jet<K> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Jet {
            value: self.value + other.value,
            gradient: std::array::from_fn(|i| self.gradient[i] + other.gradient[i]),
            hessian: std::array::from_fn(|i| std::array::from_fn(|j| self.hessian[i][j] + other.hessian[i][j])),
        }
    }
}

impl<const K: usize> Neg for Jet<K> {
    type Output = Self;

    fn neg(self) -> Self {
        self * -1.0
    }
}

impl<const K: usize> Sub for Jet<K> {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl<const K: usize> Mul for Jet<K> {
    type Output = Self;

    // The product rule adds.
    #[allow(clippy::suspicious_arithmetic_impl)]
    fn mul(self, other: Self) -> Self {
        let (a, b) = (self, other);
        Jet {
            value: a.value * b.value,
            gradient: std::array::from_fn(|i| a.value * b.gradient[i] + b.value * a.gradient[i]),
            hessian: std::array::from_fn(|i| {
                std::array::from_fn(|j| {
                    let mixed = a.gradient[i] * b.gradient[j] + a.gradient[j] * b.gradient[i];
                    a.value * b.hessian[i][j] + b.value * a.hessian[i][j] + mixed
                })
            }),
        }
    }
}

impl<const K: usize> Add<f64> for Jet<K> {
    type Output = Self;

    fn add(self, other: f64) -> Self {
        Jet { value: self.value + other, ..self }
    }
}

impl<const K: usize> Sub<f64> for Jet<K> {
    type Output = Self;

    fn sub(self, other: f64) -> Self {
        self + -other
    }
}

impl<const K: usize> Mul<f64> for Jet<K> {
    type Output = Self;

    fn mul(self, other: f64) -> Self {
        Jet {
            value: self.value * other,
            gradient: self.gradient.map(|g| g * other),
            hessian: self.hessian.map(|row| row.map(|h| h * other)),
        }
    }
}
