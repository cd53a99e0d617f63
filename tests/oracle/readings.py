"""Exponent and misfit of the small networks of tests/suite/readings.rs, from the definitions, with NumPy alone.

    python tests/oracle/readings.py
"""

import numpy as np

W0 = np.array([[2, -1, 0, 1], [0, 2, -1, 0], [1, 0, 1, -1], [0, 1, 0, 1]], float)
W1 = np.array([[1, 1, 0, 0], [0, 1, 2, 0], [-1, 0, 1, 1], [0, 0, 1, -2]], float)
W2 = np.array([[1, 0, 1, 0], [0, 2, 0, -1], [1, 1, 0, 1], [0, -1, 1, 3]], float)
M0 = np.array([[1, 1, 0, 1], [0, 1, 1, 0], [1, 0, 1, 1], [0, 1, 0, 1]], float)
M1 = np.array([[1, 0, 0, 1], [0, 1, 1, 0], [1, 0, 1, 1], [1, 0, 1, 0]], float)
I, J = np.meshgrid(np.arange(64), np.arange(4), indexing="ij")
X = np.sin(1 + 1.7 * I * (J + 1) + 0.9 * J)


def agop(weights, layer):
    """At a layer's input: mean over rows of J^T J, ReLU between layers."""
    total = np.zeros((4, 4))
    for x in X:
        h, jacobian = x, np.eye(4)
        for l, w in enumerate(weights):
            if l == layer:
                jacobian = np.eye(4)
            z = w @ h
            last = l == len(weights) - 1
            slope = np.ones(4) if last else (z > 0).astype(float)
            jacobian = slope[:, None] * (w @ jacobian)
            h = z if last else np.maximum(z, 0)
        total += jacobian.T @ jacobian
    return total / len(X)


def misfit(a, b, alpha):
    g, v = np.linalg.eigh(b)
    g = np.where(g > 4 * np.finfo(float).eps * g.max(), g, 0)
    power = (v * g**alpha) @ v.T
    kappa = (a * power).sum() / (power * power).sum()
    return np.linalg.norm(a - kappa * power) / np.linalg.norm(a)


def fit(a, b):
    grid = np.geomspace(1e-3, 4, 4000)
    best = grid[np.argmin([misfit(a, b, alpha) for alpha in grid])]
    fine = best * np.linspace(0.99, 1.01, 2001)
    values = [misfit(a, b, alpha) for alpha in fine]
    return fine[np.argmin(values)], min(values)


def balance(upper, lower):
    """|U^T U - V V^T| / |U^T U|."""
    a = upper.T @ upper
    return np.linalg.norm(a - lower @ lower.T) / np.linalg.norm(a)


for name, weights in [("W0 W1 W2", [W0, W1, W2]), ("W0 W1", [W0, W1]), ("pruned", [W0 * M0, W1 * M1])]:
    found = [fit(weights[l].T @ weights[l], agop(weights, l)) for l in range(len(weights) - 1)]
    print(name, *(f"{alpha:.3f}/{value:.3f}" for alpha, value in found))
low_rank = np.array([[1], [-1], [0], [2]]) @ np.array([[1.0, 0, 2, 0]])
print(f"value and output: {balance(W1.T, W1):.0e}; with an adapter on the value: {balance(W1.T, W1 + low_rank):.2f}")
v = np.array([[1.0, 2], [3, 1]])
print(f"whole numbers with a scale: {balance(v.T, v * [[1], [2]]):.2f}")
