# /// script
# requires-python = ">=3.10"
# dependencies = ["numpy", "torch"]
# ///
"""The AGOP at the input of an MLP in PyTorch, on a problem of `nfa-train bench agop --save-problem`.

    python benches/peers/agop_torch.py A.safetensors --way loop|jacrev|factored

`loop` is what a user writes first, `jacrev` what the documentation recommends, `factored` the order of
operations of nfa-metrics written by hand: a backward sweep to the first layer's outputs, closed by W1' K W1.
"""

import argparse
import os

import problem
import torch
from torch.func import jacrev, vmap

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("file")
parser.add_argument("--way", choices=["loop", "jacrev", "factored"], default="jacrev")
parser.add_argument("--device", default="cpu")
args = parser.parse_args()

if "OMP_NUM_THREADS" in os.environ:
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
tensors, words = problem.load(args.file)
put = lambda array: None if array is None else torch.tensor(array, device=args.device)  # noqa: E731
weights, biases = zip(*((put(w), put(b)) for w, b in problem.layers(tensors)))
x = put(tensors["x"])
n, d = x.shape
c = weights[-1].shape[0]
phi, slope = {
    "relu": (torch.relu, lambda z, a: (z > 0).to(z.dtype)),
    "tanh": (torch.tanh, lambda z, a: 1 - a * a),
}[words["activation"]]


def dense(h, i):
    z = h @ weights[i].T
    return z if biases[i] is None else z + biases[i]


def net(h):
    for i in range(len(weights) - 1):
        h = phi(dense(h, i))
    return dense(h, len(weights) - 1)


def loop(batch):
    total = x.new_zeros(d, d)
    for rows in x.split(batch):
        rows = rows.detach().requires_grad_()
        outputs = net(rows)
        for k in range(c):
            (gradient,) = torch.autograd.grad(outputs[:, k].sum(), rows, retain_graph=k + 1 < c)
            total += gradient.T @ gradient
    return total / n


def by_jacrev(batch):
    total = x.new_zeros(d, d)
    with torch.no_grad():
        for rows in x.split(batch):
            jacobian = vmap(jacrev(net))(rows).reshape(-1, d)
            total += jacobian.T @ jacobian
    return total / n


def factored(batch):
    early = weights[0].shape[0] <= d  # where the first layer widens, one product more is cheaper
    size = weights[0].shape[0] if early else d
    total = x.new_zeros(size, size)
    with torch.no_grad():
        for rows in x.split(batch):
            slopes, h = [], rows
            for i in range(len(weights) - 1):
                z = dense(h, i)
                h = phi(z)
                slopes.append(slope(z, h))
            delta = weights[-1].unsqueeze(0) * slopes[-1].unsqueeze(1)
            for i in range(len(weights) - 2, 0, -1):
                delta = (delta @ weights[i]) * slopes[i - 1].unsqueeze(1)
            delta = delta.reshape(-1, weights[0].shape[0])
            delta = delta if early else delta @ weights[0]
            total += delta.T @ delta
        return (weights[0].T @ total @ weights[0] if early else total) / n


def done(result):
    if args.device != "cpu":
        torch.cuda.synchronize()
    return result


way = {"loop": loop, "jacrev": by_jacrev, "factored": factored}[args.way]
sizes = {str(size): (lambda size=size: done(way(size))) for size in problem.batches(n, c * max(d, 64))}
batch = int(problem.fastest(sizes))
found = problem.error(way(batch).cpu().numpy(), tensors["layers.0.agop"])


def work(calls):
    for _ in range(calls):
        done(way(batch))


version = torch.__version__.split("+")[0]
problem.serve(f"torch {version} {args.device} {args.way}, batch {batch}", work, found, block=0.05)
