# /// script
# requires-python = ">=3.10"
# dependencies = ["mpmath>=1.3", "numpy>=1.26"]
# ///
"""Oracle for the activation functions: values and slopes in 60 digits, rounded once to f64.

Writes tests/golden/activations.json. The points hold tiny, huge and subnormal numbers, both sides of
every bound of f32 and f64, and a spread over what networks see; most of them are f32 numbers as well.
The piecewise linear functions and the square need no oracle.
"""

import mpmath as mp
import numpy as np

import golden

mp.mp.dps = 60


def points():
    """Numbers at which the functions are asked for, by size."""
    rng = np.random.default_rng(11)
    sizes = [0.0, 2.0**-149, 3 * 2.0**-140, 1e-38, 1e-30, 1e-20, 1e-10, 2.0**-27, 1e-6, 1e-4, 3e-3, 1e-2]
    sizes += [0.1, 0.17, 0.3465, 0.3467, 0.5, 0.55, 1.0, 2.0, 3.0, 4.0, 5.375, 6.0]
    sizes += [8.3, 9.0, 12.0, 13.0, 14.1]
    # Where f32 results become subnormal, then 0; the same for f64.
    sizes += [14.45, 14.6, 19.0, 30.0, 37.5, 38.4, 43.5, 60.0, 87.5, 95.0, 103.0, 105.0, 150.0, 372.0]
    sizes += [708.0, 720.0, 744.0, 746.0, 900.0, 1e5, 3e38]
    sizes = [float(np.float32(s)) for s in sizes] + [5e-324, 1e-310, 1e-200, 1e30, 1e300]
    spread = np.concatenate([rng.uniform(-5, 5, 50), rng.uniform(-20, 20, 30), rng.uniform(-100, 100, 10)])
    spread[::3] += 1e-9  # no f32 numbers
    spread[1::3], spread[2::3] = np.float32(spread[1::3]), np.float32(spread[2::3])
    return sorted({s for size in sizes for s in (-size, size)} | set(spread.tolist()))


def logistic(z):
    return 1 / (1 + mp.exp(-z))


def density(z):
    return mp.exp(-z * z / 2) / mp.sqrt(2 * mp.pi)


def distribution(z):
    # Beyond 100 it is 0 or 1 to 2,000 digits, and erfc is at a loss there.
    return mp.erfc(-max(-100, min(100, z)) / mp.sqrt(2)) / 2


FUNCTIONS = {
    "tanh": (mp.tanh, lambda z: mp.sech(z) ** 2),
    "gelu": (lambda z: z * distribution(z), lambda z: distribution(z) + z * density(z)),
    "silu": (lambda z: z * logistic(z), lambda z: logistic(z) * (1 + z * logistic(-z))),
    "sigmoid": (logistic, lambda z: logistic(z) * logistic(-z)),
    "softplus": (lambda z: mp.log1p(mp.exp(z)), logistic),
}


def rounded(value):
    """The nearest f64, subnormal ones too."""
    quantum = mp.mpf(2) ** max(mp.frexp(value)[1] - 53, -1074) if value else mp.mpf(1)
    return float(mp.nint(value / quantum) * quantum)


def column(function, z):
    return [rounded(function(mp.mpf(z))) for z in z]


if __name__ == "__main__":
    z = points()
    golden.main("activations.py", {
        "activations.json": {
            "z": z,
            **{
                name: {"value": column(value, z), "slope": column(slope, z)}
                for name, (value, slope) in FUNCTIONS.items()
            },
        },
    })
