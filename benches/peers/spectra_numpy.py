# /// script
# requires-python = ">=3.10"
# dependencies = ["numpy"]
# ///
"""Eigendecomposition of a symmetric matrix through NumPy's LAPACK, f64.

    python benches/peers/spectra_numpy.py 784
"""

import sys

import numpy as np
import problem

d = int(sys.argv[1])
# The decay of ours: column scales 1, 1/2, 1/3, ...
rows = np.random.default_rng(0).standard_normal((d + d // 2, d)) / np.arange(1, d + 1)
gram = rows.T @ rows / len(rows)
values, vectors = np.linalg.eigh(gram)
found = problem.error(vectors * values @ vectors.T, gram)


def work(calls):
    for _ in range(calls):
        np.linalg.eigh(gram)


problem.serve(f"numpy {np.__version__} eigh", work, found, block=0.05)
