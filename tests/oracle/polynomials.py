"""Fits the polynomials of crates/nfa-models/src/host/vector.rs and prints them as Rust.

Each is the interpolant at Chebyshev points, within a factor of about two of the best there is, in 50 digits.
Beside it stands the largest error of what is printed, as a part of the function that it serves.
"""

# /// script
# dependencies = ["mpmath", "numpy"]
# ///

import mpmath as mp
import numpy as np

mp.mp.dps = 50


def interpolate(f, low, high, degree):
    """Coefficients, constant first, of the interpolant of f at Chebyshev points."""
    middle, half = (low + high) / 2, (high - low) / 2
    points = [middle + half * mp.cos(mp.pi * (2 * k + 1) / (2 * (degree + 1))) for k in range(degree + 1)]
    return list(mp.lu_solve(mp.matrix([[t**j for j in range(degree + 1)] for t in points]),
                            mp.matrix([f(t) for t in points])))


def expm1_rest(r):
    """(e^r - 1 - r) / r²"""
    if abs(r) < 1e-3:
        return mp.nsum(lambda k: r**k / mp.factorial(k + 2), [0, mp.inf])
    return (mp.expm1(r) - r) / r**2


def log_rest(u):
    """(log((2 + s) / (2 - s)) / s - 1) / u with u = s²: log(1 + w) = s + s³ · this for s = 2w / (2 + w)."""
    if u < 1e-6:
        return mp.mpf(1) / 12 + u / 80 + u**2 / 448
    s = mp.sqrt(u)
    return (mp.log((2 + s) / (2 - s)) / s - 1) / u


def mills(x):
    """Q(x) e^(x²/2), Q the upper tail of the normal distribution."""
    return mp.exp(x * x / 2) * mp.erfc(x / mp.sqrt(2)) / 2


def scaled_mills(t, k, steep):
    """(1 + 0.8 x) mills(x) as a function of t = (x - k) / (x + k): falls from 0.5 to 0.32, level at x = 0."""
    x = k * (1 + t) / (1 - t)
    return (1 + steep * x) * mills(x)


def rust(value):
    """The shortest decimal that reads back as value, its digits in groups of three."""
    mantissa, exponent = np.format_float_scientific(value, unique=True, trim="0").split("e")
    whole, digits = mantissa.split(".")
    groups = "_".join(digits[k:k + 3] for k in range(0, len(digits), 3))
    return f"{whole}.{groups}e{int(exponent)}" if int(exponent) else f"{whole}.{groups}"


def show(name, f, low, high, degree, dtype, part):
    """Prints a polynomial rounded to dtype; part(t, error) says what its error means."""
    low, high = mp.mpf(low), mp.mpf(high)
    rounded = [dtype(str(c)) for c in interpolate(f, low, high, degree)]
    points = [low + (high - low) * k / 997 for k in range(998)]
    worst = max(abs(part(t, mp.polyval([mp.mpf(float(c)) for c in rounded[::-1]], t) - f(t))) for t in points)
    print(f"// {name}: degree {degree}, {float(worst):.1e}")
    print("\n".join(f"        {rust(c)}," for c in rounded))


for dtype, exp, log, tail, k, far in ((np.float32, 5, 4, 10, 4, 14.625), (np.float64, 10, 11, 22, 5.375, 39)):
    print(dtype.__name__)
    bits = 15 if dtype is np.float32 else 42
    high = mp.floor(mp.log(2) * 2**bits) / 2**bits
    print(f"ln2: {dtype(str(high))!r} + {dtype(str(mp.log(2) - high))!r}")
    half = mp.log(2) / 2 * mp.mpf("1.001")
    show("(e^r - 1 - r) / r²", expm1_rest, -half, half, exp, dtype, lambda r, e: e * r * r / mp.exp(r))
    steep = mp.mpf(float(dtype(0.8)))
    show("log", log_rest, 0, mp.mpf(4) / 9, log, dtype, lambda u, e: e * u)
    last = (mp.mpf(far) - k) / (far + k)
    show("mills", lambda t: scaled_mills(t, k, steep), -1, last, tail, dtype, lambda t, e: 2 * e)
