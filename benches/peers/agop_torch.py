# /// script
# requires-python = ">=3.9"
# dependencies = ["torch"]
# ///
"""The AGOP at the input of an MLP in PyTorch: vmap(jacrev), and the factored way written by hand.

    python benches/peers/agop_torch.py [widths] [samples]

The counterpart of `cargo bench -p nfa-train --bench agop`; run both on an otherwise idle machine.
"""
import statistics
import sys
import time

import torch
from torch.func import jacrev, vmap

widths = [int(w) for w in (sys.argv[1] if len(sys.argv) > 1 else "784,512,512,10").split(",")]
samples = int(sys.argv[2]) if len(sys.argv) > 2 else 4096
torch.manual_seed(0)
weights = [torch.randn(o, i) / i**0.5 for i, o in zip(widths, widths[1:])]
x = torch.randn(samples, widths[0])
BATCH = 512


def net(h):
    for w in weights[:-1]:
        h = torch.relu(h @ w.T)
    return h @ weights[-1].T


def by_jacrev():
    total = torch.zeros(widths[0], widths[0])
    for rows in x.split(BATCH):
        jacobian = vmap(jacrev(net))(rows).reshape(-1, widths[0])
        total += jacobian.T @ jacobian
    return total / samples


def factored():
    total = torch.zeros(widths[1], widths[1])
    for rows in x.split(BATCH):
        gates, h = [], rows
        for w in weights[:-1]:
            z = h @ w.T
            gates.append((z > 0).to(z.dtype))
            h = torch.relu(z)
        delta = weights[-1].unsqueeze(0) * gates[-1].unsqueeze(1)
        for w, gate in zip(weights[-2:0:-1], gates[-2::-1]):
            delta = (delta @ w) * gate.unsqueeze(1)
        delta = delta.reshape(-1, widths[1])
        total += delta.T @ delta
    return weights[0].T @ total @ weights[0] / samples


with torch.no_grad():
    error = (by_jacrev() - factored()).norm() / factored().norm()
    assert error < 1e-5, error
    for name, way in [("vmap(jacrev)", by_jacrev), ("factored by hand", factored)]:
        seconds = []
        for repeat in range(10):
            start = time.perf_counter()
            way()
            seconds.append(time.perf_counter() - start)
        seconds = seconds[1:]
        print(f"torch {torch.__version__} {name:18} median {1e3 * statistics.median(seconds):7.1f} ms  min {1e3 * min(seconds):7.1f} ms")
