# /// script
# requires-python = ">=3.10"
# dependencies = ["numpy", "jax"]
# ///
"""The AGOP at the input of an MLP in JAX by jit(vmap(jacrev)).

The problem is one that `nfa-train bench agop --save-problem` wrote.

    python benches/peers/agop_jax.py A.safetensors
"""

import argparse

import jax
import jax.numpy as jnp
import problem

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("file")
args = parser.parse_args()

tensors, words = problem.load(args.file)
net_layers = [(jnp.array(w), None if b is None else jnp.array(b)) for w, b in problem.layers(tensors)]
x = jnp.array(tensors["x"])
n, d = x.shape
c = net_layers[-1][0].shape[0]
phi = {"relu": jax.nn.relu, "tanh": jnp.tanh}[words["activation"]]


def net(params, h):
    for i, (w, b) in enumerate(params):
        h = w @ h if b is None else w @ h + b
        h = phi(h) if i + 1 < len(params) else h
    return h


@jax.jit
def part(params, rows):
    jacobian = jax.vmap(jax.jacrev(lambda h: net(params, h)))(rows).reshape(-1, d)
    return jacobian.T @ jacobian


def agop(batch):
    total = sum(part(net_layers, x[start:start + batch]) for start in range(0, n, batch))
    return (total / n).block_until_ready()


sizes = {str(size): (lambda size=size: agop(size)) for size in problem.batches(n, c * max(d, 64))}
batch = int(problem.fastest(sizes))
found = problem.error(agop(batch), tensors["layers.0.agop"])


def work(calls):
    for _ in range(calls):
        agop(batch)


name = f"jax {jax.__version__} {jax.default_backend()} jit(vmap(jacrev)), batch {batch}"
problem.serve(name, work, found, block=0.05)
